"""Which columns a Delta log declares for a table's own.

The log knows fewer types than Arrow. The files keep the table's own types, and the log keeps each
of them beside the declared one, as metadata of the column: this cluster reads every value as it
was written, other readers of the log by the nearest type that it has.
"""

import base64
from collections.abc import Mapping

import pyarrow as pa
import pyarrow.types as pat

_OWN = "flight_mom.arrow_field"
_MAX_PRECISION = 38

# Unsigned numbers get the next wider signed type; those of 64 bits have none but a decimal.
_DECLARED: Mapping[pa.DataType, pa.DataType] = {
    pa.uint8(): pa.int16(),
    pa.uint16(): pa.int32(),
    pa.uint32(): pa.int64(),
    pa.uint64(): pa.decimal128(20, 0),
    pa.float16(): pa.float32(),
    pa.null(): pa.utf8(),
    pa.date64(): pa.date32(),
    pa.time32("s"): pa.int32(),
    pa.time32("ms"): pa.int32(),
    pa.time64("us"): pa.int64(),
    pa.time64("ns"): pa.int64(),
}


def declared_schema(arrow_schema: pa.Schema) -> pa.Schema:
    """Return the columns as a Delta log can declare them, each with what it is of our own."""
    return pa.schema(
        [_declared_field(each).with_metadata({_OWN: _write_field(each)}) for each in arrow_schema]
    )


def own_schema(declared: pa.Schema) -> pa.Schema:
    """Return the columns that `declared_schema` declared; one of others' making is as it says."""
    return pa.schema([_own_field(field) for field in declared])


def _own_field(declared: pa.Field) -> pa.Field:
    text = (declared.metadata or {}).get(_OWN.encode())
    if text is None:
        return declared.remove_metadata()
    return pa.ipc.read_schema(pa.py_buffer(base64.b64decode(text))).field(0)


def _write_field(field: pa.Field) -> str:
    return base64.b64encode(pa.schema([field]).serialize().to_pybytes()).decode()


def _declared_field(field: pa.Field) -> pa.Field:
    return pa.field(field.name, _declared_type(field.type), field.nullable)


def _declared_type(kind: pa.DataType) -> pa.DataType:
    if kind in _DECLARED:
        return _DECLARED[kind]
    if pat.is_nested(kind):
        return _declared_nested(kind)
    if pat.is_timestamp(kind):
        return pa.timestamp("us", None if kind.tz is None else "UTC")
    if pat.is_decimal(kind):
        return pa.decimal128(min(kind.precision, _MAX_PRECISION), min(kind.scale, _MAX_PRECISION))
    if pat.is_duration(kind):
        return pa.int64()
    return pa.binary() if pat.is_fixed_size_binary(kind) or pat.is_interval(kind) else kind


def _declared_nested(kind: pa.DataType) -> pa.DataType:
    if pat.is_struct(kind):
        return pa.struct([_declared_field(field) for field in kind])
    if pat.is_map(kind):
        return pa.map_(_declared_field(kind.key_field), _declared_field(kind.item_field))
    return pa.list_(_declared_field(kind.value_field))
