"""Which values a column of a table takes: by their types, before any of them is seen.

A number goes into a column of numbers, whatever their widths: whether each value fits is seen when
it is written, and one that does not ends the statement. A text that is written out (`'2026-01-01'`)
or bound takes the type of the column, as long as it can be read so.
"""

import difflib
from collections.abc import Sequence

import pyarrow as pa

from planner.columntypes import type_name
from planner.definitiongrammar import find_column
from planner.dialect import place_at, shown
from planner.errors import TypeMismatchError, UnknownColumnError
from planner.faults.words import type_word
from planner.writing import WrittenColumn
from storage.names import ObjectName

_MOST_NEAR = 3


def require_column(
    sql: str, table: ObjectName, column: WrittenColumn, schema: pa.Schema
) -> pa.Field:
    """Return the column of a table that a name means.

    Raises:
        UnknownColumnError: When it means none, or unquoted more than one.
    """
    field = find_column(column, list(schema))
    if field is not None:
        return field
    place = place_at(sql, column.start)
    same = [name for name in schema.names if name.lower() == column.name.lower()]
    if len(same) > 1:
        quoted = " or ".join(f'"{name}"' for name in same)
        raise UnknownColumnError(
            f"{place}: {shown(column.name)} could be any of several columns; write {quoted}"
        )
    by_lowered = {name.lower(): name for name in sorted(schema.names)}
    near = difflib.get_close_matches(
        column.name.lower(), [*same, *by_lowered], n=_MOST_NEAR, cutoff=0.6
    )
    advice = (
        f"did you mean {' or '.join(by_lowered[name.lower()] for name in near)}?"
        if near
        else f"DESCRIBE {table} lists the columns of the table"
    )
    raise UnknownColumnError(f"{place}: there is no column {shown(column.name)}; {advice}")


def require_assignable(
    place: str, field: pa.Field, source: pa.DataType, *, takes_text: bool
) -> None:
    """Refuse values of a type that a column does not take.

    Args:
        place: Where they stand, for the message.
        field: The column.
        source: What the values are.
        takes_text: Whether texts among them are read as what the column holds.

    Raises:
        TypeMismatchError: When the column takes none of them.
    """
    if takes_text and _is_text(source) and not pa.types.is_nested(field.type):
        return
    if is_assignable(source, field.type):
        return
    raise TypeMismatchError(
        f"{place}{field.name} takes {type_word(_named(field.type))}, and the statement gives it "
        f"{type_word(_named(source))}; CAST it to {type_name(field.type)}"
    )


def is_assignable(source: pa.DataType, target: pa.DataType) -> bool:
    """Whether values of a type may become those of another without being cast in so many words."""
    types = pa.types
    if source == target or types.is_null(source):
        return True
    if types.is_nested(source) or types.is_nested(target):
        return _is_nested_assignable(source, target)
    if types.is_timestamp(source) and types.is_timestamp(target):
        return (source.tz is None) == (target.tz is None)
    if types.is_date(source):
        return bool(types.is_date(target) or types.is_timestamp(target))
    kinds = (_is_number, _is_text, _is_bytes, types.is_boolean, types.is_time)
    return any(kind(source) and kind(target) for kind in kinds)


def _is_nested_assignable(source: pa.DataType, target: pa.DataType) -> bool:
    types = pa.types
    if _is_list(source) and _is_list(target):
        return is_assignable(source.value_type, target.value_type)
    if types.is_struct(source) and types.is_struct(target):
        return _same_names(source, target) and all(
            is_assignable(one.type, other.type) for one, other in zip(source, target, strict=True)
        )
    if types.is_map(source) and types.is_map(target):
        return is_assignable(source.key_type, target.key_type) and is_assignable(
            source.item_type, target.item_type
        )
    return False


def _same_names(source: pa.StructType, target: pa.StructType) -> bool:
    return [field.name for field in source] == [field.name for field in target]


def _is_number(kind: pa.DataType) -> bool:
    types = pa.types
    return bool(types.is_integer(kind) or types.is_floating(kind) or types.is_decimal(kind))


def _is_text(kind: pa.DataType) -> bool:
    types = pa.types
    return bool(types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind))


def _is_bytes(kind: pa.DataType) -> bool:
    types = pa.types
    return bool(
        types.is_binary(kind)
        or types.is_large_binary(kind)
        or types.is_binary_view(kind)
        or types.is_fixed_size_binary(kind)
    )


def _is_list(kind: pa.DataType) -> bool:
    types = pa.types
    return bool(
        types.is_list(kind)
        or types.is_large_list(kind)
        or types.is_list_view(kind)
        or types.is_fixed_size_list(kind)
    )


_ENGINE_WORDS = (
    (_is_text, "Utf8"),
    (_is_bytes, "Binary"),
    (_is_list, "List"),
    (pa.types.is_integer, "Int64"),
    (pa.types.is_floating, "Float64"),
    (pa.types.is_decimal, "Decimal"),
    (pa.types.is_boolean, "Boolean"),
    (pa.types.is_date, "Date32"),
    (pa.types.is_timestamp, "Timestamp"),
    (pa.types.is_time, "Time64"),
    (pa.types.is_interval, "Interval"),
    (pa.types.is_duration, "Duration"),
    (pa.types.is_struct, "Struct"),
    (pa.types.is_map, "Map"),
    (pa.types.is_null, "Null"),
)


def _named(kind: pa.DataType) -> str:
    """Return a type as the engine calls it."""
    return next((word for fits, word in _ENGINE_WORDS if fits(kind)), "")


def names_of(fields: Sequence[pa.Field]) -> str:
    """Return the names of columns as a message lists them."""
    return ", ".join(field.name for field in fields)
