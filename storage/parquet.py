"""Reads a directory of Hive-partitioned Parquet as a table: columns, partitions, counts, snapshot.

The layout is `key=value/key=value/file.parquet`, every file at the same depth with the same keys;
no keys at all is a plain table. Everything that the engine would read must be explained by what is
found here, and nothing may be passed over in silence: one foreign, half-written or misplaced file
refuses the whole directory. Only markers such as `_SUCCESS`, files that are not Parquet and whose
names start with `.` or `_`, are passed over, as every reader of this layout does.

Texts of errors name files by their base name, never by their path.
"""

import hashlib
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from storage.arrowtypes import plain_schema
from storage.drifting import common_schema
from storage.errors import UnusableTableError
from storage.hive import NULL_VALUE, partition_type, split_segment

SUFFIX = ".parquet"

_THREADS = 8


@dataclass(frozen=True, slots=True)
class ParquetFile:
    """One file of a table, as the file system shows it; `path` is relative to the table."""

    path: str
    size: int
    changed_ns: int

    @property
    def base_name(self) -> str:
        """What error texts call it."""
        return self.path.rpartition("/")[2]

    @property
    def partitions(self) -> tuple[tuple[str, str], ...]:
        """The (key, value) pairs of its directories, outermost first."""
        pairs = (split_segment(part) for part in self.path.split("/")[:-1])
        return tuple(pair for pair in pairs if pair is not None)


@dataclass(frozen=True, slots=True)
class PartitionedFiles:
    """What a directory of Parquet holds.

    `arrow_schema` has the columns of all files in plain types, the first file's first, then the
    partition columns: int64, date32 or utf8, whichever fits all values; they are never NULL.
    """

    arrow_schema: pa.Schema
    partition_columns: tuple[str, ...]
    snapshot: str
    row_count: int
    byte_count: int
    file_count: int


def require_within(directory: Path, roots: Iterable[Path]) -> Path:
    """Return the real place of a directory, which must lie in one of the roots.

    Raises:
        UnusableTableError: When it does not exist or lies elsewhere, symbolic links followed.
    """
    try:
        real = directory.resolve(strict=True)
    except OSError:
        real = None
    if real is None or not real.is_dir():
        raise UnusableTableError("the location is not a directory")
    if not any(real.is_relative_to(root.resolve()) for root in roots):
        raise UnusableTableError(
            "the location lies outside the configured roots; add its root to tables.roots"
        )
    return real


def list_files(directory: Path) -> list[ParquetFile]:
    """Return the Parquet files of a table, ordered by path; nothing is opened.

    Raises:
        UnusableTableError: When there is none, or a file or folder does not belong there.
    """
    return arranged(_walk(directory))


def arranged(found: Iterable[ParquetFile]) -> list[ParquetFile]:
    """Return the files of one table, ordered by path.

    Raises:
        UnusableTableError: When there is none, or they do not lie in the same partitions.
    """
    files = sorted(found, key=lambda file: file.path)
    if not files:
        raise UnusableTableError("the location holds no Parquet files")
    keys = [key for key, _ in files[0].partitions]
    for file in files:
        if [key for key, _ in file.partitions] != keys:
            raise UnusableTableError(
                f"{file.base_name} lies in other partitions than the rest: every file needs "
                f"{'/'.join(f'{key}=…' for key in keys) or 'no partition'}"
            )
    return files


def snapshot_of(files: Iterable[ParquetFile]) -> str:
    """Return a digest of relative paths, sizes and times of change: 32 hex digits."""
    digest = hashlib.sha256()
    for file in files:
        digest.update(f"{file.path}\0{file.size}\0{file.changed_ns}\n".encode())
    return digest.hexdigest()[:32]


def scan_partitioned(directory: Path, known: pa.Schema | None = None) -> PartitionedFiles:
    """Read what a table's directory holds; every file's footer is read, in several threads.

    Files may lack columns that others have, and have narrower types: see `storage.drifting`.

    Args:
        directory: Where the table lies.
        known: The table's columns so far, whose order is kept.

    Raises:
        UnusableTableError: When a file is not whole Parquet, or its columns cannot be those of
            the others; the text names the file and the column.
    """
    return describe(list_files(directory), lambda file: _read_footer(directory, file), known)


def describe(
    files: Sequence[ParquetFile],
    read_footer: Callable[[ParquetFile], pq.FileMetaData],
    known: pa.Schema | None,
) -> PartitionedFiles:
    """Return what files hold together, wherever they lie; see `scan_partitioned`.

    Raises:
        UnusableTableError: When they cannot be one table.
    """
    with ThreadPoolExecutor(_THREADS) as pool:
        footers = list(pool.map(read_footer, files))
    schemas = [plain_schema(footer.schema.to_arrow_schema()) for footer in footers]
    names = (file.base_name for file in files)
    columns = common_schema(zip(names, schemas, strict=True), () if known is None else known.names)
    partitions = _partition_fields(files)
    clash = set(columns.names).intersection(partitions.names)
    if clash:
        raise UnusableTableError(f"column {min(clash)} is in the files and in the directories")
    return PartitionedFiles(
        arrow_schema=pa.schema([*columns, *partitions]),
        partition_columns=tuple(partitions.names),
        snapshot=snapshot_of(files),
        row_count=sum(footer.num_rows for footer in footers),
        byte_count=sum(file.size for file in files),
        file_count=len(files),
    )


def _walk(directory: Path) -> Iterator[ParquetFile]:
    """Yield the files of a table in no order. Every statement looks: plain text, no paths."""
    folders = [(os.fspath(directory), "")]
    while folders:
        folder, below = folders.pop()
        with os.scandir(folder) as entries:
            for entry in entries:
                name = entry.name
                is_hidden = name.startswith((".", "_"))
                is_parquet = name.endswith(SUFFIX)
                if entry.is_symlink():
                    raise UnusableTableError(f"{name} is a symbolic link; tables hold real files")
                if entry.is_dir():
                    if is_hidden or split_segment(name) is None:
                        raise UnusableTableError(f"folder {name} is not a partition key=value")
                    folders.append((entry.path, f"{below}{name}/"))
                elif is_hidden and not is_parquet:
                    continue
                elif is_hidden or not is_parquet or not entry.is_file():
                    # The engine reads hidden Parquet files as well: half-written ones, as a rule.
                    raise UnusableTableError(f"{name} does not belong to a table; move it away")
                else:
                    status = entry.stat()
                    yield ParquetFile(below + name, status.st_size, status.st_mtime_ns)


def _read_footer(directory: Path, file: ParquetFile) -> pq.FileMetaData:
    try:
        return pq.read_metadata(directory / file.path)
    except (OSError, pa.ArrowException):
        pass
    raise UnusableTableError(
        f"{file.base_name} is not a whole Parquet file; it is being written, or damaged"
    )


def _partition_fields(files: Sequence[ParquetFile]) -> pa.Schema:
    values: dict[str, set[str]] = {}
    for file in files:
        for key, value in file.partitions:
            if value == NULL_VALUE:
                raise UnusableTableError(
                    f"{file.base_name} lies in a partition without a value of {key}; "
                    "write its rows under a value"
                )
            values.setdefault(key, set()).add(value)
    # Never NULL: so the engine shows them, and every file has a value.
    return pa.schema(
        [pa.field(key, partition_type(found), nullable=False) for key, found in values.items()]
    )
