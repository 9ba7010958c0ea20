"""Runs a statement once for each row of the values that are bound to it.

What it answers are the results of all rows, one after the other in the order of the rows. To
whoever reads and stops it, it is one statement: one place, one time limit, one stream.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace

import pyarrow as pa

from flight_member.running import BatchSource
from planner import Plan, Query, TypeMismatchError
from storage.errors import CancelledError


def one_after_another(
    query: Query,
    plan: Plan,
    plan_one: Callable[[Query], Plan],
    start: Callable[[Plan], BatchSource],
) -> BatchSource:
    """Start a query, or get ready to start it for each row of its values.

    Args:
        query: With what is bound to it.
        plan: Its plan.
        plan_one: Plans it for one row.
        start: Starts it as planned.
    """
    if query.values is None or query.values.batch().num_rows == 1:
        return start(plan)
    return RowByRow(query, plan.arrow_schema, plan_one, start)


class RowByRow:
    """The batches of a query that runs for one row of values after the other."""

    def __init__(
        self,
        query: Query,
        promised: pa.Schema,
        plan: Callable[[Query], Plan],
        start: Callable[[Plan], BatchSource],
    ) -> None:
        """Keep what each run takes; nothing runs yet.

        Args:
            query: With its rows of values.
            promised: The columns that it was said to answer.
            plan: Plans it for one row.
            start: Starts it for one row.
        """
        self._query = query
        self._promised = promised
        self._plan = plan
        self._start = start
        self._running: BatchSource | None = None
        self._is_closed = False

    def batches(self) -> Iterator[pa.RecordBatch]:
        """Yield the batches of all rows.

        Raises:
            TypeMismatchError: When one row makes other columns than the rest.
            CancelledError: When it was stopped before the last row's end.
            StorageError: When it fails for one of them.
        """
        assert self._query.values is not None  # noqa: S101  else there is nothing to run it for
        for number, values in enumerate(self._query.values.each(), 1):
            plan = self._plan(replace(self._query, values=values))
            self._check(number, plan.arrow_schema)
            if self._is_closed:
                raise CancelledError("the statement was stopped before its last row")
            source = self._running = self._start(plan)
            try:
                if self._is_closed:
                    source.close()
                yield from source.batches()
            finally:
                source.close()

    def close(self) -> None:
        """Stop what runs, and start nothing more; fine from any thread, and more than once."""
        self._is_closed = True
        running = self._running
        if running is not None:
            running.close()

    def _check(self, number: int, made: pa.Schema) -> None:
        for field, promised in zip(made, self._promised, strict=True):
            # A null has no type of its own and takes any.
            if field.type != promised.type and not pa.types.is_null(field.type):
                raise TypeMismatchError(
                    f"row {number} of the bound values makes {field.name} {field.type} and the "
                    f"others {promised.type}; execute it by itself, or CAST the column"
                )
