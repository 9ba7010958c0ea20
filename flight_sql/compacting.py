"""Batches without what their rows do not use.

A slice of a view, of a list view or of a dictionary's indices keeps, on the wire too, all the
values of the column that it was cut from. Only the engine's own types are like that, never those
of `wiretypes`.
"""

from functools import lru_cache
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from flight_sql.casting import rebuild


@lru_cache(maxsize=4096)
def keeps_more_than_rows(arrow_type: Any) -> bool:
    """Whether a slice of a column of this type can hold more than its rows, at any depth."""
    types = pa.types
    if isinstance(arrow_type, pa.BaseExtensionType):
        return keeps_more_than_rows(arrow_type.storage_type)
    return (
        types.is_string_view(arrow_type)
        or types.is_binary_view(arrow_type)
        or types.is_dictionary(arrow_type)
        or types.is_list_view(arrow_type)
        or types.is_large_list_view(arrow_type)
        or any(keeps_more_than_rows(child) for child in _children(arrow_type))
    )


def compact(batch: pa.RecordBatch) -> pa.RecordBatch:
    """Return the batch with nothing but what its rows use, in the same types."""
    columns = [compact_column(column, column.type) for column in batch.columns]
    return pa.RecordBatch.from_arrays(columns, schema=batch.schema)


def compact_column(column: Any, _target: Any) -> Any:
    """Return a column in its own type with nothing but what its rows use."""
    types, kind = pa.types, column.type
    if not keeps_more_than_rows(kind) or types.is_run_end_encoded(kind):
        return column
    if types.is_dictionary(kind) and pa.types.is_nested(kind.value_type):
        return column
    if isinstance(kind, pa.BaseExtensionType):
        return kind.wrap_array(compact_column(column.storage, kind.storage_type))
    if _is_view(kind):
        return column.cast(_large(kind)).cast(kind)
    if types.is_dictionary(kind):
        return _compact_dictionary(column)
    return rebuild(column, kind, compact_column)


def _compact_dictionary(column: Any) -> Any:
    """Return the column over the values that occur, in their order."""
    kind = column.type
    values = column.dictionary
    if _is_view(kind.value_type):
        # Arrow takes no rows of views.
        values = values.cast(_large(kind.value_type))
    used = pc.unique(column.indices).drop_null().sort()
    indices = pc.index_in(column.indices, value_set=used).cast(kind.index_type)
    values = values.take(used).cast(kind.value_type)
    return pa.DictionaryArray.from_arrays(indices, values, ordered=kind.ordered)


def _is_view(arrow_type: Any) -> bool:
    return bool(pa.types.is_string_view(arrow_type) or pa.types.is_binary_view(arrow_type))


def _large(view: Any) -> Any:
    """Return the type with the same values in one piece."""
    return pa.large_string() if pa.types.is_string_view(view) else pa.large_binary()


def dictionary_bytes(batch: pa.RecordBatch) -> int:
    """Return how many bytes the dictionaries of a batch take: each is a message of its own."""
    return sum(_dictionary_bytes(column) for column in batch.columns)


def _dictionary_bytes(column: Any) -> int:
    types, kind = pa.types, column.type
    if isinstance(kind, pa.BaseExtensionType):
        return _dictionary_bytes(column.storage)
    if types.is_dictionary(kind):
        return int(column.dictionary.nbytes) + _dictionary_bytes(column.dictionary)
    if types.is_struct(kind):
        return sum(_dictionary_bytes(column.field(at)) for at in range(len(kind)))
    if types.is_map(kind):
        return _dictionary_bytes(column.keys) + _dictionary_bytes(column.items)
    if types.is_nested(kind) and not types.is_union(kind):
        return _dictionary_bytes(column.values)
    return 0


def _children(arrow_type: Any) -> list[Any]:
    if pa.types.is_run_end_encoded(arrow_type):
        return [arrow_type.value_type]
    return [arrow_type.field(at).type for at in range(arrow_type.num_fields)]
