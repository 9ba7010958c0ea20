"""Copies rows into a new directory of Hive-partitioned Parquet, all of them or none.

Rows are written aside, next to the target, and the whole directory is renamed into place when the
last one is on the disk. Whatever ends the process before that leaves a folder whose name starts
with a dot, which no reader looks at and the next load to the same target removes.
"""

import shutil
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import chain
from pathlib import Path

import pyarrow as pa

from storage.arrowtypes import plain_schema
from storage.errors import TableExistsError, UnusableTableError
from storage.locking import locked
from storage.partitionwriter import PartitionWriter, sync
from storage.room import unwritten
from storage.rows import check_partition_columns, fit_rows

Progress = Callable[[int], None]


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
    check_partition_columns(schema, partition_by)
    with _aside(target) as directory:
        writer = PartitionWriter(directory, schema, partition_by)
        row_count = 0
        try:
            for batch in chain([first], rows):
                fitted = fit_rows(batch, schema, partition_by)
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
    except (OSError, pa.ArrowException) as error:
        refusal = unwritten(error, "the rows cannot be written to the table's disk")
    else:
        return
    raise refusal


@contextmanager
def _aside(target: Path) -> Iterator[Path]:
    """Give a directory next to the target, which is gone afterwards unless it was renamed.

    Directories that a killed load left are removed: their locks died with it.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    prefix = f".{target.name}.loading-"
    for left in target.parent.glob(f"{prefix}*"):
        with locked(left) as is_ours:
            if is_ours:
                shutil.rmtree(left, ignore_errors=True)
    aside = target.with_name(prefix + uuid.uuid4().hex)
    aside.mkdir(mode=0o750)
    with locked(aside):
        try:
            yield aside
        finally:
            shutil.rmtree(aside, ignore_errors=True)


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
