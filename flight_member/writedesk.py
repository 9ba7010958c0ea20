"""Carries out INSERT, TRUNCATE, OPTIMIZE and VACUUM of a member's managed tables.

In this order: who may write is decided and written down; what is read is planned; a place and time
are given; the rows are written by one commit to the table's own log; the metastore follows. What
ends before the commit leaves the table as it was. What is killed after it leaves a metastore that
is a version behind, which the next look at the table mends (see `managedtables`).
"""

from collections.abc import Callable
from contextlib import ExitStack

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
from flight_member.rowsource import given_a_place, opened
from flight_member.settings import LimitsSection
from planner import (
    Insert,
    Query,
    Truncate,
    WritePlan,
    plan_insert,
)
from storage.delta import append_rows, overwrite_rows
from storage.engine import Engine
from storage.metastore import Table, TableKind
from storage.names import ObjectName


class WriteDesk:
    """Writes the rows of one member's managed tables, for its own users."""

    def __init__(
        self,
        gate: HomeGate,
        gatekeeper: Gatekeeper,
        engine: Engine,
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
            change = append_rows(table, rows, is_cancelled=is_cancelled)
        self.note(table)
        return answer(Insert, [("inserted", change.row_count, None)])

    def truncate(self, asked: Asked, truncate: Truncate, job: Job) -> pa.Table:
        """Remove every row; see `insert`."""
        table = self.require_managed(asked, Act.OVERWRITE, truncate.table)
        with given_a_place(job, self._admission, self._limits) as is_cancelled:
            overwrite_rows(table, (), is_cancelled=is_cancelled)
        self.note(table)
        return answer(Truncate, [("truncated", table.row_count, None)])

    def describe(self, asked: Asked, insert: Insert) -> WritePlan:
        """Plan an INSERT that is being prepared; nothing is written. See `insert`."""
        table = self.require_managed(asked, Act.INSERT, insert.table)
        return plan_insert(insert, table.arrow_schema, self.readable(asked, insert.query).schemas)

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
