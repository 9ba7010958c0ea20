"""Runs what a ticket allows: checks it against this cluster, admits it, executes it, streams it.

The ticket is the only credential. Whatever text it carries, the session that executes it knows
nothing but the ticket's own tables at the ticket's own snapshots, and the planner's rules are
applied to the text again.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial

import pyarrow as pa

from auth import RevokedTicketError, Ticket, TicketExplain
from flight_member.admission import Admission
from flight_member.errors import WrongCallerError
from flight_member.explaining import EXPLANATION_SCHEMA, ExplainedStatement
from flight_member.jobrows import JobKind, Parts
from flight_member.jobs import Job, Jobs
from flight_member.querytickets import can_be_shared, require_sealed
from flight_member.rowbyrow import one_after_another
from flight_member.running import BatchSource, RunningStatement, admit, until
from flight_member.settings import LimitsSection
from flight_sql import Call, ResultStream, WireTypes, batch_rows_for, wire_schema
from planner import Defaults, Limits, Plan, Query, Values, parse_statement, plan_query
from storage.engine import Engine, Execution, Explaining
from storage.metastore import Metastore, Table
from storage.names import ObjectName
from storage.sharding import Shard


@dataclass(frozen=True, slots=True)
class _Planned:
    """A ticket's statement, its tables as they are, and its plan."""

    query: Query
    tables: tuple[Table, ...]
    schemas: Mapping[ObjectName, pa.Schema]
    plan: Plan


class StatementRunner:
    """Executes tickets on one cluster's tables."""

    def __init__(
        self,
        cluster: str,
        engine: Engine,
        metastore: Callable[[], Metastore],
        admission: Admission,
        limits: LimitsSection,
        check_ticket: Callable[[Ticket], None],
        jobs: Jobs,
    ) -> None:
        """Keep what every execution needs.

        Args:
            cluster: This cluster.
            engine: Executes.
            metastore: Returns the current snapshot.
            admission: Gives out places.
            limits: What one statement may take.
            check_ticket: Raises when what a ticket rests on was taken back.
            jobs: Where each execution is known as a job.
        """
        self._cluster = cluster
        self._engine = engine
        self._metastore = metastore
        self._admission = admission
        self._limits = limits
        self._check_ticket = check_ticket
        self._jobs = jobs
        self._text_limits = text_limits(limits)

    def run(self, call: Call, ticket: Ticket, *, is_home: bool) -> ResultStream:
        """Start what a verified ticket allows.

        Args:
            call: The call that fetches; its cancellation stops the engine.
            ticket: Verified, and addressed to this cluster.
            is_home: Whether this cluster itself made it for one of its own users.

        Raises:
            StaleTicketError: When a table is gone or no longer the one that was decided on.
            WrongCallerError: When the statement is not one over the ticket's tables.
            OverloadedError: When there is no place for it.
            RevokedTicketError: When what the ticket rests on was taken back.
        """
        job = self._jobs.start(
            call,
            ticket.caller,
            ticket.sql,
            kind=JobKind.EXPLAIN if ticket.explain else JobKind.QUERY,
            job_id=ticket.query_id,
            received_at=ticket.issued_at,
        )
        with job.opening():
            self._check_ticket(ticket)
            stop_reason = self._stop_reason(job, ticket, is_home=is_home)
            place = admit(job, self._admission)
            try:
                planned = self._plan(ticket, is_home=is_home)
                source = self._source(
                    job, ticket, planned, lambda: job.is_cancelled() or stop_reason() is not None
                )
            except BaseException:
                place.leave()
                raise
        # The schema that was promised: the engine's own may differ in what can be null.
        return ResultStream(
            EXPLANATION_SCHEMA if ticket.explain else planned.plan.arrow_schema,
            RunningStatement(source, place, job, stop_reason),
            wire=WireTypes(ticket.wire),
        )

    def _plan(self, ticket: Ticket, *, is_home: bool) -> _Planned:
        """Read and plan a ticket's statement over today's tables, which must be the ticket's."""
        query = self._read(ticket, is_home=is_home)
        metastore = self._metastore()
        tables = tuple(_require_sealed(metastore, name, ticket) for name in query.tables)
        schemas = {table.name: table.arrow_schema for table in tables}
        plan = plan_query(query, schemas)
        if ticket.shard is not None and (ticket.explain or not can_be_shared(plan, tables)):
            raise WrongCallerError("this ticket does not cover its statement; execute it again")
        return _Planned(query, tables, schemas, plan)

    def _source(
        self, job: Job, ticket: Ticket, planned: _Planned, is_cancelled: Callable[[], bool]
    ) -> BatchSource:
        """Start a planned statement, or its explanation."""
        query, schemas = planned.query, planned.schemas
        batch_rows = batch_rows_for(wire_schema(planned.plan.arrow_schema))
        part = ticket.shard
        shard = None if part is None else Shard(part.part, part.names)

        def execute(plan: Plan) -> BatchSource:
            started = self._engine.execute(
                planned.tables,
                plan.text,
                catalog=query.catalog,
                schema=query.schema,
                parameters=plan.values,
                batch_rows=batch_rows,
                shard=shard,
                is_cancelled=is_cancelled,
            )
            job.watch_parts(partial(_parts_of, started))
            return started

        def explain(plan: Plan, how: TicketExplain) -> BatchSource:
            started = self._engine.explain(
                planned.tables,
                plan.text,
                catalog=query.catalog,
                schema=query.schema,
                parameters=plan.values,
                batch_rows=batch_rows,
                is_measured=how.analyze,
                is_cancelled=is_cancelled,
            )
            return self._told(started, how, ticket)

        start = execute if ticket.explain is None else partial(explain, how=ticket.explain)
        return one_after_another(query, planned.plan, lambda one: plan_query(one, schemas), start)

    def _told(self, started: Explaining, how: TicketExplain, ticket: Ticket) -> BatchSource:
        """Return what yields the batches that explain a statement."""
        rules = dict(zip((table.name for table in ticket.tables), how.rules, strict=True))
        # Which member happens to answer a statement over no tables is nothing for visitors.
        is_told = bool(rules) or ticket.cluster == self._cluster
        return ExplainedStatement(
            started, how, rules, self._cluster if is_told else "any that answers"
        )

    def _stop_reason(
        self, job: Job, ticket: Ticket, *, is_home: bool
    ) -> Callable[[], Exception | None]:
        """Return what says why a statement must not go on, or None as long as it may."""
        limits = self._limits
        timeout_s = limits.statement_timeout_s if is_home else limits.visitor_timeout_s
        advice = f"narrow the filter, or ask the owner of {self._cluster} for a longer limit"

        def revocation() -> Exception | None:
            try:
                self._check_ticket(ticket)
            except RevokedTicketError as error:
                return error
            return None

        return until(timeout_s, job, advice, revocation)

    def _read(self, ticket: Ticket, *, is_home: bool) -> Query:
        defaults = Defaults(self._cluster, ticket.catalog, ticket.schema)
        home = self._cluster if is_home else None
        query = parse_statement(ticket.sql, defaults, home=home, limits=self._text_limits)
        allowed = {table.name for table in ticket.tables}
        if (
            not isinstance(query, Query)
            or query.explain
            or not allowed.issuperset(query.tables)
            or (ticket.parameters is None) is bool(query.parameters)
        ):
            raise WrongCallerError("this ticket does not cover its statement; execute it again")
        if ticket.parameters is None:
            return query
        return replace(query, values=Values(ticket.parameters))


def _parts_of(started: Execution) -> Parts | None:
    parts = started.parts()
    return None if parts is None else Parts(*parts)


def text_limits(limits: LimitsSection) -> Limits:
    """Return the planner's part of the limits."""
    return Limits(
        max_text_bytes=limits.max_text_bytes,
        max_height=limits.max_height,
        max_tokens=limits.max_tokens,
        max_plan_steps=limits.max_plan_steps,
        max_grouping_sets=limits.max_grouping_sets,
    )


def _require_sealed(metastore: Metastore, name: ObjectName, ticket: Ticket) -> Table:
    """Return a table that a ticket is for, if it is still the one that was decided on."""
    sealed = next(one for one in ticket.tables if one.name == name)
    return require_sealed(metastore.table(name), sealed)
