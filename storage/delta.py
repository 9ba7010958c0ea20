"""Managed tables: Delta tables in folders of this cluster's own, made and changed by it alone.

Every function here makes one commit or none: readers see the table as it was, or as it is
afterwards, and so does whoever comes after a `kill -9`. Writers, in any number of threads and
processes, do not wait for each other: additions always land; of two that change the same files one
is refused with `write-conflict`, and nothing of it is written.

Nothing here decides who may write, and nothing here knows the metastore: whoever calls keeps there
what a function returns (see `flight_member.managedtables`).
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from storage.arrowtypes import plain_schema
from storage.deltafiles import Progress, no_progress, pending_files, sweep
from storage.deltalog import DeltaLog, DeltaState
from storage.errors import StaleMetastoreError
from storage.metastore import Table
from storage.rows import check_partition_columns


@dataclass(frozen=True, slots=True)
class Change:
    """What a commit did."""

    state: DeltaState
    """The table afterwards."""
    row_count: int
    """Rows that were added, removed or changed."""


def create_table(
    location: Path,
    arrow_schema: pa.Schema,
    partition_by: Sequence[str] = (),
    batches: Iterable[pa.RecordBatch] = (),
    *,
    progress: Progress = no_progress,
    is_cancelled: Callable[[], bool] = bool,
) -> Change:
    """Make a table, empty or with its first rows.

    Args:
        location: A folder that the caller made for it, and removes if this fails.
        arrow_schema: The columns in any order; kept in plain types, partition columns last.
        partition_by: Columns that rows are kept apart by: integers, dates or text, never NULL.
        batches: The first rows.
        progress: Told how many rows have been written so far.
        is_cancelled: Asked before each batch.

    Raises:
        UnusableTableError: When a partition column cannot be one, or rows do not fit.
        CancelledError: When it was cancelled.
    """
    plain = plain_schema(arrow_schema)
    check_partition_columns(plain, partition_by)
    schema = pa.schema(
        [field for field in plain if field.name not in partition_by]
        + [plain.field(name).with_nullable(nullable=False) for name in partition_by]
    )
    with pending_files(location, schema, partition_by) as pending:
        pending.write(batches, progress=progress, is_cancelled=is_cancelled)
        state = DeltaLog.create(location, schema, partition_by, pending.finish())
    return Change(state, state.row_count)


def read_state(location: Path, version: int | None = None) -> DeltaState:
    """Return a version of a table, the newest one by default.

    Raises:
        StaleMetastoreError: When it is gone.
    """
    return DeltaLog(location).read(version)


def latest_version(location: Path) -> int:
    """Return the number of the newest version: one look at a folder.

    Raises:
        StaleMetastoreError: When the table is gone.
    """
    return DeltaLog(location).latest_version()


def append_rows(
    table: Table,
    batches: Iterable[pa.RecordBatch],
    *,
    progress: Progress = no_progress,
    is_cancelled: Callable[[], bool] = bool,
) -> Change:
    """Add rows.

    Args:
        table: As the metastore has it: rows must fit these columns.
        batches: With the table's columns by name, in any order.
        progress: Told how many rows have been written so far.
        is_cancelled: Asked before each batch.

    Raises:
        UnusableTableError: When rows do not fit.
        WriteConflictError: When the table got other columns meanwhile.
        CancelledError: When it was cancelled.
    """
    return _write(table, batches, progress, is_cancelled, is_whole=False)


def overwrite_rows(
    table: Table,
    batches: Iterable[pa.RecordBatch],
    *,
    progress: Progress = no_progress,
    is_cancelled: Callable[[], bool] = bool,
) -> Change:
    """Put rows in the place of all that are there; rows that others add meanwhile stay.

    Raises:
        UnusableTableError: When rows do not fit.
        WriteConflictError: When somebody removed or changed rows meanwhile, or columns.
        CancelledError: When it was cancelled.
    """
    return _write(table, batches, progress, is_cancelled, is_whole=True)


def open_newest(table: Table) -> tuple[Path, DeltaState]:
    """Return where a table lies, and its newest version; what killed writes left is removed.

    Raises:
        StaleMetastoreError: When it is gone, or has other columns than the metastore says.
    """
    location = Path(str(table.location))
    state = read_state(location)
    if not state.arrow_schema.equals(table.arrow_schema):
        raise StaleMetastoreError(f"the columns of {table.name} have changed; execute it again")
    sweep(location)
    return location, state


def _write(
    table: Table,
    batches: Iterable[pa.RecordBatch],
    progress: Progress,
    is_cancelled: Callable[[], bool],
    *,
    is_whole: bool,
) -> Change:
    location, base = open_newest(table)
    log = DeltaLog(location)
    with pending_files(location, base.arrow_schema, base.partition_columns) as pending:
        pending.write(batches, progress=progress, is_cancelled=is_cancelled)
        files = pending.finish()
        if is_whole:
            return Change(log.replace(base, base.files, files, "overwrite"), pending.row_count)
        if not files:
            return Change(base, 0)
        return Change(log.append(base, files, "append"), pending.row_count)
