"""Copies rows into a new directory of Hive-partitioned Parquet, all of them or none.

Rows are written aside, next to the target, and the whole directory is renamed into place when the
last one is there. Whatever ends the process before that leaves a folder whose name starts with a
dot, which no reader looks at and the next load to the same target removes.
"""

import glob
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain
from pathlib import Path

import pyarrow as pa
import pyarrow.dataset as ds

from storage.errors import StorageError, TableExistsError, UnusableTableError

Progress = Callable[[int], None]

_ROWS_PER_GROUP = 131_072
_MAX_ROWS_PER_FILE = 4_000_000
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
        raise UnusableTableError(f"no file matches {' '.join(patterns)}")
    kinds = {_FORMATS.get(file.suffix.lower()) for file in files}
    kind = kinds.pop()
    if kinds or kind is None:
        raise UnusableTableError("load reads .csv or .parquet files, one kind at a time")
    for file in files:
        try:
            yield from ds.dataset(file, format=kind).to_batches()
        except (OSError, pa.ArrowException):
            pass
        else:
            continue
        raise UnusableTableError(f"{file.name} cannot be read as {kind}")


def load_table(
    batches: Iterable[pa.RecordBatch],
    target: Path,
    *,
    partition_by: Sequence[str] = (),
    progress: Progress = lambda _: None,
) -> None:
    """Write rows as Hive-partitioned Parquet; the directory appears whole or not at all.

    Files are zstd-compressed with row groups of up to 131,072 rows, in the order of the rows.

    Args:
        batches: The rows, all with one schema; at least one batch, which may be empty of rows.
        target: The directory to make; it must not exist.
        partition_by: Columns that become directories, outermost first.
        progress: Told how many rows have been read so far.

    Raises:
        TableExistsError: When the target exists.
        UnusableTableError: When a partition column is not there, or rows do not fit the schema.
    """
    if target.exists():
        raise TableExistsError("a table is stored there already")
    aside = target.with_name(f".{target.name}.loading")
    shutil.rmtree(aside, ignore_errors=True)
    rows = iter(batches)
    first = next(rows, None)
    if first is None:
        raise UnusableTableError("there is nothing to load")
    missing = [column for column in partition_by if column not in first.schema.names]
    if missing:
        raise UnusableTableError(
            f"there is no column {missing[0]} to partition by; "
            f"there are {', '.join(first.schema.names)}"
        )
    if len(partition_by) == len(first.schema):
        raise UnusableTableError("at least one column must stay in the files")
    try:
        _write(first.schema, chain([first], rows), aside, partition_by, progress)
        aside.rename(target)
    except pa.ArrowException:
        pass
    else:
        return
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    raise UnusableTableError("the rows do not fit the columns of the first ones")


def _write(
    schema: pa.Schema,
    batches: Iterator[pa.RecordBatch],
    directory: Path,
    partition_by: Sequence[str],
    progress: Progress,
) -> None:
    parquet = ds.ParquetFileFormat()
    keys = pa.schema([schema.field(column) for column in partition_by])
    faults: list[Exception] = []

    def counted() -> Iterator[pa.RecordBatch]:
        count = 0
        try:
            for batch in batches:
                yield batch
                count += batch.num_rows
                progress(count)
        except StorageError as error:
            # The writer would wrap it in an error of its own.
            faults.append(error)
            raise

    try:
        ds.write_dataset(
            pa.RecordBatchReader.from_batches(schema, counted()),
            directory,
            format=parquet,
            file_options=parquet.make_write_options(compression="zstd"),
            partitioning=ds.partitioning(keys, flavor="hive") if partition_by else None,
            basename_template="part-{i}.parquet",
            max_rows_per_group=_ROWS_PER_GROUP,
            min_rows_per_group=_ROWS_PER_GROUP // 2,
            max_rows_per_file=_MAX_ROWS_PER_FILE,
            max_partitions=100_000,
            preserve_order=True,
        )
    except Exception:
        if not faults:
            raise
    if faults:
        raise faults[0]
