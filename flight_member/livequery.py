"""Runs queries over live tables: planned on their fixed columns, executed in memory.

The rows are made when they are fetched, of nothing but what the caller may see then. Such
statements have places and a time limit of their own, apart from those that read files.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from functools import cache, lru_cache

import pyarrow as pa

from auth import Identity
from flight_member.admission import Admission
from flight_member.errors import NotFoundError
from flight_member.jobs import Job
from flight_member.listing import ListedTable
from flight_member.livetables import LiveTable, LiveTables, Wanted
from flight_member.rowbyrow import one_after_another
from flight_member.running import BatchSource, RunningStatement, admit, until
from flight_member.settings import LimitsSection
from flight_sql import Call, ResultStream
from planner import LiveQuery, Plan, Query, plan_query
from storage.memoryengine import MemoryEngine
from storage.names import ObjectName
from storage.needed import EVERYTHING, Needed

_MIB = 1 << 20
_MEMORY_MIB = 256  # at most, beside the rows themselves
_NARROWER = "narrow the filter, or name a catalog as in trading.information_schema.columns@hangzhou"

Listing = Callable[[ObjectName | None], Iterable[ListedTable]]


class LiveRunner:
    """Plans and runs queries over live tables."""

    def __init__(self, limits: LimitsSection, tables: LiveTables, cluster: str) -> None:
        memory_mib = min(limits.memory_limit_mib, _MEMORY_MIB)
        self._engine = MemoryEngine(memory_limit_bytes=memory_mib * _MIB)
        self._admission = Admission(limits, cluster)
        self._tables = tables

    def plan(self, statement: LiveQuery) -> Plan:
        """Plan a statement on empty tables.

        Raises:
            NotFoundError: When there is no such live table.
            PlannerError: See `planner.plan_query`.
        """
        named = self._named(statement)
        return plan_query(
            statement.query, {name: table.arrow_schema for name, table in named.items()}
        )

    def run(
        self,
        call: Call,
        caller: Identity,
        statement: LiveQuery,
        listing: Listing,
        job: Job,
        *,
        timeout_s: float,
    ) -> ResultStream:
        """Start a statement.

        Args:
            call: The call that fetches; its cancellation stops the engine.
            caller: Who fetches.
            statement: What was asked.
            listing: Returns what the caller may read at or below a place, or everywhere.
            job: The statement's own; it ends with it.
            timeout_s: How long it may take.

        Raises:
            OverloadedError: When there is no place for it.
            NotFoundError: When a catalog or cluster that it names holds nothing for the caller.
            ScanLimitError: When it needs more rows than one statement may look at.
            PlannerError: See `plan`.
        """
        with job.opening():
            plan = self.plan(statement)
            stop_reason = until(timeout_s, job, _NARROWER, lambda: None)
            place = admit(job, self._admission)
            try:
                rows = self._maker(call, caller, statement, listing)
                if not statement.is_federations:
                    # Places that are not there are refused now, and not in the midst of a stream.
                    rows(plan)
                source = self._source(
                    statement, plan, rows, lambda: job.is_cancelled() or stop_reason() is not None
                )
            except BaseException:
                place.leave()
                raise
        running = RunningStatement(source, place, job, stop_reason)
        return ResultStream(plan.arrow_schema, running)

    def _source(
        self,
        statement: LiveQuery,
        plan: Plan,
        rows: Callable[[Plan], Mapping[ObjectName, pa.Table]],
        is_cancelled: Callable[[], bool],
    ) -> BatchSource:
        """Start a planned statement over the rows that it needs."""

        def start(plan: Plan) -> BatchSource:
            return self._engine.execute(
                rows(plan),
                plan.text,
                catalog=statement.query.catalog,
                schema=statement.query.schema,
                parameters=plan.values,
                is_cancelled=is_cancelled,
            )

        def plan_one(query: Query) -> Plan:
            return self.plan(replace(statement, query=query))

        return one_after_another(statement.query, plan, plan_one, start)

    def _named(self, statement: LiveQuery) -> Mapping[ObjectName, LiveTable]:
        named: dict[ObjectName, LiveTable] = {}
        for name in statement.query.tables:
            table = self._tables.find(name)
            if table is None:
                raise NotFoundError.of(name)
            named[name] = table
        return named

    def _maker(
        self, call: Call, caller: Identity, statement: LiveQuery, listing: Listing
    ) -> Callable[[Plan], dict[ObjectName, pa.Table]]:
        """Return what makes the rows that one plan of a statement needs, table by table.

        Each place is listed once.
        """
        named = self._named(statement)
        listed = cache(lambda scope: list(listing(scope)))

        @lru_cache(maxsize=len(named))
        def made(name: ObjectName, needed: Needed) -> pa.Table:
            return named[name].rows(Wanted(call, caller, listed, statement.scope(name), needed))

        def rows(plan: Plan) -> dict[ObjectName, pa.Table]:
            needed = self._needed(statement, named, plan)
            return {name: made(name, needed.get(name, EVERYTHING)) for name in named}

        return rows

    def _needed(
        self, statement: LiveQuery, named: Mapping[ObjectName, LiveTable], plan: Plan
    ) -> Mapping[ObjectName, Needed]:
        """Return what a plan needs; the rows of `information_schema` are few."""
        if not statement.is_federations:
            return {}
        return self._engine.needed(
            {name: table.arrow_schema for name, table in named.items()},
            plan.text,
            catalog=statement.query.catalog,
            schema=statement.query.schema,
            parameters=plan.values,
        )
