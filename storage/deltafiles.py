"""Writes the files of one commit, and removes what a killed process left of one.

Each commit has a folder of its own, `<commit>/part-0.parquet`, `part-1.parquet` and so on: which
partition a file belongs to is in the log. As long as it is not committed, a note of the same name
lies in `.pending` and is locked by who writes. A note whose lock is free was left by a process
that is gone: its folder is removed, unless the log says that it was committed.
"""

import json
import math
import shutil
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from storage.deltalog import DataFile, DeltaLog
from storage.errors import CancelledError, StorageError, UnusableTableError
from storage.locking import locked
from storage.partitionwriter import PartitionWriter, Pause, WrittenFile, no_folder, no_pause
from storage.room import unwritten
from storage.rows import fit_rows

PENDING = ".pending"
_MAX_STATS_COLUMNS = 32
_MAX_STATS_TEXT = 32
_ATTEMPTS = 100

Progress = Callable[[int], None]


def no_progress(_row_count: int) -> None:
    """Tell nobody."""


class PendingFiles:
    """The files of one commit while they are being written. Used by one thread."""

    def __init__(self, location: Path, commit: str, schema: pa.Schema, keys: Sequence[str]) -> None:
        """Prepare to write into the folder of a commit; see `pending_files`."""
        self.row_count = 0
        self._location = location
        self._folder = location / commit
        with _plain_faults():
            self._folder.mkdir(mode=0o750)
        self._schema = schema
        self._keys = keys
        self._writer = PartitionWriter(self._folder, schema, keys, folder_of=no_folder)

    def write(
        self,
        batches: Iterable[pa.RecordBatch],
        *,
        progress: Progress = no_progress,
        is_cancelled: Callable[[], bool] = bool,
    ) -> None:
        """Write rows, at most about 200 MB of which wait in memory.

        Args:
            batches: With the columns of the table in any order.
            progress: Told how many rows have been written so far.
            is_cancelled: Asked before each batch.

        Raises:
            CancelledError: When it says so.
            UnusableTableError: When rows do not fit the table, or there is no room.
        """
        for batch in batches:
            if is_cancelled():
                raise CancelledError("the write was stopped; nothing of it was written")
            fitted = fit_rows(batch, self._schema, self._keys)
            with _plain_faults():
                self._writer.write(fitted)
            self.row_count += batch.num_rows
            progress(self.row_count)

    def finish(self, pause: Pause = no_pause) -> list[DataFile]:
        """Return the files, which are whole and on the disk now; none when there were no rows.

        Args:
            pause: Called after each file, to leave the machine to others for a while.

        Raises:
            UnusableTableError: When there is no room.
        """
        with _plain_faults():
            if self.row_count:
                self._writer.finish(pause)
            else:
                self._folder.rmdir()
        described = []
        for file in self._writer.files:
            described.append(self._described(file))
            pause()
        return described

    def abandon(self) -> None:
        """Remove everything that was written."""
        self._writer.abandon()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _described(self, file: WrittenFile) -> DataFile:
        return DataFile(
            path=file.path.relative_to(self._location).as_posix(),
            byte_count=file.byte_count,
            row_count=file.metadata.num_rows,
            values=file.key,
            stats=_stats(file.metadata),
        )


@contextmanager
def pending_files(location: Path, schema: pa.Schema, keys: Sequence[str]) -> Iterator[PendingFiles]:
    """Give files to write; they are removed afterwards unless the block ends well.

    The block commits them before it ends.
    """
    with _noted(location, DeltaLog(location)) as commit:
        files = PendingFiles(location, commit, schema, keys)
        try:
            yield files
        except BaseException:
            files.abandon()
            raise


def sweep(location: Path) -> None:
    """Remove what killed processes left of their writes; others' running writes are left alone."""
    log = DeltaLog(location)
    for note in (location / PENDING).glob("*"):
        with locked(note) as is_left:
            if not is_left:
                continue
            commit = note.name.lstrip(".")
            try:
                base = int(note.read_text("utf-8") or 0)
                if commit not in log.said_since(base - 1):
                    shutil.rmtree(location / commit, ignore_errors=True)
            except (OSError, ValueError, StorageError):
                continue
            note.unlink(missing_ok=True)


@contextmanager
def _noted(location: Path, log: DeltaLog) -> Iterator[str]:
    """Give the name of a commit, noted as pending until the block ends."""
    pending = location / PENDING
    with _plain_faults():
        pending.mkdir(mode=0o750, exist_ok=True)
    base = log.latest_version() if (location / "_delta_log").exists() else 0
    for _ in range(_ATTEMPTS):
        commit = uuid.uuid4().hex
        hidden, note = pending / f".{commit}", pending / commit
        with _plain_faults():
            hidden.write_text(str(base), "utf-8")
        with locked(hidden) as is_ours:
            if not is_ours:
                continue
            try:
                # Whoever sweeps finds it under this name only while it is locked.
                hidden.rename(note)
            except FileNotFoundError:
                continue
            try:
                yield commit
            finally:
                note.unlink(missing_ok=True)
            return
    raise UnusableTableError("the table cannot be written to; is there room on the disk?")


@contextmanager
def _plain_faults() -> Iterator[None]:
    """Replace the system's words, which name paths, by ours."""
    try:
        yield
    except (OSError, pa.ArrowException) as error:
        refusal = unwritten(error, "the rows cannot be written to the table's disk")
    else:
        return
    raise refusal


def _stats(metadata: pq.FileMetaData) -> str:
    """Return what the log tells of a file's values: for other readers, who look nowhere else."""
    least: dict[str, object] = {}
    most: dict[str, object] = {}
    nulls: dict[str, int] = {}
    for position in range(min(metadata.num_columns, _MAX_STATS_COLUMNS)):
        name = metadata.schema.column(position).path
        groups = [
            metadata.row_group(number).column(position).statistics
            for number in range(metadata.num_row_groups)
        ]
        if "." in name or not all(groups):
            continue
        if all(group.has_null_count for group in groups):
            nulls[name] = sum(group.null_count for group in groups)
        bounds = [(group.min, group.max) for group in groups if group.has_min_max]
        if bounds and len(bounds) == sum(group.num_values > 0 for group in groups):
            low, high = min(low for low, _ in bounds), max(high for _, high in bounds)
            if _is_told(low) and _is_told(high):
                least[name], most[name] = _told(low), _told(high)
    told = {
        "numRecords": metadata.num_rows,
        "minValues": least,
        "maxValues": most,
        "nullCount": nulls,
    }
    return json.dumps(told)


def _is_told(value: Any) -> bool:
    if isinstance(value, str):
        return len(value) <= _MAX_STATS_TEXT
    if isinstance(value, float):
        return math.isfinite(value)
    return type(value) in {int, date}


def _told(value: Any) -> object:
    return value.isoformat() if isinstance(value, date) else value
