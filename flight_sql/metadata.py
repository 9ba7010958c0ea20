"""The metadata commands: result schemas, filters and rows.

Schemas are exact to the nullability of each column, because clients compare them strictly. A
backend lists what the caller may see and the filters want; order and duplicates are dealt with
here. An unset filter lets everything pass, an empty catalog means "objects without a catalog", of
which there are none. Patterns know `%`, `_` and the escape character of SqlInfo 513.

Keys exist in no table of the federation: these commands answer their schemas without rows.
"""

import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

import pyarrow as pa

from flight_sql.backend import Backend, Call, TableEntry, TableFilter
from flight_sql.columns import serialized_schema
from flight_sql.messages import message_name
from flight_sql.sqlinfo import SQL_INFO_SCHEMA, default_sql_info, sql_info_table
from flight_sql.typeinfo import TYPE_INFO_SCHEMA, type_info_table
from flight_sql.wire import recut
from flight_sql.wiretypes import WireTypes

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
        The command's schema, ordered as Flight SQL wants it, in pieces that fit the wire; may be
        empty.

    Raises:
        RowTooLargeError: When one table has so many columns that their description fits no message.
    """
    table = _answer(command, call, backend, sql_info)
    pieces = [piece for batch in table.to_batches() for piece in recut(batch)]
    return pa.Table.from_batches(pieces, schema=table.schema)


def _answer(command: Any, call: Call, backend: Backend, sql_info: Mapping[int, Any]) -> pa.Table:
    name = message_name(command)
    if name == "CommandGetSqlInfo":
        values = default_sql_info(backend.server_name, backend.server_version) | dict(sql_info)
        return sql_info_table(values, command.info)
    if name == "CommandGetXdbcTypeInfo":
        data_type = command.data_type if command.HasField("data_type") else None
        return type_info_table(data_type, is_signed=call.profile.wire is WireTypes.SIGNED)
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
    return sorted(set(backend.schemas(call, _filter(command))))


def _table_type_rows(_command: Any, _call: Call, _backend: Backend) -> list[tuple[Any, ...]]:
    return [(table_type,) for table_type in _TABLE_TYPES]


def _table_rows(command: Any, call: Call, backend: Backend) -> list[tuple[Any, ...]]:
    wanted = _filter(
        command,
        table=_literal(command, "table_name_filter_pattern"),
        has_table=_pattern(command, "table_name_filter_pattern"),
        table_types=frozenset(_TABLE_TYPE_SYNONYMS.get(kind, kind) for kind in command.table_types),
    )
    entries = backend.list_tables(call, wanted, include_schema=command.include_schema)
    if not command.include_schema:
        return sorted(map(table_key, entries))
    ordered = sorted(entries, key=table_key)
    wire = call.profile.wire.plain
    return [(*table_key(entry), serialized_schema(entry, wire)) for entry in ordered]


_ROWS: Mapping[str, Callable[[Any, Call, Backend], list[tuple[Any, ...]]]] = {
    "CommandGetCatalogs": _catalog_rows,
    "CommandGetDbSchemas": _schema_rows,
    "CommandGetTables": _table_rows,
    "CommandGetTableTypes": _table_type_rows,
}


def _filter(command: Any, **more: Any) -> TableFilter:
    """Return the filter that GetDbSchemas and GetTables have in common, and what is more."""
    return TableFilter(
        command.catalog if command.HasField("catalog") else None,
        schema=_literal(command, "db_schema_filter_pattern"),
        has_schema=_pattern(command, "db_schema_filter_pattern"),
        **more,
    )


def table_key(entry: TableEntry) -> tuple[str, str, str, str]:
    """Return what tables are ordered by, and what is listed of each."""
    return entry.catalog, entry.schema, entry.table, entry.table_type


def _pattern(command: Any, field: str) -> Callable[[str], bool]:
    """Return the test that a filter pattern stands for; an unset one is always true."""
    if not command.HasField(field):
        return lambda _name: True
    matcher = like_pattern(getattr(command, field))
    return lambda name: matcher.fullmatch(name) is not None


def _literal(command: Any, field: str) -> str | None:
    """Return the one text that a filter pattern fits; None when it is unset or fits more."""
    if not command.HasField(field):
        return None
    text = ""
    characters = iter(getattr(command, field))
    for character in characters:
        if character in "%_":
            return None
        text += next(characters, "\\") if character == "\\" else character
    return text


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
