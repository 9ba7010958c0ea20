"""CUBE, ROLLUP and GROUPING SETS stand for sets of columns: how many a query may stand for."""

from sqlglot import exp

from planner.errors import StatementTooLargeError
from planner.reading import Reading

_LARGEST_CUBE = 64


def check_grouping(reading: Reading) -> None:
    """Refuse a GROUP BY that stands for more sets than the limit.

    Raises:
        StatementTooLargeError: When one does.
    """
    for group in reading.nodes.of(exp.Group):
        if (count := _sets(group)) > reading.limits.max_grouping_sets:
            raise StatementTooLargeError(
                f"{reading.place(group)}: this GROUP BY stands for {count} sets of columns, and "
                f"at most {reading.limits.max_grouping_sets} can be (limits.max_grouping_sets); "
                "write the ones that you need as GROUPING SETS"
            )


def _sets(node: exp.Expr) -> int:
    """Return how many sets of columns the pieces of a GROUP BY make together."""
    total = 1
    for cube in node.find_all(exp.Cube):
        total *= 2 ** min(len(cube.expressions), _LARGEST_CUBE)
    for rollup in node.find_all(exp.Rollup):
        total *= len(rollup.expressions) + 1
    for sets in node.find_all(exp.GroupingSets):
        total *= max(len(sets.expressions), 1)
    return total
