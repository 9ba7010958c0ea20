"""Columns in another of Arrow's layouts: the same values, at any depth.

Arrow's own cast is used for leaves only. It does not go from views, run ends or dictionaries inside
of lists, structs and maps to their plain twins, and it refuses to change what may be null, which
an engine's plan and its batches do not always say alike.
"""

from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

Convert = Callable[[Any, Any], Any]


def cast_batch(batch: pa.RecordBatch, schema: pa.Schema) -> pa.RecordBatch:
    """Return the batch in the wire schema; columns that already fit are not copied.

    Raises:
        pa.ArrowInvalid: When a column cannot take the schema's type.
    """
    if batch.schema.equals(schema) or not len(schema):
        return batch
    columns = [
        cast_column(column, field.type) for column, field in zip(batch.columns, schema, strict=True)
    ]
    return pa.RecordBatch.from_arrays(columns, schema=schema)


def cast_column(column: Any, target: Any) -> Any:
    """Return one column in a plain type; itself when it fits.

    Raises:
        pa.ArrowInvalid: When the values do not fit, as more than 2 GiB of text in 32-bit offsets.
    """
    types, source = pa.types, column.type
    if source == target:
        return column
    if isinstance(source, pa.BaseExtensionType):
        cast = cast_column(column.storage, target)
    elif isinstance(target, pa.BaseExtensionType):
        cast = target.wrap_array(cast_column(column, target.storage_type))
    elif types.is_dictionary(source):
        cast = cast_column(column.dictionary, target).take(column.indices)
    elif types.is_run_end_encoded(source):
        cast = cast_column(column.values, target).take(_runs(column))
    elif types.is_nested(source) and types.is_nested(target):
        cast = rebuild(column, target, cast_column)
    else:
        cast = column.cast(target)
    return cast


def rebuild(column: Any, target: Any, convert: Convert) -> Any:
    """Return a list, struct or map in another layout, its children converted to the target's.

    Args:
        column: Lists of any layout for a list, a struct or map for the same.
        target: A list, list view, struct or map type; other types only when they are the column's.
        convert: What turns a child into a type.
    """
    types = pa.types
    mask = column.is_null() if column.null_count else None
    if types.is_struct(target):
        if not len(target):
            return column
        children = [convert(column.field(at), field.type) for at, field in enumerate(target)]
        return pa.StructArray.from_arrays(children, fields=list(target), mask=mask)
    if types.is_map(target):
        offsets, first, length = _used(column)
        keys = convert(column.keys.slice(first, length), target.key_type)
        items = convert(column.items.slice(first, length), target.item_type)
        return pa.MapArray.from_arrays(offsets, keys, items, type=target, mask=mask)
    if types.is_fixed_size_list(target):
        size = target.list_size
        values = column.values.slice(column.offset * size, len(column) * size)
        values = convert(values, target.value_type)
        return pa.FixedSizeListArray.from_arrays(values, type=target, mask=mask)
    if types.is_union(target):
        return column
    return _rebuild_list(column, target, convert, mask)


def _rebuild_list(column: Any, target: Any, convert: Convert, mask: Any) -> Any:
    """Return lists with values in the rows' order and none but theirs."""
    types = pa.types
    is_large = types.is_large_list(target) or types.is_large_list_view(target)
    number = pa.int64() if is_large else pa.int32()
    lengths = pc.fill_null(pc.list_value_length(column), 0).cast(pa.int64())
    ends = pc.cumulative_sum(lengths)
    offsets = pa.concat_arrays([pa.array([0], pa.int64()), ends]).cast(number)
    values = convert(column.flatten(), target.value_type)
    if types.is_list_view(target) or types.is_large_list_view(target):
        kind = pa.LargeListViewArray if is_large else pa.ListViewArray
        starts = offsets.slice(0, len(column))
        return kind.from_arrays(starts, lengths.cast(number), values, type=target, mask=mask)
    kind = pa.LargeListArray if is_large else pa.ListArray
    return kind.from_arrays(offsets, values, type=target, mask=mask)


def _used(column: Any) -> tuple[Any, int, int]:
    """Return a map's offsets from 0 on, and which of its entries they are."""
    offsets = column.offsets
    first, end = offsets[0].as_py(), offsets[-1].as_py()
    # A copy in any case: Arrow takes no slice of offsets beside a mask.
    return pc.subtract(offsets, first), first, end - first


def _runs(column: Any) -> Any:
    """Return the number of its run for each row."""
    numbers = pa.array(range(len(column.run_ends)), pa.int32())
    runs = pa.RunEndEncodedArray.from_arrays(column.run_ends, numbers)
    return pc.run_end_decode(runs).slice(column.offset, len(column))
