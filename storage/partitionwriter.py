"""Writes rows into Parquet files, one or more for each partition, in whatever order they come.

Rows wait in memory, per partition, until they fill a row group; when all waiting rows together
reach a bound, the partition that holds most of them is written early. So memory stays bounded, and
a partition that gets many rows gets large row groups, however many partitions there are.
"""

import os
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from storage.hive import join_segment

_ROWS_PER_GROUP = 131_072
_MAX_WAITING_BYTES = 192 * 1024 * 1024
_MAX_FILE_BYTES = 512 * 1024 * 1024
_MAX_OPEN_FILES = 64
# A file of fewer rows is joined with others one day. Until then it is worth half the time that
# zstd and an index of its few pages would take, and is hardly larger without.
_FEW_ROWS = 10_000

Key = tuple[object, ...]
Pause = Callable[[], object]


def no_pause() -> None:
    """Go on at once."""


@dataclass(frozen=True, slots=True)
class WrittenFile:
    """A file that is whole and on the disk; `key` are its partition's values."""

    path: Path
    key: Key
    byte_count: int
    metadata: pq.FileMetaData


def hive_folder(keys: Sequence[str], key: Key) -> Path:
    """Return the folder of a partition as Hive names it, relative to the table."""
    return Path(*(join_segment(*pair) for pair in zip(keys, key, strict=True)))


def no_folder(_keys: Sequence[str], _key: Key) -> Path:
    """Return the table's own folder: all files lie side by side."""
    return Path()


@dataclass(slots=True)
class _Waiting:
    """The rows of one partition that are not written yet."""

    batches: list[pa.RecordBatch] = field(default_factory=list)
    row_count: int = 0
    byte_count: int = 0


class PartitionWriter:
    """Writes one table. Used by one thread, which ends with `finish` or `abandon`."""

    def __init__(
        self,
        directory: Path,
        arrow_schema: pa.Schema,
        keys: Sequence[str],
        *,
        folder_of: Callable[[Sequence[str], Key], Path] = hive_folder,
    ) -> None:
        """Prepare to write.

        Args:
            directory: Where the table's files go; it must exist.
            arrow_schema: Of all columns.
            keys: The columns that the files are partitioned by and do not hold, outermost first.
            folder_of: Returns where a partition's files lie in the directory.
        """
        self.files: list[WrittenFile] = []
        """Those that are whole, in the order of their completion."""
        self._directory = directory
        self._folder_of = folder_of
        self._keys = list(keys)
        self._held = [name for name in arrow_schema.names if name not in self._keys]
        self._file_schema = pa.schema([arrow_schema.field(name) for name in self._held])
        self._waiting: dict[Key, _Waiting] = {}
        self._waiting_bytes = 0
        self._open: OrderedDict[Key, _File] = OrderedDict()
        self._file_counts: dict[Path, int] = {}

    def write(self, batch: pa.RecordBatch) -> None:
        """Take rows; those of one partition keep their order."""
        for start in range(0, batch.num_rows, _ROWS_PER_GROUP):
            for key, rows in self._split(batch.slice(start, _ROWS_PER_GROUP)):
                waiting = self._waiting.setdefault(key, _Waiting())
                waiting.batches.append(rows)
                waiting.row_count += rows.num_rows
                waiting.byte_count += rows.nbytes
                self._waiting_bytes += rows.nbytes
                if waiting.row_count >= _ROWS_PER_GROUP:
                    self._flush(key)
            while self._waiting_bytes > _MAX_WAITING_BYTES:
                self._flush(max(self._waiting, key=lambda one: self._waiting[one].byte_count))

    def finish(self, pause: Pause = no_pause) -> None:
        """Write what waits, and close every file; all is on the disk when this returns.

        Args:
            pause: Called after each file, to leave the machine to others for a while.
        """
        if not self._waiting and not self._file_counts and not self._keys:
            self._flush_rows((), pa.table({name: [] for name in self._held}, self._file_schema))
        for key in list(self._waiting):
            self._flush(key)
            pause()
        for file in self._open.values():
            self._close(file)
        self._open.clear()

    def abandon(self) -> None:
        """Close the files as they are; what was written is good for nothing."""
        for file in self._open.values():
            file.abandon()

    def _split(self, batch: pa.RecordBatch) -> Iterator[tuple[Key, pa.RecordBatch]]:
        """Yield the rows of each partition, each in memory of its own."""
        held = batch.select(self._held)
        if not self._keys:
            yield (), held
            return
        keys = pa.table(batch.select(self._keys))
        order = pc.sort_indices(keys, sort_keys=[(name, "ascending") for name in self._keys])
        ordered = keys.take(order).combine_chunks()
        starts = _run_starts(ordered)
        for start, end in zip(starts, [*starts[1:], batch.num_rows], strict=True):
            key = tuple(ordered.column(name)[start].as_py() for name in self._keys)
            yield key, held.take(order.slice(start, end - start))

    def _flush(self, key: Key) -> None:
        waiting = self._waiting.pop(key)
        self._waiting_bytes -= waiting.byte_count
        self._flush_rows(key, pa.Table.from_batches(waiting.batches, self._file_schema))

    def _flush_rows(self, key: Key, rows: pa.Table) -> None:
        file = self._open.get(key)
        if file is None:
            if len(self._open) >= _MAX_OPEN_FILES:
                _, oldest = self._open.popitem(last=False)
                self._close(oldest)
            file = self._open[key] = self._start_file(key, rows.num_rows)
        self._open.move_to_end(key)
        file.write(rows)
        if file.byte_count >= _MAX_FILE_BYTES:
            self._close(self._open.pop(key))

    def _start_file(self, key: Key, row_count: int) -> "_File":
        folder = self._directory / self._folder_of(self._keys, key)
        folder.mkdir(parents=True, exist_ok=True)
        number = self._file_counts.get(folder, 0)
        self._file_counts[folder] = number + 1
        path = folder / f"part-{number}.parquet"
        return _File(path, key, self._file_schema, is_small=row_count < _FEW_ROWS)

    def _close(self, file: "_File") -> None:
        self.files.append(file.close())


class _File:
    """One Parquet file that is being written."""

    def __init__(self, path: Path, key: Key, arrow_schema: pa.Schema, *, is_small: bool) -> None:
        self._path = path
        self._key = key
        self._sink = pa.OSFile(str(path), "wb")
        self._writer = pq.ParquetWriter(
            self._sink,
            arrow_schema,
            compression="lz4" if is_small else "zstd",
            write_page_index=not is_small,
        )

    @property
    def byte_count(self) -> int:
        """How much has been written so far."""
        return int(self._sink.tell())

    def write(self, rows: pa.Table) -> None:
        """Append the rows as row groups."""
        self._writer.write_table(rows, row_group_size=_ROWS_PER_GROUP)

    def close(self) -> WrittenFile:
        """Complete the file, on the disk."""
        try:
            self._writer.close()
        except BaseException:
            self.abandon()
            raise
        byte_count = self.byte_count
        self._sink.close()
        sync(self._path)
        sync(self._path.parent)
        return WrittenFile(self._path, self._key, byte_count, self._writer.writer.metadata)

    def abandon(self) -> None:
        """Give the file up as it is."""
        self._sink.close()
        # Else its end tries to write again, and complains on standard error.
        self._writer.is_open = False


def sync(path: Path) -> None:
    """Return when a file or a directory, as it is now, would survive a power cut."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _run_starts(ordered: pa.Table) -> list[int]:
    """Return where each run of equal rows starts."""
    if ordered.num_rows == 0:
        return []
    changes = None
    for column in ordered.columns:
        differs = pc.not_equal(column.slice(1), column.slice(0, ordered.num_rows - 1))
        changes = differs if changes is None else pc.or_(changes, differs)
    return [0, *(at + 1 for at in pc.indices_nonzero(changes).to_pylist())]
