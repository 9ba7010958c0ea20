"""Statements that write rows, read from their tokens as far as the query in them.

INSERT INTO table [(column, …)] query
CREATE [OR REPLACE] TABLE [IF NOT EXISTS] table [PARTITIONED BY (…)] AS query
CREATE [OR REPLACE] VIEW [IF NOT EXISTS] view AS query
UPDATE table [[AS] alias] SET column = value, … [WHERE condition]
DELETE FROM table [[AS] alias] [WHERE condition]
TRUNCATE [TABLE] table
OPTIMIZE [TABLE] table
VACUUM [TABLE] table [RETAIN n HOURS]

What such a statement reads is a query, read, bound and planned like any other, at the places of the
typed text: of INSERT and CREATE TABLE it is the end of the text; UPDATE becomes `FROM table SELECT
value, … WHERE condition`, DELETE becomes `SELECT 1 FROM table WHERE condition`.
"""

from collections.abc import Callable, Sequence

from sqlglot.tokenizer_core import Token

from planner.changegrammar import read_delete, read_update
from planner.cursor import Cursor
from planner.definitiongrammar import (
    read_column_list,
    read_head,
    read_partition_columns,
    read_table_head,
)
from planner.dialect import is_word, place_at, shown, source_of
from planner.draft import (
    CLOSING,
    OPENING,
    Draft,
    parameter_of,
    parentheses,
    placeholders_of,
    split_at_commas,
)
from planner.errors import SqlSyntaxError, StatementNotSupportedError
from planner.explained import QUERY_HEADS
from planner.statement import Defaults
from planner.writing import (
    CreateTableAs,
    CreateView,
    Insert,
    Optimize,
    Truncate,
    Vacuum,
    Write,
)
from storage.names import ObjectName

_AFTER_ROWS = {
    "ON": "there are no keys that rows could conflict with; leave ON CONFLICT out",
    "RETURNING": "a write answers how many rows it wrote; leave RETURNING out, and SELECT them",
}
_MAX_HOURS = 24 * 366 * 100


def parse_write(sql: str, tokens: list[Token], defaults: Defaults) -> Draft | Write | None:
    """Read a statement that writes rows; None when the text is none.

    Raises:
        SqlSyntaxError: When it cannot be read.
        StatementNotSupportedError: When it asks for something that is not done.
        NotFoundError: When a name lacks a part that has no default.
    """
    cursor = Cursor(sql, tokens, defaults)
    head = cursor.peek_word()
    if head == "CREATE":
        return _create_view(cursor) or _create_table_as(cursor)
    read = _READERS.get(head)
    return None if read is None else read(cursor)


def query_of_write(sql: str, tokens: list[Token]) -> Draft | None:
    """Return the query inside a write that was read before; None when the text is no write."""
    draft = parse_write(sql, tokens, Defaults("x", "x", "x"))
    return draft if isinstance(draft, Draft) else None


def _create_table_as(cursor: Cursor) -> Draft | None:
    head = read_table_head(cursor)
    if head is None or cursor.peek_word() == "(":
        return None
    partitions = read_partition_columns(cursor) or ()
    if not cursor.take("AS"):
        raise cursor.fault(
            "columns or AS and a query, as in CREATE TABLE trading.stock.quote (bid DOUBLE)"
        )
    return Draft(
        head.table,
        _query_tokens(cursor),
        (),
        lambda query: CreateTableAs(
            head.table, query, partitions, head.if_not_exists, head.or_replace
        ),
    )


def _create_view(cursor: Cursor) -> Draft | None:
    head = read_head(cursor, "VIEW")
    if head is None:
        return None
    if not cursor.take("AS"):
        raise cursor.fault("AS and a query, as in CREATE VIEW trading.stock.best AS SELECT …")
    return Draft(
        head.table,
        _query_tokens(cursor),
        (),
        lambda query: CreateView(head.table, query, head.if_not_exists, head.or_replace),
    )


def _insert(cursor: Cursor) -> Draft:
    cursor.next()
    if cursor.peek_word() == "OVERWRITE":
        raise StatementNotSupportedError(
            f"{cursor.place()}: INSERT OVERWRITE is not done; write CREATE OR REPLACE TABLE … AS, "
            "or TRUNCATE the table and INSERT"
        )
    cursor.expect("INTO")
    cursor.take("TABLE")
    token = cursor.peek()
    start = 0 if token is None else token.start
    table = cursor.table_name()
    columns = None
    if cursor.peek_word() == "(" and cursor.peek_word(1) not in QUERY_HEADS:
        cursor.next()
        columns = read_column_list(cursor)
    rows = _query_tokens(cursor)
    is_values = source_of(cursor.sql, rows[0]).upper() == "VALUES"
    cells, is_one_row = _parameter_cells(cursor.sql, rows) if is_values else ((), False)
    return Draft(
        table,
        rows,
        (),
        lambda query: Insert(table, columns, query, start, cells, is_values, is_one_row),
    )


def _query_tokens(cursor: Cursor) -> list[Token]:
    """Return the tokens of the query that comes next, up to the end.

    Raises:
        SqlSyntaxError: When none does.
        StatementNotSupportedError: When something follows it that is not done.
    """
    if cursor.peek_word() not in QUERY_HEADS:
        raise cursor.fault("VALUES or a query")
    tokens = cursor.rest()
    depth = 0
    for token in tokens:
        depth += (token.token_type in OPENING) - (token.token_type in CLOSING)
        word = token.text.upper()
        is_end = word == "RETURNING" or (word == "ON" and _follows(tokens, token, "CONFLICT"))
        if depth == 0 and is_end and is_word(token):
            raise StatementNotSupportedError(
                f"{place_at(cursor.sql, token.start)}: {_AFTER_ROWS[word]}"
            )
    return tokens


def _follows(tokens: Sequence[Token], token: Token, word: str) -> bool:
    position = tokens.index(token) + 1
    return position < len(tokens) and tokens[position].text.upper() == word


def _parameter_cells(sql: str, tokens: Sequence[Token]) -> tuple[tuple[tuple[int, str], ...], bool]:
    """Return the parameters that are values of VALUES by themselves, each with its column.

    Also whether there is one row, which holds nothing else.
    """
    rows = [split_at_commas(tokens[first + 1 : last]) for first, last in parentheses(tokens)]
    found: list[tuple[int, str]] = []
    placeholders = placeholders_of(sql, tokens)
    for row in rows:
        for column, cell in enumerate(row):
            parameter = parameter_of(cell, placeholders)
            if parameter is not None:
                found.append((column, parameter))
    return tuple(found), len(rows) == 1 and len(found) == len(rows[0])


def _truncate(cursor: Cursor) -> Write:
    return Truncate(_only_table(cursor))


def _optimize(cursor: Cursor) -> Write:
    return Optimize(_only_table(cursor))


def _only_table(cursor: Cursor) -> ObjectName:
    cursor.next()
    cursor.take("TABLE")
    table = cursor.table_name()
    cursor.expect_end()
    return table


def _vacuum(cursor: Cursor) -> Write:
    cursor.next()
    cursor.take("TABLE")
    table = cursor.table_name()
    hours = None
    if cursor.take("RETAIN"):
        token = cursor.next()
        text = source_of(cursor.sql, token)
        if not text.isdecimal() or int(text) > _MAX_HOURS:
            raise SqlSyntaxError(
                f"{place_at(cursor.sql, token.start)}: {shown(text)!r} is not a number of hours; "
                "write it as in VACUUM quote RETAIN 168 HOURS"
            )
        hours = int(text)
        if not cursor.take("HOURS", "HOUR"):
            raise cursor.fault("HOURS")
    cursor.expect_end()
    return Vacuum(table, hours)


_READERS: dict[str, Callable[[Cursor], Draft | Write]] = {
    "INSERT": _insert,
    "UPDATE": read_update,
    "DELETE": read_delete,
    "TRUNCATE": _truncate,
    "OPTIMIZE": _optimize,
    "VACUUM": _vacuum,
}
