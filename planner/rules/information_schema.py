"""`information_schema` is answered by SHOW, not by queries, for now."""

from planner.dialect import place_at
from planner.errors import StatementNotSupportedError
from planner.reading import Reading

_RESERVED = "information_schema"


def check_information_schema(reading: Reading) -> None:
    """Refuse tables of `information_schema`.

    Raises:
        StatementNotSupportedError: When the query names one.
    """
    for reference in reading.references:
        if _RESERVED in reference.parts[:-1]:
            raise StatementNotSupportedError(
                f"{place_at(reading.sql, reference.start)}: {reference} cannot be queried; write "
                "SHOW CATALOGS, SHOW SCHEMAS, SHOW TABLES or DESCRIBE catalog.schema.table"
            )
