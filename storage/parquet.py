"""Reads a directory of Hive-partitioned Parquet as a table: columns, partitions, counts, snapshot.

The layout is `key=value/key=value/file.parquet`, every file at the same depth with the same keys;
no keys at all is a plain table. Names that start with `.` or `_` are passed over, as every reader
of this layout does; any other file that is not Parquet is refused, because silently reading a part
of a folder would be worse.

Texts of errors name files by their base name, never by their path.
"""

import hashlib
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from storage.errors import UnusableTableError

NULL_PARTITION = "__HIVE_DEFAULT_PARTITION__"
_SUFFIX = ".parquet"
_THREADS = 8
_INTEGER = re.compile(r"-?(0|[1-9][0-9]{0,17})", re.ASCII)
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", re.ASCII)


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
        pairs = (part.partition("=") for part in self.path.split("/")[:-1])
        return tuple((key, value) for key, _, value in pairs)


@dataclass(frozen=True, slots=True)
class PartitionedFiles:
    """What a directory of Parquet holds.

    `arrow_schema` has the files' columns in the order of the first file, then the partition
    columns: int64, date32 or utf8, whichever fits all values.
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
    files = sorted(_walk(directory, ""), key=lambda file: file.path)
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


def scan_partitioned(directory: Path) -> PartitionedFiles:
    """Read what a table's directory holds; every file's footer is read, in several threads.

    Raises:
        UnusableTableError: When a file is not whole Parquet, or its columns differ from the
            first file's; the text names the file and the column.
    """
    files = list_files(directory)
    with ThreadPoolExecutor(_THREADS) as pool:
        footers = list(pool.map(lambda file: _read_footer(directory, file), files))
    columns = _common_columns(files, [footer.schema.to_arrow_schema() for footer in footers])
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


def _walk(directory: Path, below: str) -> Iterator[ParquetFile]:
    with os.scandir(directory) as entries:
        for entry in entries:
            if entry.name.startswith((".", "_")):
                continue
            if entry.is_symlink():
                raise UnusableTableError(f"{entry.name} is a symbolic link; tables hold real files")
            if entry.is_dir():
                if "=" not in entry.name:
                    raise UnusableTableError(f"folder {entry.name} is not a partition key=value")
                yield from _walk(Path(entry.path), f"{below}{entry.name}/")
            elif entry.name.endswith(_SUFFIX):
                status = entry.stat()
                yield ParquetFile(below + entry.name, status.st_size, status.st_mtime_ns)
            else:
                raise UnusableTableError(f"{entry.name} is not a Parquet file")


def _read_footer(directory: Path, file: ParquetFile) -> pq.FileMetaData:
    try:
        return pq.read_metadata(directory / file.path)
    except (OSError, pa.ArrowException):
        pass
    raise UnusableTableError(f"{file.base_name} is not a whole Parquet file")


def _common_columns(files: Sequence[ParquetFile], schemas: Sequence[pa.Schema]) -> pa.Schema:
    first = schemas[0]
    nullable = {field.name: field.nullable for field in first}
    for file, schema in zip(files, schemas, strict=True):
        for field in schema:
            if field.name not in nullable:
                raise UnusableTableError(f"{file.base_name} has a further column {field.name}")
            if field.type != first.field(field.name).type:
                raise UnusableTableError(
                    f"{file.base_name} has {field.type} in column {field.name}, "
                    f"the first file {first.field(field.name).type}"
                )
            nullable[field.name] |= field.nullable
        if len(schema) != len(first):
            missing = set(first.names).difference(schema.names)
            raise UnusableTableError(f"{file.base_name} has no column {min(missing)}")
    return pa.schema([pa.field(one.name, one.type, nullable[one.name]) for one in first])


def _partition_fields(files: Sequence[ParquetFile]) -> pa.Schema:
    values: dict[str, set[str]] = {}
    for file in files:
        for key, value in file.partitions:
            values.setdefault(key, set()).add(value)
    return pa.schema([pa.field(key, _partition_type(found)) for key, found in values.items()])


def _partition_type(values: set[str]) -> pa.DataType:
    known = values - {NULL_PARTITION}
    if known and all(_INTEGER.fullmatch(value) for value in known):
        return pa.int64()
    if known and all(_DATE.fullmatch(value) for value in known):
        return pa.date32()
    return pa.utf8()
