"""What BI tools read about columns: SQL type names and Flight SQL's field metadata."""

from functools import lru_cache
from math import log10
from typing import Any

import pyarrow as pa

from flight_sql.backend import TableEntry
from flight_sql.typeinfo import numeric_size
from flight_sql.wiretypes import WireTypes, wire_schema

_METADATA_PREFIX = "ARROW:FLIGHT:SQL:"
_SECOND_DIGITS = {"s": 0, "ms": 3, "us": 6, "ns": 9}
_BINARY = 2


@lru_cache(maxsize=4096)
def serialized_schema(entry: TableEntry, wire: WireTypes) -> bytes:
    """Return the table's wire schema as an IPC message, each field described for BI tools."""
    data: bytes = table_schema(entry, wire).serialize().to_pybytes()
    return data


def table_schema(entry: TableEntry, wire: WireTypes = WireTypes.SAFE) -> pa.Schema:
    """Return the table's wire schema with Flight SQL's column metadata."""
    fields = wire_schema(entry.arrow_schema, wire)
    return pa.schema([field.with_metadata(_column_metadata(field, entry)) for field in fields])


def _column_metadata(field: Any, entry: TableEntry) -> dict[str, str]:
    """Return what drivers read about one column.

    Source:
        Flight SQL, SqlInfo and CommandGetTables: column metadata.
    """
    described = {
        "CATALOG_NAME": entry.catalog,
        "DB_SCHEMA_NAME": entry.schema,
        "TABLE_NAME": entry.table,
        "TYPE_NAME": type_name(field.type),
        "IS_AUTO_INCREMENT": "0",
        "IS_CASE_SENSITIVE": "1" if pa.types.is_string(field.type) else "0",
        "IS_READ_ONLY": "1",
        "IS_SEARCHABLE": "1",
    }
    described |= _digits(field.type)
    return {_METADATA_PREFIX + key: value for key, value in described.items()}


def _digits(arrow_type: Any) -> dict[str, str]:
    """Return PRECISION and SCALE where a type has them, both in decimal digits.

    Of a time of the day and a timestamp it is the SCALE of its seconds.
    """
    types = pa.types
    if types.is_decimal(arrow_type):
        return {"PRECISION": str(arrow_type.precision), "SCALE": str(arrow_type.scale)}
    if types.is_timestamp(arrow_type) or types.is_time(arrow_type):
        return {"SCALE": str(_SECOND_DIGITS[arrow_type.unit])}
    size = numeric_size(type_name(arrow_type))
    if size is None:
        return {}
    digits, radix = size
    if radix == _BINARY:
        return {"PRECISION": str(int(digits * log10(_BINARY)))}
    return {"PRECISION": str(digits), "SCALE": "0"}


_TYPE_NAMES = {
    "bool": "BOOLEAN",
    "int8": "TINYINT",
    "uint8": "TINYINT UNSIGNED",
    "int16": "SMALLINT",
    "uint16": "SMALLINT UNSIGNED",
    "int32": "INT",
    "uint32": "INT UNSIGNED",
    "int64": "BIGINT",
    "uint64": "BIGINT UNSIGNED",
    "float": "REAL",
    "double": "DOUBLE",
    "string": "VARCHAR",
    "binary": "BYTEA",
}


def type_name(arrow_type: Any) -> str:
    """Return the SQL name of a wire type, as `typeinfo` lists it; nested ones by their shape."""
    types = pa.types
    if (plain := _TYPE_NAMES.get(str(arrow_type))) is not None:
        return plain
    named = (
        (types.is_decimal, "DECIMAL"),
        (types.is_date, "DATE"),
        (types.is_time, "TIME"),
        (types.is_timestamp, "TIMESTAMP"),
        (types.is_interval, "INTERVAL"),
        (types.is_duration, "INTERVAL"),
        (types.is_fixed_size_binary, "BYTEA"),
        (types.is_map, "MAP"),
        (types.is_struct, "STRUCT"),
        (types.is_nested, "ARRAY"),
    )
    return next((name for is_type, name in named if is_type(arrow_type)), "OTHER")
