"""Planning what a write reads, and which columns it fills, on empty tables.

What is planned is the query inside; its faults are told with their places in the typed text. Added
here is what the table that is written to has to say: which columns there are, what they take, and
what type a parameter has that is a value by itself.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import pyarrow as pa

from planner.assigning import names_of, require_assignable, require_column
from planner.definitiongrammar import find_column, require_partitioning
from planner.dialect import place_at
from planner.errors import StatementNotSupportedError, TypeMismatchError, UnknownColumnError
from planner.parameters import ParameterTypes, bound_columns, typed_values
from planner.plan import Plan, known_functions, plan_query
from planner.rowwise import find_unfit
from planner.statement import Query
from planner.writing import CreateTableAs, Delete, Insert, Update
from storage.names import ObjectName

_Schemas = Mapping[ObjectName, pa.Schema]


@dataclass(frozen=True, slots=True)
class WritePlan:
    """How what a write reads will run, and where it goes.

    Attributes:
        query: What is planned, with values in the types of their parameters.
        plan: Its plan.
        fields: The column of the table for each column of the plan.
        parameters: The types of the statement's parameters, in their order.
        rows: What is bound to a single row of parameters, which are the rows to be written:
            nothing runs for them. None where the plan runs.
    """

    query: Query
    plan: Plan
    fields: tuple[pa.Field, ...]
    parameters: ParameterTypes = ()
    rows: pa.RecordBatch | None = None


def plan_insert(insert: Insert, target: pa.Schema, schemas: _Schemas) -> WritePlan:
    """Plan an INSERT.

    Args:
        insert: What was asked.
        target: The columns of the table that is written to.
        schemas: Those of the tables that its query reads.

    Raises:
        UnknownColumnError: When it names a column that the table does not have.
        TypeMismatchError: When it gives more or fewer values than columns, values of a type that
            a column does not take, or none to a column that must have one.
        PlannerError: As `plan_query` has it.
    """
    query = insert.query
    place = f"{place_at(query.sql, insert.start)}: "
    if insert.columns is None:
        fields = tuple(target)
    else:
        fields = tuple(
            require_column(query.sql, insert.table, column, target) for column in insert.columns
        )
        _require_each_once(place, fields)
    _require_complete(place, fields, target)
    cells = {name: fields[column].type for column, name in insert.cells if column < len(fields)}
    is_bound_whole = insert.is_one_row and query.values is not None
    unbound = replace(query, values=None) if is_bound_whole else query
    plan, planned, parameters = _plan_typed(unbound, schemas, cells)
    if len(plan.arrow_schema) != len(fields):
        raise TypeMismatchError(
            f"{place}{insert.table} takes {len(fields)} values in a row ({names_of(fields)}), and "
            f"the statement gives {len(plan.arrow_schema)}; give one for each column, or name the "
            "columns in parentheses after the table"
        )
    if is_bound_whole:
        rows = _bound_rows(insert, fields)
        _require_all_assignable(place, fields, rows.schema, takes_text=True)
        return WritePlan(query, plan, fields, parameters, rows)
    # A column whose type depends on a parameter is text until something is bound to it.
    is_open = query.values is None and bool(query.parameters)
    _require_all_assignable(
        place, fields, plan.arrow_schema, takes_text=insert.is_values or is_open
    )
    return WritePlan(planned, plan, fields, parameters)


def plan_create(create: CreateTableAs, schemas: _Schemas) -> WritePlan:
    """Plan a CREATE TABLE … AS: its columns are those that its query answers.

    Returns:
        The plan; its fields are the columns of the table, in the order of the query.

    Raises:
        UnknownColumnError: When the query does not answer a column to partition by.
        TypeMismatchError: When a column has no type of its own, or no name that others do not have.
        PlannerError: As `plan_query` has it.
    """
    plan, query, parameters = _plan_typed(create.query, schemas, {})
    place = f"{place_at(query.sql, query.start)}: "
    fields = [field.with_nullable(True) for field in plan.arrow_schema]
    for number, field in enumerate(fields):
        if any(field.name.lower() == other.name.lower() for other in fields[:number]):
            raise TypeMismatchError(
                f"{place}the query answers two columns {field.name}; give one of them another "
                "name with AS"
            )
        if pa.types.is_null(field.type):
            raise TypeMismatchError(
                f"{place}the column {field.name} is NULL in every row and has no type; CAST it"
            )
    for column in create.partition_columns:
        at = f"{place_at(query.sql, column.start)}: "
        field = find_column(column, fields)
        if field is None:
            raise UnknownColumnError(
                f"{at}the query answers no column {column.name} to partition by; it answers "
                f"{names_of(fields)}"
            )
        require_partitioning(at, field)
    return WritePlan(query, plan, tuple(fields), parameters)


def plan_update(update: Update, target: pa.Schema, schemas: _Schemas) -> WritePlan:
    """Plan an UPDATE: its query answers the values of each row that it changes.

    Args:
        update: What was asked.
        target: The columns of the table that is written to.
        schemas: Those of the tables that it reads, this one included.

    Raises:
        UnknownColumnError: When it sets a column that the table does not have.
        TypeMismatchError: When a column does not take the type of its value.
        StatementNotSupportedError: When a value is made of several rows.
        PlannerError: As `plan_query` has it.
    """
    query = update.query
    fields = tuple(
        require_column(query.sql, update.table, each.column, target) for each in update.assignments
    )
    _require_rowwise(query)
    cells = {
        each.parameter: field.type
        for each, field in zip(update.assignments, fields, strict=True)
        if each.parameter is not None
    }
    plan, query, parameters = _plan_typed(query, schemas, cells)
    for each, field, made in zip(update.assignments, fields, plan.arrow_schema, strict=True):
        place = f"{place_at(query.sql, each.column.start)}: "
        is_open = query.values is None and bool(query.parameters)
        takes_text = each.is_text or each.parameter is not None or is_open
        require_assignable(place, field, made.type, takes_text=takes_text)
    return WritePlan(query, plan, fields, parameters)


def plan_delete(delete: Delete, schemas: _Schemas) -> WritePlan:
    """Plan a DELETE: its query answers a row for each that it deletes.

    Raises:
        StatementNotSupportedError: When the condition is made of several rows.
        PlannerError: As `plan_query` has it.
    """
    _require_rowwise(delete.query)
    plan, query, parameters = _plan_typed(delete.query, schemas, {})
    return WritePlan(query, plan, (), parameters)


def _plan_typed(
    query: Query, schemas: _Schemas, cells: Mapping[str, pa.DataType]
) -> tuple[Plan, Query, ParameterTypes]:
    """Plan a query some of whose parameters have the types of columns.

    Returns:
        The plan, the query with its values in these types, and the types of all parameters.
    """
    unbound = plan_query(replace(query, values=None), schemas)
    types = tuple(
        cells.get(name, kind)
        for name, kind in zip(query.parameters, unbound.parameters, strict=True)
    )
    if query.values is None:
        return unbound, query, types
    query = replace(query, values=typed_values(query, types))
    return plan_query(query, schemas), query, types


def _bound_rows(insert: Insert, fields: Sequence[pa.Field]) -> pa.RecordBatch:
    """Return what is bound to a single row of parameters as the rows that it stands for."""
    bound = bound_columns(insert.query)
    parameters = dict(insert.cells)
    columns = [bound[parameters[position]] for position in range(len(fields))]
    return pa.RecordBatch.from_arrays(columns, names=[field.name for field in fields])


def _require_all_assignable(
    place: str, fields: Sequence[pa.Field], made: pa.Schema, *, takes_text: bool
) -> None:
    for field, each in zip(fields, made, strict=True):
        require_assignable(place, field, each.type, takes_text=takes_text)


def _require_each_once(place: str, fields: Sequence[pa.Field]) -> None:
    for number, field in enumerate(fields):
        if field in fields[:number]:
            raise TypeMismatchError(
                f"{place}the column {field.name} is named twice; name each column once"
            )


def _require_complete(place: str, fields: Sequence[pa.Field], target: pa.Schema) -> None:
    """Refuse to leave out a column that must have a value."""
    named = {field.name for field in fields}
    for field in target:
        if field.name not in named and not field.nullable:
            raise TypeMismatchError(
                f"{place}the column {field.name} takes no NULL and is left out; give it a value"
            )


def _require_rowwise(query: Query) -> None:
    found = find_unfit(query, known_functions())
    if found is not None:
        start, word = found
        raise StatementNotSupportedError(
            f"{place_at(query.sql, start)}: {word} looks at several rows or makes them, and rows "
            "are changed one by one; compute it in a subquery, as in (SELECT max(bid) FROM …)"
        )
