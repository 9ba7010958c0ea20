"""No joins, in any spelling; at home they are the engine's matter."""

from sqlglot import exp
from sqlglot.tokenizer_core import Token

from planner.dialect import QUOTED, STRINGS, place_at
from planner.errors import JoinNotSupportedError
from planner.reading import Reading
from planner.references import start_of

INSTEAD = (
    "ask for each table in a query of its own and join the results in polars or DuckDB, or ask "
    "the owner for a view"
)


def check_joins(reading: Reading) -> None:
    """Refuse JOIN, commas between tables, LATERAL, INTERSECT and EXCEPT.

    Raises:
        JoinNotSupportedError: When the query is written with one.
    """
    if reading.is_home:
        return
    for node in reading.nodes.of(exp.Join, exp.Lateral, exp.Intersect, exp.Except):
        raise JoinNotSupportedError(
            f"{_place(reading, node)}: {_describe(node)}{_tables(reading)} is a join; "
            f"{_instead(node)}"
        )


def _place(reading: Reading, node: exp.Expr) -> str:
    """Say where the word stands that makes the join: before its second part."""
    second = node.args.get("expression") or node.this
    start = start_of(second)
    before = [
        token
        for token in reading.tokens
        if token.start < start
        and token.text.upper().split(" ")[0] in _WORDS
        and not _is_quoted(token)
    ]
    if not before:
        return reading.place(node)
    first = before[-1]
    for token in reversed(before[:-1]):
        if reading.sql[token.end + 1 : first.start].strip() or first.text == ",":
            break
        first = token
    return place_at(reading.sql, first.start)


def _is_quoted(token: Token) -> bool:
    return token.token_type in QUOTED or token.token_type in STRINGS


def _describe(node: exp.Expr) -> str:
    if isinstance(node, (exp.Intersect, exp.Except)):
        return node.key.upper()
    if isinstance(node, exp.Lateral) or isinstance(node.this, exp.Lateral):
        return "LATERAL"
    if isinstance(node, exp.Join) and not any(node.args.get(key) for key in _JOIN_WORDS):
        return "a second table in FROM"
    words = [str(node.args.get(key) or "") for key in ("method", "side", "kind")]
    return " ".join([*(word for word in words if word), "JOIN"]).replace("JOIN JOIN", "JOIN")


_WORDS = frozenset(
    {",", "JOIN", "LEFT", "RIGHT", "FULL", "OUTER", "INNER", "CROSS", "NATURAL", "SEMI", "ANTI",
     "LATERAL", "INTERSECT", "EXCEPT", "APPLY"}
)  # fmt: skip
_JOIN_WORDS = ("method", "side", "kind", "on", "using")


def _tables(reading: Reading) -> str:
    named = list(dict.fromkeys(str(reference) for reference in reading.references))
    return f" ({', '.join(named[:4])})" if named else ""


def _instead(node: exp.Expr) -> str:
    if node.find(exp.Unnest):
        return "to unfold a list column, write SELECT unnest(column) FROM table"
    return INSTEAD
