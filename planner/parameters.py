"""The types of a statement's parameters, and its values cast to them.

The engine says what type a parameter has where it compares or computes with a column, a CAST or a
literal. Where it does not say, any type is taken: the value's own counts then.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeAlias

import pyarrow as pa

from planner.dialect import place_at, read_tokens
from planner.errors import PlannerError, TypeMismatchError
from planner.names import join_names
from planner.placeholders import find_placeholders
from planner.statement import Query
from planner.values import Values

# By parameter; None where the statement does not say.
ParameterTypes: TypeAlias = tuple[pa.DataType | None, ...]
TypeOf: TypeAlias = Callable[[Any], pa.DataType]

# What clients can bind where nothing is known: JDBC binds no value to the type Null.
UNKNOWN_TYPE = pa.utf8()
_EXPRESSIONS = (
    "projections",
    "predicate",
    "group_by_exprs",
    "aggregate_exprs",
    "get_window_expr",
    "sort_exprs",
    "values",
)
# Each is planned for by itself; a statement with more leaves them open.
_MOST_UNSEEN = 8
_LEAVES = frozenset({"Column", "Literal", "Placeholder"})


def infer_types(
    query: Query, plan: Any, type_of: TypeOf, first_type: Callable[[str], pa.DataType | None]
) -> ParameterTypes:
    """Return the type of each parameter of a query, as its logical plan has it.

    Args:
        query: What was asked.
        plan: The engine's logical plan, its parameters unbound.
        type_of: Tells the type of an expression of constants and parameters.
        first_type: Tells the type of `$1` of a text, its other parameters named, or None. It sees
            what plans do not open up, as subqueries and FILTER, and plans anew each time.
    """
    found: dict[str, set[pa.DataType]] = {}
    for name, kind in _typed(plan, type_of):
        if not pa.types.is_null(kind):
            found.setdefault(name, set()).add(kind)
    unseen = [name for name in query.parameters if name not in found]
    for name in unseen if len(unseen) <= _MOST_UNSEEN else ():
        kind = first_type(_with_first(query.text, name))
        if kind is not None and not pa.types.is_null(kind):
            found[name] = {kind}
    kinds = (found.get(name, set()) for name in query.parameters)
    # One that is compared with columns of two types takes what is bound: each place casts it.
    return tuple(next(iter(each)) if len(each) == 1 else None for each in kinds)


def _with_first(text: str, name: str) -> str:
    """Return a text with one parameter as `$1` and all others under names."""
    tokens = join_names(text, read_tokens(text)).tokens
    pieces, end = [], 0
    for place in find_placeholders(text, tokens):
        written = "$1" if place.name == name else f"$_{place.name}"
        pieces += [text[end : place.start], written]
        end = place.end
    return "".join([*pieces, text[end:]])


def _typed(plan: Any, type_of: TypeOf) -> Iterator[tuple[str, pa.DataType]]:
    """Yield the parameters of a plan with the types that they have."""
    node = plan.to_variant()
    if type(node).__name__ == "Limit":
        for count in (node.fetch(), node.skip()):
            if count is not None and count.variant_name() == "Placeholder":
                yield _name_of(count), pa.int64()
    for attribute in _EXPRESSIONS:
        read = getattr(node, attribute, None)
        for expression in _flat(read()) if callable(read) else ():
            yield from _in_expression(expression, type_of)
    for each in plan.inputs():
        yield from _typed(each, type_of)


def _flat(value: Any) -> Iterator[Any]:
    """Yield the expressions of what a node of a plan answers: one, none, a list, lists of lists."""
    if isinstance(value, (list, tuple)):
        for each in value:
            yield from _flat(each)
    elif hasattr(value, "variant_name"):
        yield value
    elif type(value).__name__ == "SortExpr":
        yield value.expr()


def _in_expression(expression: Any, type_of: TypeOf) -> Iterator[tuple[str, pa.DataType]]:
    kind = expression.variant_name()
    if kind == "Placeholder":
        yield _name_of(expression), type_of(expression)
    if kind in _LEAVES:
        return
    try:
        operands = expression.rex_call_operands()
    except Exception:  # noqa: BLE001  what the engine does not open up stays unknown
        return
    for operand in operands:
        if kind == "Cast" and operand.variant_name() == "Placeholder":
            yield _name_of(operand), type_of(expression)
        else:
            yield from _in_expression(operand, type_of)


def _name_of(placeholder: Any) -> str:
    return str(placeholder.to_variant().id())[1:]


def cast_values(query: Query, types: ParameterTypes) -> Mapping[str, pa.Scalar]:
    """Return the only row of a query's bound values in the types that it takes, by parameter.

    Raises:
        TypeMismatchError: When their number is not that of the parameters, or one cannot take its
            type without loss. The text names the parameter and types, never a value.
    """
    (row,) = cast_rows(query, types)
    return row


def cast_rows(query: Query, types: ParameterTypes) -> Iterator[Mapping[str, pa.Scalar]]:
    """Yield each row of the bound values in the types that a query takes, by parameter.

    Raises:
        TypeMismatchError: As `cast_values`; where several rows are bound, it names the row too.
    """
    rows = query.values.batch() if query.values is not None else None
    bound = 0 if rows is None else rows.num_columns
    if rows is None or bound != len(query.parameters):
        raise TypeMismatchError(count_fault(query.parameters, bound))
    names = _order(query.parameters, rows.schema.names)
    columns = dict(zip(names, rows.columns, strict=True))
    kinds = dict(zip(query.parameters, types, strict=True))
    for number in range(rows.num_rows):
        shown = f" of row {number + 1}" if rows.num_rows > 1 else ""
        yield {
            name: _fitting(query, name, columns[name][number], kind, shown)
            for name, kind in kinds.items()
        }


def typed_values(query: Query, types: ParameterTypes) -> Values:
    """Return all rows of a query's bound values in the types that its parameters have.

    Texts are read as what a parameter takes.

    Raises:
        TypeMismatchError: When their number is not that of the parameters, or one cannot take its
            type without loss; the text names no value.
    """
    columns = bound_columns(query)
    kinds = dict(zip(query.parameters, types, strict=True))
    typed = [_fitting_column(query, name, column, kinds[name]) for name, column in columns.items()]
    return Values.of(pa.RecordBatch.from_arrays(typed, names=list(columns)))


def bound_columns(query: Query) -> Mapping[str, pa.Array]:
    """Return what is bound to a query, a column for each parameter, in their order.

    Raises:
        TypeMismatchError: When their number is not that of the parameters.
    """
    rows = query.values.batch() if query.values is not None else None
    bound = 0 if rows is None else rows.num_columns
    if rows is None or bound != len(query.parameters):
        raise TypeMismatchError(count_fault(query.parameters, bound))
    found = dict(zip(_order(query.parameters, rows.schema.names), rows.columns, strict=True))
    return {name: found[name] for name in query.parameters}


def _fitting_column(
    query: Query, name: str, column: pa.Array, kind: pa.DataType | None
) -> pa.Array:
    if kind is None or column.type == kind:
        return column
    values = [_fitting(query, name, value, kind, "") for value in column]
    return pa.array([value.as_py() for value in values], kind)


def parameter_schema(query: Query, types: ParameterTypes) -> pa.Schema | None:
    """Return one column per parameter, as clients are told of them; None when there are none."""
    if not query.parameters:
        return None
    kinds = zip(query.parameters, types, strict=True)
    return pa.schema([pa.field(name, kind or UNKNOWN_TYPE) for name, kind in kinds])


def count_fault(parameters: Sequence[str], bound: int) -> str:
    """Say that a number of values is not the number of parameters, and how to bind them."""
    count = len(parameters)
    takes = f"{count} parameter{'' if count == 1 else 's'}" if count else "no parameters"
    values = "no value is" if not bound else "1 value is" if bound == 1 else f"{bound} values are"
    return f"the statement has {takes} and {values} bound; bind one value for each"


def _order(parameters: Sequence[str], columns: Sequence[str]) -> Sequence[str]:
    """Return which parameter each column is for: by name where all are named so, else in order."""
    return columns if set(columns) == set(parameters) else parameters


def _fitting(
    query: Query, name: str, value: pa.Scalar, kind: pa.DataType | None, shown: str
) -> pa.Scalar:
    """Return a value in a type; the very value, or a refusal that shows which row it is of."""
    if not value.is_valid:
        return _null(kind or value.type)
    if kind is None or value.type == kind:
        return value
    try:
        cast = value.cast(kind)
        # A text has many spellings of one value; everything else must be the same both ways.
        if pa.types.is_string(value.type) or cast.cast(value.type).equals(value):
            return cast
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, ValueError, OverflowError):
        pass
    raise TypeMismatchError(
        f"{_place_of(query, name)}parameter ${name} takes {kind}, and the bound value{shown}, a "
        f"{value.type}, does not fit; bind another, or write CAST(${name} AS …) with the type "
        "that is meant"
    )


def _null(kind: pa.DataType) -> pa.Scalar:
    # The engine takes no null of a nested type, and gives an untyped one any type.
    return pa.scalar(None, pa.null() if pa.types.is_nested(kind) else kind)


def _place_of(query: Query, name: str) -> str:
    try:
        tokens = join_names(query.sql, read_tokens(query.sql)).tokens
        found = find_placeholders(query.sql, tokens)
    except PlannerError:
        return ""
    start = next((one.start for one in found if one.name == name), None)
    return "" if start is None else f"{place_at(query.sql, start)}: "
