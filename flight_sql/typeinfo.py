"""The types that results may have, as CommandGetXdbcTypeInfo tells them.

The table is short and true: what a client can receive from DataFusion over our wire profile.
"""

from typing import Any, NamedTuple

import pyarrow as pa

_CREATE_PARAMS = pa.list_(pa.field("item", pa.string(), nullable=False))

TYPE_INFO_SCHEMA = pa.schema(
    [
        pa.field("type_name", pa.string(), nullable=False),
        pa.field("data_type", pa.int32(), nullable=False),
        pa.field("column_size", pa.int32()),
        pa.field("literal_prefix", pa.string()),
        pa.field("literal_suffix", pa.string()),
        pa.field("create_params", _CREATE_PARAMS),
        pa.field("nullable", pa.int32(), nullable=False),
        pa.field("case_sensitive", pa.bool_(), nullable=False),
        pa.field("searchable", pa.int32(), nullable=False),
        pa.field("unsigned_attribute", pa.bool_()),
        pa.field("fixed_prec_scale", pa.bool_(), nullable=False),
        pa.field("auto_increment", pa.bool_()),
        pa.field("local_type_name", pa.string()),
        pa.field("minimum_scale", pa.int32()),
        pa.field("maximum_scale", pa.int32()),
        pa.field("sql_data_type", pa.int32(), nullable=False),
        pa.field("datetime_subcode", pa.int32()),
        pa.field("num_prec_radix", pa.int32()),
        pa.field("interval_precision", pa.int32()),
    ]
)

_NULLABLE = 1
_SEARCHABLE_BASIC, _SEARCHABLE_FULL = 2, 3
_VARCHAR = 12
_DATETIME = 9


class _SqlType(NamedTuple):
    """One row, as far as it is not the same for every type."""

    name: str
    code: int
    size: int
    quote: tuple[str, str] | None = None
    create_params: tuple[str, ...] | None = None
    radix: int | None = None
    is_unsigned: bool | None = None
    max_scale: int | None = None
    subcode: int | None = None


_TYPES = (
    _SqlType("BOOLEAN", -7, 1),
    _SqlType("TINYINT", -6, 3, radix=10, is_unsigned=False),
    _SqlType("TINYINT UNSIGNED", -6, 3, radix=10, is_unsigned=True),
    _SqlType("BIGINT", -5, 19, radix=10, is_unsigned=False),
    _SqlType("BIGINT UNSIGNED", -5, 20, radix=10, is_unsigned=True),
    _SqlType("BYTEA", -3, 0, quote=("X'", "'")),
    _SqlType("DECIMAL", 3, 76, create_params=("precision", "scale"), radix=10, max_scale=76),
    _SqlType("INT", 4, 10, radix=10, is_unsigned=False),
    _SqlType("INT UNSIGNED", 4, 10, radix=10, is_unsigned=True),
    _SqlType("SMALLINT", 5, 5, radix=10, is_unsigned=False),
    _SqlType("SMALLINT UNSIGNED", 5, 5, radix=10, is_unsigned=True),
    _SqlType("REAL", 7, 24, radix=2, is_unsigned=False),
    _SqlType("DOUBLE", 8, 53, radix=2, is_unsigned=False),
    _SqlType("INTERVAL", 10, 0, quote=("INTERVAL '", "'")),
    _SqlType("VARCHAR", _VARCHAR, 0, quote=("'", "'")),
    _SqlType("DATE", 91, 10, quote=("DATE '", "'"), subcode=1),
    _SqlType("TIME", 92, 18, quote=("TIME '", "'"), subcode=2),
    _SqlType("TIMESTAMP", 93, 32, quote=("TIMESTAMP '", "'"), subcode=3, max_scale=9),
)


_NUMERIC_SIZES = {kind.name: (kind.size, kind.radix) for kind in _TYPES if kind.radix is not None}


def numeric_size(type_name: str) -> tuple[int, int] | None:
    """Return a numeric type's greatest number of digits and their base; None for other types."""
    return _NUMERIC_SIZES.get(type_name)


def type_info_table(data_type: int | None = None, *, is_signed: bool = False) -> pa.Table:
    """Return the types, or those of one JDBC type code.

    Args:
        data_type: The code; None for all.
        is_signed: Leave out what a client never gets that knows no unsigned integers.

    Returns:
        `TYPE_INFO_SCHEMA`, ordered by data_type and type_name; empty for an unknown code.

    Source:
        Flight SQL, CommandGetXdbcTypeInfo.
    """
    chosen = [
        kind
        for kind in _TYPES
        if data_type in (None, kind.code) and not (is_signed and kind.is_unsigned)
    ]
    rows = [_row(kind) for kind in sorted(chosen, key=lambda kind: (kind.code, kind.name))]
    return pa.Table.from_pylist(rows, schema=TYPE_INFO_SCHEMA)


def _row(kind: _SqlType) -> dict[str, Any]:
    prefix, suffix = kind.quote or (None, None)
    is_text = kind.code == _VARCHAR
    return {
        "type_name": kind.name,
        "data_type": kind.code,
        "column_size": kind.size or None,
        "literal_prefix": prefix,
        "literal_suffix": suffix,
        "create_params": list(kind.create_params) if kind.create_params else None,
        "nullable": _NULLABLE,
        "case_sensitive": is_text,
        "searchable": _SEARCHABLE_FULL if is_text else _SEARCHABLE_BASIC,
        "unsigned_attribute": kind.is_unsigned,
        "fixed_prec_scale": False,
        "auto_increment": False,
        "local_type_name": kind.name,
        "minimum_scale": 0 if kind.max_scale is not None else None,
        "maximum_scale": kind.max_scale,
        "sql_data_type": kind.code if kind.subcode is None else _DATETIME,
        "datetime_subcode": kind.subcode,
        "num_prec_radix": kind.radix,
        "interval_precision": None,
    }
