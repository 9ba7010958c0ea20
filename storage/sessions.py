"""The sessions in which statements are planned: each knows its own tables and runs queries."""

from collections.abc import Set as AbstractSet

from datafusion import RuntimeEnvBuilder, SessionConfig, SessionContext, SQLOptions
from datafusion.catalog import Catalog, Schema

from storage.errors import StatementRefusedError

ONLY_QUERIES = (
    SQLOptions()
    .with_allow_ddl(allow=False)
    .with_allow_dml(allow=False)
    .with_allow_statements(allow=False)
)
# The engine looks for a cancellation between batches only, also where each row of one batch meets
# every row of another: there, large batches would keep all its threads busy for minutes.
MULTIPLIED_BATCH_ROWS = 1024

_REFUSED_NODES = frozenset(
    {"Explain", "Analyze", "DescribeTable", "Statement", "Dml", "Ddl", "Copy"}
)
_NOWHERE = "_unset"  # no catalog or schema can be called so


def empty_session(
    config: SessionConfig, runtime: RuntimeEnvBuilder, catalog: str | None, schema: str | None
) -> SessionContext:
    """Return a fresh session that knows no table.

    Args:
        config: Of this session alone: it is changed.
        runtime: What the session shares with others.
        catalog: Where names of fewer than three parts are looked for.
        schema: Where names of one part are looked for.
    """
    config = config.with_create_default_catalog_and_schema(enabled=False)
    config = config.with_default_catalog_and_schema(catalog or _NOWHERE, schema or _NOWHERE)
    return SessionContext(config, runtime)


def make_schema(session: SessionContext, catalog: str, schema: str) -> None:
    """Make a schema in a session, and its catalog where it is the first there."""
    if catalog not in session.catalog_names():
        session.register_catalog_provider(catalog, Catalog.memory_catalog())
    session.catalog(catalog).register_schema(schema, Schema.memory_schema())


def require_query(nodes: AbstractSet[str]) -> None:
    """Refuse a plan that does anything but answer rows.

    Args:
        nodes: The names of the plan's nodes.

    Raises:
        StatementRefusedError: When it does.
    """
    if not _REFUSED_NODES.isdisjoint(nodes):
        raise StatementRefusedError("only queries are executed here")
