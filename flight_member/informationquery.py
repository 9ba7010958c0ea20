"""Runs queries over `information_schema`: planned on its fixed columns, executed in memory.

The rows are made when they are fetched, of nothing but what the caller may read then. Such
statements have places and a time limit of their own, apart from those that read files.
"""

import time
from collections.abc import Callable, Iterable
from typing import Self

import pyarrow as pa

from flight_member.admission import Admission, Place
from flight_member.errors import StatementTimeoutError
from flight_member.information_schema import SHAPES, information_rows
from flight_member.listing import ListedTable
from flight_member.logs import get_logger
from flight_member.settings import LimitsSection
from flight_sql import Call, ResultStream
from planner import InformationSchemaQuery, Plan, plan_query
from storage.engine import Execution, MemoryEngine
from storage.errors import CancelledError
from storage.names import ObjectName

_log = get_logger(__name__)
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
        self, call: Call, statement: InformationSchemaQuery, listing: Listing, *, timeout_s: float
    ) -> ResultStream:
        """Start a statement.

        Args:
            call: The call that fetches; its cancellation stops the engine.
            statement: What was asked.
            listing: Returns what the caller may read at or below a place, or everywhere.
            timeout_s: How long it may take.

        Raises:
            OverloadedError: When there is no place for it.
            NotFoundError: When a catalog or cluster that it names holds nothing for the caller.
            PlannerError: See `plan`.
        """
        plan = self.plan(statement)
        deadline = time.monotonic() + timeout_s
        place = self._admission.enter(call.is_cancelled)
        try:
            execution = self._engine.execute(
                _rows_of(statement, listing),
                plan.text,
                catalog=statement.query.catalog,
                schema=statement.query.schema,
                parameters=plan.values,
                is_cancelled=lambda: call.is_cancelled() or time.monotonic() > deadline,
            )
        except BaseException:
            place.leave()
            raise
        return ResultStream(
            plan.arrow_schema, _RunningQuery(execution, place, call.query_id, deadline, timeout_s)
        )


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


class _RunningQuery:
    """The batches of one running statement and its place, until it ends.

    Not a generator: one that was never advanced would keep its place for ever.
    """

    def __init__(
        self, execution: Execution, place: Place, query_id: str, deadline: float, timeout_s: float
    ) -> None:
        self._execution = execution
        self._place = place
        self._query_id = query_id
        self._deadline = deadline
        self._timeout_s = timeout_s
        self._batches = execution.batches()
        self._row_count = 0
        self._has_ended = False

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> pa.RecordBatch:
        """Return the next batch.

        Raises:
            StatementTimeoutError: When the statement's time is over.
            CancelledError: When its caller left.
            StorageError: When it fails at run time.
        """
        try:
            batch = next(self._batches)
        except CancelledError as error:
            is_late = time.monotonic() > self._deadline
            failure: Exception = self._timeout() if is_late else error
        except StopIteration:
            self._end("finished")
            raise
        except Exception as error:
            self._end(str(getattr(error, "code", "internal")))
            raise
        else:
            self._row_count += batch.num_rows
            return batch
        self._end(str(getattr(failure, "code", "cancelled")))
        raise failure

    def close(self) -> None:
        """Stop the engine and give the place back; fine at any time, and more than once."""
        self._end("cancelled")

    def _timeout(self) -> StatementTimeoutError:
        return StatementTimeoutError(
            f"stopped after {self._timeout_s:g} s; narrow the filter, or name a catalog as in "
            "trading.information_schema.columns@hangzhou"
        )

    def _end(self, outcome: str) -> None:
        if self._has_ended:
            return
        self._has_ended = True
        try:
            self._execution.close()
        finally:
            self._place.leave()
            _log.info(
                "information_schema_ended",
                query_id=self._query_id,
                outcome=outcome,
                row_count=self._row_count,
            )
