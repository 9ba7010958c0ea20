"""Statements that define catalogs, schemas and tables, by a small parser over the tokens.

CREATE CATALOG [IF NOT EXISTS] catalog
CREATE SCHEMA [IF NOT EXISTS] schema
CREATE [OR REPLACE] TABLE [IF NOT EXISTS] table (column type [NOT NULL], …) [PARTITIONED BY (…)]
CREATE [OR REPLACE] TABLE [IF NOT EXISTS] table [PARTITIONED BY (…)] AS query
    See `writinggrammar`.
CREATE EXTERNAL TABLE [IF NOT EXISTS] table [PARTITIONED BY (…)] LOCATION 'place'
DROP TABLE | VIEW | SCHEMA | CATALOG [IF EXISTS] name [CASCADE | RESTRICT]
ALTER TABLE | VIEW | SCHEMA | CATALOG name RENAME TO name | OWNER TO user
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import pyarrow as pa
from sqlglot.tokenizer_core import Token

from planner.columntypes import UnknownTypeError, read_type
from planner.cursor import Cursor
from planner.definition import (
    ChangeOwner,
    CreateExternalTable,
    CreatePlace,
    CreateTable,
    Definition,
    Drop,
    Kind,
    Rename,
)
from planner.dialect import QUOTED, source_of
from planner.errors import (
    CrossClusterReadOnlyError,
    NotFoundError,
    SqlSyntaxError,
    StatementNotSupportedError,
    TypeMismatchError,
)
from planner.statement import Defaults
from planner.writing import WrittenColumn
from storage.names import Level, ObjectName

_LEVELS = {Kind.CATALOG: Level.CATALOG, Kind.SCHEMA: Level.SCHEMA}
_KINDS = {kind.value: kind for kind in Kind}
_CONSTRAINTS = frozenset(
    {"PRIMARY", "UNIQUE", "FOREIGN", "CHECK", "CONSTRAINT", "DEFAULT", "REFERENCES", "GENERATED",
     "COLLATE", "COMMENT", "AUTO_INCREMENT", "IDENTITY"}
)  # fmt: skip
_ENDS_TYPE = _CONSTRAINTS | {"NOT", "NULL"}
_OPENING, _CLOSING = frozenset("(<["), frozenset(")>]")
_TABLE_FORM = "as in CREATE TABLE trading.stock.quote (bid DOUBLE NOT NULL, day DATE)"


@dataclass(frozen=True, slots=True)
class TableHead:
    """What stands between CREATE and the columns, or the query, of a table."""

    table: ObjectName
    if_not_exists: bool
    or_replace: bool
    partition_columns: tuple[WrittenColumn, ...] | None = None


def parse_definition(sql: str, tokens: list[Token], defaults: Defaults) -> Definition | None:
    """Read a statement that defines something; None when the text is not one.

    Raises:
        SqlSyntaxError: When it cannot be read.
        StatementNotSupportedError: When it asks for something that is not kept.
        TypeMismatchError: When a column has a type that is not kept.
        NotFoundError: When a name lacks a part that has no default.
    """
    cursor = Cursor(sql, tokens, defaults)
    head, following = cursor.peek_word(), cursor.peek_word(1)
    if head == "CREATE" and following in {"CATALOG", "SCHEMA"}:
        cursor.next()
        kind = _KINDS[cursor.next().text.upper()]
        if_not_exists = _if_not_exists(cursor)
        return _end(cursor, CreatePlace(place_name(cursor, kind, defaults), if_not_exists))
    if head == "CREATE" and following == "EXTERNAL":
        return _end(cursor, _external(cursor))
    if head == "CREATE":
        return _create_table(cursor)
    if head == "DROP" and following in _KINDS:
        return _end(cursor, _drop(cursor, defaults))
    if head == "ALTER" and following in _KINDS:
        return _end(cursor, _alter(cursor, defaults))
    return None


def _end(cursor: Cursor, definition: Definition) -> Definition:
    cursor.expect_end()
    return definition


def read_table_head(cursor: Cursor) -> TableHead | None:
    """Read CREATE [OR REPLACE] TABLE [IF NOT EXISTS] name; None when it begins otherwise."""
    return read_head(cursor, Kind.TABLE.value)


def read_head(cursor: Cursor, kind: str) -> TableHead | None:
    """Read CREATE [OR REPLACE] TABLE or VIEW [IF NOT EXISTS] name; None for anything else."""
    words = [cursor.peek_word(ahead) for ahead in range(4)]
    or_replace = words[1:3] == ["OR", "REPLACE"]
    if words[0] != "CREATE" or words[3 if or_replace else 1] != kind:
        return None
    for _ in range(4 if or_replace else 2):
        cursor.next()
    place = cursor.place()
    if_not_exists = _if_not_exists(cursor)
    if or_replace and if_not_exists:
        raise SqlSyntaxError(
            f"{place}: OR REPLACE and IF NOT EXISTS contradict each other; leave one out"
        )
    return TableHead(cursor.table_name(), if_not_exists, or_replace)


def read_partition_columns(cursor: Cursor) -> tuple[WrittenColumn, ...] | None:
    """Read PARTITIONED BY (column, …), if it comes next."""
    if not cursor.take_phrase("PARTITIONED BY"):
        return None
    cursor.expect("(")
    return read_column_list(cursor)


def read_column_list(cursor: Cursor) -> tuple[WrittenColumn, ...]:
    """Read names of columns, each once, up to the parenthesis that closes behind them."""
    found = [read_column(cursor)]
    while cursor.take(","):
        place = cursor.place()
        column = read_column(cursor)
        if any(column.name == other.name for other in found):
            raise SqlSyntaxError(
                f"{place}: the column {column.name} is named twice; name each column once"
            )
        found.append(column)
    cursor.expect(")")
    return tuple(found)


def read_column(cursor: Cursor) -> WrittenColumn:
    """Read the name of a column.

    Raises:
        SqlSyntaxError: When something else comes next.
    """
    token = cursor.peek()
    if token is None:
        raise cursor.fault("the name of a column")
    is_quoted = token.token_type in QUOTED
    name = cursor.word("the name of a column")
    return WrittenColumn(name, is_quoted, token.start)


def place_name(cursor: Cursor, kind: Kind, defaults: Defaults) -> ObjectName:
    """Read the name of a catalog, or of a schema, which may lack its catalog."""
    place = cursor.place()
    name = cursor.object_name()
    if kind is Kind.SCHEMA and name.level is Level.CATALOG:
        if defaults.catalog is None:
            raise NotFoundError(
                f"{place}: the schema {name.catalog} lacks its catalog; write catalog.schema"
            )
        name = ObjectName(name.cluster, defaults.catalog, name.catalog)
    if name.level is not _LEVELS[kind]:
        raise SqlSyntaxError(
            f"{place}: {name} is a {name.level.value}; name a {_LEVELS[kind].value}, as in "
            f"{'trading' if kind is Kind.CATALOG else 'trading.stock'}"
        )
    return name


def _if_not_exists(cursor: Cursor) -> bool:
    if not cursor.take("IF"):
        return False
    cursor.expect("NOT")
    cursor.expect("EXISTS")
    return True


def _create_table(cursor: Cursor) -> Definition | None:
    head = read_table_head(cursor)
    if head is None or cursor.peek_word() != "(":
        return None
    cursor.next()
    fields = [_field(cursor)]
    while cursor.take(","):
        place = cursor.place()
        field = _field(cursor)
        if any(field.name.lower() == other.name.lower() for other in fields):
            raise SqlSyntaxError(
                f"{place}: there are two columns {field.name}; give one of them another name "
                "(names that differ in case only are one)"
            )
        fields.append(field)
    cursor.expect(")")
    place = cursor.place()
    partitions = _partitions(cursor, fields)
    names = tuple(each.name for each in partitions)
    if len(names) == len(fields):
        raise SqlSyntaxError(
            f"{place}: every column partitions the table, and its files would hold none; leave "
            "one out of PARTITIONED BY"
        )
    kept = [each for each in fields if each.name not in names]
    return _end(
        cursor,
        CreateTable(
            head.table,
            pa.schema([*kept, *partitions]),
            names,
            tuple(each.name for each in fields),
            if_not_exists=head.if_not_exists,
            or_replace=head.or_replace,
        ),
    )


def _partitions(cursor: Cursor, fields: list[pa.Field]) -> list[pa.Field]:
    """Read PARTITIONED BY: names of columns, or further columns with their types."""
    if not cursor.take_phrase("PARTITIONED BY"):
        return []
    cursor.expect("(")
    found: list[pa.Field] = []
    while not found or cursor.take(","):
        place = cursor.place()
        if cursor.peek_word(1) in {",", ")"}:
            column = read_column(cursor)
            field = find_column(column, fields)
            if field is None:
                raise SqlSyntaxError(
                    f"{place}: PARTITIONED BY names {column.name}, which is no column of the "
                    "table; name one of its columns, or give the column's type"
                )
        else:
            field = _field(cursor)
            if find_column(WrittenColumn(field.name, False, 0), fields) is not None:
                raise SqlSyntaxError(f"{place}: {field.name} has a type already; leave it out here")
            fields.append(field)
        if field in found:
            raise SqlSyntaxError(f"{place}: {field.name} is named twice; name each column once")
        require_partitioning(f"{place}: ", field)
        found.append(field)
    cursor.expect(")")
    return found


def require_partitioning(place: str, field: pa.Field) -> None:
    """Refuse a column whose values cannot name directories.

    Raises:
        TypeMismatchError: When it is one.
    """
    kinds = (pa.types.is_integer, pa.types.is_date32, pa.types.is_string)
    if not any(fits(field.type) for fits in kinds):
        raise TypeMismatchError(
            f"{place}{field.name} cannot partition a table: its values would name directories; "
            "choose a column of whole numbers, text or dates"
        )


def find_column(column: WrittenColumn, fields: Sequence[pa.Field]) -> pa.Field | None:
    """Return the field that a name means, if it means one; quoted, its case counts."""
    exact = [each for each in fields if each.name == column.name]
    if exact or column.is_quoted:
        return exact[0] if exact else None
    found = [each for each in fields if each.name.lower() == column.name.lower()]
    return found[0] if len(found) == 1 else None


def _field(cursor: Cursor) -> pa.Field:
    """Read a column, its type, and whether it takes NULL."""
    _refuse_constraint(cursor)
    column = read_column(cursor)
    name = column.name if column.is_quoted else column.name.lower()
    place = cursor.place()
    text = _type_text(cursor)
    kind, fault = None, ""
    try:
        kind = read_type(text)
    except UnknownTypeError as error:
        fault = str(error)
    if kind is None:
        raise TypeMismatchError(
            f"{place}: {text[:60]!r} is not a type that a column can have; {fault}"
        )
    is_nullable = True
    if cursor.take("NOT"):
        cursor.expect("NULL")
        is_nullable = False
    else:
        cursor.take("NULL")
    _refuse_constraint(cursor)
    return pa.field(name, kind, is_nullable)


def _refuse_constraint(cursor: Cursor) -> None:
    word = cursor.peek_word()
    if word.split(" ")[0] in _CONSTRAINTS:
        raise StatementNotSupportedError(
            f"{cursor.place()}: {word} is not kept; give columns a type and NOT NULL, {_TABLE_FORM}"
        )


def _type_text(cursor: Cursor) -> str:
    """Read what is written as a type, up to what cannot be one any more."""
    depth = 0
    words: list[str] = []
    while (token := cursor.peek()) is not None:
        word = cursor.peek_word()
        if depth == 0 and (word in {",", ")"} or word.split(" ")[0] in _ENDS_TYPE):
            break
        depth += sum(char in _OPENING for char in word) - sum(char in _CLOSING for char in word)
        if depth < 0:
            break
        words.append(source_of(cursor.sql, token))
        cursor.next()
    if not words:
        raise cursor.fault("a type, as in bid DOUBLE")
    return " ".join(words)


def _external(cursor: Cursor) -> Definition:
    cursor.next()
    cursor.next()
    cursor.expect("TABLE")
    if_not_exists = _if_not_exists(cursor)
    table = cursor.table_name()
    if cursor.peek_word() == "(":
        raise StatementNotSupportedError(
            f"{cursor.place()}: the columns of an external table are those of its files; leave "
            "them out"
        )
    partitions: tuple[WrittenColumn, ...] | None = None
    location = None
    while location is None or cursor.peek() is not None:
        if cursor.take("STORED"):
            cursor.expect("AS")
            if not cursor.take("PARQUET"):
                raise StatementNotSupportedError(
                    f"{cursor.place()}: external tables are Parquet; load other files with "
                    "flight-member load"
                )
        elif partitions is None and cursor.peek_word().startswith("PARTITIONED"):
            partitions = read_partition_columns(cursor)
            if partitions is None:
                raise cursor.fault("PARTITIONED BY and columns in parentheses")
        elif location is None:
            cursor.expect("LOCATION")
            location = cursor.text("a place in quotes, as in LOCATION '/data/quote'")
        else:
            raise cursor.fault("the end of the statement")
    names = None if partitions is None else tuple(each.name for each in partitions)
    return CreateExternalTable(table, location, names, if_not_exists)


def _drop(cursor: Cursor, defaults: Defaults) -> Definition:
    cursor.next()
    kind = _KINDS[cursor.next().text.upper()]
    if_exists = cursor.take("IF")
    if if_exists:
        cursor.expect("EXISTS")
    name = _named(cursor, kind, defaults)
    cascade = cursor.take("CASCADE")
    if not cascade:
        cursor.take("RESTRICT")
    return Drop(kind, name, if_exists, cascade)


def _alter(cursor: Cursor, defaults: Defaults) -> Definition:
    cursor.next()
    kind = _KINDS[cursor.next().text.upper()]
    name = _named(cursor, kind, defaults)
    if cursor.take("RENAME"):
        cursor.expect("TO")
        return Rename(kind, name, _new_name(cursor, kind, name))
    if cursor.take("OWNER"):
        cursor.expect("TO")
        return ChangeOwner(kind, name, cursor.user())
    raise StatementNotSupportedError(
        f"{cursor.place()}: ALTER {kind.value} takes RENAME TO and OWNER TO; for other columns "
        "write CREATE OR REPLACE TABLE … AS SELECT …"
    )


def _named(cursor: Cursor, kind: Kind, defaults: Defaults) -> ObjectName:
    if kind in _LEVELS:
        return place_name(cursor, kind, defaults)
    return cursor.table_name()


def _new_name(cursor: Cursor, kind: Kind, name: ObjectName) -> ObjectName:
    """Read a new name; the parts that it lacks are those of the old one."""
    place = cursor.place()
    written, has_cluster = cursor.written_name()
    parts = [part for part in (written.catalog, written.schema, written.table) if part]
    old = [part for part in (name.catalog, name.schema, name.table) if part]
    if len(parts) > len(old) or not parts:
        raise SqlSyntaxError(
            f"{place}: {written} is a {written.level.value}; write the new name of the "
            f"{kind.value.lower()}, as in RENAME TO {old[-1]}2"
        )
    if has_cluster and written.cluster != name.cluster:
        raise CrossClusterReadOnlyError(
            f"{place}: {name} would move to {written.cluster}, and nothing is written across "
            "clusters; choose a name without a cluster"
        )
    return replace(name, **_parts([*old[: len(old) - len(parts)], *parts]))


def _parts(parts: list[str]) -> dict[str, str]:
    return dict(zip(("catalog", "schema", "table"), parts, strict=False))
