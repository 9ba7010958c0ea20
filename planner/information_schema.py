"""Queries over `information_schema`: read by the rules of any query, and bound to fixed tables."""

from dataclasses import replace

from planner.bind import bind_query
from planner.dialect import place_at
from planner.errors import StatementNotSupportedError
from planner.reading import Reading
from planner.rules.information_schema import has_catalog
from planner.statement import Defaults, Explain, InformationSchemaQuery
from storage.names import INFORMATION_SCHEMA, SYSTEM_CATALOG


def bind_information_schema(reading: Reading, *, explain: Explain | None) -> InformationSchemaQuery:
    """Return the query over `information_schema` that a reading stands for.

    Names without a catalog are completed with `system`, whatever the session says: what a session
    chooses narrows names of tables, and never a listing.

    Raises:
        StatementNotSupportedError: When its plan is asked for.
        PlannerError: See `bind_query`.
    """
    if explain:
        raise StatementNotSupportedError(
            f"{place_at(reading.sql, 0)}: EXPLAIN is not answered over information_schema, which "
            "lies in no files; run the query itself"
        )
    completed = Defaults(reading.defaults.cluster, SYSTEM_CATALOG, INFORMATION_SCHEMA)
    query = bind_query(replace(reading, defaults=completed), explain=None)
    named = (one.cluster for one in reading.references if not has_catalog(one))
    return InformationSchemaQuery(query, next(named, None))
