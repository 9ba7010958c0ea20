"""How many tables are read once common table expressions are written out.

The engine copies each of them to wherever it is named: thirty that each name the one before twice
would make a plan of a billion tables out of one kilobyte.
"""

from collections.abc import Iterable

from sqlglot import exp

from planner.nodes import Nodes
from planner.references import cte_name, engine_name, is_cte, start_of


def count_reads(nodes: Nodes) -> int:
    """Return how many tables a query reads once its WITH parts are written out."""
    sizes: dict[str, int] = {}
    for cte in sorted(nodes.of(exp.CTE), key=lambda cte: start_of(cte.args["alias"])):
        name = cte_name(cte)
        sizes[name] = max(_reads(cte.find_all(exp.Table), sizes), sizes.get(name, 1))
    return max(_reads(nodes.of(exp.Table), sizes), *sizes.values(), 0)


def _reads(tables: Iterable[exp.Table], sizes: dict[str, int]) -> int:
    """Return how many tables are read by these names, given the sizes of the WITH parts so far."""
    return sum(sizes.get(engine_name(table.this), 1) if is_cte(table) else 1 for table in tables)
