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
from dataclasses import dataclass

from sqlglot.tokenizer_core import Token, TokenType

from planner.cursor import Cursor
from planner.definitiongrammar import (
    read_column_list,
    read_head,
    read_partition_columns,
    read_table_head,
)
from planner.dialect import QUOTED, STRINGS, is_word, place_at, shown, source_of
from planner.edits import Edit
from planner.errors import PlannerError, SqlSyntaxError, StatementNotSupportedError
from planner.explained import QUERY_HEADS
from planner.placeholders import Placeholder, find_placeholders
from planner.statement import Defaults, Query
from planner.writing import (
    Assignment,
    CreateTableAs,
    CreateView,
    Delete,
    Insert,
    Optimize,
    Truncate,
    Update,
    Vacuum,
    Write,
    WrittenColumn,
)
from storage.names import ObjectName

_OPENING = frozenset({TokenType.L_PAREN, TokenType.L_BRACKET, TokenType.L_BRACE})
_CLOSING = frozenset({TokenType.R_PAREN, TokenType.R_BRACKET, TokenType.R_BRACE})
_AFTER_ROWS = {
    "ON": "there are no keys that rows could conflict with; leave ON CONFLICT out",
    "RETURNING": "a write answers how many rows it wrote; leave RETURNING out, and SELECT them",
}
_MAX_HOURS = 24 * 366 * 100


@dataclass(frozen=True, slots=True)
class Draft:
    """A write whose query is still to be read.

    Attributes:
        table: What is written to.
        tokens: Those of the query.
        edits: What makes the query of the typed text, which begins at its first token.
        finish: Makes the statement of the query.
    """

    table: ObjectName
    tokens: list[Token]
    edits: tuple[Edit, ...]
    finish: Callable[[Query], Write]


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
        depth += (token.token_type in _OPENING) - (token.token_type in _CLOSING)
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
    rows = [split_at_commas(tokens[first + 1 : last]) for first, last in _parentheses(tokens)]
    found: list[tuple[int, str]] = []
    placeholders = _placeholders(sql, tokens)
    for row in rows:
        for column, cell in enumerate(row):
            parameter = _parameter(cell, placeholders)
            if parameter is not None:
                found.append((column, parameter))
    return tuple(found), len(rows) == 1 and len(found) == len(rows[0])


def _parentheses(tokens: Sequence[Token]) -> list[tuple[int, int]]:
    """Return where each outermost pair of parentheses opens and closes."""
    found: list[tuple[int, int]] = []
    depth = start = 0
    for position, token in enumerate(tokens):
        if token.token_type in _OPENING:
            start = start if depth else position
            depth += 1
        elif token.token_type in _CLOSING:
            depth -= 1
            if depth == 0:
                found.append((start, position))
    return found


def split_at_commas(tokens: Sequence[Token]) -> list[Sequence[Token]]:
    """Split tokens at the commas that stand in no parentheses."""
    parts: list[Sequence[Token]] = []
    depth = start = 0
    for position, token in enumerate(tokens):
        depth += (token.token_type in _OPENING) - (token.token_type in _CLOSING)
        if depth == 0 and token.token_type is TokenType.COMMA:
            parts.append(tokens[start:position])
            start = position + 1
    parts.append(tokens[start:])
    return parts


def _placeholders(sql: str, tokens: Sequence[Token]) -> tuple[Placeholder, ...]:
    try:
        return find_placeholders(sql, tokens)
    except PlannerError:
        return ()  # the query's own rules say what is wrong


def _parameter(tokens: Sequence[Token], placeholders: Sequence[Placeholder]) -> str | None:
    """Return the parameter that tokens are, if they are nothing else."""
    if not tokens:
        return None
    start, end = tokens[0].start, tokens[-1].end + 1
    return next((one.name for one in placeholders if (one.start, one.end) == (start, end)), None)


def _update(cursor: Cursor) -> Draft:
    first = cursor.next()
    name, table, alias = _target(cursor)
    assigning = cursor.peek()
    if not cursor.take("SET") or assigning is None:
        raise cursor.fault("SET, as in UPDATE quote SET bid = 1 WHERE sym = 'a'")
    parts = split_at_commas(cursor.rest())
    *before, last = parts
    values_end = _end_of_values(last)
    condition = list(last[values_end:])
    _check_condition(cursor.sql, condition)
    tokens = [_as(TokenType.FROM, "FROM", first), *name, _as(TokenType.SELECT, "SELECT", assigning)]
    edits = [_replacing(first, "FROM"), _replacing(assigning, "SELECT")]
    written: list[tuple[WrittenColumn, Sequence[Token]]] = []
    for number, part in enumerate([*before, last[:values_end]]):
        column, value = _assignment(cursor, part)
        if any(column.name == other.name for other, _ in written):
            raise SqlSyntaxError(
                f"{place_at(cursor.sql, column.start)}: {column.name} is set twice; set it once"
            )
        written.append((column, value))
        edits.append(Edit(column.start, value[0].start, ""))
        if number:
            tokens.append(_comma_before(cursor, part))
        tokens += value
    tokens += condition
    placeholders = _placeholders(cursor.sql, tokens)
    assignments = tuple(
        Assignment(
            column,
            len(value) == 1 and value[0].token_type in STRINGS,
            _parameter(value, placeholders),
        )
        for column, value in written
    )
    return Draft(
        table, tokens, tuple(edits), lambda query: Update(table, assignments, query, alias)
    )


def _delete(cursor: Cursor) -> Draft:
    first = cursor.next()
    from_token = cursor.peek()
    cursor.expect("FROM")
    assert from_token is not None  # noqa: S101  it was just taken
    name, table, alias = _target(cursor)
    condition = cursor.rest()
    _check_condition(cursor.sql, condition)
    select = [_as(TokenType.SELECT, "SELECT", first), _as(TokenType.NUMBER, "1", first)]
    return Draft(
        table,
        [*select, from_token, *name, *condition],
        (_replacing(first, "SELECT 1"),),
        lambda query: Delete(table, query, alias, bool(condition)),
    )


def _target(cursor: Cursor) -> tuple[list[Token], ObjectName, str | None]:
    """Read the table that is changed, and the name that the statement goes on with.

    Returns:
        The tokens of both, the table, and that name as an engine keeps it.
    """
    before = cursor.rest()
    table = cursor.table_name()
    alias = None
    if cursor.take("AS"):
        alias = _alias(cursor, "another name for the table")
    elif cursor.peek() is not None and cursor.peek_word() not in {"SET", "WHERE", *_CLAUSES}:
        alias = _alias(cursor, "SET or WHERE")
    return before[: len(before) - len(cursor.rest())], table, alias


def _alias(cursor: Cursor, expected: str) -> str:
    token = cursor.peek()
    name = cursor.word(expected)
    is_quoted = token is not None and token.token_type in QUOTED
    return name if is_quoted else name.lower()


_CLAUSES = {
    "FROM": "compare with a subquery, as in WHERE id IN (SELECT id FROM …)",
    "USING": "compare with a subquery, as in WHERE id IN (SELECT id FROM …)",
    "JOIN": "compare with a subquery, as in WHERE id IN (SELECT id FROM …)",
    "ORDER": "all rows are changed that the condition fits; leave ORDER BY out",
    "LIMIT": "all rows are changed that the condition fits; leave LIMIT out",
    "OFFSET": "all rows are changed that the condition fits; leave OFFSET out",
    "FETCH": "all rows are changed that the condition fits; leave FETCH out",
    "GROUP": "rows are changed one by one; compare with a subquery that groups",
    "HAVING": "rows are changed one by one; write WHERE",
    "QUALIFY": "rows are changed one by one; write WHERE",
    "UNION": "put the condition's parts together with OR",
    "INTERSECT": "put the condition's parts together with AND",
    "EXCEPT": "put the condition's parts together with AND NOT",
    "RETURNING": "a write answers how many rows it changed; leave RETURNING out",
}


def _end_of_values(tokens: Sequence[Token]) -> int:
    """Return where the values of SET end: at a clause's word, in no parentheses."""
    depth = 0
    for position, token in enumerate(tokens):
        depth += (token.token_type in _OPENING) - (token.token_type in _CLOSING)
        # EXTRACT(… FROM …) and its like stand in parentheses.
        is_clause = is_word(token) and token.text.upper().split(" ")[0] in {"WHERE", *_CLAUSES}
        if depth == 0 and is_clause and not _is_distinct(tokens, position):
            return position
    return len(tokens)


def _check_condition(sql: str, tokens: Sequence[Token]) -> None:
    """Refuse what follows the table or the values and is not WHERE and a condition alone.

    Raises:
        SqlSyntaxError: When there is none after WHERE, or something else.
        StatementNotSupportedError: When a clause of queries follows.
    """
    depth = 0
    for number, token in enumerate(tokens):
        depth += (token.token_type in _OPENING) - (token.token_type in _CLOSING)
        word = token.text.upper().split(" ")[0]
        if depth == 0 and is_word(token) and word in _CLAUSES and not _is_distinct(tokens, number):
            raise StatementNotSupportedError(
                f"{place_at(sql, token.start)}: {word} cannot stand here; {_CLAUSES[word]}"
            )
    if tokens and tokens[0].text.upper() != "WHERE":
        found = shown(source_of(sql, tokens[0]))
        raise SqlSyntaxError(
            f"{place_at(sql, tokens[0].start)}: expected WHERE or the end of the statement, found "
            f"{found!r}"
        )


def _is_distinct(tokens: Sequence[Token], position: int) -> bool:
    """Whether a FROM is that of `IS [NOT] DISTINCT FROM`."""
    return position > 0 and tokens[position - 1].text.upper() == "DISTINCT"


def _assignment(cursor: Cursor, tokens: Sequence[Token]) -> tuple[WrittenColumn, Sequence[Token]]:
    """Read `column = value`.

    Raises:
        SqlSyntaxError: When it is none.
    """
    if not tokens:
        raise cursor.fault("column = value")
    place = place_at(cursor.sql, tokens[0].start)
    is_name = is_word(tokens[0]) or tokens[0].token_type in QUOTED
    if len(tokens) < 3 or not is_name or tokens[1].token_type is not TokenType.EQ:  # noqa: PLR2004  column, =, value
        raise SqlSyntaxError(
            f"{place}: expected column = value, found {shown(source_of(cursor.sql, tokens[0]))!r}; "
            "name a column of the table without the table, and write one value for it"
        )
    first = tokens[0]
    is_quoted = first.token_type in QUOTED
    return WrittenColumn(first.text, is_quoted, first.start), tokens[2:]


def _comma_before(cursor: Cursor, part: Sequence[Token]) -> Token:
    """Return the comma that stands before a part."""
    return next(
        token
        for token in reversed(cursor.rest())
        if token.token_type is TokenType.COMMA and token.end < part[0].start
    )


def _as(kind: TokenType, text: str, token: Token) -> Token:
    """Return another token at the place of one."""
    return Token(kind, text, line=token.line, col=token.col, start=token.start, end=token.end)


def _replacing(token: Token, text: str) -> Edit:
    return Edit(token.start, token.end + 1, text)


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
    "UPDATE": _update,
    "DELETE": _delete,
    "TRUNCATE": _truncate,
    "OPTIMIZE": _optimize,
    "VACUUM": _vacuum,
}
