"""The SQL that is read here: tokens with their places, and sqlglot's parser for them.

PostgreSQL's dialect as sqlglot reads it, brought closer to DataFusion's by `grammar`. The reading
decides refusals only: what runs is the user's own text.
"""

import logging
import re
from functools import cache

from sqlglot.dialects.postgres import Postgres
from sqlglot.errors import TokenError
from sqlglot.tokenizer_core import Token, TokenType

from planner.errors import SqlSyntaxError
from planner.grammar import FederationParser, FederationTokenizer
from planner.quotations import open_quotation

# It warns of statements with their text, which is nobody's to log.
logging.getLogger("sqlglot").setLevel(logging.CRITICAL)

QUOTED = frozenset({TokenType.IDENTIFIER})
STRINGS = frozenset(
    {
        TokenType.STRING,
        TokenType.BYTE_STRING,
        TokenType.HEREDOC_STRING,
        TokenType.NATIONAL_STRING,
        TokenType.RAW_STRING,
        TokenType.UNICODE_STRING,
        TokenType.BIT_STRING,
        TokenType.HEX_STRING,
    }
)


# Everything in which a dollar is none of a parameter's, and the parameters between.
_PIECE = re.compile(
    r"'[^']*'|\"[^\"]*\"|`[^`]*`|--[^\n]*|/\*.*?\*/|\$(?P<tag>(?:[A-Za-z_]\w*)?)\$.*?\$(?P=tag)\$"
    # What does not end is left to the tokenizer, and looked through once.
    r"|(?:'|\"|`|/\*|\$\w*\$).*"
    r"|(?<![\w$])\$(?P<name>\w+)(?!\$)",
    re.DOTALL | re.ASCII,
)


class FederationDialect(Postgres):
    """The SQL of the federation."""

    Tokenizer = FederationTokenizer
    Parser = FederationParser
    # Subscripts are kept as they are written; shifting one would cost a walk over all before it.
    INDEX_OFFSET = 0


@cache
def dialect() -> FederationDialect:
    """Return the one dialect; its parsers are made anew for each statement."""
    return FederationDialect()


def read_tokens(sql: str) -> list[Token]:
    """Return the tokens of a text, in order; comments hang on them.

    Raises:
        SqlSyntaxError: When a quotation or a comment does not end.
    """
    try:
        if "$" not in sql:
            return dialect().tokenize(sql)
        return [
            _parameter_sign(token) if sql[token.start : token.start + 1] == "$" else token
            for token in dialect().tokenize(_PIECE.sub(_without_dollar, sql))
        ]
    except TokenError:
        pass
    start, advice = open_quotation(sql)
    raise SqlSyntaxError(f"{place_at(sql, start)}: {advice}")


def _without_dollar(piece: re.Match[str]) -> str:
    """Return a piece of a text; a parameter's sign becomes one that opens no quotation.

    In `$1,$2` the tokenizer would take `$1,$` for the beginning of a text in dollars.
    """
    return f"@{piece['name']}" if piece["name"] else piece[0]


def _parameter_sign(token: Token) -> Token:
    """Return the sign of a parameter as it was typed."""
    if token.token_type is not TokenType.PARAMETER:
        return token
    return Token(
        token.token_type,
        "$",
        line=token.line,
        col=token.col,
        start=token.start,
        end=token.end,
        comments=token.comments,
    )


def is_word(token: Token) -> bool:
    """Whether a token is written as a bare word: a name or a keyword."""
    first = token.text[:1]
    return (
        token.token_type not in STRINGS
        and token.token_type not in QUOTED
        and (first.isalpha() or first == "_")
    )


def is_adjacent(left: Token, right: Token) -> bool:
    """Whether nothing stands between two tokens."""
    return bool(left.end + 1 == right.start)


def source_of(sql: str, token: Token) -> str:
    """Return a token as it was typed, quotes included."""
    return sql[token.start : token.end + 1]


def place_at(sql: str, start: int) -> str:
    """Say where an offset of a text is: `line 1, column 8` (both from 1)."""
    line = sql.count("\n", 0, start) + 1
    column = start - sql.rfind("\n", 0, start)
    return f"line {line}, column {column}"


def shown(text: str, *, most: int = 60) -> str:
    """Return a piece of a statement fit for a message: one line, shortened."""
    line = "".join(char if char.isprintable() else " " for char in text)
    return line if len(line) <= most else line[: most - 1] + "…"
