"""Conditions of a statement as the engine took them: in words, and as what statistics can rule out.

Both read the engine's expressions node by node. What is not understood is told in the engine's
own writing, cleaned, and rules nothing out.
"""

import re
from collections.abc import Callable
from functools import reduce
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

_COMPARISONS: dict[str, Callable[[Any, Any], pc.Expression]] = {
    "=": lambda left, right: left == right,
    "!=": lambda left, right: left != right,
    "<": lambda left, right: left < right,
    "<=": lambda left, right: left <= right,
    ">": lambda left, right: left > right,
    ">=": lambda left, right: left >= right,
}
_TURNED = {"<": ">", "<=": ">=", ">": "<", ">=": "<="}
_LOOSER, _TIGHT = {"OR": 1, "AND": 2}, 3
_NUMBER = re.compile(r"\b(?:U?Int|Float)\d+\(([^()\"]*)\)|\bBoolean\((\w+)\)")
_QUOTED = re.compile(r"\b[A-Z]\w*\(\"((?:[^\"\\]|\\.)*)\"\)")
# Of other kinds of expressions the engine gives no object.
_READABLE = frozenset({"BinaryExpr", "Column", "InList", "IsNotNull", "IsNull"})
_PLAIN_NAME = re.compile(r"[a-z_][a-z0-9_]*")


def columns_of(expression: Any) -> set[str]:
    """Return the columns that an expression reads."""
    if expression.variant_name() == "Column":
        return {str(expression.to_variant().name())}
    found: set[str] = set()
    for operand in _operands(expression):
        found |= columns_of(operand)
    return found


def words_of(expression: Any) -> str:
    """Return a condition as one would write it in SQL."""
    return _write(expression, 0)


def plain_words(written: str) -> str:
    """Return an expression as the engine writes it without what marks its types."""
    written = _NUMBER.sub(lambda match: match[1] or match[2] or "", written)
    return _QUOTED.sub(r"'\1'", written)


def to_predicate(expression: Any) -> pc.Expression | None:
    """Return what statistics can be held against, or None when they cannot rule anything out.

    The answer may hold for more rows than the expression, never for fewer.
    """
    kind = expression.variant_name()
    if kind not in _READABLE:
        return None
    variant = expression.to_variant()
    if kind == "BinaryExpr":
        operator, left, right = str(variant.op()), variant.left(), variant.right()
        if operator in _LOOSER:
            return _combine(operator, to_predicate(left), to_predicate(right))
        return _compare(operator, left, right)
    if kind == "InList" and not variant.negated():
        tests = [_compare("=", variant.expr(), each) for each in variant.list()]
        return reduce(lambda one, other: _combine("OR", one, other), tests)
    if kind in {"IsNull", "IsNotNull"}:
        field = _field(variant.expr())
        if field is not None:
            return field.is_null() if kind == "IsNull" else field.is_valid()
    return None


def _operands(expression: Any) -> list[Any]:
    # Of a leaf the engine says that it is its own operand.
    if expression.variant_name() in {"Column", "Literal"}:
        return []
    try:
        return list(expression.rex_call_operands())
    except BaseException as error:
        if not isinstance(error, Exception) and type(error).__name__ != "PanicException":
            raise
        return []


def _combine(
    operator: str, left: pc.Expression | None, right: pc.Expression | None
) -> pc.Expression | None:
    if left is not None and right is not None:
        return left & right if operator == "AND" else left | right
    return (left if right is None else right) if operator == "AND" else None


def _compare(operator: str, left: Any, right: Any) -> pc.Expression | None:
    if left.variant_name() == "Literal":
        operator, left, right = _TURNED.get(operator, operator), right, left
    field, compare = _field(left), _COMPARISONS.get(operator)
    if field is None or compare is None or right.variant_name() != "Literal":
        return None
    value = right.python_value()
    if not isinstance(value, pa.Scalar) or not value.is_valid:
        return None
    return compare(field, pc.scalar(value))


def _field(expression: Any) -> pc.Expression | None:
    if expression.variant_name() != "Column":
        return None
    return pc.field(str(expression.to_variant().name()))


def _write(expression: Any, around: int) -> str:
    kind = expression.variant_name()
    variant: Any = expression.to_variant() if kind in _READABLE else None
    match kind:
        case "Column":
            name = str(variant.name())
            text = name if _PLAIN_NAME.fullmatch(name) else '"' + name.replace('"', '""') + '"'
        case "Literal":
            text = _write_value(expression)
        case "BinaryExpr":
            operator = str(variant.op())
            level = _LOOSER.get(operator, _TIGHT)
            text = f"{_write(variant.left(), level)} {operator} {_write(variant.right(), level)}"
            text = f"({text})" if level < around else text
        case "InList":
            values = ", ".join(_write(each, 0) for each in variant.list())
            negation = "NOT " if variant.negated() else ""
            text = f"{_write(variant.expr(), _TIGHT)} {negation}IN ({values})"
        case "IsNull":
            text = f"{_write(variant.expr(), _TIGHT)} IS NULL"
        case "IsNotNull":
            text = f"{_write(variant.expr(), _TIGHT)} IS NOT NULL"
        case _:
            # A function, a cast: told as the engine writes it.
            text = plain_words(str(expression.canonical_name()))
    return text


def _write_value(expression: Any) -> str:
    value = expression.python_value()
    if not isinstance(value, pa.Scalar):
        return plain_words(str(expression.canonical_name()))
    if not value.is_valid:
        return "NULL"
    if pa.types.is_integer(value.type) or pa.types.is_floating(value.type):
        return str(value.as_py())
    if pa.types.is_boolean(value.type):
        return str(value.as_py()).lower()
    return "'" + str(value).replace("'", "''") + "'"
