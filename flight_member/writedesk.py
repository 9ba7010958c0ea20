"""Carries out INSERT, UPDATE, DELETE, TRUNCATE, OPTIMIZE and VACUUM of a member's managed tables.

In this order: who may write is decided and written down; what is read is planned; a place and time
are given; the rows are written by one commit to the table's own log; the metastore follows. What
ends before the commit leaves the table as it was. What is killed after it leaves a metastore that
is a version behind, which the next look at the table mends (see `managedtables`).
"""

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import replace

import pyarrow as pa

from flight_member.admission import Admission
from flight_member.answers import answer
from flight_member.asked import Asked
from flight_member.errors import NotSupportedError
from flight_member.fitting import fit_batches
from flight_member.gatekeeper import Authorised, Gatekeeper
from flight_member.homegate import Act, HomeGate
from flight_member.jobs import Job
from flight_member.managedtables import ManagedTables
from flight_member.rowsource import counted, given_a_place, opened
from flight_member.settings import LimitsSection
from planner import (
    ChangeText,
    Delete,
    Insert,
    Optimize,
    Plan,
    Query,
    Truncate,
    Update,
    Vacuum,
    WritePlan,
    cut_change,
    plan_delete,
    plan_insert,
    plan_query,
    plan_update,
)
from storage.delta import append_rows, overwrite_rows
from storage.metastore import Table, TableKind
from storage.names import ObjectName
from storage.rowchanges import ChangingEngine, RowChanger, Wording
from storage.tidying import optimize, vacuum

# For as long a version stays readable when nothing is said.
_RETAINED_H = 168


class WriteDesk:
    """Writes the rows of one member's managed tables, for its own users."""

    def __init__(
        self,
        gate: HomeGate,
        gatekeeper: Gatekeeper,
        engine: ChangingEngine,
        managed: ManagedTables,
        admission: Admission,
        limits: LimitsSection,
        changed: Callable[[], object],
    ) -> None:
        """Keep what it takes; `changed` is called after each write, when it is durable."""
        self._gate = gate
        self._gatekeeper = gatekeeper
        self._engine = engine
        self._managed = managed
        self._admission = admission
        self._limits = limits
        self._changed = changed

    def insert(self, asked: Asked, insert: Insert, job: Job) -> pa.Table:
        """Add the rows of a query, or of bound values, all of them by one commit.

        Returns:
            One row: {status: utf8, row_count: int64, warning: utf8}.

        Raises:
            NotFoundError: When a table is not there or the caller may not know of it.
            PermissionDeniedError: When they may not write to it.
            NotSupportedError: When it is no managed table.
            PlannerError: When the rows cannot be planned, or do not fit.
            StorageError: When they cannot be read or written.
            FlightMemberError: When there is no place, no time, or it was cancelled.
        """
        table = self.require_managed(asked, Act.INSERT, insert.table)
        authorised = self.readable(asked, insert.query)
        planned = plan_insert(insert, table.arrow_schema, authorised.schemas)
        with (
            given_a_place(job, self._admission, self._limits) as is_cancelled,
            ExitStack() as stack,
        ):
            if planned.rows is not None:
                batches = iter([planned.rows])
            else:
                batches = stack.enter_context(
                    opened(
                        self._engine, planned, authorised.tables, authorised.schemas, is_cancelled
                    )
                )
            rows = fit_batches(batches, planned.fields, table.arrow_schema)
            change = append_rows(table, counted(rows, job), is_cancelled=is_cancelled)
        self.note(table)
        return answer(Insert, [("inserted", change.row_count, None)])

    def truncate(self, asked: Asked, truncate: Truncate, job: Job) -> pa.Table:
        """Remove every row; see `insert`."""
        table = self.require_managed(asked, Act.OVERWRITE, truncate.table)
        with given_a_place(job, self._admission, self._limits) as is_cancelled:
            overwrite_rows(table, (), is_cancelled=is_cancelled)
        self.note(table)
        return answer(Truncate, [("truncated", table.row_count, None)])

    def describe(self, asked: Asked, write: Insert | Update | Delete) -> WritePlan:
        """Plan a write that is being prepared; nothing is written. See `insert`."""
        if isinstance(write, Insert):
            table = self.require_managed(asked, Act.INSERT, write.table)
            readable = self.readable(asked, write.query)
            return plan_insert(write, table.arrow_schema, readable.schemas)
        act = Act.UPDATE if isinstance(write, Update) else Act.DELETE
        table = self.require_managed(asked, act, write.table)
        schemas = _schemas(table, self._others(asked, write, table))
        if isinstance(write, Update):
            return plan_update(write, table.arrow_schema, schemas)
        return plan_delete(write, schemas)

    def update(self, asked: Asked, update: Update, job: Job) -> pa.Table:
        """Change rows, by one commit for each row of values that is bound; see `insert`.

        Raises:
            WriteConflictError: When others changed the same rows meanwhile.
        """
        table = self.require_managed(asked, Act.UPDATE, update.table)
        readable = self._others(asked, update, table)
        planned = plan_update(update, table.arrow_schema, _schemas(table, readable))

        def change(plan: Plan, is_cancelled: Callable[[], bool]) -> int:
            text = cut_change(plan.text)
            names = (field.name for field in planned.fields)
            values = dict(zip(names, text.values, strict=True))
            wording = _wording(update, text, plan, readable)
            changer = RowChanger(self._engine)
            return changer.update(table, values, wording, is_cancelled=is_cancelled).row_count

        row_count = self._change(planned, _schemas(table, readable), change, job)
        self.note(table)
        return answer(Update, [("updated", row_count, None)])

    def delete(self, asked: Asked, delete: Delete, job: Job) -> pa.Table:
        """Remove rows; see `update`."""
        table = self.require_managed(asked, Act.DELETE, delete.table)
        readable = self._others(asked, delete, table)
        planned = plan_delete(delete, _schemas(table, readable))

        def change(plan: Plan, is_cancelled: Callable[[], bool]) -> int:
            wording = _wording(delete, cut_change(plan.text), plan, readable)
            changer = RowChanger(self._engine)
            return changer.delete(table, wording, is_cancelled=is_cancelled).row_count

        row_count = self._change(planned, _schemas(table, readable), change, job)
        self.note(table)
        return answer(Delete, [("deleted", row_count, None)])

    def optimize(self, asked: Asked, statement: Optimize, job: Job) -> pa.Table:
        """Join small files; no row changes. See `insert`."""
        table = self.require_managed(asked, Act.OPTIMIZE, statement.table)
        with given_a_place(job, self._admission, self._limits) as is_cancelled:
            fewer = optimize(table, is_cancelled=is_cancelled).row_count
        self.note(table)
        return answer(Optimize, [(f"optimized: {fewer} files fewer", None, None)])

    def vacuum(self, asked: Asked, statement: Vacuum, job: Job) -> pa.Table:
        """Remove files that only old versions need; see `insert`."""
        table = self.require_managed(asked, Act.VACUUM, statement.table)
        hours = _RETAINED_H if statement.retain_hours is None else statement.retain_hours
        with given_a_place(job, self._admission, self._limits):
            removed = vacuum(table, keep_s=hours * 3600)
        megabytes = removed.byte_count / 1_000_000
        status = f"vacuumed: {removed.file_count} files removed, {megabytes:.1f} MB"
        return answer(Vacuum, [(status, None, None)])

    def _others(self, asked: Asked, change: Update | Delete, table: Table) -> Authorised:
        """Return what is read beside the table itself, of which the gate decided already."""
        names = [name for name in change.query.tables if name != table.name]
        return self._gatekeeper.authorise(asked.call, asked.caller, names, asked.digest)

    def _change(
        self,
        planned: WritePlan,
        schemas: Mapping[ObjectName, pa.Schema],
        change: Callable[[Plan, Callable[[], bool]], int],
        job: Job,
    ) -> int:
        """Change rows once, or for each row of values that is bound; returns how many changed."""
        query = planned.query
        with given_a_place(job, self._admission, self._limits) as is_cancelled:
            if query.values is None or query.values.batch().num_rows == 1:
                row_count = change(planned.plan, is_cancelled)
            else:
                row_count = sum(
                    change(plan_query(replace(query, values=one), schemas), is_cancelled)
                    for one in query.values.each()
                )
        job.add(row_count, 0)
        return row_count

    def require_managed(self, asked: Asked, act: Act, name: ObjectName) -> Table:
        """Return a table that the caller may write to, as it is now.

        Raises:
            NotFoundError: When it is not there or the caller may not know of it.
            PermissionDeniedError: When they may not do this.
            NotSupportedError: When it is no managed table.
        """
        permit = self._gate.require(asked.call, asked.caller, act, name, asked.digest)
        table = permit.table
        assert table is not None  # noqa: S101  the gate lets nobody write to what is not there
        if table.kind is TableKind.VIEW:
            raise NotSupportedError(f"{name} is a view; write to the tables that it reads")
        if table.kind is TableKind.EXTERNAL:
            raise NotSupportedError(
                f"{name} is external: who makes its files writes it; make a managed copy with "
                f"CREATE TABLE … AS SELECT * FROM {name.local}"
            )
        return table

    def readable(self, asked: Asked, query: Query) -> Authorised:
        """Return the tables that a write reads, all of which the caller may read."""
        return self._gatekeeper.authorise(asked.call, asked.caller, query.tables, asked.digest)

    def note(self, table: Table) -> None:
        """Have the metastore follow what was committed."""
        self._managed.note(table)
        self._changed()


def _schemas(table: Table, others: Authorised) -> Mapping[ObjectName, pa.Schema]:
    return {**others.schemas, table.name: table.arrow_schema}


def _wording(change: Update | Delete, text: ChangeText, plan: Plan, others: Authorised) -> Wording:
    """Return the words of a statement as the changing of rows takes them."""
    return Wording(
        condition=text.condition,
        alias=change.alias,
        others=others.tables,
        catalog=change.query.catalog,
        schema=change.query.schema,
        parameters=plan.values,
    )
