"""Where a text holds parameters: `$1`, `?` and `$name`, found among its tokens.

The engine reads `$1` and `$name`. A `?` is numbered by its position and handed to it as `$n`; that
is the only change to the text.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from sqlglot.tokenizer_core import Token, TokenType

from planner.dialect import place_at, shown, source_of
from planner.errors import SqlSyntaxError

_WRITTEN = re.compile(r"\$(\w*)")
_WORD = re.compile(r"[\w$]")
_NUMBER = re.compile(r"[1-9][0-9]{0,4}", re.ASCII)
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,62}", re.ASCII)
_MIXED = "write all parameters of a statement in one way: as ?, as $1, $2 … or as $name"


@dataclass(frozen=True, slots=True)
class Placeholder:
    """One place of a text where a value belongs.

    Attributes:
        start: Where it starts in the text.
        end: Where it ends; not included.
        name: The parameter's number, or its name.
        is_positional: Whether it is written as `?`.
    """

    start: int
    end: int
    name: str
    is_positional: bool = False


def find_placeholders(sql: str, tokens: Sequence[Token]) -> tuple[Placeholder, ...]:
    """Return the places of a statement where values belong, in the order of the text.

    Raises:
        SqlSyntaxError: When one is not written as a parameter is, or several ways are mixed.
    """
    found: list[Placeholder] = []
    for token in tokens:
        if token.token_type is TokenType.PLACEHOLDER:
            found.append(_positional(sql, token, len(found) + 1))
        elif token.token_type is TokenType.PARAMETER:
            found.append(_named(sql, token))
    for before, after in pairwise(found):
        if _way(before) != _way(after):
            place = place_at(sql, after.start)
            written = shown(sql[after.start : after.end])
            raise SqlSyntaxError(f"{place}: {written} after {_written(sql, before)}; {_MIXED}")
    return tuple(found)


def parameter_names(sql: str, placeholders: Sequence[Placeholder]) -> tuple[str, ...]:
    """Return the parameters in the order in which their values are bound, each once.

    Numbers count from 1; names stand in the order of their first place.

    Raises:
        SqlSyntaxError: When a number is left out.
    """
    names = dict.fromkeys(one.name for one in placeholders)
    if not placeholders or _way(placeholders[0]) == "$name":
        return tuple(names)
    for number in range(1, len(names) + 1):
        if str(number) not in names:
            highest = max(placeholders, key=lambda one: int(one.name))
            raise SqlSyntaxError(
                f"{place_at(sql, highest.start)}: the statement has ${highest.name} and no "
                f"${number}; number its parameters from $1 without a gap"
            )
    return tuple(str(number) for number in range(1, len(names) + 1))


def replacement_of(sql: str, placeholder: Placeholder) -> str:
    """Return what a `?` becomes: `$n`, kept apart from the words beside it."""
    before, after = sql[: placeholder.start][-1:], sql[placeholder.end :][:1]
    left = " " if _WORD.fullmatch(before) else ""
    right = " " if _WORD.fullmatch(after) else ""
    return f"{left}${placeholder.name}{right}"


def merged(tokens: Sequence[Token]) -> list[Token]:
    """Return the tokens with each `$` and what follows it as one, as a `?` is one."""
    kept: list[Token] = []
    for token in tokens:
        is_second = (
            kept and kept[-1].token_type is TokenType.PARAMETER and kept[-1].end + 1 == token.start
        )
        if not is_second:
            kept.append(token)
    return kept


def _positional(sql: str, token: Token, number: int) -> Placeholder:
    following = sql[token.end + 1 : token.end + 2]
    if following.isdigit():
        raise SqlSyntaxError(
            f"{place_at(sql, token.start)}: parameters are written as ? or $1, not as "
            f"?{following}; write ${following}"
        )
    return Placeholder(token.start, token.end + 1, str(number), is_positional=True)


def _named(sql: str, token: Token) -> Placeholder:
    written = _WRITTEN.match(sql, token.start)
    name = written[1] if written is not None else ""
    if _NUMBER.fullmatch(name) is None and _NAME.fullmatch(name) is None:
        shown_name = shown(source_of(sql, token) + name)
        raise SqlSyntaxError(
            f"{place_at(sql, token.start)}: {shown_name!r} is not a parameter; write $1, $2 …, "
            "or ?, or a name such as $day"
        )
    return Placeholder(token.start, token.start + 1 + len(name), name)


def _way(placeholder: Placeholder) -> str:
    if placeholder.is_positional:
        return "?"
    return "$1" if placeholder.name[0].isdigit() else "$name"


def _written(sql: str, placeholder: Placeholder) -> str:
    return shown(sql[placeholder.start : placeholder.end])
