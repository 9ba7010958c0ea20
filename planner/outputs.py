"""What a FROM offers: the columns of tables, of WITH parts and of queries, named without a plan.

Names are as the engine keeps them. Where one cannot be told, it is empty.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import pyarrow as pa
from sqlglot import exp

from planner.references import cte_name, engine_name, is_cte
from planner.scopes import alias_of, pieces_of
from planner.statement import Query
from storage.names import ObjectName

_TABLE_PARTS = 3


@dataclass(frozen=True, slots=True)
class Column:
    """A column that something in FROM offers; its type where that is a table's."""

    name: str
    type: pa.DataType | None = None


class Columns:
    """The columns that are offered together, found by name in whatever case."""

    def __init__(self, columns: Iterable[Column] = ()) -> None:
        self._columns = tuple(columns)
        self._by_name: dict[str, list[Column]] | None = None

    def __iter__(self) -> Iterator[Column]:
        return iter(self._columns)

    def matching(self, identifier: exp.Identifier) -> list[Column]:
        """Return what an identifier can mean: quoted it is exact, bare its case is nothing."""
        if self._by_name is None:
            self._by_name = {}
            for column in self._columns:
                self._by_name.setdefault(column.name.lower(), []).append(column)
        written = str(identifier.this)
        found = self._by_name.get(written.lower(), [])
        if identifier.args.get("quoted"):
            return [column for column in found if column.name == written]
        return found

    def find(self, identifier: exp.Identifier) -> Column:
        """Return the one column that is meant; else one of the name as it is written."""
        names = {column.name: column for column in self.matching(identifier)}
        if len(names) == 1:
            return next(iter(names.values()))
        return Column(engine_name(identifier))


@dataclass(frozen=True, slots=True)
class Source:
    """One thing in FROM: the names that qualify it, and its columns."""

    qualifiers: frozenset[tuple[str, ...]]
    columns: Columns


_UNKNOWN = Column("")


class Outputs:
    """The sources of every SELECT of a query, and the columns of every query in it."""

    def __init__(self, query: Query, schemas: Mapping[ObjectName, pa.Schema]) -> None:
        self._query = query
        self._schemas = schemas
        self._tables: dict[ObjectName, Columns] = {}
        self._columns: dict[int, Columns] = {}
        self._sources: dict[int, tuple[Source, ...]] = {}

    def sources(self, select: exp.Expr) -> tuple[Source, ...]:
        """Return what a SELECT's FROM offers."""
        known = self._sources.get(id(select))
        if known is None:
            known = tuple(self._source(piece) for piece in pieces_of(select))
            self._sources[id(select)] = known
        return known

    def columns(self, query: exp.Expr) -> Columns:
        """Return the columns of a query's result."""
        known = self._columns.get(id(query))
        if known is None:
            self._columns[id(query)] = Columns()  # a recursive part that asks for itself
            known = self._columns[id(query)] = self._read_columns(query)
        return known

    def _read_columns(self, query: exp.Expr) -> Columns:
        columns = Columns()
        if isinstance(query, exp.SetOperation):
            columns = self.columns(query.this)
            if query.args.get("by_name"):
                names = {column.name for column in columns}
                others = self.columns(query.expression)
                columns = Columns([*columns, *(each for each in others if each.name not in names)])
        elif isinstance(query, exp.Subquery):
            columns = self.columns(query.this)
        elif isinstance(query, exp.Table):
            columns = self._source(query).columns
        elif isinstance(query, exp.Select):
            items = query.expressions or [exp.Star()]
            columns = Columns(column for item in items for column in self._item(query, item))
        return columns

    def _item(self, select: exp.Select, item: exp.Expr) -> Iterable[Column]:
        if isinstance(item, exp.Alias):
            alias = item.args["alias"]
            return (Column(engine_name(alias)),) if isinstance(alias, exp.Identifier) else ()
        if isinstance(item, exp.Star):
            return self._star(select, None, item)
        if not isinstance(item, exp.Column):
            return (_UNKNOWN,)
        if isinstance(item.this, exp.Star):
            parts = (part for part in item.parts if isinstance(part, exp.Identifier))
            return self._star(select, tuple(engine_name(part) for part in parts), item.this)
        return (self._meant(select, item.this),)

    def _star(
        self, select: exp.Select, qualifier: tuple[str, ...] | None, star: exp.Star
    ) -> Iterable[Column]:
        """Return what `*` stands for, without the columns that EXCLUDE names."""
        columns = Columns(
            column
            for source in self.sources(select)
            if qualifier is None or qualifier in source.qualifiers
            for column in source.columns
        )
        left_out = star.args.get("except_")
        items = left_out if isinstance(left_out, list) else [left_out]
        named = (item.this if isinstance(item, exp.Column) else item for item in items)
        dropped = {columns.find(each).name for each in named if isinstance(each, exp.Identifier)}
        return (column for column in columns if column.name not in dropped)

    def _meant(self, select: exp.Select, identifier: exp.Expr) -> Column:
        """Return the column that a SELECT hands on, as its source has it."""
        if not isinstance(identifier, exp.Identifier):
            return _UNKNOWN
        sources = self.sources(select)
        return Columns(
            column for source in sources for column in source.columns.matching(identifier)
        ).find(identifier)

    def _source(self, piece: exp.Expr) -> Source:
        columns = self._piece_columns(piece)
        alias = alias_of(piece)
        if alias is not None:
            given = piece.args["alias"].args.get("columns")
            return Source(frozenset({(engine_name(alias),)}), _renamed(columns, given))
        if isinstance(piece, exp.Table):
            parts = self._full_name(piece)
            return Source(frozenset(parts[-count:] for count in (1, 2, 3)), columns)
        return Source(frozenset(), columns)

    def _piece_columns(self, piece: exp.Expr) -> Columns:
        if isinstance(piece, exp.Subquery):
            return self.columns(piece.this)
        if not isinstance(piece, exp.Table):
            return Columns()
        if is_cte(piece):
            return self._cte_columns(piece)
        parts = self._full_name(piece)
        if len(parts) < _TABLE_PARTS or "" in parts:
            return Columns()
        return self._table_columns(ObjectName(self._query.cluster, *parts))

    def _table_columns(self, table: ObjectName) -> Columns:
        known = self._tables.get(table)
        if known is None:
            schema = self._schemas.get(table)
            known = Columns(Column(each.name, each.type) for each in schema or ())
            self._tables[table] = known
        return known

    def _cte_columns(self, table: exp.Table) -> Columns:
        """Return the columns of the nearest WITH part that a name means."""
        name = engine_name(table.this)
        node = table.parent
        while node is not None:
            clause = node.args.get("with_")
            for cte in clause.expressions if clause is not None else ():
                if cte_name(cte) == name:
                    return _renamed(self.columns(cte.this), cte.args["alias"].args.get("columns"))
            node = node.parent
        return Columns()

    def _full_name(self, table: exp.Table) -> tuple[str, ...]:
        parts = tuple(engine_name(part) for part in table.parts if isinstance(part, exp.Identifier))
        defaults = (self._query.catalog or "", self._query.schema or "")
        return (*defaults[: _TABLE_PARTS - len(parts)], *parts)


def _renamed(columns: Columns, given: list[exp.Expr] | None) -> Columns:
    """Return columns under the names of a column alias list, as far as it goes."""
    if not given:
        return columns
    names = [
        engine_name(each) if isinstance(each, exp.Identifier) else each.name.lower()
        for each in given
    ]
    kept = list(columns)
    types = (column.type for column in kept)
    return Columns([*(Column(name, next(types, None)) for name in names), *kept[len(names) :]])
