"""Carries out CREATE TABLE, with its columns or with the rows of a query.

The files of a table are made and committed before the metastore knows it: whoever is killed between
leaves no table, and its files are removed by the next that makes one (see `managedtables`).
"""

from collections.abc import Callable, Iterable, Sequence

import pyarrow as pa

from auth import AuditRecord
from flight_member.admission import Admission
from flight_member.answers import answer
from flight_member.asked import Asked
from flight_member.errors import BadRequestError
from flight_member.fitting import fit_batches
from flight_member.gatekeeper import Gatekeeper
from flight_member.homegate import Act, HomeGate, with_rule
from flight_member.jobs import Job
from flight_member.managedtables import ManagedTables
from flight_member.memberstate import MemberState
from flight_member.places import require_own_place
from flight_member.rowsource import counted, given_a_place, opened
from flight_member.settings import LimitsSection
from planner import CreateTable, CreateTableAs, WritePlan, plan_create
from storage.arrowtypes import plain_schema
from storage.delta import overwrite_rows
from storage.engine import Engine
from storage.metastore import Table, TableKind
from storage.names import ObjectName


class TableMaker:
    """Makes managed tables of one member, for its own users."""

    def __init__(
        self,
        state: MemberState,
        gate: HomeGate,
        gatekeeper: Gatekeeper,
        engine: Engine,
        managed: ManagedTables,
        admission: Admission,
        limits: LimitsSection,
        changed: Callable[[], object],
    ) -> None:
        """Keep what it takes; `changed` is called after each change, when it is durable."""
        self._state = state
        self._gate = gate
        self._gatekeeper = gatekeeper
        self._engine = engine
        self._managed = managed
        self._admission = admission
        self._limits = limits
        self._changed = changed

    def create(self, asked: Asked, create: CreateTable, job: Job) -> pa.Table:
        """Make an empty table.

        Returns:
            One row: {status: utf8, row_count: int64, warning: utf8}.

        Raises:
            NotFoundError: When its schema is not there, or the caller may not know of it.
            PermissionDeniedError: When they may not make tables there.
            TableExistsError: When there is such a table, and nothing is said of that.
            StorageError: When it cannot be made.
        """
        job.run()
        if create.if_not_exists and self._find(create.table) is not None:
            self.require_maker(asked, create.table)
            return answer(CreateTable, [("exists already", None, None)])
        status, _ = self.make(
            asked,
            create.table,
            create.arrow_schema,
            create.partition_columns,
            (),
            replaces=create.or_replace,
        )
        warning = _moved(create.columns, create.partition_columns)
        return answer(CreateTable, [(status, None, warning)])

    def create_as(self, asked: Asked, create: CreateTableAs, job: Job) -> pa.Table:
        """Make a table of the rows of a query; see `create`.

        Raises:
            PlannerError: When the query cannot be planned, or its columns cannot be a table's.
            FlightMemberError: When there is no place, no time, or it was cancelled.
        """
        query = create.query
        authorised = self._gatekeeper.authorise(
            asked.call, asked.caller, query.tables, asked.digest
        )
        planned = plan_create(create, authorised.schemas)
        if create.if_not_exists and self._find(create.table) is not None:
            self.require_maker(asked, create.table)
            return answer(CreateTableAs, [("exists already", 0, None)])
        target = pa.schema(planned.fields)
        partitions = [_spelled(column.name, target) for column in create.partition_columns]
        with (
            given_a_place(job, self._admission, self._limits) as is_cancelled,
            opened(
                self._engine, planned, authorised.tables, authorised.schemas, is_cancelled
            ) as batches,
        ):
            status, row_count = self.make(
                asked,
                create.table,
                target,
                partitions,
                counted(fit_batches(batches, planned.fields, target), job),
                replaces=create.or_replace,
                is_cancelled=is_cancelled,
            )
        return answer(CreateTableAs, [(status, row_count, _moved(target.names, partitions))])

    def describe(self, asked: Asked, create: CreateTableAs) -> WritePlan:
        """Plan a table that is being prepared; nothing is written. See `create_as`."""
        tables = create.query.tables
        authorised = self._gatekeeper.authorise(asked.call, asked.caller, tables, asked.digest)
        return plan_create(create, authorised.schemas)

    def make(
        self,
        asked: Asked,
        name: ObjectName,
        arrow_schema: pa.Schema,
        partition_by: Sequence[str],
        batches: Iterable[pa.RecordBatch],
        *,
        replaces: bool = False,
        is_cancelled: Callable[[], bool] = bool,
    ) -> tuple[str, int]:
        """Make a table with its first rows; returns what was done, and how many rows it has.

        One that is replaced by the same columns keeps what was allowed on it, and its owner; one
        that gets others is dropped, with all that was allowed on it, and made anew.

        Raises:
            NotFoundError: When its schema is not there, or the caller may not know of it.
            PermissionDeniedError: When they may not make it, or not drop the one that is there.
            TableExistsError: When there is such a table and it is not to be replaced.
            BadRequestError: When a view is to be replaced.
            StorageError: When it cannot be made.
        """
        record = self.require_maker(asked, name)
        known = self._find(name) if replaces else None
        if known is not None and known.kind is TableKind.VIEW:
            raise BadRequestError(f"{name} is a view; DROP VIEW first, or choose another name")
        if known is not None:
            dropping = self._gate.require(asked.call, asked.caller, Act.DROP, name, asked.digest)
            if _is_same(known, arrow_schema, partition_by):
                change = overwrite_rows(known, batches, is_cancelled=is_cancelled)
                self._managed.note(known, with_rule(dropping, "replaced by the same columns"))
                self._changed()
                return "replaced", change.row_count
        table = self._managed.create(
            name,
            arrow_schema,
            partition_by,
            batches,
            record=record,
            owner=asked.caller.name,
            replaces=known is not None,
            is_cancelled=is_cancelled,
        )
        if known is not None:
            self._managed.sweep()
        self._changed()
        return "created" if known is None else "replaced", table.row_count

    def require_maker(self, asked: Asked, name: ObjectName) -> AuditRecord:
        """Return the record of a caller's making a table, which they may make there.

        Raises:
            BadRequestError: When the name is the federation's own.
            NotFoundError: When its schema is not there, or the caller may not know of it.
            PermissionDeniedError: When they may not make tables there.
        """
        require_own_place(name)
        permit = self._gate.require(asked.call, asked.caller, Act.CREATE, name, asked.digest)
        return permit.record

    def _find(self, name: ObjectName) -> Table | None:
        return self._state.snapshot.table(name)


def _is_same(table: Table, arrow_schema: pa.Schema, partition_by: Sequence[str]) -> bool:
    """Whether a table has these columns, in whatever order, and is partitioned so."""
    fields = {field.name: field.type for field in plain_schema(arrow_schema)}
    return (
        table.kind is TableKind.MANAGED
        and table.partition_columns == tuple(partition_by)
        and {field.name: field.type for field in table.arrow_schema} == fields
    )


def _spelled(name: str, arrow_schema: pa.Schema) -> str:
    """Return the name of a column in the case that the schema has it in."""
    names: list[str] = arrow_schema.names
    return name if name in names else next(each for each in names if each.lower() == name.lower())


def _moved(columns: Sequence[str], partition_by: Sequence[str]) -> str | None:
    """Return a warning when columns do not stand where they were written."""
    kept = [name for name in columns if name not in partition_by]
    stored = [*kept, *partition_by]
    if stored == list(columns):
        return None
    return (
        "the columns that partition the table stand last: INSERT without a list of columns takes "
        f"{', '.join(stored)}"
    )
