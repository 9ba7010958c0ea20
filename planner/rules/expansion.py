"""How large a query becomes once its common table expressions are written out.

The engine copies each of them to wherever it is named: thirty that each name the one before twice
would make a plan of a billion tables out of one kilobyte. What planning costs grows with the
tables that are read times the columns that they hand on, and with the windows.
"""

from collections.abc import Iterable

from sqlglot import exp

from planner.errors import StatementTooLargeError
from planner.nodes import Nodes
from planner.reading import Reading
from planner.references import cte_name, engine_name, is_cte, start_of

MAX_READS = 1_000
MAX_CELLS = 20_000
MAX_WHOLE_CELLS = 4_000_000
MAX_WINDOWS = 250
_WINDOWS_AS_READ = 4  # that many hand a table's columns on at the cost of one more read


def check_expansion(reading: Reading) -> None:
    """Refuse a query that is too large when it is written out.

    Raises:
        StatementTooLargeError: When it reads more than `MAX_READS` tables, hands on more than
            `MAX_CELLS` columns of them, or has more than `MAX_WINDOWS` windows.
    """
    reads = count_reads(reading.nodes)
    width = max((len(select.expressions) for select in reading.nodes.of(exp.Select)), default=0)
    if reads > MAX_READS:
        raise StatementTooLargeError(
            f"the statement reads more than {MAX_READS} tables once its WITH parts are written "
            "out where they are named; name each of them once, or send several statements"
        )
    if reads > 1:
        check_cells(reads, width)
    windows = len(reading.nodes.of(exp.Window))
    if windows > MAX_WINDOWS:
        raise StatementTooLargeError(
            f"the statement has {windows} windows, and at most {MAX_WINDOWS} can be; send several "
            "statements"
        )


def check_cells(reads: int, width: int) -> None:
    """Refuse to read so many tables of so many columns in one statement.

    Raises:
        StatementTooLargeError: When the two make more than `MAX_CELLS`.
    """
    if reads * width > MAX_CELLS:
        raise StatementTooLargeError(
            f"the statement reads {reads} times {width} columns, and at most {MAX_CELLS} columns "
            "in all can be; name the columns that you need, or send several statements"
        )


def check_whole_cells(reads: int, width: int) -> None:
    """Refuse to hand on so many columns with `*` so often: each costs as much as all beside it.

    Raises:
        StatementTooLargeError: When they make more than `MAX_WHOLE_CELLS`.
    """
    if reads * width * width > MAX_WHOLE_CELLS:
        raise StatementTooLargeError(
            f"the statement hands on a table's {width} columns with * too often; name the columns "
            "that you need, or send several statements"
        )


def count_whole_reads(nodes: Nodes) -> int:
    """Return how often columns are handed on, if some are with `*`; 0 if none are."""
    stars = sum(
        isinstance(item, exp.Star) or isinstance(item.this, exp.Star)
        for select in nodes.of(exp.Select)
        for item in select.expressions
        if not isinstance(item, exp.Func)
    )
    if not stars:
        return 0
    windows = len(nodes.of(exp.Window)) // _WINDOWS_AS_READ
    queries = len(nodes.of(exp.Subquery)) + len(nodes.of(exp.CTE))
    return max(count_reads(nodes), 1) + queries + stars - 1 + windows


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
