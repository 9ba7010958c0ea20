"""Parts of what the rules say: the words that make a construct, and the tables of a query."""

from collections.abc import Collection

from sqlglot.tokenizer_core import Token, TokenType

from planner.dialect import is_word, place_at
from planner.reading import Reading

_MOST_NAMED = 4


def words_before(reading: Reading, start: int, words: Collection[str]) -> list[Token]:
    """Return the last run of these words before a place, such as LEFT OUTER JOIN.

    Args:
        reading: The query.
        start: What they introduce.
        words: In upper case; a comma ends a run.
    """
    run: list[Token] = []
    for token in reversed(reading.tokens):
        if token.start >= start:
            continue
        is_one = _is_bare(token) and token.text.upper().split(" ")[0] in words
        if not is_one and run:
            break
        if is_one:
            if run and token.token_type is TokenType.COMMA:
                break
            run.insert(0, token)
    return run


def place_of(reading: Reading, run: list[Token], otherwise: int) -> str:
    """Say where a run of words stands, or something else when there is none."""
    return place_at(reading.sql, run[0].start if run else otherwise)


def said(run: list[Token]) -> str:
    """Return a run of words in upper case, without a comma."""
    return " ".join(token.text.upper() for token in run if token.text != ",")


def tables_of(reading: Reading) -> str:
    """Return the tables of a query as they were typed, in parentheses; empty when none is named."""
    named = list(dict.fromkeys(str(reference) for reference in reading.references))
    more = ", …" if len(named) > _MOST_NAMED else ""
    return f" ({', '.join(named[:_MOST_NAMED])}{more})" if named else ""


def _is_bare(token: Token) -> bool:
    return is_word(token) or token.token_type is TokenType.COMMA
