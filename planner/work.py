"""How much work planning a query is: counted steps, of about a microsecond each.

What the engine's planner costs does not grow with the length of a text alone. Measured, it grows
with how deep expressions are, with how long a filter becomes when it is pushed through queries that
compute its columns, and with the squares of aggregates, of windows and of tables read.
`python -m bench limits` measures it again.
"""

from dataclasses import dataclass

from planner.errors import StatementTooLargeError
from planner.limits import Limits

# Divisors that make a step of each kind about as long as one of the others.
_PER_GROUPED = 2
_PER_WINDOWED = 30
_PER_READ = 60
_PER_WHOLE = 8
_OF_READ = 250
_OF_UNITED = 2

_ADVICE = {
    "nested expressions": "compute long expressions in a WITH part, and use their columns",
    "filters over computed columns": "filter where a column is read, before others are computed "
    "from it",
    "aggregates and groups": "ask for fewer aggregates or groups",
    "windows": "write fewer windows, or select the columns that they need in a derived table first",
    "branches of UNION": "put fewer queries together, or select fewer columns in each",
    "tables read": "read fewer tables, or each WITH part less often",
    "columns handed on with *": "name the columns that you need instead of *",
}
_INSTEAD = "or send several statements"


@dataclass(frozen=True, slots=True)
class Work:
    """What planning a query costs, before the width of its tables is known.

    Attributes:
        terms: Terms of all expressions, each counted once for every level that it stands at.
        filters: The same of the filters, their columns replaced by what computes them.
        grouped: Over all SELECTs that group: columns of groups and aggregates, times items.
        windows: Windows of different kinds, times windows, times those windows.
        window_pairs: Windows of different kinds, times windows: once for each column of a table.
        unions: Over all set operations: their branches, squared, times columns.
        reads: How many tables are read once WITH parts are written out.
        whole_reads: How often all columns of a table are handed on.
    """

    terms: int = 0
    filters: int = 0
    grouped: int = 0
    windows: int = 0
    window_pairs: int = 0
    unions: int = 0
    reads: int = 0
    whole_reads: int = 0

    def steps(self, width: int) -> dict[str, int]:
        """Return the steps of each kind over tables of so many columns."""
        whole = self.whole_reads if self.whole_reads > 1 else 0
        return {
            "nested expressions": self.terms,
            "filters over computed columns": self.filters,
            "aggregates and groups": self.grouped // _PER_GROUPED,
            "windows": (self.windows + self.window_pairs * width) // _PER_WINDOWED,
            "branches of UNION": self.unions * _OF_UNITED,
            "tables read": self.reads * (_OF_READ + self.reads * width // _PER_READ),
            "columns handed on with *": whole * width * width // _PER_WHOLE,
        }


def check_work(work: Work, limits: Limits, *, width: int = 0) -> None:
    """Refuse a query whose planning would take too many steps.

    Args:
        work: What was counted.
        limits: How many steps are allowed.
        width: How many columns its widest table has; 0 while that is not known.

    Raises:
        StatementTooLargeError: When it would.
    """
    steps = work.steps(width)
    count = sum(steps.values())
    if count <= limits.max_plan_steps:
        return
    most = max(steps, key=lambda kind: steps[kind])
    wide = f" over tables of up to {width} columns" if width else ""
    raise StatementTooLargeError(
        f"planning the statement{wide} would take {_shortened(count)} steps, most of them for "
        f"{most}, and at most {limits.max_plan_steps} may be taken (limits.max_plan_steps); "
        f"{_ADVICE[most]}, {_INSTEAD}"
    )


def _shortened(count: int) -> str:
    return str(count) if count < 10**9 else "more than 1000000000"
