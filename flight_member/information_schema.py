"""The tables of `information_schema`: their columns, and their rows for what one caller may read.

Columns are those of the SQL standard that engines like this one have, in their order and with
their names; what the federation adds stands behind them. Types are named as Flight SQL's metadata
names them. Rows are ordered as SHOW TABLES lists them.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any

import pyarrow as pa

from flight_member.listing import ListedTable
from flight_sql import numeric_size, type_name, wire_schema

_UTF8, _INT32, _INT64 = pa.utf8(), pa.int32(), pa.int64()
_TABLE_TYPE = "BASE TABLE"
_YES_NO = ("NO", "YES")
_FRACTION_DIGITS = {"s": 0, "ms": 3, "us": 6, "ns": 9}


def _shape(*columns: tuple[str, pa.DataType], required: int) -> pa.Schema:
    """Return a schema whose first so many columns hold no nulls."""
    return pa.schema(
        [
            pa.field(name, kind, nullable=number >= required)
            for number, (name, kind) in enumerate(columns)
        ]
    )


SHAPES: Mapping[str, pa.Schema] = {
    "schemata": _shape(
        ("catalog_name", _UTF8),
        ("schema_name", _UTF8),
        ("schema_owner", _UTF8),
        ("default_character_set_catalog", _UTF8),
        ("default_character_set_schema", _UTF8),
        ("default_character_set_name", _UTF8),
        ("sql_path", _UTF8),
        ("cluster_name", _UTF8),
        required=2,
    ),
    "tables": _shape(
        ("table_catalog", _UTF8),
        ("table_schema", _UTF8),
        ("table_name", _UTF8),
        ("table_type", _UTF8),
        ("is_insertable_into", _UTF8),
        ("cluster_name", _UTF8),
        ("row_count", _INT64),
        ("byte_count", _INT64),
        ("file_count", _INT64),
        required=6,
    ),
    "columns": _shape(
        ("table_catalog", _UTF8),
        ("table_schema", _UTF8),
        ("table_name", _UTF8),
        ("column_name", _UTF8),
        ("ordinal_position", _INT32),
        ("column_default", _UTF8),
        ("is_nullable", _UTF8),
        ("data_type", _UTF8),
        ("character_maximum_length", _INT32),
        ("character_octet_length", _INT32),
        ("numeric_precision", _INT32),
        ("numeric_precision_radix", _INT32),
        ("numeric_scale", _INT32),
        ("datetime_precision", _INT32),
        ("interval_type", _UTF8),
        ("cluster_name", _UTF8),
        ("is_partition_column", _UTF8),
        ("arrow_type", _UTF8),
        required=5,
    ),
}


def information_rows(table: str, listed: Iterable[ListedTable]) -> pa.Table:
    """Return the rows of `schemata`, `tables` or `columns`.

    Args:
        table: Which of them.
        listed: What the caller may read; nothing else is told of.

    Returns:
        The table's shape, ordered by catalog, schema, table and position; it may be empty.
    """
    ordered = sorted(listed, key=lambda one: (one.catalog, one.schema, one.name))
    columns = _ROWS[table](ordered)
    shape = SHAPES[table]
    count = len(columns[next(iter(columns))])
    return pa.table(
        [
            pa.array(columns[field.name], field.type)
            if field.name in columns
            else pa.nulls(count, field.type)
            for field in shape
        ],
        schema=shape,
    )


_Columns = dict[str, Sequence[object]]


def _schemata(ordered: Sequence[ListedTable]) -> _Columns:
    pairs = dict.fromkeys((one.catalog, one.schema, one.table.name.cluster) for one in ordered)
    return {
        "catalog_name": [catalog for catalog, _, _ in pairs],
        "schema_name": [schema for _, schema, _ in pairs],
        "cluster_name": [cluster for _, _, cluster in pairs],
    }


def _tables(ordered: Sequence[ListedTable]) -> _Columns:
    return {
        "table_catalog": [one.catalog for one in ordered],
        "table_schema": [one.schema for one in ordered],
        "table_name": [one.name for one in ordered],
        "table_type": [_TABLE_TYPE] * len(ordered),
        "is_insertable_into": [_YES_NO[False]] * len(ordered),
        "cluster_name": [one.table.name.cluster for one in ordered],
        "row_count": [one.table.row_count for one in ordered],
        "byte_count": [one.table.byte_count for one in ordered],
        "file_count": [one.table.file_count for one in ordered],
    }


def _columns(ordered: Sequence[ListedTable]) -> _Columns:
    described = [_describe(one.table.arrow_schema, one.table.partition_columns) for one in ordered]
    columns: dict[str, list[object]] = {name: [] for name in SHAPES["columns"].names}
    named = ("table_catalog", "table_schema", "table_name", "cluster_name")
    for one, of_table in zip(ordered, described, strict=True):
        count = len(of_table["column_name"])
        values = (one.catalog, one.schema, one.name, one.table.name.cluster)
        for column, value in zip(named, values, strict=True):
            columns[column] += [value] * count
        for column, told in of_table.items():
            columns[column] += told
    return {name: values for name, values in columns.items() if values or name in named}


_ROWS: Mapping[str, Callable[[Sequence[ListedTable]], _Columns]] = {
    "schemata": _schemata,
    "tables": _tables,
    "columns": _columns,
}


@lru_cache(maxsize=4096)
def _describe(
    arrow_schema: pa.Schema, partition_columns: tuple[str, ...]
) -> Mapping[str, list[object]]:
    """Return what is told of the columns of all tables of one schema, column by column."""
    rows = [
        {
            "column_name": field.name,
            "ordinal_position": position,
            "is_nullable": _YES_NO[field.nullable],
            "is_partition_column": _YES_NO[field.name in partition_columns],
            "arrow_type": str(field.type),
            **_typed(wire.type),
        }
        for position, (field, wire) in enumerate(
            zip(arrow_schema, wire_schema(arrow_schema), strict=True), start=1
        )
    ]
    return {name: [row[name] for row in rows] for name in rows[0]} if rows else _NOTHING


_NOTHING: Mapping[str, list[object]] = {"column_name": []}


def _typed(wire_type: Any) -> dict[str, object]:
    """Return the standard's words for a type as it travels."""
    name = type_name(wire_type)
    precision, radix = numeric_size(name) or (None, None)
    scale = 0 if pa.types.is_integer(wire_type) else None
    if pa.types.is_decimal(wire_type):
        precision, scale = wire_type.precision, wire_type.scale
    fraction = None
    if pa.types.is_date(wire_type):
        fraction = 0
    elif pa.types.is_time(wire_type) or pa.types.is_timestamp(wire_type):
        fraction = _FRACTION_DIGITS[wire_type.unit]
    return {
        "data_type": name,
        "numeric_precision": precision,
        "numeric_precision_radix": radix,
        "numeric_scale": scale,
        "datetime_precision": fraction,
    }
