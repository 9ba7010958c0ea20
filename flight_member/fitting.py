"""Rows that a statement or a client gives, made to fit the columns of a table.

Numbers, texts and times go into columns of other widths as long as nothing is lost; a value that
does not fit ends the write, naming the column and no value.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

import pyarrow as pa

from flight_sql import type_name
from planner import TypeMismatchError

_MAX_DIGITS = 38
_FAULTS = (pa.ArrowException, ValueError, OverflowError)


def fit_batches(
    batches: Iterable[pa.RecordBatch], fields: Sequence[pa.Field], target: pa.Schema
) -> Iterator[pa.RecordBatch]:
    """Yield rows in the columns of a table; those that are not given are NULL.

    Args:
        batches: One column for each of `fields`, in their order.
        fields: The columns of the table that are given.
        target: The columns of the table.

    Raises:
        TypeMismatchError: When a value does not fit its column, or one must not be NULL and is.
    """
    positions = {field.name: position for position, field in enumerate(fields)}
    for batch in batches:
        columns = [
            fit_column(batch.column(positions[field.name]), field)
            if field.name in positions
            else pa.nulls(batch.num_rows, field.type)
            for field in target
        ]
        yield pa.RecordBatch.from_arrays(columns, schema=target)


def fit_column(values: pa.Array, field: pa.Field) -> pa.Array:
    """Return values as a column holds them.

    Raises:
        TypeMismatchError: When one does not fit, or is NULL and must not be.
    """
    if not field.nullable and values.null_count:
        raise TypeMismatchError(
            f"the column {field.name} takes no NULL, and a row gives it none; give it a value, or "
            "leave such rows out with WHERE"
        )
    try:
        return _cast(values, field.type)
    except _FAULTS:
        pass
    raise TypeMismatchError(
        f"a value does not fit the column {field.name}, which is {type_name(field.type)}; round or "
        "shorten it, or leave such rows out with WHERE"
    )


def _cast(values: pa.Array, kind: pa.DataType) -> pa.Array:
    """Return values in a type; texts are read, and numbers lose nothing but digits of floats."""
    source = values.type
    if source == kind:
        return values
    for fits, cast in _WAYS.items():
        if fits[0](source) and fits[1](kind):
            return cast(values, kind)
    return values.cast(kind)


def _integers_to_decimal(values: pa.Array, kind: pa.DataType) -> pa.Array:
    # By way of the most digits there are: Arrow asks for as many as any such integer may have.
    return values.cast(pa.decimal128(_MAX_DIGITS, 0)).cast(kind)


def _rounded(values: pa.Array, kind: pa.DataType) -> pa.Array:
    # What is finer than the column keeps is cut off, as every database does it.
    return values.cast(kind, safe=False)


def _text_to_timestamp(values: pa.Array, kind: pa.DataType) -> pa.Array:
    if kind.tz is None:
        return values.cast(kind)
    try:
        return values.cast(kind)
    except _FAULTS:
        # Without an offset it is UTC.
        return values.cast(pa.timestamp(kind.unit)).cast(kind)


_Check = Callable[[pa.DataType], bool]


def _is_text(kind: pa.DataType) -> bool:
    return bool(
        pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)
    )


_WAYS: Mapping[tuple[_Check, _Check], Callable[[pa.Array, pa.DataType], pa.Array]] = {
    (pa.types.is_integer, pa.types.is_decimal): _integers_to_decimal,
    (pa.types.is_integer, pa.types.is_floating): _rounded,
    (pa.types.is_timestamp, pa.types.is_timestamp): _rounded,
    (_is_text, pa.types.is_timestamp): _text_to_timestamp,
}
