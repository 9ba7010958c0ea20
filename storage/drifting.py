"""The columns of files that were written at different times, as the columns of one table.

A column that some files lack is NULL there; one that has become wider has the widest type, and
every value of every file fits it exactly. What cannot be reconciled so is refused by name.
"""

from collections.abc import Iterable, Sequence

import pyarrow as pa
import pyarrow.types as pat

from storage.errors import UnusableTableError

_UNITS = ("s", "ms", "us", "ns")
# Whole numbers up to this many bits are exact in a float64.
_EXACT_BITS = 32
_MOST_DIGITS, _MOST_WIDE_DIGITS = 38, 76


def common_schema(schemas: Iterable[tuple[str, pa.Schema]], known: Sequence[str] = ()) -> pa.Schema:
    """Return the columns of all files together.

    Args:
        schemas: The base name of each file and its columns, in plain types.
        known: Columns that stand first, in this order, where they are there.

    Raises:
        UnusableTableError: When a file has another kind of values in a column than the files
            before it; the text names the file and the column.
    """
    found: dict[str, pa.Field] = {}
    counts: dict[str, int] = {}
    file_count = 0
    for file, schema in schemas:
        file_count += 1
        for field in schema:
            counts[field.name] = counts.get(field.name, 0) + 1
            before = found.get(field.name)
            if before is None:
                found[field.name] = field
                continue
            kind = wider_type(before.type, field.type)
            if kind is None:
                raise UnusableTableError(
                    f"{file} has {field.type} in column {field.name}, other files {before.type}"
                )
            found[field.name] = pa.field(field.name, kind, before.nullable or field.nullable)
        if len(set(schema.names)) != len(schema):
            raise UnusableTableError(f"{file} has two columns of one name")
    first = [name for name in known if name in found]
    names = [*first, *(name for name in found if name not in first)]
    return pa.schema(
        [
            found[name] if counts[name] == file_count else found[name].with_nullable(nullable=True)
            for name in names
        ]
    )


def wider_type(one: pa.DataType, other: pa.DataType) -> pa.DataType | None:
    """Return the type that holds every value of both exactly, or None when there is none."""
    if one == other or pat.is_null(other):
        return one
    if pat.is_null(one):
        return other
    return _wider_of_kind(one, other)


def _wider_of_kind(one: pa.DataType, other: pa.DataType) -> pa.DataType | None:
    if pat.is_integer(one) and pat.is_integer(other):
        return _wider_integer(one, other)
    if pat.is_floating(one) or pat.is_floating(other):
        return pa.float64() if _is_exact_float(one) and _is_exact_float(other) else None
    if pat.is_decimal(one) and pat.is_decimal(other):
        return _wider_decimal(one, other)
    if pat.is_timestamp(one) and pat.is_timestamp(other) and one.tz == other.tz:
        return pa.timestamp(max(one.unit, other.unit, key=_UNITS.index), one.tz)
    return None


def _wider_integer(one: pa.DataType, other: pa.DataType) -> pa.DataType | None:
    widest = max(one, other, key=lambda kind: kind.bit_width)
    if pat.is_signed_integer(one) == pat.is_signed_integer(other):
        return widest
    signed, unsigned = (one, other) if pat.is_signed_integer(one) else (other, one)
    width = max(signed.bit_width, 2 * unsigned.bit_width)
    return {16: pa.int16(), 32: pa.int32(), 64: pa.int64()}.get(width)


def _is_exact_float(kind: pa.DataType) -> bool:
    if pat.is_integer(kind):
        return bool(kind.bit_width <= _EXACT_BITS)
    return bool(pat.is_floating(kind))


def _wider_decimal(one: pa.DataType, other: pa.DataType) -> pa.DataType | None:
    scale = max(one.scale, other.scale)
    precision = max(one.precision - one.scale, other.precision - other.scale) + scale
    if precision <= _MOST_DIGITS and pat.is_decimal128(one) and pat.is_decimal128(other):
        return pa.decimal128(precision, scale)
    return pa.decimal256(precision, scale) if precision <= _MOST_WIDE_DIGITS else None
