"""Copies rows into a new directory of Hive-partitioned Parquet, all of them or none.

Rows are written aside, next to the target, and the whole directory is renamed into place when the
last one is on the disk. Whatever ends the process before that leaves a folder whose name starts
with a dot, which no reader looks at and the next load to the same target removes.
"""

import fcntl
import glob
import os
import shutil
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import chain
from pathlib import Path

import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.types as pat

from storage.arrowtypes import plain_schema
from storage.errors import TableExistsError, UnusableTableError
from storage.hive import split_segment
from storage.partitionwriter import PartitionWriter, sync

Progress = Callable[[int], None]

_READ_AHEAD = 2
_FORMATS = {".csv": "csv", ".parquet": "parquet"}


def read_files(patterns: Sequence[str]) -> Iterator[pa.RecordBatch]:
    """Read CSV or Parquet files, in the order of their names.

    Args:
        patterns: File names or globs; all files must be of one kind.

    Yields:
        Their rows, with the columns of the first file.

    Raises:
        UnusableTableError: When nothing matches, or a file cannot be read; named by base name.
    """
    files = sorted({Path(name) for pattern in patterns for name in glob.glob(pattern)})  # noqa: PTH207  patterns may be absolute
    if not files:
        names = " ".join(Path(pattern).name for pattern in patterns)
        raise UnusableTableError(f"no file matches {names}")
    kinds = {_FORMATS.get(file.suffix.lower()) for file in files}
    kind = kinds.pop()
    if kinds or kind is None:
        raise UnusableTableError("load reads .csv or .parquet files, one kind at a time")
    for file in files:
        yield from _read_file(file, kind)


def load_table(
    batches: Iterable[pa.RecordBatch],
    target: Path,
    *,
    partition_by: Sequence[str] = (),
    progress: Progress = lambda _: None,
) -> None:
    """Write rows as Hive-partitioned Parquet; the directory appears whole or not at all.

    Files are zstd-compressed with row groups of up to 131,072 rows; the rows of one partition keep
    their order. Text, large and encoded layouts are stored plain. At most about 200 MB of rows
    wait in memory.

    Args:
        batches: The rows, all with one schema; at least one batch, which may be empty of rows.
        target: The directory to make; it must not exist.
        partition_by: Columns that become directories, outermost first: integers, dates or text,
            without NULL.
        progress: Told how many rows have been read so far.

    Raises:
        TableExistsError: When the target exists.
        UnusableTableError: When a partition column cannot be one, or rows do not fit the schema.
    """
    if target.exists():
        raise TableExistsError("a table is stored there already")
    rows = iter(batches)
    first = next(rows, None)
    if first is None:
        raise UnusableTableError("there is nothing to load")
    schema = plain_schema(first.schema)
    _check_keys(schema, partition_by)
    with _aside(target) as directory:
        writer = PartitionWriter(directory, schema, partition_by)
        row_count = 0
        try:
            for batch in chain([first], rows):
                fitted = _fit(batch, schema, partition_by)
                with _writing():
                    writer.write(fitted)
                row_count += batch.num_rows
                progress(row_count)
            with _writing():
                writer.finish()
        except BaseException:
            writer.abandon()
            raise
        if row_count == 0 and partition_by:
            raise UnusableTableError("a table without rows cannot have partitions")
        _appear(directory, target)


@contextmanager
def _writing() -> Iterator[None]:
    """Replace the system's words, which name paths, by ours."""
    try:
        yield
    except (OSError, pa.ArrowException):
        pass
    else:
        return
    raise UnusableTableError("the rows cannot be written; is there room on the disk?")


def _read_file(file: Path, kind: str) -> Iterator[pa.RecordBatch]:
    """Yield the rows of a file; errors of whoever takes them are not taken for the file's."""
    batches: Iterator[pa.RecordBatch] | None = None
    while True:
        try:
            if batches is None:
                scan = ds.dataset(file, format=kind).to_batches(
                    batch_readahead=_READ_AHEAD, fragment_readahead=1
                )
                batches = iter(scan)
            batch = next(batches, None)
        except (OSError, pa.ArrowException):
            break
        if batch is None:
            return
        yield batch
    raise UnusableTableError(f"{file.name} cannot be read as {kind}")


def _check_keys(schema: pa.Schema, partition_by: Sequence[str]) -> None:
    for column in partition_by:
        if column not in schema.names:
            raise UnusableTableError(
                f"there is no column {column} to partition by; there are {', '.join(schema.names)}"
            )
        kind = schema.field(column).type
        if not (pat.is_integer(kind) or pat.is_date32(kind) or pat.is_string(kind)):
            raise UnusableTableError(
                f"column {column} is {kind}; partition by integers, dates or text"
            )
        if split_segment(f"{column}=0") != (column, "0") or not column.isidentifier():
            raise UnusableTableError(f"the name of column {column} cannot be a directory's")
    if len(set(partition_by)) != len(partition_by):
        raise UnusableTableError("a column can be partitioned by once")
    if len(partition_by) == len(schema):
        raise UnusableTableError("at least one column must stay in the files")


def _fit(batch: pa.RecordBatch, schema: pa.Schema, partition_by: Sequence[str]) -> pa.RecordBatch:
    """Return the rows in the schema of the table, with a value for each partition column."""
    try:
        fitted = batch if batch.schema.equals(schema) else batch.cast(schema)
    except (pa.ArrowException, ValueError):
        fitted = None
    if fitted is None:
        raise UnusableTableError("the rows do not fit the columns of the first ones")
    for column in partition_by:
        values = fitted.column(column)
        has_empty = pat.is_string(values.type) and "" in values.unique().to_pylist()
        if values.null_count or has_empty:
            raise UnusableTableError(
                f"column {column} has rows without a value; they have no partition to go to"
            )
    return fitted


@contextmanager
def _aside(target: Path) -> Iterator[Path]:
    """Give a directory next to the target, which is gone afterwards unless it was renamed.

    Directories that a killed load left are removed: their locks died with it.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    prefix = f".{target.name}.loading-"
    for left in target.parent.glob(f"{prefix}*"):
        with _locked(left) as is_ours:
            if is_ours:
                shutil.rmtree(left, ignore_errors=True)
    aside = target.with_name(prefix + uuid.uuid4().hex)
    aside.mkdir(mode=0o750)
    with _locked(aside):
        try:
            yield aside
        finally:
            shutil.rmtree(aside, ignore_errors=True)


@contextmanager
def _locked(directory: Path) -> Iterator[bool]:
    """Hold a lock on a directory if nobody else does; says whether it is held."""
    try:
        descriptor = os.open(directory, os.O_RDONLY)
    except OSError:
        yield False
        return
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            yield False
        else:
            yield True
    finally:
        os.close(descriptor)


def _appear(directory: Path, target: Path) -> None:
    try:
        sync(directory)
        directory.rename(target)
    except OSError:
        is_there = target.exists()
    else:
        sync(target.parent)
        return
    if is_there:
        raise TableExistsError("a table was stored there meanwhile")
    raise UnusableTableError("the table cannot be stored there")
