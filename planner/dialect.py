"""The SQL that is read here: tokens with their places, and sqlglot's parser for them.

PostgreSQL's dialect as sqlglot reads it, brought closer to DataFusion's by `grammar`. The reading
decides refusals only: what runs is the user's own text.
"""

import logging
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
        return dialect().tokenize(sql)
    except TokenError:
        pass
    start, advice = open_quotation(sql)
    raise SqlSyntaxError(f"{place_at(sql, start)}: {advice}")


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
