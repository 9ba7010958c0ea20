"""Texts that the engine cannot read, and the token where it stopped."""

import re

from sqlglot.tokenizer_core import Token

from planner.dialect import read_tokens, shown, source_of
from planner.errors import PlannerError, SqlSyntaxError
from planner.faults.asked import Asked
from planner.names import join_names
from planner.placeholders import merged

_CURLY = set("\N{LEFT SINGLE QUOTATION MARK}\N{RIGHT SINGLE QUOTATION MARK}"
             "\N{LEFT DOUBLE QUOTATION MARK}\N{RIGHT DOUBLE QUOTATION MARK}")  # fmt: skip
_PLACE = re.compile(r"at Line: (?P<line>\d+), Column: (?P<column>\d+)")


def read_syntax_fault(message: str, asked: Asked) -> PlannerError | None:
    """Return the refusal of a text that the engine cannot read, None when it could."""
    if "ParserError" not in message and "TokenizerError" not in message:
        return None
    found = _PLACE.search(message)
    token = None
    if found is not None:
        token = _typed_token(asked, int(found["line"]), int(found["column"]))
    if token is None:
        return SqlSyntaxError(
            f"{asked.end()}the statement ends too early; something is missing after its last word"
        )
    word = source_of(asked.query.sql, token)
    advice = "check the words around it, and quote names that are SQL words"
    if set(word) & _CURLY:
        advice = "write texts in straight single quotes, as in 'text'"
    return SqlSyntaxError(f"{asked.at(token.start)}unexpected {shown(word)!r}; {advice}")


def _typed_token(asked: Asked, line: int, column: int) -> Token | None:
    """Return the token as it was typed, for the place of a token in the engine's text.

    That text and the query's hold the same tokens in the same order.
    """
    query = asked.query
    start = sum(len(each) + 1 for each in asked.text.split("\n")[: line - 1]) + column - 1
    try:
        pairs = zip(merged(read_tokens(asked.text)), merged(read_tokens(query.text)), strict=False)
        typed = merged(join_names(query.sql, read_tokens(query.sql)).tokens)
    except PlannerError:
        return None
    for planned, token in pairs:
        if planned.start <= start <= planned.end:
            place = query.typed_offset(token.start)
            return next((each for each in typed if each.start <= place <= each.end), None)
    return None
