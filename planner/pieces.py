"""Where a clause of a query stands in its text.

sqlglot's nodes know no places but those of names. A piece of a query is therefore found among the
runs of tokens that could be it: it is the one that holds the same names. Where none does, the
piece is not found, and nothing is cut out of the text.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from sqlglot import exp
from sqlglot.tokenizer_core import Token, TokenType

from planner.dialect import is_word
from planner.reading import Reading

_OPENING = frozenset({TokenType.L_PAREN, TokenType.L_BRACKET, TokenType.L_BRACE})
_CLOSING = frozenset({TokenType.R_PAREN, TokenType.R_BRACKET, TokenType.R_BRACE})
_SETS = frozenset({"UNION", "INTERSECT", "EXCEPT"})
_TAIL = frozenset({"ORDER", "LIMIT", "OFFSET", "FETCH"})
_AFTER_CONDITION = frozenset(
    {*_SETS, *_TAIL, "WHERE", "GROUP", "HAVING", "WINDOW", "QUALIFY", "JOIN", "LEFT", "RIGHT",
     "FULL", "INNER", "CROSS", "NATURAL", ","}
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Piece:
    """A run of tokens: from `start` up to, not including, `end` in the text."""

    start: int
    end: int
    tokens: tuple[Token, ...]

    @property
    def query_count(self) -> int:
        """How many SELECTs stand in it."""
        return sum(token.token_type is TokenType.SELECT for token in self.tokens)

    @property
    def has_parameter(self) -> bool:
        """Whether a value is missing in it."""
        return any(
            token.token_type in {TokenType.PARAMETER, TokenType.PLACEHOLDER}
            for token in self.tokens
        )


def select_piece(reading: Reading, select: exp.Select) -> Piece | None:
    """Return a SELECT without the ORDER BY and LIMIT of a UNION that it is the last part of."""
    is_part = isinstance(select.parent, exp.SetOperation)
    ending = _SETS | _TAIL if is_part else _SETS
    everywhere, wanted = _names_of(reading.tree), _names_of(select)
    for position, token in enumerate(reading.tokens):
        if token.token_type is TokenType.SELECT:
            piece = _piece(_run(reading.tokens[position:], ending))
            if _within(everywhere, piece) == wanted:
                return piece
    return None


def condition_pieces(reading: Reading, condition: exp.Expr) -> list[tuple[exp.Expr, Piece]]:
    """Return the parts of a WHERE or ON that AND puts together; nothing when they are not found."""
    parts = list(condition.flatten()) if isinstance(condition, exp.And) else [condition]
    everywhere, wanted = _names_of(reading.tree), [_names_of(part) for part in parts]
    for position, token in enumerate(reading.tokens):
        if not is_word(token) or token.text.upper() not in {"WHERE", "ON"}:
            continue
        pieces = [_piece(run) for run in _cut(_run(reading.tokens[position + 1 :], None))]
        if [_within(everywhere, piece) for piece in pieces] == wanted:
            return list(zip(parts, pieces, strict=True))
    return []


def _run(tokens: Sequence[Token], ending: frozenset[str] | None) -> list[Token]:
    """Return tokens up to the parenthesis that closes around them, or a word that ends them."""
    found: list[Token] = []
    depth = 0
    for token in tokens:
        depth += (token.token_type in _OPENING) - (token.token_type in _CLOSING)
        ends = depth == 0 and _word(token) in (_AFTER_CONDITION if ending is None else ending)
        if depth < 0 or ends:
            break
        found.append(token)
    return found


def _cut(tokens: Sequence[Token]) -> Iterator[list[Token]]:
    """Yield what stands between the ANDs of a condition that belong to no BETWEEN or CASE."""
    part: list[Token] = []
    depth = open_betweens = 0
    for token in tokens:
        word = _word(token)
        depth += (token.token_type in _OPENING or word == "CASE") - (
            token.token_type in _CLOSING or word == "END"
        )
        if depth == 0 and word == "BETWEEN":
            open_betweens += 1
        if depth == 0 and word == "AND":
            if not open_betweens:
                yield part
                part = []
                continue
            open_betweens -= 1
        part.append(token)
    yield part


def _word(token: Token) -> str:
    """Return a keyword in upper case, without what the tokenizer joined to it (GROUP BY)."""
    is_bare = is_word(token) or token.token_type is TokenType.COMMA
    return token.text.upper().split(" ", 1)[0] if is_bare else ""


def _piece(tokens: Sequence[Token]) -> Piece:
    if not tokens:
        return Piece(0, 0, ())
    return Piece(tokens[0].start, tokens[-1].end + 1, tuple(tokens))


def _names_of(node: exp.Expr) -> set[int]:
    """Return where the names in a node stand."""
    return {name.meta["start"] for name in node.find_all(exp.Identifier) if "start" in name.meta}


def _within(names: set[int], piece: Piece) -> set[int]:
    return {start for start in names if piece.start <= start < piece.end}
