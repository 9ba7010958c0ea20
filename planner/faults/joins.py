"""What is seen only in the plan: subqueries that use columns of the query around them."""

from collections.abc import Mapping

import pyarrow as pa
from sqlglot import exp

from planner.dialect import shown
from planner.errors import JoinNotSupportedError, StatementNotSupportedError
from planner.faults.asked import Asked
from planner.rules.joins import INSTEAD
from planner.rules.wording import tables_of
from planner.sources import parts_of
from planner.statement import Query
from storage.names import ObjectName


def explain_join(query: Query, schemas: Mapping[ObjectName, pa.Schema]) -> JoinNotSupportedError:
    """Return the refusal of a query whose plan holds a join."""
    asked = Asked(query, query.text, schemas, {})
    outer = _outer_column(asked)
    if outer is not None and asked.reading is not None:
        name = ".".join(part.name.partition("@")[0] for part in parts_of(outer))
        text = (
            f"{asked.of_node(outer)}the subquery uses {shown(name)} of the query around it"
            f"{tables_of(asked.reading)}, which is a join; {INSTEAD}"
        )
    else:
        tables = ", ".join(str(table) for table in query.tables[:4])
        text = f"the statement is a join of {tables or 'its parts'} when it is planned; {INSTEAD}"
    refusal = JoinNotSupportedError(text)
    refusal.tables = query.tables
    return refusal


def explain_subquery(
    fault: str, query: Query, schemas: Mapping[ObjectName, pa.Schema]
) -> StatementNotSupportedError:
    """Return the refusal of a query at home with a subquery that would be answered wrongly."""
    asked = Asked(query, query.text, schemas, {})
    return StatementNotSupportedError(
        f"{asked.of_node(_outer_column(asked))}the engine would answer wrongly {fault}"
    )


def _outer_column(asked: Asked) -> exp.Column | None:
    """Return the first column of a subquery that is a table's around it."""
    usage = asked.usage
    if usage is None:
        return None
    for column in asked.columns:
        owners = usage.owners.get(id(column), [])
        if owners and owners[0] not in usage.of(column.parent_select):
            return column
    return None
