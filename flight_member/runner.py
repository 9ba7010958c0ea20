"""Runs what a ticket allows: checks it against this cluster, admits it, executes it, streams it.

The ticket is the only credential. Whatever text it carries, the session that executes it knows
nothing but the ticket's own tables at the ticket's own snapshots, and the planner's rules are
applied to the text again.
"""

import hashlib
import time
from collections.abc import Callable, Iterator

import pyarrow as pa

from auth import Ticket
from flight_member.admission import Admission, Place
from flight_member.errors import (
    StaleTicketError,
    StatementTimeoutError,
    WrongCallerError,
)
from flight_member.logs import get_logger
from flight_member.settings import LimitsSection
from flight_sql import Call, ResultStream, batch_rows_for, wire_schema
from planner import Defaults, Limits, Query, parse_statement, plan_query
from storage.engine import Engine, Execution
from storage.metastore import Metastore, Table
from storage.names import ObjectName

_log = get_logger(__name__)


class StatementRunner:
    """Executes tickets on one cluster's tables."""

    def __init__(
        self,
        cluster: str,
        engine: Engine,
        metastore: Callable[[], Metastore],
        admission: Admission,
        limits: LimitsSection,
    ) -> None:
        """Keep what every execution needs; `metastore` returns the current snapshot."""
        self._cluster = cluster
        self._engine = engine
        self._metastore = metastore
        self._admission = admission
        self._limits = limits
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
        """
        query = self._read(ticket, is_home=is_home)
        tables = [self._table(name, ticket) for name in query.tables]
        plan = plan_query(query, {table.name: table.arrow_schema for table in tables})
        timeout_s = self._limits.statement_timeout_s if is_home else self._limits.visitor_timeout_s
        deadline = time.monotonic() + timeout_s
        place = self._admission.enter(call.is_cancelled)
        try:
            execution = self._engine.execute(
                tables,
                plan.text,
                catalog=query.catalog,
                schema=query.schema,
                batch_rows=batch_rows_for(wire_schema(plan.arrow_schema)),
                is_cancelled=lambda: call.is_cancelled() or time.monotonic() > deadline,
            )
        except BaseException:
            place.leave()
            raise
        # The schema that was promised: the engine's own may differ in what can be null.
        return ResultStream(
            plan.arrow_schema,
            self._stream(execution, place, ticket, deadline, timeout_s),
        )

    def _read(self, ticket: Ticket, *, is_home: bool) -> Query:
        defaults = Defaults(self._cluster, ticket.catalog, ticket.schema)
        home = self._cluster if is_home else None
        query = parse_statement(ticket.sql, defaults, home=home, limits=self._text_limits)
        allowed = {table.name for table in ticket.tables}
        if not isinstance(query, Query) or query.explain or not allowed.issuperset(query.tables):
            raise WrongCallerError("this ticket does not cover its statement; execute it again")
        return query

    def _table(self, name: ObjectName, ticket: Ticket) -> Table:
        table = self._metastore().table(name)
        sealed = next(one for one in ticket.tables if one.name == name)
        if (
            table is None
            or table.id != sealed.id
            or table.schema_version != sealed.schema_version
            or table.snapshot != sealed.snapshot
        ):
            raise StaleTicketError(
                f"{name} changed since the statement was planned; execute it again"
            )
        return table

    def _stream(
        self, execution: Execution, place: Place, ticket: Ticket, deadline: float, timeout_s: float
    ) -> Iterator[pa.RecordBatch]:
        started = time.monotonic()
        row_count = byte_count = 0
        outcome = "cancelled"
        try:
            for batch in execution.batches():
                if time.monotonic() > deadline:
                    break
                row_count += batch.num_rows
                byte_count += batch.nbytes
                yield batch
            self._require_in_time(deadline, timeout_s)
            outcome = "finished"
        except Exception as error:
            outcome = str(getattr(error, "code", "internal"))
            raise
        finally:
            execution.close()
            place.leave()
            _log.info(
                "statement_ended",
                query_id=ticket.query_id,
                user=ticket.caller,
                digest=statement_digest(ticket.sql),
                outcome=outcome,
                row_count=row_count,
                byte_count=byte_count,
                elapsed_s=round(time.monotonic() - started, 4),
            )

    def _require_in_time(self, deadline: float, timeout_s: float) -> None:
        if time.monotonic() > deadline:
            raise StatementTimeoutError(
                f"stopped after {timeout_s:g} s; narrow the filter, or ask the owner of "
                f"{self._cluster} for a longer limit"
            )


def text_limits(limits: LimitsSection) -> Limits:
    """Return the planner's part of the limits."""
    return Limits(max_text_bytes=limits.max_text_bytes, max_height=limits.max_height)


def statement_digest(sql: str) -> str:
    """Return what stands for a statement in logs and in the audit: 16 hex digits of SHA-256."""
    return hashlib.sha256(sql.encode()).hexdigest()[:16]
