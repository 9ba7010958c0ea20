"""The refusal of a text that cannot be read: the token where reading stopped, and what to do.

Most such texts are slips or other engines' habits; those get advice of their own.
"""

from collections.abc import Sequence
from itertools import pairwise

from sqlglot.tokenizer_core import Token, TokenType

from planner.dialect import is_word, place_at, shown, source_of
from planner.errors import PlannerError, SqlSyntaxError, TypeMismatchError

_QUOTE = 'quote names that are SQL words, as in "order"'
_UNFINISHED = {
    "WHERE": "a condition is missing after WHERE",
    "AND": "a condition is missing after AND",
    "OR": "a condition is missing after OR",
    "FROM": "a table is missing after FROM",
    "SELECT": "columns are missing after SELECT",
    "ON": "a condition is missing after ON",
    "IS": "NULL, TRUE or FALSE is missing after IS",
    "NOT": "a condition is missing after NOT",
}
_WITH_BY = frozenset({"ORDER", "GROUP", "PARTITION"})


def refuse_unreadable(
    sql: str, tokens: Sequence[Token], token: Token, description: str
) -> PlannerError:
    """Make the refusal of a text that cannot be read.

    Args:
        sql: The text as it was typed.
        tokens: Its tokens.
        token: The one where reading stopped.
        description: What the parser says; only what kind of fault it is counts.
    """
    if "argument" in description.lower():
        name = _function_before(sql, tokens, token)
        if name is not None:
            return TypeMismatchError(
                f"{place_at(sql, name.start)}: {shown(name.text)}() takes another number of "
                "arguments; give each that it needs, and no more"
            )
    word = shown(source_of(sql, token))
    at = place_at(sql, token.start)
    advice = _advice(sql, tokens, token)
    if token is tokens[-1]:
        return SqlSyntaxError(
            f"{at}: the statement cannot be read to its end at {word!r}; {advice}"
        )
    return SqlSyntaxError(f"{at}: unexpected {word!r}; {advice}")


def _advice(sql: str, tokens: Sequence[Token], token: Token) -> str:
    """Return what to do about a token that cannot be read."""
    position = tokens.index(token)
    words = [_word(sql, each) for each in tokens]
    slip = _slip(words, position)
    if slip is not None:
        return slip
    if token is tokens[-1]:
        return _UNFINISHED.get(words[position], "something is missing or not closed there")
    return f"check the words around it, and {_QUOTE}"


def _slip(words: Sequence[str], position: int) -> str | None:
    """Return what to do about a known slip, None when there is none."""
    near = words[max(position - 1, 0) : position + 1]
    if "TOP" in near and words[0] == "SELECT":
        return "leave TOP out and write LIMIT at the end, as in SELECT bid FROM quote LIMIT 10"
    if "[" in near:
        return "write names in double quotes, not in brackets"
    if words[position] in {"=>", "=!", "=<"}:
        return "write comparisons as >=, <=, <> or ="
    without_by = next((word for word in near if word in _WITH_BY), None)
    return _doubled(words) if without_by is None else f"write {without_by} BY"


def _function_before(sql: str, tokens: Sequence[Token], token: Token) -> Token | None:
    """Return the name of the function whose arguments end at a token, if one does."""
    depth = 0
    for position in range(tokens.index(token), 0, -1):
        kind = tokens[position].token_type
        depth += (kind is TokenType.R_PAREN) - (kind is TokenType.L_PAREN)
        if depth == 0:
            name = tokens[position - 1]
            return name if _word(sql, name).isidentifier() else None
    return None


def _doubled(words: Sequence[str]) -> str | None:
    """Return what is missing between two words that do not follow one another."""
    for word, following in pairwise(words):
        if word in {"WHERE", "AND", "OR", "ON"} and following in {"AND", "OR", "GROUP", "ORDER"}:
            return _UNFINISHED[word]
    return None


def _word(sql: str, token: Token) -> str:
    is_bare = is_word(token) or token.token_type is not TokenType.IDENTIFIER
    return source_of(sql, token).upper().split(" ")[0] if is_bare else ""
