"""What a server tells of itself in SqlInfo that depends on its settings and its place."""

from collections.abc import Mapping
from typing import Any

from flight_member.settings import ServerSettings

_FULL_OUTER_JOINS = 2
# Subqueries in comparisons, in EXISTS and in IN. Quantified ones (= ANY, > ALL) are none of them.
_SUBQUERIES_AT_HOME = 0b111


def sql_facts(settings: ServerSettings, *, joins: bool) -> Mapping[int, Any]:
    """Return the SqlInfo values in which servers differ, by id.

    Args:
        settings: The server's settings.
        joins: Whether it has tables of its own, which its own users may join and write.

    Source:
        Flight SQL, SqlInfo.
    """
    facts: dict[int, Any] = {
        100: settings.auth.prepared_ttl_s * 1000,
        557: settings.limits.max_text_bytes,
    }
    if joins:
        facts |= {
            525: 0b11,  # the core grammar too, as far as it reads
            3: False,  # tables are written
            10: True,  # bulk ingestion
            **dict.fromkeys((500, 501, 502), True),  # CREATE and DROP of catalogs, schemas, tables
            528: _FULL_OUTER_JOINS,
            538: _SUBQUERIES_AT_HOME,
            572: True,  # many rows of values for one statement that writes
            539: True,  # subqueries that use columns of the query around them
        }
    return facts
