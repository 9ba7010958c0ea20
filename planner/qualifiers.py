"""The qualifiers of columns that name a table, in all the forms in which tables are named.

An alias or a WITH part's name in the FROM of a SELECT around is left as it was typed. A table's own
name loses its cluster, and its quoted parts are folded, as in FROM.
"""

from sqlglot import exp

from planner.dialect import place_at
from planner.edits import Edit
from planner.errors import MultiClusterQueryError, UnknownColumnError
from planner.reading import Reading
from planner.references import Reference, engine_name, read_parts
from planner.scopes import alias_of, pieces_of, selects_around
from planner.statement import Defaults
from storage.names import split_cluster

_TABLE_PARTS = 3


def qualifier_edits(reading: Reading, cluster: str) -> list[Edit]:
    """Return the edits of all qualifiers of columns.

    Args:
        reading: The query as it was read.
        cluster: The one cluster that it reads.

    Raises:
        UnknownColumnError: When a column is qualified by a table that is not in FROM.
        MultiClusterQueryError: When a column is qualified by a table of another cluster.
    """
    qualifiers = _Qualifiers(reading, cluster)
    return [edit for column in reading.nodes.of(exp.Column) for edit in qualifiers.edits_of(column)]


def fold_edits(sql: str, identifiers: tuple[exp.Identifier, ...]) -> list[Edit]:
    """Return the edits that take the cluster out of a written name and fold its quoted parts."""
    edits: list[Edit] = []
    for identifier in identifiers:
        start, end = identifier.meta["start"], identifier.meta["end"] + 1
        name = str(identifier.this).partition("@")[0]
        replacement = f'"{name.lower()}"' if identifier.args.get("quoted") else name
        if sql[start:end] != replacement:
            edits.append(Edit(start, end, replacement))
    return edits


def full_parts(defaults: Defaults, reference: Reference) -> tuple[str, ...]:
    """Return catalog, schema and table of a reference; empty where there is no default."""
    missing = _TABLE_PARTS - len(reference.parts)
    return (*(defaults.catalog or "", defaults.schema or "")[:missing], *reference.parts)


class _Qualifiers:
    """Finds what a qualifier means among what its SELECT and those around it read."""

    def __init__(self, reading: Reading, cluster: str) -> None:
        self._reading = reading
        self._cluster = cluster
        self._by_table = {id(reference.table): reference for reference in reading.references}
        self._scopes: dict[int, tuple[frozenset[str], tuple[Reference, ...]]] = {}

    def edits_of(self, column: exp.Column) -> list[Edit]:
        """Return the edits of one column's qualifier."""
        if column.args.get("table") is None:
            return []
        parts = tuple(part for part in column.parts[:-1] if isinstance(part, exp.Identifier))
        is_star = isinstance(column.this, exp.Star)
        has_cluster = any("@" in str(part.this) for part in parts)
        if not (is_star or has_cluster or any(part.args.get("quoted") for part in parts)):
            return []
        scopes = [self._scope(select) for select in selects_around(column)]
        if any(engine_name(parts[0]) in aliases for aliases, _ in scopes):
            return []
        tables = [table for _, tables in scopes for table in tables]
        tables = tables if scopes else list(self._reading.references)
        if is_star:
            return self._star_edits(parts, tables, has_cluster=has_cluster)
        return self._column_edits(parts, tables, has_cluster=has_cluster)

    def _scope(self, select: exp.Select) -> tuple[frozenset[str], tuple[Reference, ...]]:
        """Return the aliases in a FROM, WITH parts among them, and the tables without one."""
        known = self._scopes.get(id(select))
        if known is None:
            aliases: set[str] = set()
            tables: list[Reference] = []
            for piece in pieces_of(select):
                reference = self._by_table.get(id(piece))
                alias = alias_of(piece)
                if alias is not None:
                    aliases.add(engine_name(alias))
                elif reference is not None:
                    tables.append(reference)
                elif isinstance(piece, exp.Table) and isinstance(piece.this, exp.Identifier):
                    aliases.add(engine_name(piece.this))
            known = self._scopes[id(select)] = (frozenset(aliases), tuple(tables))
        return known

    def _column_edits(
        self, identifiers: tuple[exp.Identifier, ...], tables: list[Reference], *, has_cluster: bool
    ) -> list[Edit]:
        """Return the edits of `table.column` or `table.column.field`."""
        for count in range(len(identifiers), 0, -1):
            named = identifiers[:count]
            parts = tuple(split_cluster(str(part.this))[0].lower() for part in named)
            if any(self._is_meant(parts, table) for table in tables):
                if has_cluster:
                    self._check_cluster(named)
                return fold_edits(self._reading.sql, named)
        if has_cluster:
            self._check_cluster(identifiers)
            raise self._not_in_from(identifiers)
        return []

    def _star_edits(
        self, identifiers: tuple[exp.Identifier, ...], tables: list[Reference], *, has_cluster: bool
    ) -> list[Edit]:
        """Return the edit of `table.*`, which engines know only by the name that stands in FROM."""
        parts, _ = read_parts(self._reading.sql, identifiers)
        if has_cluster:
            self._check_cluster(identifiers)
        meant = {
            full_parts(self._reading.defaults, table) if table.is_shadowed else table.parts
            for table in tables
            if full_parts(self._reading.defaults, table)[-len(parts) :] == parts
        }
        if len(meant) != 1:
            if has_cluster:
                raise self._not_in_from(identifiers)
            return []
        (written,) = meant
        if written == parts:
            return fold_edits(self._reading.sql, identifiers)
        start, end = identifiers[0].meta["start"], identifiers[-1].meta["end"] + 1
        return [Edit(start, end, ".".join(f'"{part}"' for part in written))]

    def _is_meant(self, parts: tuple[str, ...], table: Reference) -> bool:
        return full_parts(self._reading.defaults, table)[-len(parts) :] == parts

    def _check_cluster(self, identifiers: tuple[exp.Identifier, ...]) -> None:
        """Refuse a qualifier of another cluster than the statement's.

        Raises:
            MultiClusterQueryError: When it is one.
        """
        _, named = read_parts(self._reading.sql, identifiers)
        if named != self._cluster and self._reading.references:
            raise MultiClusterQueryError(
                f"{self._place(identifiers)}: the statement reads {self._cluster}, and this column "
                f"is of {named}; one statement reads one cluster: send two queries and join their "
                "results in polars or DuckDB"
            )

    def _not_in_from(self, identifiers: tuple[exp.Identifier, ...]) -> UnknownColumnError:
        parts, named = read_parts(self._reading.sql, identifiers)
        return UnknownColumnError(
            f"{self._place(identifiers)}: {'.'.join(parts)}@{named} is not in FROM; qualify "
            "columns by a table or alias of the FROM clause"
        )

    def _place(self, identifiers: tuple[exp.Identifier, ...]) -> str:
        return place_at(self._reading.sql, identifiers[0].meta["start"])
