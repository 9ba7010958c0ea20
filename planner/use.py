"""USE: which cluster, catalog and schema complete names from now on.

USE catalog.schema[@cluster] | catalog[@cluster] | schema
USE CLUSTER cluster | CATALOG catalog[@cluster] | SCHEMA [catalog.]schema[@cluster]
USE DEFAULT
"""

from planner.cursor import Cursor
from planner.errors import NotFoundError, SqlSyntaxError
from planner.statement import Defaults, Use
from storage.names import Level, ObjectName

_EXAMPLE = "as in USE trading.stock@hangzhou"


def parse_use(cursor: Cursor, defaults: Defaults) -> Use:
    """Read what follows USE.

    Raises:
        SqlSyntaxError: When it is no name, or the name of something else.
        NotFoundError: When it is a schema, and no catalog is named or in use.
    """
    if cursor.take("DEFAULT"):
        use = Use(None)
    elif cursor.take("CLUSTER"):
        use = Use(ObjectName(cursor.cluster_name()))
    elif cursor.take("CATALOG"):
        use = Use(_named(cursor, Level.CATALOG))
    elif cursor.take("SCHEMA"):
        place = cursor.place()
        name = _named(cursor, Level.CATALOG, Level.SCHEMA)
        schema = name if name.level is Level.SCHEMA else _in_catalog(name, defaults)
        if schema is None:
            raise NotFoundError(
                f"{place}: the schema {name.catalog} lacks its catalog; write it {_EXAMPLE}"
            )
        use = Use(schema)
    else:
        name = _named(cursor, Level.CLUSTER, Level.CATALOG, Level.SCHEMA)
        is_one_part = name.level is Level.CATALOG
        use = Use(name, _in_catalog(name, defaults) if is_one_part else None)
    cursor.expect_end()
    return use


def _named(cursor: Cursor, *levels: Level) -> ObjectName:
    place = cursor.place()
    name = cursor.object_name()
    if name.level in levels:
        return name
    wanted = " or a ".join(level.value for level in levels)
    raise SqlSyntaxError(f"{place}: {name} is a {name.level.value}; name a {wanted}, {_EXAMPLE}")


def _in_catalog(name: ObjectName, defaults: Defaults) -> ObjectName | None:
    """Return one part as a schema of the catalog in use, if there is one."""
    if defaults.catalog is None:
        return None
    return ObjectName(name.cluster, defaults.catalog, name.catalog)
