"""The pass over the tokens that finds `name@cluster` before any parser can misread it.

To PostgreSQL's grammar `quote@hangzhou` is a name and an alias with a stray sign. Here the three
tokens become one, at the place of the three, so that all positions stay those of the typed text.
Quoted forms (`"trading@hangzhou"`) are one token already. Which of these names are tables is said
by `references`, and whether they fit together by `bind`.
"""

from dataclasses import dataclass

from sqlglot.tokenizer_core import Token, TokenType

from planner.dialect import QUOTED, is_adjacent, is_word, place_at, shown, source_of
from planner.errors import SqlSyntaxError
from storage.names import InvalidNameError, fold_name

_FORM = "write name@cluster in one piece, as in trading.stock.quote@hangzhou"


@dataclass(frozen=True, slots=True)
class NamedTokens:
    """The tokens of a statement with each `name@cluster` as one of them.

    Attributes:
        tokens: In order; joined ones keep the place of their first and last sign.
        joined: Where the joined ones start.
    """

    tokens: tuple[Token, ...]
    joined: frozenset[int]


def join_names(sql: str, tokens: list[Token]) -> NamedTokens:
    """Return the tokens with each `name@cluster` joined.

    Raises:
        SqlSyntaxError: When an `@` stands anywhere else, or what follows it names no cluster; when
            FROM stands twice.
    """
    result: list[Token] = []
    joined: set[int] = set()
    position = 0
    while position < len(tokens):
        token = tokens[position]
        _check_from(sql, token, result)
        if token.token_type is not TokenType.PARAMETER or token.text != "@":
            result.append(token)
            position += 1
            continue
        name = result[-1] if result else None
        cluster = tokens[position + 1] if position + 1 < len(tokens) else None
        if name is None or cluster is None or not _is_name(name, token, cluster):
            raise SqlSyntaxError(f"{place_at(sql, token.start)}: unexpected '@'; {_FORM}")
        if "@" in name.text:
            raise SqlSyntaxError(
                f"{place_at(sql, name.start)}: {shown(source_of(sql, name))} names a cluster "
                f"twice; {_FORM}"
            )
        check_part(sql, cluster, cluster.text)
        result[-1] = _join(name, cluster)
        joined.add(name.start)
        position += 2
    return NamedTokens(tuple(result), frozenset(joined))


def _check_from(sql: str, token: Token, before: list[Token]) -> None:
    """Refuse `FROM FROM x`, which is a query of x to one parser and a table `from` to another.

    Raises:
        SqlSyntaxError: When the second FROM is this token.
    """
    if token.token_type is not TokenType.FROM or not before:
        return
    if before[-1].token_type is not TokenType.FROM:
        return
    if len(before) > 1 and before[-2].token_type in {TokenType.DOT, TokenType.ALIAS}:
        return  # the first one is a name
    raise SqlSyntaxError(
        f"{place_at(sql, token.start)}: unexpected {source_of(sql, token)!r}; write FROM once"
    )


def check_part(sql: str, token: Token, part: str) -> str:
    """Return one part of a name in lower case.

    Raises:
        SqlSyntaxError: When it is not a name.
    """
    return fold_part(sql, token.start, part)


def fold_part(sql: str, start: int, part: str) -> str:
    """Return one part of a name in lower case; `start` is where it stands.

    Raises:
        SqlSyntaxError: When it is not a name.
    """
    try:
        return fold_name(part)
    except InvalidNameError:
        pass
    raise SqlSyntaxError(
        f"{place_at(sql, start)}: {shown(part)!r}{_odd(part)} is not the name of a cluster, "
        "catalog, schema or table; names start with a letter, then letters, digits and _ (ASCII), "
        "at most 63"
    )


def _odd(part: str) -> str:
    """Say which character only looks like a letter, if one does."""
    odd = next((char for char in part if not char.isascii()), None)
    return "" if odd is None else f", with U+{ord(odd):04X} in it,"


def _is_name(name: Token, sign: Token, cluster: Token) -> bool:
    return (
        (is_word(name) or name.token_type in QUOTED)
        and (is_word(cluster) or cluster.token_type in QUOTED)
        and is_adjacent(name, sign)
        and is_adjacent(sign, cluster)
    )


def _join(name: Token, cluster: Token) -> Token:
    """Return one token for both; a keyword before the sign is a name, and treated as quoted."""
    kind = TokenType.VAR if name.token_type is TokenType.VAR else TokenType.IDENTIFIER
    return Token(
        kind,
        f"{name.text}@{cluster.text}",
        line=cluster.line,
        col=cluster.col,
        start=name.start,
        end=cluster.end,
        comments=cluster.comments,
    )
