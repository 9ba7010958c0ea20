"""Turns an expression into one of a column's type, by the engine's own CAST."""

import pyarrow as pa
import pyarrow.types as pat

_UNITS = {"s": "Second", "ms": "Millisecond", "us": "Microsecond", "ns": "Nanosecond"}
_NAMES = {
    pa.bool_(): "Boolean",
    pa.int8(): "Int8",
    pa.int16(): "Int16",
    pa.int32(): "Int32",
    pa.int64(): "Int64",
    pa.uint8(): "UInt8",
    pa.uint16(): "UInt16",
    pa.uint32(): "UInt32",
    pa.uint64(): "UInt64",
    pa.float16(): "Float16",
    pa.float32(): "Float32",
    pa.float64(): "Float64",
    pa.utf8(): "Utf8",
    pa.binary(): "Binary",
    pa.date32(): "Date32",
    pa.date64(): "Date64",
}


def assigned(expression: str, kind: pa.DataType) -> str:
    """Return the text of an expression cast to a type.

    Nested types are left as they are: what does not fit them is refused when it is written.
    """
    name = _type_name(kind)
    inner = f"(\n{expression}\n)"
    return inner if name is None else f"arrow_cast({inner}, '{name}')"


def _type_name(kind: pa.DataType) -> str | None:
    """Return what the engine calls a type."""
    if kind in _NAMES:
        return _NAMES[kind]
    if pat.is_timestamp(kind):
        zone = "None" if kind.tz is None else f'Some("{kind.tz}")'
        return f"Timestamp({_UNITS[kind.unit]}, {zone})"
    if pat.is_time(kind):
        return f"Time{kind.bit_width}({_UNITS[kind.unit]})"
    if pat.is_decimal(kind):
        return f"Decimal{kind.bit_width}({kind.precision}, {kind.scale})"
    if pat.is_fixed_size_binary(kind):
        return f"FixedSizeBinary({kind.byte_width})"
    return None
