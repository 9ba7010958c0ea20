"""UPDATE and DELETE, read from their tokens as far as the query in them; see `writinggrammar`."""

from collections.abc import Sequence

from sqlglot.tokenizer_core import Token, TokenType

from planner.cursor import Cursor
from planner.dialect import QUOTED, STRINGS, is_word, place_at, shown, source_of
from planner.draft import CLOSING, OPENING, Draft, parameter_of, placeholders_of, split_at_commas
from planner.edits import Edit
from planner.errors import SqlSyntaxError, StatementNotSupportedError
from planner.writing import Assignment, Delete, Update, WrittenColumn
from storage.names import ObjectName


def read_update(cursor: Cursor) -> Draft:
    """Read UPDATE table [[AS] alias] SET column = value, … [WHERE condition].

    Raises:
        SqlSyntaxError: When it cannot be read.
        StatementNotSupportedError: When a clause of queries follows.
    """
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
    placeholders = placeholders_of(cursor.sql, tokens)
    assignments = tuple(
        Assignment(
            column,
            len(value) == 1 and value[0].token_type in STRINGS,
            parameter_of(value, placeholders),
        )
        for column, value in written
    )
    return Draft(
        table, tokens, tuple(edits), lambda query: Update(table, assignments, query, alias)
    )


def read_delete(cursor: Cursor) -> Draft:
    """Read DELETE FROM table [[AS] alias] [WHERE condition]; see `read_update`."""
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
        depth += (token.token_type in OPENING) - (token.token_type in CLOSING)
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
        depth += (token.token_type in OPENING) - (token.token_type in CLOSING)
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
