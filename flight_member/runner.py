"""Runs what a ticket allows: checks it against this cluster, admits it, executes it, streams it.

The ticket is the only credential. Whatever text it carries, the session that executes it knows
nothing but the ticket's own tables at the ticket's own snapshots, and the planner's rules are
applied to the text again.
"""

import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial

from auth import RevokedTicketError, Ticket
from flight_member.admission import Admission
from flight_member.errors import StaleTicketError, StatementTimeoutError, WrongCallerError
from flight_member.explaining import EXPLANATION_SCHEMA, ExplainedStatement
from flight_member.querytickets import sealed_table
from flight_member.rowbyrow import one_after_another
from flight_member.running import Asked, BatchSource, RunningStatement
from flight_member.settings import LimitsSection
from flight_sql import Call, ResultStream, WireTypes, batch_rows_for, wire_schema
from planner import Defaults, Limits, Plan, Query, Values, parse_statement, plan_query
from storage.engine import Engine, Execution, Explaining
from storage.metastore import Metastore, Table
from storage.names import ObjectName


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
    ) -> None:
        """Keep what every execution needs.

        Args:
            cluster: This cluster.
            engine: Executes.
            metastore: Returns the current snapshot.
            admission: Gives out places.
            limits: What one statement may take.
            check_ticket: Raises when what a ticket rests on was taken back.
        """
        self._cluster = cluster
        self._engine = engine
        self._metastore = metastore
        self._admission = admission
        self._limits = limits
        self._check_ticket = check_ticket
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
        self._check_ticket(ticket)
        query = self._read(ticket, is_home=is_home)
        metastore = self._metastore()
        tables = [_require_sealed(metastore, name, ticket) for name in query.tables]
        schemas = {table.name: table.arrow_schema for table in tables}
        plan = plan_query(query, schemas)
        batch_rows = batch_rows_for(wire_schema(plan.arrow_schema))
        timeout_s = self._limits.statement_timeout_s if is_home else self._limits.visitor_timeout_s
        stop_reason = self._stop_reason(ticket, timeout_s)
        place = self._admission.enter(call.is_cancelled)
        run = (
            self._engine.execute
            if ticket.explain is None
            else partial(self._engine.explain, is_measured=ticket.explain.analyze)
        )

        def start(plan: Plan) -> BatchSource:
            started = run(
                tables,
                plan.text,
                catalog=query.catalog,
                schema=query.schema,
                parameters=plan.values,
                batch_rows=batch_rows,
                is_cancelled=lambda: call.is_cancelled() or stop_reason() is not None,
            )
            return self._told(started, ticket)

        try:
            source = one_after_another(query, plan, lambda one: plan_query(one, schemas), start)
        except BaseException:
            place.leave()
            raise
        # The schema that was promised: the engine's own may differ in what can be null.
        return ResultStream(
            EXPLANATION_SCHEMA if ticket.explain else plan.arrow_schema,
            RunningStatement(
                source,
                place,
                Asked(ticket.query_id, ticket.caller, ticket.sql),
                stop_reason,
            ),
            wire=WireTypes(ticket.wire),
        )

    def _told(self, started: Execution | Explaining, ticket: Ticket) -> BatchSource:
        """Return what yields the batches: a statement's own, or those that explain it."""
        if isinstance(started, Execution):
            return started
        how = ticket.explain
        assert how is not None  # noqa: S101  nothing else is started to be explained
        rules = dict(zip((table.name for table in ticket.tables), how.rules, strict=True))
        # Which member happens to answer a statement over no tables is nothing for visitors.
        is_told = bool(rules) or ticket.cluster == self._cluster
        return ExplainedStatement(
            started, how, rules, self._cluster if is_told else "any that answers"
        )

    def _stop_reason(self, ticket: Ticket, timeout_s: float) -> Callable[[], Exception | None]:
        """Return what says why a statement must not go on, or None as long as it may."""
        deadline = time.monotonic() + timeout_s

        def reason() -> Exception | None:
            if time.monotonic() > deadline:
                return StatementTimeoutError(
                    f"stopped after {timeout_s:g} s; narrow the filter, or ask the owner of "
                    f"{self._cluster} for a longer limit"
                )
            try:
                self._check_ticket(ticket)
            except RevokedTicketError as error:
                return error
            return None

        return reason

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
    table = metastore.table(name)
    sealed = next(one for one in ticket.tables if one.name == name)
    if table is None or sealed_table(table) != sealed:
        raise StaleTicketError.of(name)
    return table
