"""The tables of `information_schema`: their columns, and their rows for what one caller may read.

Columns are those of the SQL standard that engines like this one have, in their order and with
their names; what the federation adds stands behind them. Types are named as Flight SQL's metadata
names them. Rows are ordered as SHOW TABLES lists them.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any, TypeAlias

import pyarrow as pa
import pyarrow.compute as pc

from flight_member.listing import ListedTable
from flight_sql import numeric_size, type_name, wire_schema

_UTF8, _INT32, _INT64 = pa.utf8(), pa.int32(), pa.int64()
_TABLE_TYPES = {"TABLE": "BASE TABLE", "VIEW": "VIEW"}
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
    count, told = _ROWS[table](ordered)
    shape = SHAPES[table]
    columns = [
        told[field.name] if field.name in told else pa.nulls(count, field.type) for field in shape
    ]
    return pa.table(columns, schema=shape)


# How many rows there are, and those of their columns that are not null in all of them.
_Told: TypeAlias = tuple[int, Mapping[str, pa.Array]]


def _schemata(ordered: Sequence[ListedTable]) -> _Told:
    pairs = list(
        dict.fromkeys((one.catalog, one.schema, one.table.name.cluster) for one in ordered)
    )
    return len(pairs), {
        "catalog_name": _texts(catalog for catalog, _, _ in pairs),
        "schema_name": _texts(schema for _, schema, _ in pairs),
        "cluster_name": _texts(cluster for _, _, cluster in pairs),
    }


def _tables(ordered: Sequence[ListedTable]) -> _Told:
    count = len(ordered)
    return count, {
        **_named(ordered),
        "table_type": _texts(_TABLE_TYPES[one.table_type] for one in ordered),
        "is_insertable_into": _texts([_YES_NO[False]] * count),
        "row_count": pa.array([one.counts[0] for one in ordered], _INT64),
        "byte_count": pa.array([one.counts[1] for one in ordered], _INT64),
        "file_count": pa.array([one.counts[2] for one in ordered], _INT64),
    }


def _columns(ordered: Sequence[ListedTable]) -> _Told:
    """Tell of all columns of all tables: of tables with the same columns those are told once."""
    described: dict[int, tuple[int, list[_Column]]] = {}
    positions: list[int] = []
    for one in ordered:
        columns = _describe(one.table.arrow_schema, one.table.partition_columns)
        position, _ = described.setdefault(id(columns), (len(described), columns))
        positions.append(position)
    kinds = pa.array([columns for _, columns in described.values()], pa.list_(_COLUMN))
    of_tables = kinds.take(pa.array(positions, _INT64))
    rows, owners = of_tables.flatten(), pc.list_parent_indices(of_tables)
    return len(rows), {
        **{name: names.take(owners) for name, names in _named(ordered).items()},
        **dict(zip(_COLUMN.names, rows.flatten(), strict=True)),
    }


_ROWS: Mapping[str, Callable[[Sequence[ListedTable]], _Told]] = {
    "schemata": _schemata,
    "tables": _tables,
    "columns": _columns,
}


def _named(ordered: Sequence[ListedTable]) -> dict[str, pa.Array]:
    return {
        "table_catalog": _texts(one.catalog for one in ordered),
        "table_schema": _texts(one.schema for one in ordered),
        "table_name": _texts(one.name for one in ordered),
        "cluster_name": _texts(one.table.name.cluster for one in ordered),
    }


def _texts(values: Iterable[str]) -> pa.Array:
    return pa.array(values, _UTF8)


_Column: TypeAlias = dict[str, object]
_COLUMN = pa.struct(
    [
        SHAPES["columns"].field(name)
        for name in (
            "column_name",
            "ordinal_position",
            "is_nullable",
            "is_partition_column",
            "arrow_type",
            "data_type",
            "numeric_precision",
            "numeric_precision_radix",
            "numeric_scale",
            "datetime_precision",
        )
    ]
)


@lru_cache(maxsize=4096)
def _describe(arrow_schema: pa.Schema, partition_columns: tuple[str, ...]) -> list[_Column]:
    """Return what is told of each column of a table."""
    return [
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
