"""How often a query reads once its common table expressions are written out.

The engine copies each of them to wherever it is named: thirty that each name the one before twice
would make a plan of a billion tables out of one kilobyte.
"""

from sqlglot import exp

from planner.errors import StatementTooLargeError
from planner.reading import Reading
from planner.references import cte_name, engine_name, is_cte, start_of

MAX_READS = 1_000


def check_expansion(reading: Reading) -> None:
    """Refuse a query that reads more than `MAX_READS` tables when it is written out.

    Raises:
        StatementTooLargeError: When it does.
    """
    sizes: dict[str, int] = {}
    for cte in sorted(reading.tree.find_all(exp.CTE), key=lambda cte: start_of(cte.args["alias"])):
        name = cte_name(cte)
        sizes[name] = max(_reads(cte, sizes), sizes.get(name, 1))
    if max(_reads(reading.tree, sizes), *sizes.values(), 0) > MAX_READS:
        raise StatementTooLargeError(
            f"the statement reads more than {MAX_READS} tables once its WITH parts are written "
            "out where they are named; name each of them once, or send several statements"
        )


def _reads(node: exp.Expr, sizes: dict[str, int]) -> int:
    """Return how many tables are read below a node, given the sizes of the WITH parts so far."""
    return sum(
        sizes.get(engine_name(table.this), 1) if is_cte(table) else 1
        for table in node.find_all(exp.Table)
    )
