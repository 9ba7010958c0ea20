"""How large a message is.

Batches are cut by their bytes on the wire (`pyarrow.ipc.get_record_batch_size`, exact and cheap,
aware of slices), because clients refuse messages above 16 MiB. Cutting makes slices, no copies,
but for the layouts of which a slice keeps everything (`compacting`). Small batches pass as they
come: the engine's batch size is chosen by `batch_rows_for`.
"""

from collections.abc import Iterator
from typing import Any

import pyarrow as pa
from pyarrow import ipc

from flight_sql.casting import cast_batch
from flight_sql.compacting import compact, dictionary_bytes, keeps_more_than_rows
from flight_sql.errors import RowTooLargeError
from flight_sql.wiretypes import wire_type

MIB = 1024 * 1024
TARGET_BATCH_BYTES = 6 * MIB
WHOLE_BATCH_BYTES = 8 * MIB
MAX_BATCH_BYTES = 15 * MIB
MIN_BATCH_ROWS = 256
MAX_BATCH_ROWS = 131_072
# What a value of unknown length is taken to need, in bytes.
_VARIABLE_BYTES = 24
_LIST_LENGTH = 4


def wire_batches(
    batch: pa.RecordBatch,
    schema: pa.Schema,
    *,
    target_bytes: int = TARGET_BATCH_BYTES,
    max_bytes: int = MAX_BATCH_BYTES,
) -> Iterator[pa.RecordBatch]:
    """Yield a batch in the wire's types and sizes; a batch without rows yields nothing.

    Raises:
        RowTooLargeError: When one row alone is above `max_bytes`.
        pa.ArrowInvalid: When a column cannot take the schema's type.
    """
    try:
        cast = cast_batch(batch, schema)
    except pa.ArrowInvalid:
        # More than 2 GiB of text does not fit 32-bit offsets in one piece.
        if batch.num_rows <= 1:
            raise
        cast = None
    if cast is not None:
        yield from recut(cast, target_bytes=target_bytes, max_bytes=max_bytes)
        return
    half = batch.num_rows // 2
    for part in (batch.slice(0, half), batch.slice(half)):
        yield from wire_batches(part, schema, target_bytes=target_bytes, max_bytes=max_bytes)


def recut(
    batch: pa.RecordBatch,
    *,
    target_bytes: int = TARGET_BATCH_BYTES,
    max_bytes: int = MAX_BATCH_BYTES,
) -> Iterator[pa.RecordBatch]:
    """Yield the batch in slices of about `target_bytes` on the wire, none above `max_bytes`.

    A batch that is not much larger than the target passes whole; one without rows yields nothing.

    Raises:
        RowTooLargeError: When one row alone is above `max_bytes`.
    """
    row_count = batch.num_rows
    if not row_count:
        return
    whole_bytes = target_bytes * WHOLE_BATCH_BYTES // TARGET_BATCH_BYTES
    byte_count = ipc.get_record_batch_size(batch)
    if any(keeps_more_than_rows(field.type) for field in batch.schema):
        if max(byte_count, dictionary_bytes(batch)) > whole_bytes:
            batch = compact(batch)
        byte_count = max(ipc.get_record_batch_size(batch), dictionary_bytes(batch))
    if byte_count <= whole_bytes:
        if byte_count <= max_bytes:
            yield batch
            return
    elif row_count == 1 and byte_count <= max_bytes:
        yield batch
        return
    if row_count == 1:
        raise RowTooLargeError(
            f"one row of the result needs {byte_count:,} bytes and a message holds {max_bytes:,}; "
            "select fewer columns, or a part of the large ones with substr()"
        )
    piece_count = -(-byte_count // target_bytes)
    rows = max(1, min(-(-row_count // piece_count), row_count - 1))
    for start in range(0, row_count, rows):
        # A piece may be large still, when rows differ in size: it is cut again.
        piece = batch.slice(start, rows)
        yield from recut(piece, target_bytes=target_bytes, max_bytes=max_bytes)


def batch_rows_for(arrow_schema: pa.Schema, target_bytes: int = TARGET_BATCH_BYTES) -> int:
    """Return how many rows of this schema make about `target_bytes`, for the engine's batch size.

    An estimate from the types alone, a power of two between 256 and 131,072.
    """
    row_bytes = sum(_estimated_bytes(field.type) for field in arrow_schema)
    rows = int(max(1, target_bytes // max(1, row_bytes)))
    return max(MIN_BATCH_ROWS, min(MAX_BATCH_ROWS, 1 << (rows.bit_length() - 1)))


def _estimated_bytes(arrow_type: Any) -> int:
    """Return what a value of this type may need, in bytes."""
    types = pa.types
    wire = wire_type(arrow_type)
    if types.is_struct(wire):
        return sum(_estimated_bytes(field.type) for field in wire)
    if types.is_fixed_size_list(wire):
        return int(wire.list_size) * _estimated_bytes(wire.value_type)
    if types.is_map(wire):
        return _LIST_LENGTH * (_estimated_bytes(wire.key_type) + _estimated_bytes(wire.item_type))
    if types.is_list(wire):
        return _LIST_LENGTH * _estimated_bytes(wire.value_type)
    try:
        return max(1, int(wire.bit_width) // 8)
    except ValueError:  # no fixed width
        return _VARIABLE_BYTES
