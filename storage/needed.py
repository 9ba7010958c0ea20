"""Which rows of its tables a statement can need, read from the engine's optimised plan.

For tables whose rows are made when they are asked for: what is told here need not be made. It may
tell of too many rows, never of too few; what is not understood narrows nothing.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import pyarrow as pa

_TURNED = {"=": "=", "<": ">", "<=": ">=", ">": "<", ">=": "<="}


@dataclass(frozen=True, slots=True)
class Condition:
    """What holds for every row that is needed: a column compared with a value."""

    column: str
    operator: str
    """`=`, `<`, `<=`, `>` or `>=`."""
    value: object
    """As Python has it; times are aware."""


@dataclass(frozen=True, slots=True)
class Needed:
    """The rows of one table that a statement can need."""

    conditions: frozenset[Condition] = frozenset()
    """All of them hold."""
    row_count: int | None = None
    """No more rows than these are needed; None for all that fulfil the conditions."""
    newest_by: str | None = None
    """Of these, those with the greatest values of this column; None for any."""


EVERYTHING = Needed()


def needed_rows(plan: Any) -> dict[str, Needed]:
    """Return what is needed of each table of an optimised plan.

    Args:
        plan: The engine's optimised logical plan.

    Returns:
        By `catalog.schema.table`. Of a table that is not among them everything is needed.
    """
    scans = list(_scans(plan, EVERYTHING))
    # The scans of subqueries hang on expressions, where they are not found.
    heads = (line.split(":", 1)[0].strip() for line in plan.display_indent().splitlines())
    if len(scans) != sum(head == "TableScan" for head in heads):
        return {}
    found: dict[str, Needed] = {}
    for name, needed in scans:
        known = found.get(name)
        found[name] = needed if known is None else Needed(known.conditions & needed.conditions)
    return found


def _scans(plan: Any, above: Needed) -> Iterator[tuple[str, Needed]]:
    """Yield every scan with what is needed of it; `above` is what holds for the rows of `plan`."""
    kind, inputs = _kind(plan), plan.inputs()
    if kind == "TableScan":
        yield str(plan.to_variant().table_name()), above
    elif kind == "Filter" and _kind(inputs[0]) == "TableScan":
        conditions, is_whole = _conditions(plan.to_variant().predicate())
        below = above if is_whole else EVERYTHING
        yield from _scans(inputs[0], replace(below, conditions=frozenset(conditions)))
    elif kind == "Limit":
        yield from _scans(inputs[0], Needed(row_count=_reach(plan.to_variant())))
    elif kind == "Sort":
        yield from _scans(inputs[0], _sorted(plan.to_variant()))
    elif kind == "SubqueryAlias" or (kind == "Projection" and _keeps(plan, above.newest_by)):
        yield from _scans(inputs[0], above)
    else:
        for child in inputs:
            yield from _scans(child, EVERYTHING)


def _kind(plan: Any) -> str:
    return str(plan.display()).split(":", 1)[0]


def _reach(limit: Any) -> int | None:
    skip, fetch = _number(limit.skip()), _number(limit.fetch())
    return None if skip is None or fetch is None else skip + fetch


def _number(expression: Any) -> int | None:
    if expression is None:
        return 0
    value = expression.python_value() if expression.variant_name() == "Literal" else None
    return int(value.as_py()) if isinstance(value, pa.Scalar) and value.is_valid else None


def _keeps(projection: Any, name: str | None) -> bool:
    """Whether a column below a projection has the same name above it, and nothing else has."""
    if name is None:
        return True
    named = [each for each in projection.to_variant().projections() if each.schema_name() == name]
    columns = [
        each
        for each in projection.to_variant().projections()
        if each.variant_name() == "Column" and _column(each) == name
    ]
    return bool(columns) and all(each.variant_name() == "Column" for each in named)


def _sorted(sort: Any) -> Needed:
    """Return what is needed below a sort that keeps only its first rows, newest first."""
    keys, row_count = sort.sort_exprs(), sort.get_fetch_val()
    if row_count is None or len(keys) != 1 or keys[0].ascending():
        return EVERYTHING
    column = keys[0].expr()
    if column.variant_name() != "Column":
        return EVERYTHING
    return Needed(row_count=int(row_count), newest_by=_column(column))


def _conditions(expression: Any) -> tuple[list[Condition], bool]:
    """Return the conditions of a conjunction that are understood, and whether all of them are."""
    if expression.variant_name() == "BinaryExpr" and str(expression.to_variant().op()) == "AND":
        both = expression.to_variant()
        ours, is_whole = _conditions(both.left())
        theirs, are_whole = _conditions(both.right())
        return ours + theirs, is_whole and are_whole
    condition = _flag(expression) or _comparison(expression)
    return ([], False) if condition is None else ([condition], True)


def _flag(expression: Any) -> Condition | None:
    """Return `column` or `NOT column` as a comparison."""
    kind = expression.variant_name()
    operand = expression.rex_call_operands()[0] if kind == "Not" else expression
    if operand.variant_name() != "Column":
        return None
    return Condition(_column(operand), "=", kind != "Not")


def _comparison(expression: Any) -> Condition | None:
    if expression.variant_name() != "BinaryExpr":
        return None
    variant = expression.to_variant()
    operator, left, right = str(variant.op()), variant.left(), variant.right()
    if left.variant_name() == "Literal":
        operator, left, right = _TURNED.get(operator, ""), right, left
    if operator not in _TURNED or left.variant_name() != "Column":
        return None
    value = right.python_value() if right.variant_name() == "Literal" else None
    if not isinstance(value, pa.Scalar) or not value.is_valid:
        return None
    try:
        return Condition(_column(left), operator, value.as_py())
    except (OverflowError, ValueError):  # a time before year 1 or after 9999
        return None


def _column(expression: Any) -> str:
    return str(expression.to_variant().name())
