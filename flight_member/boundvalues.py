"""Statements and the values that are bound to them, and what their answers count."""

from dataclasses import replace

import pyarrow as pa

from flight_member.concealing import takes_password
from flight_member.errors import BadRequestError
from planner import (
    CreateTableAs,
    CreateView,
    Delete,
    Insert,
    LiveQuery,
    Query,
    Statement,
    Update,
    Values,
    count_fault,
)


def query_of(statement: Statement) -> Query | None:
    """Return what an engine would run of a statement, if it reads rows."""
    if isinstance(statement, LiveQuery | Insert | CreateTableAs | CreateView | Update | Delete):
        return statement.query
    return statement if isinstance(statement, Query) else None


def bound(statement: Statement, values: pa.RecordBatch) -> Statement:
    """Return a statement with rows of values bound to its parameters.

    Raises:
        BadRequestError: When another number of values is bound than it has parameters.
    """
    if takes_password(statement) and values.num_columns == 1:
        return statement
    query = query_of(statement)
    parameters = query.parameters if query is not None else ()
    if query is None or values.num_columns != len(parameters):
        raise BadRequestError(count_fault(parameters, values.num_columns))
    with_values = replace(query, values=Values.of(values))
    if isinstance(statement, LiveQuery | Insert | CreateTableAs | CreateView | Update | Delete):
        return replace(statement, query=with_values)
    return with_values


def require_values(statement: Statement, values: pa.RecordBatch | None) -> None:
    """Refuse to execute a statement with parameters to which nothing is bound.

    Raises:
        BadRequestError: When it is one.
    """
    query = query_of(statement)
    if query is not None and query.parameters and values is None:
        raise BadRequestError(count_fault(query.parameters, 0))


def changed_count(rows: pa.Table) -> int:
    """Return how many changes an answer tells of: the rows that it counts, else its own."""
    if "row_count" in rows.schema.names and rows.num_rows == 1:
        counted = rows["row_count"][0].as_py()
        return int(rows.num_rows if counted is None else counted)
    return int(rows.num_rows)
