"""Results on their way out: a backend's batches as the tables that pyarrow sends fastest.

`GeneratorStream` keeps statuses only for what is raised in Python's generator, and sends Tables
without the interpreter's lock. So each wire batch is yielded as a Table of its own; to be
compressed, as a stream of its own, because only then are the options heeded.
"""

import contextlib
import logging
from collections.abc import Callable, Iterator
from typing import Any

import pyarrow as pa
from pyarrow import flight

from flight_sql.backend import Call, ResultStream
from flight_sql.errors import CancelledCallError, is_cancellation, translated
from flight_sql.profile import WireProfile
from flight_sql.wire import wire_batches

_log = logging.getLogger("flight_sql")


def flight_stream(result: ResultStream, call: Call, check_time: Callable[[], None]) -> Any:
    """Return the stream that sends a result; the result's iterator is closed in every case.

    Args:
        result: What the backend opened.
        call: The call that reads it.
        check_time: Raises a coded error when the server has no time left for this stream.
    """
    # Its types were promised with the ticket; how it is compressed is this call's own matter.
    profile = WireProfile(result.wire, call.profile.compression)
    schema = profile.schema(result.arrow_schema)
    tables = _tables(result, schema, _sender(schema, profile), call, check_time)
    # Entering the generator arms its `finally`, also for a client that leaves before the first row.
    next(tables)
    return flight.GeneratorStream(schema, tables)


def _sender(schema: pa.Schema, profile: WireProfile) -> Callable[[pa.RecordBatch], Any]:
    """Return what makes of a wire batch what pyarrow sends: without columns, the batch itself."""
    if not len(schema):
        return lambda batch: batch
    if profile.compression is None:
        return lambda batch: pa.Table.from_batches([batch])
    options = profile.write_options()
    return lambda batch: flight.RecordBatchStream(pa.Table.from_batches([batch]), options)


def _tables(
    result: ResultStream,
    schema: pa.Schema,
    sent: Callable[[pa.RecordBatch], Any],
    call: Call,
    check_time: Callable[[], None],
) -> Iterator[Any]:
    """Yield None once, then each wire batch as it is sent."""
    batches = result.batches
    with contextlib.ExitStack() as stack:
        stack.enter_context(translated(call.query_id))
        stack.callback(_close, batches, call)
        yield None
        try:
            for batch in batches:
                check_time()
                for piece in wire_batches(batch, schema):
                    yield sent(piece)
                    check_time()
            _check_caller(call)
        except Exception as error:
            # The server stops its backend as it stops those whose callers left.
            if is_cancellation(error):
                check_time()
            raise


def _check_caller(call: Call) -> None:
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
