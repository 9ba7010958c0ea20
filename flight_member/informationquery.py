"""Runs queries over `information_schema`: planned on its fixed columns, executed in memory.

The rows are made when they are fetched, of nothing but what the caller may read then. Such
statements have places and a time limit of their own, apart from those that read files.
"""

import time
from collections.abc import Callable, Iterable
from dataclasses import replace

import pyarrow as pa

from flight_member.admission import Admission
from flight_member.errors import StatementTimeoutError
from flight_member.information_schema import SHAPES, information_rows
from flight_member.listing import ListedTable
from flight_member.rowbyrow import one_after_another
from flight_member.running import Asked, BatchSource, RunningStatement
from flight_member.settings import LimitsSection
from flight_sql import Call, ResultStream
from planner import InformationSchemaQuery, Plan, Query, plan_query
from storage.engine import MemoryEngine
from storage.names import ObjectName

_MIB = 1 << 20
_MEMORY_MIB = 256  # at most, beside the rows themselves

Listing = Callable[[ObjectName | None], Iterable[ListedTable]]


class InformationSchema:
    """Plans and runs queries over `information_schema`."""

    def __init__(self, limits: LimitsSection) -> None:
        memory_mib = min(limits.memory_limit_mib, _MEMORY_MIB)
        self._engine = MemoryEngine(memory_limit_bytes=memory_mib * _MIB)
        self._admission = Admission(limits)

    def plan(self, statement: InformationSchemaQuery) -> Plan:
        """Plan a statement on empty tables; see `planner.plan_query` for what it refuses."""
        shapes = {table: SHAPES[str(table.table)] for table in statement.query.tables}
        return plan_query(statement.query, shapes)

    def run(
        self,
        call: Call,
        caller: str,
        statement: InformationSchemaQuery,
        listing: Listing,
        *,
        timeout_s: float,
    ) -> ResultStream:
        """Start a statement.

        Args:
            call: The call that fetches; its cancellation stops the engine.
            caller: Who fetches, as `user1@shanghai`.
            statement: What was asked.
            listing: Returns what the caller may read at or below a place, or everywhere.
            timeout_s: How long it may take.

        Raises:
            OverloadedError: When there is no place for it.
            NotFoundError: When a catalog or cluster that it names holds nothing for the caller.
            PlannerError: See `plan`.
        """
        plan = self.plan(statement)
        stop_reason = _stop_reason(timeout_s)
        place = self._admission.enter(call.is_cancelled)
        try:
            rows = _rows_of(statement, listing)

            def start(plan: Plan) -> BatchSource:
                return self._engine.execute(
                    rows,
                    plan.text,
                    catalog=statement.query.catalog,
                    schema=statement.query.schema,
                    parameters=plan.values,
                    is_cancelled=lambda: call.is_cancelled() or stop_reason() is not None,
                )

            def plan_one(query: Query) -> Plan:
                return self.plan(replace(statement, query=query))

            source = one_after_another(statement.query, plan, plan_one, start)
        except BaseException:
            place.leave()
            raise
        asked = Asked(call.query_id, caller, statement.query.sql)
        return ResultStream(plan.arrow_schema, RunningStatement(source, place, asked, stop_reason))


def _rows_of(statement: InformationSchemaQuery, listing: Listing) -> dict[ObjectName, pa.Table]:
    """Return the rows of each table that a statement names; each place is listed once."""
    listed: dict[ObjectName | None, list[ListedTable]] = {}
    rows: dict[ObjectName, pa.Table] = {}
    for table in statement.query.tables:
        scope = statement.scope(table)
        if scope not in listed:
            listed[scope] = list(listing(scope))
        rows[table] = information_rows(str(table.table), listed[scope])
    return rows


def _stop_reason(timeout_s: float) -> Callable[[], Exception | None]:
    """Return what says that a statement's time is over, or None as long as it is not."""
    deadline = time.monotonic() + timeout_s

    def reason() -> Exception | None:
        if time.monotonic() <= deadline:
            return None
        return StatementTimeoutError(
            f"stopped after {timeout_s:g} s; narrow the filter, or name a catalog as in "
            "trading.information_schema.columns@hangzhou"
        )

    return reason
