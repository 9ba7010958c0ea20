"""Which of the names in a query are tables, and which are common table expressions or aliases."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from sqlglot import exp

from planner.dialect import place_at
from planner.errors import SqlSyntaxError
from planner.names import fold_part
from planner.nodes import Nodes
from planner.scopes import alias_of
from planner.statement import Defaults
from storage.names import INFORMATION_SCHEMA, SYSTEM_CATALOG, ObjectName, split_cluster

_TABLE_PARTS = 3


@dataclass(frozen=True, slots=True)
class Reference:
    """A table as the query names it.

    Attributes:
        parts: One to three parts in lower case, without their cluster.
        cluster: The cluster that is written, None when none is.
        identifiers: The written parts.
        start: Where the first of them stands.
        alias: The name that the query goes on with, as the engine keeps it.
        table: The node of the tree.
        is_shadowed: Whether an engine would take the name for a WITH part's, when it is written
            without cluster and quotes: it has to be written out.
    """

    parts: tuple[str, ...]
    cluster: str | None
    identifiers: tuple[exp.Identifier, ...]
    start: int
    alias: str | None
    table: exp.Table = field(compare=False, repr=False)
    is_shadowed: bool = False

    def __str__(self) -> str:
        return ".".join(self.parts) + (f"@{self.cluster}" if self.cluster else "")


def find_references(sql: str, nodes: Nodes) -> tuple[Reference, ...]:
    """Return every table that a query names, in the order of the text.

    Raises:
        SqlSyntaxError: When a part is not a name, or one table names two clusters.
    """
    found = [
        read_reference(sql, table)
        for table in nodes.of(exp.Table)
        if is_named(table) and not is_cte(table)
    ]
    return tuple(sorted(found, key=lambda reference: reference.start))


def full_name(reference: Reference, defaults: Defaults) -> ObjectName | None:
    """Return the full name of a table; None when a part is missing and has no default."""
    missing = _TABLE_PARTS - len(reference.parts)
    parts = (*(defaults.catalog, defaults.schema)[: max(missing, 0)], *reference.parts)
    if len(parts) != _TABLE_PARTS or None in parts:
        return None
    return ObjectName(cluster_of(reference, defaults), *parts)


def catalog_of(reference: Reference, defaults: Defaults) -> str | None:
    """Return the catalog of a table, with what the session says when it is not written."""
    parts = reference.parts
    return parts[0] if len(parts) == _TABLE_PARTS else defaults.catalog


def schema_of(reference: Reference, defaults: Defaults) -> str | None:
    """Return the schema of a table, with what the session says when it is not written."""
    parts = reference.parts
    return parts[-2] if len(parts) > 1 else defaults.schema


def cluster_of(reference: Reference, defaults: Defaults) -> str:
    """Return the cluster of a table: the written one, the MoM for `system`, else the default.

    `information_schema` in it is every cluster's.
    """
    is_moms = (
        catalog_of(reference, defaults) == SYSTEM_CATALOG
        and schema_of(reference, defaults) != INFORMATION_SCHEMA
    )
    return reference.cluster or (is_moms and defaults.mom) or defaults.cluster


def is_named(table: exp.Table) -> bool:
    """Whether this is a name, not a function that answers rows."""
    return isinstance(table.this, exp.Identifier)


def is_cte(table: exp.Table) -> bool:
    """Whether the name is that of a common table expression in scope."""
    if table.args.get("db") is not None or not isinstance(table.this, exp.Identifier):
        return False
    name = engine_name(table.this)
    return name in visible_ctes(table)


def visible_ctes(node: exp.Expr) -> set[str]:
    """Return the common table expressions that can be named at a place of a query.

    Each sees those before it, and a recursive one itself.
    """
    return {name for name, is_later in _ctes_around(node) if not is_later}


def _ctes_around(node: exp.Expr) -> Iterator[tuple[str, bool]]:
    """Yield the WITH parts around a place, each with whether it comes later in a recursive WITH.

    Engines take the name of a later one neither for a WITH part nor for a table.
    """
    child: exp.Expr = node
    parent = node.parent
    while parent is not None:
        if isinstance(parent, exp.With):
            is_recursive = bool(parent.args.get("recursive"))
            is_later = False
            for cte in parent.expressions:
                if is_recursive or (cte is not child and not is_later):
                    yield cte_name(cte), is_later
                is_later = is_later or cte is child
        else:
            clause = parent.args.get("with_")
            if clause is not None and clause is not child:
                for cte in clause.expressions:
                    yield cte_name(cte), False
        child, parent = parent, parent.parent


def cte_name(cte: exp.CTE) -> str:
    """Return the name of a common table expression as the engine keeps it."""
    alias = cte.args["alias"].this
    return engine_name(alias) if isinstance(alias, exp.Identifier) else ""


def engine_name(identifier: exp.Identifier) -> str:
    """Return a name as the engine keeps it: quoted as it is, bare in lower case."""
    text = str(identifier.this)
    return text if identifier.args.get("quoted") else text.lower()


def start_of(node: exp.Expr) -> int:
    """Return where a node stands in the text: its first piece that knows its place, else 0."""
    starts = [
        part.meta["start"]
        for part in node.walk()
        if part._meta and "start" in part.meta  # noqa: SLF001  asking `meta` alone would make one for each node
    ]
    return min(starts, default=0)


def read_reference(sql: str, table: exp.Table) -> Reference:
    """Return what a table node names.

    Raises:
        SqlSyntaxError: When a part is not a name, or two clusters are named.
    """
    identifiers = tuple(part for part in table.parts if isinstance(part, exp.Identifier))
    parts, cluster = read_parts(sql, identifiers)
    alias = alias_of(table)
    return Reference(
        parts=parts,
        cluster=cluster,
        identifiers=identifiers,
        start=identifiers[0].meta["start"],
        alias=engine_name(alias) if alias is not None else None,
        table=table,
        is_shadowed=_is_shadowed(sql, table, parts, cluster),
    )


def _is_shadowed(sql: str, table: exp.Table, parts: tuple[str, ...], cluster: str | None) -> bool:
    """Whether a table has the name of a WITH part.

    Raises:
        SqlSyntaxError: When the name is that of a later part of a recursive WITH.
    """
    if len(parts) > 1:
        return False
    around = [(name, is_later) for name, is_later in _ctes_around(table) if name == parts[0]]
    if any(is_later for _, is_later in around) and cluster is None:
        raise SqlSyntaxError(
            f"{place_at(sql, start_of(table))}: the WITH part {parts[0]} comes after this one; "
            "write it first, or name the table with its cluster"
        )
    return bool(around)


def read_parts(
    sql: str, identifiers: tuple[exp.Identifier, ...]
) -> tuple[tuple[str, ...], str | None]:
    """Return the parts of a written name in lower case, and the one cluster that it names.

    Raises:
        SqlSyntaxError: When a part is not a name, or two clusters are named.
    """
    parts: list[str] = []
    clusters: dict[str, int] = {}
    for identifier in identifiers:
        start = identifier.meta["start"]
        name, written = split_cluster(str(identifier.this))
        parts.append(fold_part(sql, start, name))
        if written is not None:
            clusters.setdefault(fold_part(sql, start, written), start)
    if len(clusters) > 1:
        raise SqlSyntaxError(
            f"{place_at(sql, max(clusters.values()))}: one name holds two clusters, "
            f"{' and '.join(sorted(clusters))}; write catalog.schema.table@cluster"
        )
    return tuple(parts), next(iter(clusters), None)
