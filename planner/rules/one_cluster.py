"""One statement reads one cluster."""

from planner.dialect import place_at
from planner.errors import MultiClusterQueryError
from planner.reading import Reading
from planner.references import cluster_of


def check_one_cluster(reading: Reading) -> None:
    """Refuse tables of two or more clusters, naming both.

    Raises:
        MultiClusterQueryError: When there are.
    """
    clusters = reading.clusters
    if len(clusters) < 2:  # noqa: PLR2004  the rule is about one
        return
    other = next(
        reference
        for reference in reading.references
        if cluster_of(reference, reading.defaults) == clusters[1]
    )
    implied = "" if other.cluster else f" (the default of {other}, which names none)"
    raise MultiClusterQueryError(
        f"{place_at(reading.sql, other.start)}: the statement reads {clusters[0]} and "
        f"{clusters[1]}{implied}; one statement reads one cluster: send two queries and join "
        "their results in polars or DuckDB"
    )
