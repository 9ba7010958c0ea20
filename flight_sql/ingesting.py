"""Bulk ingestion: understood, and refused, before any row of it is read.

Tables have owners who load them; nothing is written over the wire. The command is read all the
same, so that a client with a fault in it learns of that fault.
"""

from typing import Any

from flight_sql.errors import InvalidRequestError, RequestNotSupportedError


def ingest_refusal(command: Any) -> Exception:
    """Return why a CommandStatementIngest is refused."""
    how = command.table_definition_options
    if not how.if_not_exist or not how.if_exists:
        return InvalidRequestError(
            "an ingest must say what to do if the table exists and what if it does not; one of "
            "them is unspecified"
        )
    return RequestNotSupportedError(
        "nothing is ingested over the wire (SqlInfo 10 says so), and nothing of it was kept; the "
        "owner of a table loads it with flight-member load"
    )
