"""Queries over live tables: read by the rules of any query, and bound to tables that lie nowhere.

Live tables are those of `information_schema` and of `system.federation`: servers make their rows of
what they know when a result is fetched.
"""

from dataclasses import replace

from planner.bind import bind_query
from planner.dialect import place_at
from planner.errors import StatementNotSupportedError
from planner.reading import Reading
from planner.rules.live_tables import has_catalog, reads_information_schema
from planner.statement import Defaults, Explain, LiveQuery
from storage.names import INFORMATION_SCHEMA, SYSTEM_CATALOG


def bind_live(reading: Reading, *, explain: Explain | None) -> LiveQuery:
    """Return the query over live tables that a reading stands for.

    Names of `information_schema` without a catalog are completed with `system`, whatever the
    session says: what a session chooses narrows names of tables, and never a listing.

    Raises:
        StatementNotSupportedError: When its plan is asked for.
        PlannerError: See `bind_query`.
    """
    if explain:
        what = "information_schema" if reads_information_schema(reading) else SYSTEM_CATALOG
        raise StatementNotSupportedError(
            f"{place_at(reading.sql, 0)}: EXPLAIN is not answered over {what}, which "
            "lies in no files; run the query itself"
        )
    if not reads_information_schema(reading):
        return LiveQuery(bind_query(reading, explain=None))
    completed = Defaults(reading.defaults.cluster, SYSTEM_CATALOG, INFORMATION_SCHEMA)
    query = bind_query(replace(reading, defaults=completed), explain=None)
    named = (one.cluster for one in reading.references if not has_catalog(one))
    return LiveQuery(query, next(named, None))
