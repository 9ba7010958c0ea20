"""The metadata commands: result schemas, filters and rows.

Schemas are exact to the nullability of each column, because clients compare them strictly. A
backend lists what the caller may see; filters, order and duplicates are dealt with here. An unset
filter lets everything pass, an empty catalog means "objects without a catalog", of which there
are none. Patterns know `%`, `_` and the escape character of SqlInfo 513.

Keys exist in no table of the federation: these commands answer their schemas without rows.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import lru_cache
from typing import Any

import pyarrow as pa

from flight_sql.backend import Backend, Call, TableEntry
from flight_sql.messages import message_name
from flight_sql.sqlinfo import SQL_INFO_SCHEMA, default_sql_info, sql_info_table
from flight_sql.typeinfo import TYPE_INFO_SCHEMA, type_info_table
from flight_sql.wire import wire_schema

_METADATA_PREFIX = "ARROW:FLIGHT:SQL:"
_TABLE_TYPES = ("TABLE", "VIEW")
# Some drivers filter by the name that ANSI's information schema has for TABLE.
_TABLE_TYPE_SYNONYMS = {"BASE TABLE": "TABLE"}

_required, _optional = False, True


def _schema(*fields: tuple[str, Any, bool]) -> pa.Schema:
    return pa.schema([pa.field(name, kind, nullable) for name, kind, nullable in fields])


CATALOGS_SCHEMA = _schema(("catalog_name", pa.string(), _required))
DB_SCHEMAS_SCHEMA = _schema(
    ("catalog_name", pa.string(), _optional), ("db_schema_name", pa.string(), _required)
)
TABLES_SCHEMA = _schema(
    ("catalog_name", pa.string(), _optional),
    ("db_schema_name", pa.string(), _optional),
    ("table_name", pa.string(), _required),
    ("table_type", pa.string(), _required),
)
TABLES_WITH_SCHEMA_SCHEMA = TABLES_SCHEMA.append(
    pa.field("table_schema", pa.binary(), nullable=False)
)
TABLE_TYPES_SCHEMA = _schema(("table_type", pa.string(), _required))
PRIMARY_KEYS_SCHEMA = _schema(
    ("catalog_name", pa.string(), _optional),
    ("db_schema_name", pa.string(), _optional),
    ("table_name", pa.string(), _required),
    ("column_name", pa.string(), _required),
    ("key_sequence", pa.int32(), _required),
    ("key_name", pa.string(), _optional),
)
FOREIGN_KEYS_SCHEMA = _schema(
    ("pk_catalog_name", pa.string(), _optional),
    ("pk_db_schema_name", pa.string(), _optional),
    ("pk_table_name", pa.string(), _required),
    ("pk_column_name", pa.string(), _required),
    ("fk_catalog_name", pa.string(), _optional),
    ("fk_db_schema_name", pa.string(), _optional),
    ("fk_table_name", pa.string(), _required),
    ("fk_column_name", pa.string(), _required),
    ("key_sequence", pa.int32(), _required),
    ("fk_key_name", pa.string(), _optional),
    ("pk_key_name", pa.string(), _optional),
    ("update_rule", pa.uint8(), _required),
    ("delete_rule", pa.uint8(), _required),
)

_SCHEMAS = {
    "CommandGetCatalogs": CATALOGS_SCHEMA,
    "CommandGetDbSchemas": DB_SCHEMAS_SCHEMA,
    "CommandGetTableTypes": TABLE_TYPES_SCHEMA,
    "CommandGetPrimaryKeys": PRIMARY_KEYS_SCHEMA,
    "CommandGetExportedKeys": FOREIGN_KEYS_SCHEMA,
    "CommandGetImportedKeys": FOREIGN_KEYS_SCHEMA,
    "CommandGetCrossReference": FOREIGN_KEYS_SCHEMA,
    "CommandGetSqlInfo": SQL_INFO_SCHEMA,
    "CommandGetXdbcTypeInfo": TYPE_INFO_SCHEMA,
}


def metadata_schema(command: Any) -> pa.Schema | None:
    """Return the result schema of a metadata command; None when it is another command."""
    name = message_name(command)
    if name == "CommandGetTables":
        return TABLES_WITH_SCHEMA_SCHEMA if command.include_schema else TABLES_SCHEMA
    return _SCHEMAS.get(name)


def metadata_table(
    command: Any, call: Call, backend: Backend, sql_info: Mapping[int, Any]
) -> pa.Table:
    """Return the rows of a metadata command.

    Args:
        command: A message for which `metadata_schema` has a schema.
        call: Who asks.
        backend: What knows the tables.
        sql_info: The server's own values, over the defaults.

    Returns:
        The command's schema, ordered as Flight SQL wants it; may be empty.
    """
    name = message_name(command)
    if name == "CommandGetSqlInfo":
        values = default_sql_info(backend.server_name, backend.server_version) | dict(sql_info)
        return sql_info_table(values, command.info)
    if name == "CommandGetXdbcTypeInfo":
        return type_info_table(command.data_type if command.HasField("data_type") else None)
    rows = _ROWS.get(name, _no_rows)(command, call, backend)
    schema: Any = metadata_schema(command)
    columns = list(zip(*rows, strict=True)) or [()] * len(schema)
    arrays = [pa.array(column, field.type) for column, field in zip(columns, schema, strict=True)]
    return pa.Table.from_arrays(arrays, schema=schema)


def _no_rows(_command: Any, _call: Call, _backend: Backend) -> list[tuple[Any, ...]]:
    return []


def _catalog_rows(_command: Any, call: Call, backend: Backend) -> list[tuple[Any, ...]]:
    return [(catalog,) for catalog in sorted(set(backend.catalogs(call)))]


def _schema_rows(command: Any, call: Call, backend: Backend) -> list[tuple[Any, ...]]:
    is_wanted = _pattern(command, "db_schema_filter_pattern")
    return sorted(
        {
            (catalog, schema)
            for catalog, schema in backend.schemas(call)
            if _has_catalog(command, catalog) and is_wanted(schema)
        }
    )


def _table_type_rows(_command: Any, _call: Call, _backend: Backend) -> list[tuple[Any, ...]]:
    return [(table_type,) for table_type in _TABLE_TYPES]


def _table_rows(command: Any, call: Call, backend: Backend) -> list[tuple[Any, ...]]:
    entries = _wanted_tables(
        command, backend.list_tables(call, include_schema=command.include_schema)
    )
    ordered = sorted(entries, key=_table_key)
    if not command.include_schema:
        return [_table_key(entry) for entry in ordered]
    return [(*_table_key(entry), _serialized_schema(entry)) for entry in ordered]


_ROWS: Mapping[str, Callable[[Any, Call, Backend], list[tuple[Any, ...]]]] = {
    "CommandGetCatalogs": _catalog_rows,
    "CommandGetDbSchemas": _schema_rows,
    "CommandGetTables": _table_rows,
    "CommandGetTableTypes": _table_type_rows,
}


def _wanted_tables(command: Any, entries: Iterable[TableEntry]) -> Iterator[TableEntry]:
    """Yield the entries that pass the command's filters."""
    has_schema = _pattern(command, "db_schema_filter_pattern")
    has_name = _pattern(command, "table_name_filter_pattern")
    types = {_TABLE_TYPE_SYNONYMS.get(kind, kind) for kind in command.table_types}
    for entry in entries:
        if not _has_catalog(command, entry.catalog) or (types and entry.table_type not in types):
            continue
        if has_schema(entry.schema) and has_name(entry.table):
            yield entry


def _table_key(entry: TableEntry) -> tuple[str, str, str, str]:
    return entry.catalog, entry.schema, entry.table, entry.table_type


def _has_catalog(command: Any, catalog: str) -> bool:
    return not command.HasField("catalog") or bool(command.catalog == catalog)


def _pattern(command: Any, field: str) -> Callable[[str], bool]:
    """Return the test that a filter pattern stands for; an unset one is always true."""
    if not command.HasField(field):
        return lambda _name: True
    matcher = like_pattern(getattr(command, field))
    return lambda name: matcher.fullmatch(name) is not None


@lru_cache(maxsize=256)
def like_pattern(pattern: str) -> re.Pattern[str]:
    """Return a LIKE pattern as a regular expression; a backslash escapes what follows.

    What stands between two `%` is matched at its first occurrence and never again (an atomic
    group), so that no pattern takes more than linear steps per `%`.
    """
    pieces = [""]
    characters = iter(pattern)
    for character in characters:
        if character == "%":
            pieces.append("")
        elif character == "_":
            pieces[-1] += "."
        else:
            literal = next(characters, "\\") if character == "\\" else character
            pieces[-1] += re.escape(literal)
    if len(pieces) == 1:
        return re.compile(pieces[0], re.DOTALL)
    first, *inner, last = pieces
    middle = "".join(f"(?>.*?{piece})" for piece in inner if piece)
    return re.compile(f"{first}{middle}.*{last}", re.DOTALL)


@lru_cache(maxsize=4096)
def _serialized_schema(entry: TableEntry) -> bytes:
    """Return the table's wire schema as an IPC message, each field described for BI tools."""
    data: bytes = table_schema(entry).serialize().to_pybytes()
    return data


def table_schema(entry: TableEntry) -> pa.Schema:
    """Return the table's wire schema with Flight SQL's column metadata."""
    wire = wire_schema(entry.arrow_schema)
    return pa.schema([field.with_metadata(_column_metadata(field, entry)) for field in wire])


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
    if pa.types.is_decimal(field.type):
        described |= {"PRECISION": str(field.type.precision), "SCALE": str(field.type.scale)}
    return {_METADATA_PREFIX + key: value for key, value in described.items()}


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
