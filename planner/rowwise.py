"""What UPDATE and DELETE may not compute with outside of subqueries: other rows than the one."""

from collections.abc import Mapping

from sqlglot import exp

from planner.faults.asked import Function, called
from planner.parse import read_again
from planner.references import start_of
from planner.statement import Defaults, Query

_MAKES_ROWS = frozenset({"unnest", "explode", "flatten", "generate_series"})


def find_unfit(query: Query, functions: Mapping[str, Function]) -> tuple[int, str] | None:
    """Return the first aggregate, window or maker of rows outside of subqueries, if there is one.

    Args:
        query: What a write reads.
        functions: Those that there are, by name.

    Returns:
        Where it stands in the typed text, and its name.
    """
    reading = read_again(query.sql, Defaults(query.cluster, query.catalog, query.schema))
    found = [
        (start_of(node), called(node) if isinstance(node, exp.Func) else "OVER")
        for node in reading.tree.walk(prune=lambda node: _is_inner(node, reading.tree))
        if not _is_inner(node, reading.tree) and _is_unfit(node, functions)
    ]
    return min(found, default=None)


def _is_inner(node: exp.Expr, tree: exp.Expr) -> bool:
    return node is not tree and isinstance(node, exp.Query)


def _is_unfit(node: exp.Expr, functions: Mapping[str, Function]) -> bool:
    if isinstance(node, (exp.Window, exp.AggFunc, exp.Unnest)):
        return True
    if not isinstance(node, exp.Func):
        return False
    name = called(node)
    known = functions.get(name)
    return name in _MAKES_ROWS or (known is not None and known.kind in {"AGGREGATE", "WINDOW"})
