"""A member's managed tables: their files and what the metastore says of them, kept in step.

Rows are committed to a table's own log first, by `storage.delta`; the metastore follows. Whoever
is killed between the two leaves a table whose metastore is a version behind: the next look at it
catches up. What was made and is in no metastore yet, and what was dropped, is removed by the next
sweep; nothing else ever is.
"""

import shutil
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from uuid import uuid4

import pyarrow as pa

from auth import AuditRecord
from auth.auditstore import AuditStore
from auth.grantstore import GrantStore
from flight_member.departures import record_departure
from flight_member.lease import done_already
from flight_member.statestore import Database
from storage.delta import create_table, latest_version, read_state
from storage.deltafiles import Progress, no_progress
from storage.deltalog import DeltaState
from storage.errors import TableExistsError, UnknownTableError, UnusableTableError
from storage.locking import locked
from storage.metastore import Table, TableKind
from storage.names import ObjectName
from storage.tablestore import TableStore

# Lies in the folder of a table that no metastore knows yet.
_UNKNOWN_YET = ".unknown"


class ManagedTables:
    """Makes managed tables, and notes what was committed to them. Used from many threads."""

    def __init__(self, database: Database, directory: Path) -> None:
        """Keep what it takes; each table has a folder in `directory`, named after its id."""
        self._database = database
        self._directory = directory

    def create(
        self,
        name: ObjectName,
        arrow_schema: pa.Schema,
        partition_by: Sequence[str] = (),
        batches: Iterable[pa.RecordBatch] = (),
        *,
        record: AuditRecord,
        owner: str | None = None,
        replaces: bool = False,
        progress: Progress = no_progress,
        is_cancelled: Callable[[], bool] = bool,
    ) -> Table:
        """Make a table, empty or with its first rows.

        Args:
            name: Of the cluster's own; its schema and catalog are made where they are missing.
            arrow_schema: The columns in any order; partition columns are put last.
            partition_by: Columns that rows are kept apart by.
            batches: The first rows.
            record: Goes to the audit in the transaction that makes the table known.
            owner: Who may do everything with it.
            replaces: Whether a table of that name gives way, and with it what was allowed on it.
            progress: Told how many rows have been written so far.
            is_cancelled: Asked before each batch.

        Raises:
            TableExistsError: When there is such a table, also when it was made meanwhile.
            UnusableTableError: When a partition column cannot be one, or rows do not fit.
            CancelledError: When it was cancelled; nothing is left.
        """
        if not replaces:
            self._require_free(name)
        self.sweep()
        # The folder has the table's id: names may come back, ids never do.
        table_id = uuid4().hex
        folder = self._directory / table_id
        folder.mkdir(mode=0o750)
        with locked(folder) as is_ours:
            if not is_ours:
                raise UnusableTableError("the table cannot be stored now; try again")
            (folder / _UNKNOWN_YET).touch()
            try:
                change = create_table(
                    folder,
                    arrow_schema,
                    partition_by,
                    batches,
                    progress=progress,
                    is_cancelled=is_cancelled,
                )
                state = change.state
                table = Table(
                    id=table_id,
                    name=name,
                    arrow_schema=state.arrow_schema,
                    partition_columns=state.partition_columns,
                    schema_version=1,
                    snapshot=state.snapshot,
                    row_count=state.row_count,
                    byte_count=state.byte_count,
                    file_count=len(state.files),
                    location=str(folder),
                    kind=TableKind.MANAGED,
                    owner=owner,
                )
                with self._database.change() as connection:
                    tables, audit = TableStore(connection), AuditStore(connection)
                    if replaces and any(one.name == name for one in tables.all()):
                        tables.drop(name)
                        dropping = replace(record, action="drop")
                        record_departure(GrantStore(connection), audit, name, dropping)
                    tables.add(table)
                    audit.append(record)
            except BaseException:
                shutil.rmtree(folder, ignore_errors=True)
                raise
            (folder / _UNKNOWN_YET).unlink(missing_ok=True)
        return table

    def note(self, table: Table, record: AuditRecord | None = None) -> Table:
        """Have the metastore say what the newest version of a table is.

        What is in the table's log has happened, whoever comes too late to say so.

        Args:
            table: Known by its id.
            record: Goes to the audit in the same transaction.

        Returns:
            The table as the metastore has it now.

        Raises:
            UnknownTableError: When it was dropped meanwhile.
        """
        with done_already(), self._database.change() as connection:
            tables = TableStore(connection)
            known = tables.find(table.id)
            if known is None:
                raise UnknownTableError(f"{table.name} does not exist any more")
            fresh = _caught_up(known)
            if fresh is not known:
                tables.replace(fresh)
            if record is not None:
                AuditStore(connection).append(record)
        return fresh

    def catch_up(self, table: Table) -> bool:
        """Note what a table's log says if the metastore is behind; returns whether it was.

        Raises:
            StorageError: When the log cannot be read.
        """
        if latest_version(Path(str(table.location))) == int(table.snapshot):
            return False
        return self.note(table).snapshot != table.snapshot

    def sweep(self) -> None:
        """Remove the files of tables that were dropped, or were never made known."""
        folders = {one.name: one for one in self._directory.glob("[0-9a-f]*") if one.is_dir()}
        with self._database.read() as connection:
            tables = TableStore(connection)
            known = {table.id for table in tables.all()}
            dropped = tables.are_dropped(folders.keys() - known)
        for table_id, folder in folders.items():
            if table_id in dropped:
                shutil.rmtree(folder, ignore_errors=True)
            elif (folder / _UNKNOWN_YET).exists():
                self._end_making(folder)

    def _end_making(self, folder: Path) -> None:
        """Remove a folder that a killed process made; nothing of one that became known."""
        with locked(folder) as is_left:
            if not is_left:
                return
            with self._database.read() as connection:
                is_known = TableStore(connection).find(folder.name) is not None
            if is_known:
                (folder / _UNKNOWN_YET).unlink(missing_ok=True)
            else:
                shutil.rmtree(folder, ignore_errors=True)

    def _require_free(self, name: ObjectName) -> None:
        with self._database.read() as connection:
            if any(table.name == name for table in TableStore(connection).all()):
                raise TableExistsError(f"{name} exists already; choose another name")


def _caught_up(table: Table) -> Table:
    """Return what the metastore should say of a table."""
    state: DeltaState = read_state(Path(str(table.location)))
    if state.version <= int(table.snapshot):
        return table
    is_same = state.arrow_schema.equals(table.arrow_schema)
    return replace(
        table,
        arrow_schema=state.arrow_schema,
        partition_columns=state.partition_columns,
        schema_version=table.schema_version + (0 if is_same else 1),
        snapshot=state.snapshot,
        row_count=state.row_count,
        byte_count=state.byte_count,
        file_count=len(state.files),
    )
