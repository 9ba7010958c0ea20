"""Bulk ingestion: a client's rows into one table, read as they come.

The command is read here; what becomes of it is the backend's. Rows are handed on batch by batch
and nothing is kept of them. A client that leaves half way ends like one whose rows are whole as far
as gRPC's stream tells, so the call is asked whether it was cancelled before the end counts as one.
"""

import time
from collections.abc import Iterator
from typing import Any

import pyarrow as pa

from flight_sql.backend import Call, IfMissing, IfThere, Ingest
from flight_sql.casting import cast_batch
from flight_sql.errors import CancelledCallError, InvalidRequestError, RequestNotSupportedError
from flight_sql.wiretypes import wire_schema

# What a client's leaving may take from its stream's end to the call's flag.
_SETTLING_S = 0.1
_POLL_S = 0.01


def read_ingest(command: Any, reader: Any) -> Ingest:
    """Return what a CommandStatementIngest asks for.

    Args:
        command: The message.
        reader: What its rows are read from; none of them is read here.

    Raises:
        InvalidRequestError: When it does not say what to do, or the stream has no columns.
        RequestNotSupportedError: When it asks for a temporary table, or belongs to a transaction.
    """
    how = command.table_definition_options
    if not how.if_not_exist or not how.if_exists:
        raise InvalidRequestError(
            "an ingest must say what to do if the table exists and what if it does not; one of "
            "them is unspecified"
        )
    if command.temporary:
        raise RequestNotSupportedError(
            "there are no temporary tables, and nothing was written; leave temporary out, and "
            "drop the table when it is done with"
        )
    if command.transaction_id:
        raise RequestNotSupportedError("there are no transactions here: send no transaction id")
    if not command.table:
        raise InvalidRequestError("an ingest must name its table")
    return Ingest(
        table=command.table,
        catalog=command.catalog if command.HasField("catalog") else None,
        schema=command.schema if command.HasField("schema") else None,
        if_missing=IfMissing(how.if_not_exist),
        if_there=IfThere(how.if_exists),
        options={option.key: option.value for option in command.options},
        arrow_schema=_columns(reader),
    )


def ingested_batches(reader: Any, call: Call, arrow_schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    """Yield the rows of an ingest as they come, in plain types.

    Raises:
        InvalidRequestError: When they are damaged.
        CancelledCallError: When the client left before their end.
    """
    while True:
        try:
            batch = reader.read_chunk().data
        except StopIteration:
            break
        except pa.ArrowException:
            batch = None
            require_client(call)
        if batch is None or not _is_sound(batch):
            raise InvalidRequestError("the ingested rows are damaged; nothing of them was kept")
        yield cast_batch(batch, arrow_schema)
    require_client(call)


def require_client(call: Call) -> None:
    """Make sure that a stream ended because its client said so.

    Raises:
        CancelledCallError: When the client left.
    """
    settled_at = time.monotonic() + _SETTLING_S
    while not call.is_cancelled():
        if time.monotonic() >= settled_at:
            return
        time.sleep(_POLL_S)
    raise CancelledCallError("the client left before the last row; nothing was written")


def _is_sound(batch: pa.RecordBatch) -> bool:
    try:
        batch.validate(full=True)
    except pa.ArrowException:
        return False
    return True


def _columns(reader: Any) -> pa.Schema:
    try:
        sent = reader.schema
    except (pa.ArrowException, AttributeError):
        sent = pa.schema([])
    if not len(sent):
        raise InvalidRequestError("an ingest must send columns; this one has none")
    return wire_schema(sent)
