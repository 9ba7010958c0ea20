"""Writes half read, whose query is still to be read; and tokens by commas and parentheses."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sqlglot.tokenizer_core import Token, TokenType

from planner.edits import Edit
from planner.errors import PlannerError
from planner.placeholders import Placeholder, find_placeholders
from planner.statement import Query
from planner.writing import Write
from storage.names import ObjectName

OPENING = frozenset({TokenType.L_PAREN, TokenType.L_BRACKET, TokenType.L_BRACE})
CLOSING = frozenset({TokenType.R_PAREN, TokenType.R_BRACKET, TokenType.R_BRACE})


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


def parentheses(tokens: Sequence[Token]) -> list[tuple[int, int]]:
    """Return where each outermost pair of parentheses opens and closes."""
    found: list[tuple[int, int]] = []
    depth = start = 0
    for position, token in enumerate(tokens):
        if token.token_type in OPENING:
            start = start if depth else position
            depth += 1
        elif token.token_type in CLOSING:
            depth -= 1
            if depth == 0:
                found.append((start, position))
    return found


def split_at_commas(tokens: Sequence[Token]) -> list[Sequence[Token]]:
    """Split tokens at the commas that stand in no parentheses."""
    parts: list[Sequence[Token]] = []
    depth = start = 0
    for position, token in enumerate(tokens):
        depth += (token.token_type in OPENING) - (token.token_type in CLOSING)
        if depth == 0 and token.token_type is TokenType.COMMA:
            parts.append(tokens[start:position])
            start = position + 1
    parts.append(tokens[start:])
    return parts


def placeholders_of(sql: str, tokens: Sequence[Token]) -> tuple[Placeholder, ...]:
    """Return the parameters among tokens; none when something is wrong with one."""
    try:
        return find_placeholders(sql, tokens)
    except PlannerError:
        return ()  # the query's own rules say what is wrong


def parameter_of(tokens: Sequence[Token], placeholders: Sequence[Placeholder]) -> str | None:
    """Return the parameter that tokens are, if they are nothing else."""
    if not tokens:
        return None
    start, end = tokens[0].start, tokens[-1].end + 1
    return next((one.name for one in placeholders if (one.start, one.end) == (start, end)), None)
