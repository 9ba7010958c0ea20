"""`information_schema` and `system`, which no cluster owns: what a query may name in them.

Their tables are live: answered from what a server knows, never by an engine over files. A query
reads those of `information_schema`, those of `system.federation`, or tables: one kind of the three.
`information_schema.tables` tells of everything that its reader may read, with `@cluster` of one
cluster, with a catalog of that one. The catalog `system` is the MoM's, wherever it is typed.
"""

from planner.dialect import place_at
from planner.errors import MultiClusterQueryError, NotFoundError, StatementNotSupportedError
from planner.reading import Reading
from planner.references import Reference, catalog_of, schema_of
from storage.names import FEDERATION_SCHEMA, INFORMATION_SCHEMA, SYSTEM_CATALOG

INFORMATION_TABLES = ("schemata", "tables", "columns")
_TABLE_PARTS = 3
_SYSTEM = f"{SYSTEM_CATALOG}.{FEDERATION_SCHEMA}"


def check_live_tables(reading: Reading) -> None:
    """Refuse what a query may not name in `information_schema` and `system`.

    Raises:
        NotFoundError: When the table is none of theirs.
        StatementNotSupportedError: When the query reads other tables as well.
        MultiClusterQueryError: When it reads those of all clusters and those of one.
    """
    is_asked = reads_information_schema(reading)
    is_live = reads_live_tables(reading)
    for reference in reading.references:
        place = place_at(reading.sql, reference.start)
        if _is_information(reading, reference):
            if reference.parts[-1] not in INFORMATION_TABLES:
                raise NotFoundError(
                    f"{place}: {reference} does not exist; information_schema holds "
                    f"{', '.join(INFORMATION_TABLES)}"
                )
            continue
        if _is_system(reading, reference):
            _check_system(reading, reference, place)
        if is_live and (is_asked or not _is_system(reading, reference)):
            what = "information_schema" if is_asked else _SYSTEM
            raise StatementNotSupportedError(
                f"{place}: {reference} is a table, and the statement reads {what} too; "
                "send two queries and join their results in polars or DuckDB"
            )
    if is_asked:
        _check_scopes(reading)


def reads_live_tables(reading: Reading) -> bool:
    """Whether a query names anything in `information_schema` or `system`."""
    return reads_information_schema(reading) or any(
        _is_system(reading, reference) for reference in reading.references
    )


def reads_information_schema(reading: Reading) -> bool:
    """Whether a query names anything in `information_schema`."""
    return any(_is_information(reading, reference) for reference in reading.references)


def tells_of_all(reference: Reference) -> bool:
    """Whether a table of `information_schema` is written without cluster and catalog."""
    return reference.cluster is None and not has_catalog(reference)


def has_catalog(reference: Reference) -> bool:
    """Whether a table of `information_schema` is written with the catalog that it tells of."""
    return len(reference.parts) == _TABLE_PARTS and reference.parts[0] != SYSTEM_CATALOG


def _is_information(reading: Reading, reference: Reference) -> bool:
    return schema_of(reference, reading.defaults) == INFORMATION_SCHEMA


def _is_system(reading: Reading, reference: Reference) -> bool:
    return (
        catalog_of(reference, reading.defaults) == SYSTEM_CATALOG
        and schema_of(reference, reading.defaults) != INFORMATION_SCHEMA
    )


def _check_system(reading: Reading, reference: Reference, place: str) -> None:
    mom = reading.defaults.mom
    if mom is None:
        raise NotFoundError(
            f"{place}: {reference} does not exist: the catalog {SYSTEM_CATALOG} is the "
            "federation's, and this cluster is in none"
        )
    if schema_of(reference, reading.defaults) != FEDERATION_SCHEMA or (
        reference.cluster not in {None, mom}
    ):
        raise NotFoundError(
            f"{place}: {reference} does not exist: the catalog {SYSTEM_CATALOG} is the "
            f"federation's own and needs no cluster; SHOW TABLES FROM {_SYSTEM} tells what it holds"
        )


def _check_scopes(reading: Reading) -> None:
    written = [reference for reference in reading.references if reference.cluster is not None]
    bare = next((one for one in reading.references if tells_of_all(one)), None)
    if written and bare is not None:
        raise MultiClusterQueryError(
            f"{place_at(reading.sql, bare.start)}: {bare} tells of all clusters and {written[0]} "
            "of one; write @cluster at both or at none, and filter by cluster_name"
        )
