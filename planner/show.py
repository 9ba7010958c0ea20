"""SHOW and DESCRIBE, read from their tokens.

SHOW CLUSTERS | CATALOGS [FROM cluster] | SCHEMAS [FROM catalog] | TABLES [FROM catalog[.schema]]
SHOW TABLES FOR user
SHOW GRANTS [FOR principal | ON securable]
SHOW GROUPS | USERS
SHOW JOBS [FOR user]
SHOW READERS OF table
SHOW COLUMNS FROM table, DESCRIBE table

Each of them ends with [LIKE | ILIKE 'pattern'], but DESCRIBE and those that tell who may read what:
SHOW TABLES FOR, SHOW GROUPS, SHOW USERS and SHOW READERS. IN is FROM; `*@cluster` is every
catalog of a cluster.
"""

from collections.abc import Callable

from planner.cursor import Cursor
from planner.errors import NotFoundError, SqlSyntaxError, StatementNotSupportedError
from planner.rules.live_tables import INFORMATION_TABLES
from planner.statement import (
    Describe,
    NamePattern,
    ShowCatalogs,
    ShowClusters,
    ShowGrants,
    ShowGroups,
    ShowJobs,
    ShowReadable,
    ShowReaders,
    ShowSchemas,
    ShowTables,
    ShowUsers,
    Statement,
)
from storage.names import INFORMATION_SCHEMA, SYSTEM_CATALOG, Level, ObjectName

_IN = ("FROM", "IN")
_LIKE = ("LIKE", "ILIKE")
_INSTEAD = {
    "DATABASES": "write SHOW CATALOGS or SHOW SCHEMAS",
    "VIEWS": "write SHOW TABLES",
    "CREATE": "write DESCRIBE and the table",
    "FUNCTIONS": "the functions are those of DataFusion",
}
_NO_SETTINGS = (
    "the federation has no settings to show; leave it out, or write SHOW CLUSTERS, CATALOGS, "
    "SCHEMAS, TABLES, COLUMNS, GRANTS or JOBS"
)


def parse_show(cursor: Cursor) -> Statement:
    """Read what follows SHOW.

    Raises:
        SqlSyntaxError: When it cannot be read.
        StatementNotSupportedError: When it is not answered.
        NotFoundError: When a name lacks a part that has no default.
    """
    place = cursor.place()
    what = cursor.word_or_text("what to show").upper()
    read = _SHOWN.get(what)
    if read is None:
        raise StatementNotSupportedError(
            f"{place}: SHOW {what[:63]} is not answered: {_INSTEAD.get(what, _NO_SETTINGS)}"
        )
    return read(cursor)


def parse_describe(cursor: Cursor) -> Statement:
    """Read what follows DESCRIBE; see `parse_show`."""
    cursor.take("TABLE")
    return Describe(_described(cursor))


def _show_clusters(cursor: Cursor) -> Statement:
    return ShowClusters(_pattern(cursor))


def _show_catalogs(cursor: Cursor) -> Statement:
    parent = ObjectName(cursor.cluster_name()) if cursor.take(*_IN) else None
    return ShowCatalogs(parent, _pattern(cursor))


def _show_schemas(cursor: Cursor) -> Statement:
    parent = _parent(cursor, Level.CATALOG, Level.CLUSTER)
    return ShowSchemas(parent, _pattern(cursor))


def _show_tables(cursor: Cursor) -> Statement:
    if cursor.take("FOR"):
        return ShowReadable(cursor.user())
    parent = _parent(cursor, Level.CATALOG, Level.SCHEMA, Level.CLUSTER)
    return ShowTables(parent, _pattern(cursor))


def _show_columns(cursor: Cursor) -> Statement:
    if not cursor.take(*_IN):
        raise cursor.fault("FROM and a table, as in SHOW COLUMNS FROM trading.stock.quote@hangzhou")
    table = _described(cursor)
    return Describe(table, _pattern(cursor))


def _show_grants(cursor: Cursor) -> Statement:
    principal = cursor.principal(visitors=True) if cursor.take("FOR") else None
    securable = cursor.object_name() if principal is None and cursor.take("ON") else None
    return ShowGrants(principal, securable, _pattern(cursor))


def _show_jobs(cursor: Cursor) -> Statement:
    principal = cursor.user() if cursor.take("FOR") else None
    return ShowJobs(principal, _pattern(cursor, "system.federation.jobs"))


def _show_readers(cursor: Cursor) -> Statement:
    cursor.expect("OF")
    return ShowReaders(cursor.table_name())


_SHOWN: dict[str, Callable[[Cursor], Statement]] = {
    "CLUSTERS": _show_clusters,
    "CATALOGS": _show_catalogs,
    "SCHEMAS": _show_schemas,
    "TABLES": _show_tables,
    "COLUMNS": _show_columns,
    "GRANTS": _show_grants,
    "JOBS": _show_jobs,
    "GROUPS": lambda _: ShowGroups(),
    "USERS": lambda _: ShowUsers(),
    "READERS": _show_readers,
}


def _pattern(cursor: Cursor, table: str = "information_schema.tables") -> NamePattern | None:
    """Read LIKE or ILIKE and its pattern, if one comes next; `table` takes a WHERE."""
    ignores_case = cursor.peek_word() == "ILIKE"
    if not cursor.take(*_LIKE):
        if cursor.peek_word() == "WHERE":
            raise SqlSyntaxError(
                f"{cursor.place()}: SHOW takes LIKE and no WHERE; write SELECT … FROM "
                f"{table} WHERE …"
            )
        return None
    return NamePattern(cursor.text("a pattern in quotes, as in LIKE 'q%'"), ignores_case)


def _parent(cursor: Cursor, *levels: Level) -> ObjectName | None:
    if not cursor.take(*_IN):
        return None
    place = cursor.place()
    name = cursor.object_name()
    if name.level not in levels:
        raise SqlSyntaxError(
            f"{place}: {name} is a {name.level.value}; name a "
            f"{' or a '.join(level.value for level in levels)}, as in trading@hangzhou"
        )
    return name


def _described(cursor: Cursor) -> ObjectName:
    """Read a table's name; those of `information_schema` need no catalog."""
    place = cursor.place()
    name = cursor.table_name()
    if name.schema == INFORMATION_SCHEMA:
        if name.table not in INFORMATION_TABLES:
            raise NotFoundError(
                f"{place}: {name} does not exist; information_schema holds "
                f"{', '.join(INFORMATION_TABLES)}"
            )
        return ObjectName(name.cluster, SYSTEM_CATALOG, INFORMATION_SCHEMA, name.table)
    return name
