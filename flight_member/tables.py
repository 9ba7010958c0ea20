"""Changes of a member's own tables, each one transaction with its audit row."""

import weakref
from collections.abc import Callable, Container, Iterable, Sequence
from dataclasses import replace
from itertools import chain
from pathlib import Path
from uuid import uuid4

import pyarrow as pa

from auth import AuditRecord
from auth.auditstore import AuditStore
from auth.grantstore import GrantStore
from flight_member.departures import record_departure, record_renaming, terminal_record
from flight_member.errors import BadRequestError
from flight_member.logs import get_logger
from flight_member.managedtables import ManagedTables
from flight_member.memberhome import MemberHome
from flight_member.places import require_own_place
from flight_member.statestore import Database
from storage.delta import append_rows
from storage.deltafiles import no_progress
from storage.errors import (
    StorageError,
    TableExistsError,
    UnknownTableError,
    UnusableTableError,
)
from storage.metastore import Table, TableKind
from storage.names import InvalidNameError, Level, ObjectName
from storage.objectstore import ObjectStores
from storage.objecturl import is_remote
from storage.parquet import PartitionedFiles, require_within, snapshot_of
from storage.sources import Sources
from storage.tablestore import TableStore

_log = get_logger(__name__)


class TableDesk:
    """What `load` and `attach` do, and the look for files that somebody else changed."""

    def __init__(self, cluster: str, database: Database, home: MemberHome) -> None:
        self._cluster = cluster
        self._database = database
        self._home = home
        self._managed = ManagedTables(database, home.tables_directory)
        self._faults: dict[str, StorageError] = {}

    @classmethod
    def open(cls, home: MemberHome) -> "TableDesk":
        """Open a desk at the member's own terminal; a running server notices the changes."""
        database = home.open_database()
        desk = cls(home.settings.cluster.name, database, home)
        weakref.finalize(desk, database.close)
        return desk

    def all(self) -> list[Table]:
        """Return every table, ordered by name; it may be empty."""
        with self._database.read() as connection:
            return TableStore(connection).all()

    def find(self, text: str) -> Table | None:
        """Return the table of that name, or None."""
        name = self._read_name(text)
        return next((table for table in self.all() if table.name == name), None)

    def load(
        self,
        text: str,
        sources: Sources,
        *,
        partition_by: Sequence[str] = (),
        appends: bool = False,
        progress: Callable[[int], None] = no_progress,
    ) -> Table:
        """Copy files into a new managed table, or add their rows to one; all of them or none.

        Args:
            text: `catalog.schema.table`.
            sources: The files.
            partition_by: Columns that rows are kept apart by; of a new table only.
            appends: Add to the table of that name.
            progress: Told how many rows have been read so far.

        Raises:
            TableExistsError: When there is such a table, and nothing is to be added to it.
            UnknownTableError: When there is none, and something is.
            UnusableTableError: When a file cannot be read, or its rows do not fit.
        """
        if appends:
            schema = self._known(text).arrow_schema
            return self.append(text, sources.batches(schema), progress=progress)
        name = self._read_name(text)
        return self._managed.create(
            name,
            sources.arrow_schema,
            partition_by,
            sources.batches(),
            record=terminal_record("load", name),
            progress=progress,
        )

    def load_batches(
        self,
        text: str,
        batches: Iterable[pa.RecordBatch],
        *,
        partition_by: Sequence[str],
        progress: Callable[[int], None],
    ) -> Table:
        """Write rows into a new managed table.

        Args:
            text: `catalog.schema.table`.
            batches: The rows.
            partition_by: Columns that rows are kept apart by, outermost first.
            progress: Told how many rows have been read so far.

        Raises:
            BadRequestError: When the name is none.
            TableExistsError: When there is such a table.
            UnusableTableError: When the rows cannot be stored so.
        """
        name = self._read_name(text)
        rows = iter(batches)
        first = next(rows, None)
        if first is None:
            raise UnusableTableError("there is nothing to load")
        return self._managed.create(
            name,
            first.schema,
            partition_by,
            chain([first], rows),
            record=terminal_record("load", name),
            progress=progress,
        )

    def append(
        self,
        text: str,
        batches: Iterable[pa.RecordBatch],
        *,
        progress: Callable[[int], None] = no_progress,
    ) -> Table:
        """Add rows to a managed table, all of them or none.

        Args:
            text: `catalog.schema.table`.
            batches: With the table's columns by name, in any order.
            progress: Told how many rows have been written so far.

        Raises:
            UnknownTableError: When there is no such table.
            UnusableTableError: When it is no managed table, or the rows do not fit it.
        """
        table = self._known(text)
        if table.kind is not TableKind.MANAGED:
            raise UnusableTableError(f"{table.name} is not managed here; add files to its folder")
        append_rows(table, batches, progress=progress)
        return self._managed.note(table, terminal_record("append", table.name))

    def attach(
        self,
        text: str,
        location: Path | str,
        *,
        replace: bool = False,
        partition_by: Sequence[str] | None = None,
        record: AuditRecord | None = None,
        owner: str | None = None,
    ) -> Table:
        """Make a table of files that stay where they are.

        Args:
            text: `catalog.schema.table`.
            location: A directory of Hive-partitioned Parquet inside the configured roots, or
                `s3://bucket/prefix` inside a configured object store.
            replace: Give a table of that name this location, instead of refusing.
            partition_by: What its directories must be; None when nothing was said.
            record: Goes to the audit; None when it is done at the terminal.
            owner: Who may do everything with it.

        Raises:
            BadRequestError: When the name is none.
            TableExistsError: When there is such a table.
            UnusableTableError: When the directory is no table or lies outside of them.
        """
        name = self._read_name(text)
        stores = self._home.object_stores
        real = (
            stores.require_within(str(location))
            if is_remote(str(location))
            else str(require_within(Path(location), self._home.roots))
        )
        known = self.find(text)
        if known is not None and not replace:
            raise TableExistsError(f"{name} exists already; choose another name")
        if known is not None and known.location == real:
            self.rescan()
            return self.find(text) or known
        found = _scan(name, real, stores)
        if partition_by is not None and tuple(partition_by) != found.partition_columns:
            raise UnusableTableError(
                f"the location is partitioned by {', '.join(found.partition_columns) or 'nothing'}"
            )
        return self._add(
            name,
            real,
            found,
            record or terminal_record("attach", name),
            owner=owner,
            replaces=known is not None,
        )

    def drop(self, text: str) -> Table:
        """Forget a table, and what was allowed on it at home.

        The files of a managed table are removed; those of another stay where they are.

        Raises:
            BadRequestError: When the name is none.
            UnknownTableError: When there is no such table.
        """
        known = self._known(text)
        with self._database.change() as connection:
            TableStore(connection).drop(known.name)
            act = terminal_record("drop", known.name)
            record_departure(GrantStore(connection), AuditStore(connection), known.name, act)
        self._managed.sweep()
        return known

    def rename(self, text: str, new_text: str) -> Table:
        """Give a table another name; the last part alone stays in its schema.

        What was allowed on it at home follows to the new name; denials hold at both.

        Raises:
            BadRequestError: When a name is none.
            UnknownTableError: When there is no such table.
            TableExistsError: When there is one of the new name.
        """
        known = self._known(text)
        is_short = "." not in new_text
        schema = f"{known.name.catalog}.{known.name.schema}"
        name = self._read_name(f"{schema}.{new_text}" if is_short else new_text)
        renamed = replace(known, name=name)
        with self._database.change() as connection:
            TableStore(connection).replace(renamed)
            act = terminal_record("rename", known.name, f"to {name}")
            grants, audit = GrantStore(connection), AuditStore(connection)
            record_renaming(grants, audit, {known.name: name}, act)
        return renamed

    def _known(self, text: str) -> Table:
        known = self.find(text)
        if known is None:
            raise UnknownTableError(f"{self._read_name(text)} does not exist")
        return known

    def rescan(self, only: Container[str] | None = None) -> bool:
        """Look for changed files of every table; returns whether there were any.

        Args:
            only: The ids of the tables that are looked at; None for all.

        A table whose files cannot be read any more keeps its last state, and the log says so.
        """
        has_changed = False
        faults: dict[str, StorageError] = {}
        for table in self.all():
            if only is not None and table.id not in only:
                continue
            try:
                if table.kind is TableKind.MANAGED:
                    has_changed |= self._managed.catch_up(table)
                    continue
                if table.kind is not TableKind.EXTERNAL:
                    continue
                stores, location = self._home.object_stores, str(table.location)
                if snapshot_of(stores.list_files(location)) == table.snapshot:
                    continue
                found = stores.scan(location, table.arrow_schema)
            except (StorageError, OSError) as error:
                reason = error.text if isinstance(error, StorageError) else "cannot be read"
                kind = type(error) if isinstance(error, StorageError) else UnusableTableError
                faults[table.id] = kind(f"{table.name}: {reason}")
                _log.warning("table_unreadable", table=str(table.name), reason=reason)
                continue
            is_same = found.arrow_schema.equals(table.arrow_schema)
            fresh = replace(
                table,
                arrow_schema=found.arrow_schema,
                partition_columns=found.partition_columns,
                schema_version=table.schema_version + (0 if is_same else 1),
                snapshot=found.snapshot,
                row_count=found.row_count,
                byte_count=found.byte_count,
                file_count=found.file_count,
            )
            with self._database.change() as connection:
                TableStore(connection).replace(fresh)
            has_changed = True
            _log.info("table_changed", table=str(table.name), row_count=fresh.row_count)
        # What was not looked at is as it was.
        others = {} if only is None else {i: f for i, f in self._faults.items() if i not in only}
        self._faults = others | faults
        return has_changed

    def require_readable(self, ids: Container[str]) -> None:
        """Refuse tables whose files could not be read when they were last looked at.

        Raises:
            UnusableTableError: Naming the table, and by its base name the file at fault.
            StoreUnavailableError: When the object store of one does not answer.
        """
        for table_id, fault in self._faults.items():
            if table_id in ids:
                raise type(fault)(fault.text)

    def _add(
        self,
        name: ObjectName,
        location: str,
        found: PartitionedFiles,
        record: AuditRecord,
        *,
        owner: str | None,
        replaces: bool,
    ) -> Table:
        table = Table(
            id=uuid4().hex,
            name=name,
            arrow_schema=found.arrow_schema,
            partition_columns=found.partition_columns,
            schema_version=1,
            snapshot=found.snapshot,
            row_count=found.row_count,
            byte_count=found.byte_count,
            file_count=found.file_count,
            location=location,
            owner=owner,
        )
        with self._database.change() as connection:
            if replaces:
                TableStore(connection).drop(name)
            TableStore(connection).add(table)
            AuditStore(connection).append(record)
        return table

    def _read_name(self, text: str) -> ObjectName:
        try:
            name = ObjectName.parse(text, cluster=self._cluster)
        except InvalidNameError as error:
            fault = str(error)
        else:
            if name.level is not Level.TABLE or name.cluster != self._cluster:
                fault = f"{text} is not a table of {self._cluster}: write catalog.schema.table"
            else:
                require_own_place(name)
                return name
        raise BadRequestError(fault)


def _scan(name: ObjectName, location: str, stores: ObjectStores) -> PartitionedFiles:
    """Return what a place holds; a fault names the table as well."""
    try:
        return stores.scan(location)
    except UnusableTableError as error:
        fault = error.text
    raise UnusableTableError(f"{name}: {fault}")
