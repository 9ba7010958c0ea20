"""Which Arrow types go on the wire, and how large a message is.

Types: every client reads the profile of `wire_type`; views, large offsets, dictionaries, run ends,
half floats and narrow decimals are cast to their plain twins. Columns that already fit are passed
on without a copy.

Sizes: batches are cut by their bytes on the wire (`pyarrow.ipc.get_record_batch_size`, exact and
cheap, aware of slices), because clients refuse messages above 16 MiB. Cutting makes slices, no
copies. Small batches pass as they come: the engine's batch size is chosen by `batch_rows_for`.
"""

from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import ipc

from flight_sql.errors import RowTooLargeError

MIB = 1024 * 1024
TARGET_BATCH_BYTES = 6 * MIB
WHOLE_BATCH_BYTES = 8 * MIB
MAX_BATCH_BYTES = 15 * MIB
MIN_BATCH_ROWS = 256
MAX_BATCH_ROWS = 131_072
# What a value of unknown length is taken to need, in bytes.
_VARIABLE_BYTES = 24
_LIST_LENGTH = 4


def wire_type(arrow_type: Any) -> Any:
    """Return the type in which a column of this type travels; the same object when it fits."""
    types = pa.types
    wire = arrow_type
    if types.is_large_string(arrow_type) or types.is_string_view(arrow_type):
        wire = pa.string()
    elif types.is_large_binary(arrow_type) or types.is_binary_view(arrow_type):
        wire = pa.binary()
    elif types.is_dictionary(arrow_type) or types.is_run_end_encoded(arrow_type):
        wire = wire_type(arrow_type.value_type)
    elif types.is_float16(arrow_type):
        wire = pa.float32()
    elif types.is_decimal32(arrow_type) or types.is_decimal64(arrow_type):
        wire = pa.decimal128(arrow_type.precision, arrow_type.scale)
    elif types.is_nested(arrow_type):
        wire = _wire_nested_type(arrow_type)
    return wire


def _wire_nested_type(arrow_type: Any) -> Any:
    """Return the wire type of a list, struct or map; unions pass as they are."""
    types = pa.types
    wire: Any = arrow_type
    if types.is_fixed_size_list(arrow_type):
        wire = pa.list_(_wire_field(arrow_type.value_field), arrow_type.list_size)
    elif types.is_map(arrow_type):
        key, item = _wire_field(arrow_type.key_field), _wire_field(arrow_type.item_field)
        wire = pa.map_(key, item, keys_sorted=arrow_type.keys_sorted)
    elif types.is_struct(arrow_type):
        wire = pa.struct([_wire_field(field) for field in arrow_type])
    elif not types.is_union(arrow_type):
        wire = pa.list_(_wire_field(arrow_type.value_field))
    return arrow_type if wire == arrow_type else wire


def _wire_field(field: Any) -> Any:
    wire = wire_type(field.type)
    return field if wire is field.type else field.with_type(wire)


def wire_schema(arrow_schema: pa.Schema) -> pa.Schema:
    """Return the schema in which a result travels: names, order and nullability are kept."""
    fields = [_wire_field(field) for field in arrow_schema]
    return pa.schema(fields, metadata=arrow_schema.metadata)


def cast_batch(batch: pa.RecordBatch, schema: pa.Schema) -> pa.RecordBatch:
    """Return the batch in the wire schema; columns that already fit are not copied.

    Raises:
        pa.ArrowInvalid: When a column cannot take the schema's type.
    """
    if batch.schema.equals(schema):
        return batch
    columns = [
        column if column.type == field.type else _cast_column(column, field.type)
        for column, field in zip(batch.columns, schema, strict=True)
    ]
    if not columns:
        return batch
    return pa.RecordBatch.from_arrays(columns, schema=schema)


def _cast_column(column: Any, target: Any) -> Any:
    """Cast one column, going round what Arrow's own cast does not do."""
    types = pa.types
    if types.is_run_end_encoded(column.type):
        column = pc.run_end_decode(column)
    elif types.is_dictionary(column.type):
        column = column.dictionary_decode()
    elif types.is_list_view(column.type) or types.is_large_list_view(column.type):
        lengths = pc.fill_null(pc.list_value_length(column), 0).cast(pa.int32())
        zero = pa.array([0], pa.int32())
        offsets = pa.concat_arrays([zero, pc.cumulative_sum(lengths).cast(pa.int32())])
        values = column.flatten()
        if values.type != target.value_type:
            values = _cast_column(values, target.value_type)
        mask = column.is_null() if column.null_count else None
        return pa.ListArray.from_arrays(offsets, values, type=target, mask=mask)
    return column if column.type == target else column.cast(target)


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
    byte_count = ipc.get_record_batch_size(batch)
    if byte_count <= target_bytes * WHOLE_BATCH_BYTES // TARGET_BATCH_BYTES:
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
