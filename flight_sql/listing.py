"""ListFlights: what the caller may read, one flight for each table.

A flight's descriptor is the command that reads the whole table, good for GetFlightInfo and
GetSchema. It has no endpoints: a ticket is made when the descriptor is asked for, not for
everything in a list.
"""

from typing import Any

from pyarrow import flight

from flight_sql.backend import Backend, Call, TableEntry, TableFilter
from flight_sql.errors import InvalidRequestError
from flight_sql.messages import pack, sql_message
from flight_sql.metadata import like_pattern, table_key
from flight_sql.profile import WireProfile

MAX_FLIGHTS = 1000
_MAX_CRITERIA_BYTES = 1024


def list_tables_as_flights(call: Call, backend: Backend, criteria: bytes) -> list[Any]:
    """Return a flight for each table that the caller may read and the criteria fit.

    Args:
        call: Who asks.
        backend: What knows the tables.
        criteria: A pattern as in the metadata commands, for `catalog.schema.table` as they list
            it; empty for all.

    Returns:
        Ordered by catalog, schema and table.

    Raises:
        InvalidRequestError: When the criteria are no text, or fit more tables than can be listed.
    """
    pattern = like_pattern(_text(criteria) or "%")
    found = sorted(
        (
            entry
            for entry in backend.list_tables(call, TableFilter(), include_schema=True)
            if pattern.fullmatch(f"{entry.catalog}.{entry.schema}.{entry.table}")
        ),
        key=table_key,
    )
    if len(found) > MAX_FLIGHTS:
        raise InvalidRequestError(
            f"there are {len(found):,} tables to list and a list holds {MAX_FLIGHTS:,}; send a "
            "pattern as criteria, such as catalog.schema.%, or use CommandGetTables"
        )
    return [_flight(entry, call.profile) for entry in found]


def _text(criteria: bytes) -> str:
    try:
        if len(criteria) <= _MAX_CRITERIA_BYTES:
            return criteria.decode()
    except UnicodeDecodeError:
        pass
    raise InvalidRequestError(
        f"criteria are a pattern for catalog.schema.table, in UTF-8, of at most "
        f"{_MAX_CRITERIA_BYTES:,} bytes"
    )


def _flight(entry: TableEntry, profile: WireProfile) -> Any:
    name = ".".join(_quoted(part) for part in (entry.catalog, entry.schema, entry.table))
    command = sql_message("CommandStatementQuery", query=f"SELECT * FROM {name}")
    return flight.FlightInfo(
        profile.schema(entry.arrow_schema),
        flight.FlightDescriptor.for_command(pack(command)),
        [],
        entry.row_count,
        -1,
    )


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
