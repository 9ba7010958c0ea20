"""No joins, in any spelling; at home they are the engine's matter."""

from sqlglot import exp

from planner.errors import JoinNotSupportedError
from planner.reading import Reading
from planner.references import start_of
from planner.rules.wording import place_of, said, tables_of, words_before

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
        start = start_of(node.args.get("expression") or node.this)
        run = words_before(reading, start, _WORDS)
        raise JoinNotSupportedError(
            f"{place_of(reading, run, start)}: {said(run) or 'a second table in FROM'}"
            f"{tables_of(reading)} is a join; {_instead(node)}"
        )


_WORDS = frozenset(
    {",", "JOIN", "LEFT", "RIGHT", "FULL", "OUTER", "INNER", "CROSS", "NATURAL", "SEMI", "ANTI",
     "LATERAL", "INTERSECT", "EXCEPT", "APPLY", "ASOF", "STRAIGHT_JOIN", "GLOBAL", "ALL"}
)  # fmt: skip


def _instead(node: exp.Expr) -> str:
    if node.find(exp.Unnest):
        return "to unfold a list column, write SELECT unnest(column) FROM table"
    return INSTEAD
