"""`information_schema` and `system`, which no cluster owns: what a query may name in them.

Both are answered from what a server knows of tables, never by an engine over files: a query reads
them or tables, not both. `information_schema.tables` tells of everything that its reader may read,
with `@cluster` of one cluster, with a catalog of that one.
"""

from planner.dialect import place_at
from planner.errors import MultiClusterQueryError, NotFoundError, StatementNotSupportedError
from planner.reading import Reading
from planner.references import Reference
from storage.names import INFORMATION_SCHEMA, SYSTEM_CATALOG

INFORMATION_TABLES = ("schemata", "tables", "columns")
_TABLE_PARTS = 3
SYSTEM_HOLDS = (
    "the catalog system is the federation's own and holds nothing but information_schema yet; "
    "SHOW CLUSTERS, SHOW TABLES and SHOW GRANTS tell what there is"
)


def check_information_schema(reading: Reading) -> None:
    """Refuse what a query may not name in `information_schema` and `system`.

    Raises:
        NotFoundError: When the table is none of theirs.
        StatementNotSupportedError: When the query reads other tables as well.
        MultiClusterQueryError: When it reads those of all clusters and those of one.
    """
    is_asked = reads_information_schema(reading)
    for reference in reading.references:
        place = place_at(reading.sql, reference.start)
        if _is_information(reading, reference):
            if reference.parts[-1] not in INFORMATION_TABLES:
                raise NotFoundError(
                    f"{place}: {reference} does not exist; information_schema holds "
                    f"{', '.join(INFORMATION_TABLES)}"
                )
        elif _catalog(reading, reference) == SYSTEM_CATALOG:
            raise NotFoundError(f"{place}: {reference} does not exist: {SYSTEM_HOLDS}")
        elif is_asked:
            raise StatementNotSupportedError(
                f"{place}: {reference} is a table, and the statement reads information_schema too; "
                "send two queries and join their results in polars or DuckDB"
            )
    if is_asked:
        _check_scopes(reading)


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
    parts = reference.parts
    schema = parts[-2] if len(parts) > 1 else reading.defaults.schema
    return schema == INFORMATION_SCHEMA


def _catalog(reading: Reading, reference: Reference) -> str | None:
    parts = reference.parts
    return parts[0] if len(parts) == _TABLE_PARTS else reading.defaults.catalog


def _check_scopes(reading: Reading) -> None:
    written = [reference for reference in reading.references if reference.cluster is not None]
    bare = next((one for one in reading.references if tells_of_all(one)), None)
    if written and bare is not None:
        raise MultiClusterQueryError(
            f"{place_at(reading.sql, bare.start)}: {bare} tells of all clusters and {written[0]} "
            "of one; write @cluster at both or at none, and filter by cluster_name"
        )
