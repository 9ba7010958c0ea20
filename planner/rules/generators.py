"""Functions that make much out of little: how much they may make of constants.

The engine computes what holds no column while it plans, where neither a time limit nor a memory
limit applies: `repeat(repeat('a', 100000), 100000)` would take ten gigabytes there.
"""

from sqlglot import exp

from planner.errors import StatementTooLargeError
from planner.reading import Reading

MAX_MADE = 10_000_000

_NAMED = frozenset(
    {"range", "array_repeat", "list_repeat", "array_resize", "list_resize", "gen_series", "repeat",
     "lpad", "rpad", "generate_series", "replace", "regexp_replace", "string_to_array", "space"}
)  # fmt: skip
_STEEP = (exp.Pow, exp.BitwiseLeftShift)
_STEEP_NAMED = frozenset({"exp", "factorial", "pow", "power"})


def check_generators(reading: Reading) -> None:
    """Refuse generators of constants that would make more than `MAX_MADE` pieces.

    Raises:
        StatementTooLargeError: When one would, or when one is nested in another.
    """
    for call in reading.nodes.of(exp.Func):
        if not _is_generator(call) or isinstance(call.parent, exp.Table):
            continue
        if call.find(exp.Column) is not None or call.find(exp.Query) is not None:
            continue
        if _made(call) > MAX_MADE:
            raise StatementTooLargeError(
                f"{reading.place(call)}: this function would make more than {MAX_MADE} pieces "
                "before the query starts; ask for less, or use generate_series in FROM"
            )


def _is_generator(call: exp.Expr) -> bool:
    return isinstance(call, exp.Anonymous) and call.name.lower() in _NAMED


def _made(call: exp.Expr) -> float:
    """Return about how many pieces a call makes at most: the product of what it is given."""
    total = 1.0
    for node in call.walk():
        if isinstance(node, exp.Literal):
            total *= max(len(node.this), 1) if node.is_string else max(_number(node), 1)
        elif isinstance(node, _STEEP) or (
            isinstance(node, exp.Anonymous) and node.name.lower() in _STEEP_NAMED
        ):
            return float("inf")
    return total


def _number(literal: exp.Literal) -> float:
    try:
        return abs(float(literal.this))
    except ValueError:
        return float("inf")
