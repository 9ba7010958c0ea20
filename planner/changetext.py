"""The pieces of an UPDATE or DELETE as the engine is to read them: its condition and its values.

They are cut out of the text of the planned query, in which names are resolved (see `writeplan`).
"""

from dataclasses import dataclass

from sqlglot.tokenizer_core import Token

from planner.dialect import is_word, read_tokens
from planner.draft import CLOSING, OPENING, split_at_commas


@dataclass(frozen=True, slots=True)
class ChangeText:
    """What an engine reads of a statement that changes rows.

    Attributes:
        condition: Which rows; None for all.
        values: What stands behind SELECT, in order: what an UPDATE sets its columns to.
    """

    condition: str | None
    values: tuple[str, ...]


def cut_change(text: str) -> ChangeText:
    """Return the pieces of `FROM table SELECT value, … WHERE condition`, or the same in its order.

    Example:
        >>> cut_change("FROM quote SELECT bid + 1, 'x' WHERE sym = 'a'")
        ChangeText(condition="sym = 'a'", values=('bid + 1', "'x'"))
    """
    tokens = read_tokens(text)
    places = _outer_words(tokens)
    where = places.get("WHERE")
    first = places["SELECT"] + 1
    ends = [place for place in places.values() if place >= first] + [len(tokens)]
    parts = split_at_commas(tokens[first : min(ends)])
    values = tuple(text[part[0].start : part[-1].end + 1] for part in parts)
    condition = None
    if where is not None:
        condition = text[tokens[where + 1].start : tokens[-1].end + 1]
    return ChangeText(condition, values)


def _outer_words(tokens: list[Token]) -> dict[str, int]:
    """Return where SELECT, FROM and WHERE stand first, outside of parentheses."""
    found: dict[str, int] = {}
    depth = 0
    for position, token in enumerate(tokens):
        depth += (token.token_type in OPENING) - (token.token_type in CLOSING)
        word = token.text.upper()
        if depth == 0 and is_word(token) and word in {"SELECT", "FROM", "WHERE"}:
            found.setdefault(word, position)
    return found
