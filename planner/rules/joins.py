"""No joins, in any spelling; at home they are the engine's matter."""

from sqlglot import exp

from planner.errors import JoinNotSupportedError
from planner.reading import Reading

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
            f"{reading.place(node)}: {_describe(node)}{_tables(reading)} is a join; "
            f"{_instead(node)}"
        )


def _describe(node: exp.Expr) -> str:
    if isinstance(node, (exp.Intersect, exp.Except)):
        return node.key.upper()
    if isinstance(node, exp.Lateral) or isinstance(node.this, exp.Lateral):
        return "LATERAL"
    if isinstance(node, exp.Join) and not any(node.args.get(key) for key in _JOIN_WORDS):
        return "a second table in FROM"
    words = [str(node.args.get(key) or "") for key in ("method", "side", "kind")]
    return " ".join([*(word for word in words if word), "JOIN"]).replace("JOIN JOIN", "JOIN")


_JOIN_WORDS = ("method", "side", "kind", "on", "using")


def _tables(reading: Reading) -> str:
    named = list(dict.fromkeys(str(reference) for reference in reading.references))
    return f" ({', '.join(named[:4])})" if named else ""


def _instead(node: exp.Expr) -> str:
    if node.find(exp.Unnest):
        return "to unfold a list column, write SELECT unnest(column) FROM table"
    return INSTEAD
