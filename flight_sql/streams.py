"""Results on their way out: a backend's batches as the tables that pyarrow sends fastest.

`GeneratorStream` keeps statuses only for what is raised in Python's generator, and sends Tables
without the interpreter's lock. So each wire batch is yielded as a Table of its own.
"""

import contextlib
import logging
from collections.abc import Callable, Iterator
from typing import Any

import pyarrow as pa
from pyarrow import flight

from flight_sql.backend import Call, ResultStream
from flight_sql.errors import CancelledCallError, translated
from flight_sql.wire import wire_batches, wire_schema

_log = logging.getLogger("flight_sql")


def flight_stream(result: ResultStream, call: Call, check_time: Callable[[], None]) -> Any:
    """Return the stream that sends a result; the result's iterator is closed in every case.

    Args:
        result: What the backend opened.
        call: The call that reads it.
        check_time: Raises a coded error when the server has no time left for this stream.
    """
    schema = wire_schema(result.arrow_schema)
    tables = _tables(result, schema, call, check_time)
    # Entering the generator arms its `finally`, also for a client that leaves before the first row.
    next(tables)
    return flight.GeneratorStream(schema, tables)


def _tables(
    result: ResultStream, schema: pa.Schema, call: Call, check_time: Callable[[], None]
) -> Iterator[Any]:
    """Yield None once, then each wire batch as a Table (a batch, when it has no columns)."""
    batches = result.batches
    as_table = pa.Table.from_batches if len(schema) else _only
    with contextlib.ExitStack() as stack:
        stack.enter_context(translated(call.query_id))
        stack.callback(_close, batches, call)
        yield None
        for batch in batches:
            check_time()
            for piece in wire_batches(batch, schema):
                yield as_table([piece])
                check_time()
        if call.is_cancelled():
            raise CancelledCallError("the call ended before its rows did")


def _close(batches: Iterator[pa.RecordBatch], call: Call) -> None:
    """Close a backend's iterator; the rows are sent, or nobody wants them: a failure is logged."""
    close = getattr(batches, "close", None)
    if close is None:
        return
    try:
        close()
    except Exception:  # noqa: BLE001  # the log tells; the client is gone or has its rows
        _log.exception("stream_not_closed", extra={"query_id": call.query_id})


def _only(batches: list[pa.RecordBatch]) -> pa.RecordBatch:
    return batches[0]
