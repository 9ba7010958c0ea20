"""The case of columns: unquoted references match case-insensitively when that is unambiguous.

The engine lower-cases what is not quoted and then compares exactly: `carrier` does not find
`Carrier`. Where a table has columns that are not all in lower case, references that mean one of
them are written out here, quoted; everything else is left to the engine.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pyarrow as pa
from sqlglot import exp

from planner.dialect import place_at, read_tokens, shown
from planner.edits import Edit, splice
from planner.errors import UnknownColumnError
from planner.limits import nesting_fault
from planner.parse import read_tree
from planner.references import cte_name, engine_name, is_cte, start_of
from planner.statement import Query
from storage.names import ObjectName

_TABLE_PARTS = 3


def resolve_columns(query: Query, schemas: Mapping[ObjectName, pa.Schema]) -> str:
    """Return the query's text with the columns that differ in case only written as they are.

    Args:
        query: What was asked.
        schemas: The schema of each of its tables.

    Raises:
        UnknownColumnError: When an unquoted reference matches several columns.
    """
    if not any(name != name.lower() for table in query.tables for name in schemas[table].names):
        return query.text
    tree = read_tree(query.text, tuple(read_tokens(query.text)))
    resolver = _Resolver(query, schemas)
    try:
        resolver.resolve(tree)
    except RecursionError:
        pass
    else:
        return splice(query.text, resolver.edits)
    raise nesting_fault()


@dataclass(frozen=True, slots=True)
class _Source:
    """One thing in FROM: the names that qualify it, and its columns as the engine keeps them."""

    qualifiers: frozenset[tuple[str, ...]]
    columns: tuple[str, ...]


class _Resolver:
    """Walks the selects of a query; each is resolved against its own FROM, then those around it."""

    def __init__(self, query: Query, schemas: Mapping[ObjectName, pa.Schema]) -> None:
        self._query = query
        self._schemas = schemas
        self._outputs: dict[int, tuple[str, ...]] = {}
        self._known_sources: dict[int, tuple[_Source, ...]] = {}
        self.edits: list[Edit] = []

    def resolve(self, tree: exp.Expr) -> None:
        """Collect the edits of all selects, those that others read from first."""
        for cte in sorted(tree.find_all(exp.CTE), key=lambda cte: start_of(cte.args["alias"])):
            self._outputs_of(cte.this)
        for select in tree.find_all(exp.Select):
            self._resolve_select(select)
        for operation in tree.find_all(exp.SetOperation):
            self._resolve_order(operation)

    def _resolve_select(self, select: exp.Select) -> None:
        scopes = [self._sources(select)]
        around = select.parent_select
        while around is not None:
            scopes.append(self._sources(around))
            around = around.parent_select
        aliases = {
            engine_name(alias)
            for item in select.expressions
            if isinstance(item, exp.Alias)
            and isinstance(alias := item.args["alias"], exp.Identifier)
        }
        for column in select.find_all(exp.Column):
            if column.parent_select is select:
                self._resolve_column(column, scopes, aliases)
        for join in select.args.get("joins") or []:
            for identifier in join.args.get("using") or []:
                if isinstance(identifier, exp.Identifier):
                    self._resolve_name(identifier, scopes[:1], None)

    def _resolve_order(self, operation: exp.SetOperation) -> None:
        """Resolve the ORDER BY of a set operation, which sees the columns of its result."""
        order = operation.args.get("order")
        if order is None:
            return
        source = _Source(frozenset(), self._outputs_of(operation))
        for column in order.find_all(exp.Column):
            if column.parent_select is None or column.parent_select is operation.parent_select:
                self._resolve_column(column, [(source,)], set())

    def _resolve_column(
        self, column: exp.Column, scopes: Sequence[Sequence[_Source]], aliases: set[str]
    ) -> None:
        parts = [part for part in column.parts if isinstance(part, exp.Identifier)]
        if not parts:
            return
        if isinstance(column.this, exp.Star):
            return
        qualifier = tuple(engine_name(part) for part in parts[:-1])
        if not qualifier:
            clause = column.find_ancestor(exp.Order, exp.Group, exp.Having, exp.Select)
            is_output = not isinstance(clause, exp.Select) and engine_name(parts[0]) in aliases
            if not is_output:
                self._resolve_name(parts[0], scopes, None)
            return
        known = any(qualifier in source.qualifiers for scope in scopes for source in scope)
        if known:
            self._resolve_name(parts[-1], scopes, qualifier)
        else:  # a field of a column that holds structs
            self._resolve_name(parts[0], scopes, None)

    def _resolve_name(
        self,
        identifier: exp.Identifier,
        scopes: Sequence[Sequence[_Source]],
        qualifier: tuple[str, ...] | None,
    ) -> None:
        if identifier.args.get("quoted"):
            return
        written = str(identifier.this)
        lowered = written.lower()
        for scope in scopes:
            matches = {
                name
                for source in scope
                if qualifier is None or qualifier in source.qualifiers
                for name in source.columns
                if name.lower() == lowered
            }
            if len(matches) > 1:
                start = identifier.meta["start"]
                listed = " and ".join(f'"{name}"' for name in sorted(matches))
                raise UnknownColumnError(
                    f"{place_at(self._query.text, start)}: {shown(written)} could be {listed}; "
                    "quote the one that is meant"
                )
            if matches:
                name = matches.pop()
                if name != lowered:
                    quoted = '"' + name.replace('"', '""') + '"'
                    start, end = identifier.meta["start"], identifier.meta["end"] + 1
                    self.edits.append(Edit(start, end, quoted))
                return

    def _sources(self, select: exp.Expr) -> tuple[_Source, ...]:
        """Return what a select's FROM offers."""
        if id(select) not in self._known_sources:
            self._known_sources[id(select)] = self._read_sources(select)
        return self._known_sources[id(select)]

    def _read_sources(self, select: exp.Expr) -> tuple[_Source, ...]:
        clause = select.args.get("from_")
        pieces = [clause.this] if clause is not None else []
        pieces += [join.this for join in select.args.get("joins") or []]
        sources: list[_Source] = []
        while pieces:
            piece = pieces.pop(0)
            pieces += [join.this for join in piece.args.get("joins") or []]
            if isinstance(piece, exp.Subquery) and isinstance(piece.this, exp.Table):
                pieces.append(piece.this)
            sources.append(self._source(piece))
        return tuple(sources)

    def _source(self, piece: exp.Expr) -> _Source:
        columns = self._columns_of(piece)
        alias = piece.args.get("alias")
        if alias is not None and isinstance(alias.this, exp.Identifier):
            named = tuple(engine_name(column) for column in alias.args.get("columns") or [])
            columns = (*named, *columns[len(named) :])
            return _Source(frozenset({(engine_name(alias.this),)}), columns)
        if isinstance(piece, exp.Table):
            parts = self._full_name(piece)
            return _Source(frozenset(parts[-count:] for count in (1, 2, 3)), columns)
        return _Source(frozenset(), columns)

    def _columns_of(self, piece: exp.Expr) -> tuple[str, ...]:
        if isinstance(piece, exp.Table):
            if is_cte(piece):
                return self._cte_columns(piece)
            parts = self._full_name(piece)
            if len(parts) < _TABLE_PARTS or "" in parts:
                return ()
            schema = self._schemas.get(ObjectName(self._query.cluster, *parts))
            return () if schema is None else tuple(schema.names)
        if isinstance(piece, exp.Subquery):
            return self._outputs_of(piece.this)
        return ()

    def _cte_columns(self, table: exp.Table) -> tuple[str, ...]:
        """Return the columns of the nearest WITH part that a name means."""
        name = engine_name(table.this)
        node = table.parent
        while node is not None:
            clause = node.args.get("with_")
            for cte in clause.expressions if clause is not None else ():
                if cte_name(cte) == name:
                    named = tuple(engine_name(part) for part in cte.args["alias"].columns)
                    columns = self._outputs_of(cte.this)
                    return (*named, *columns[len(named) :])
            node = node.parent
        return ()

    def _outputs_of(self, query: exp.Expr) -> tuple[str, ...]:
        """Return the columns of a query's result, as far as they can be named without a plan."""
        if id(query) in self._outputs:
            return self._outputs[id(query)]
        self._outputs[id(query)] = ()  # a recursive part that asks for itself
        if isinstance(query, (exp.SetOperation, exp.Subquery)):
            columns = self._outputs_of(query.this)
        elif isinstance(query, exp.Select):
            columns = tuple(
                name for item in query.expressions for name in self._output_names(query, item)
            )
            if not query.expressions:
                columns = self._star(query, None)
        else:
            columns = ()
        self._outputs[id(query)] = columns
        return columns

    def _output_names(self, select: exp.Select, item: exp.Expr) -> tuple[str, ...]:
        if isinstance(item, exp.Alias):
            alias = item.args["alias"]
            return (engine_name(alias),) if isinstance(alias, exp.Identifier) else ()
        if isinstance(item, exp.Star):
            return self._star(select, None)
        if not isinstance(item, exp.Column):
            return ()
        if isinstance(item.this, exp.Star):
            parts = (part for part in item.parts if isinstance(part, exp.Identifier))
            return self._star(select, tuple(engine_name(part) for part in parts))
        return (self._meant(select, item),)

    def _meant(self, select: exp.Select, column: exp.Column) -> str:
        """Return the name of a column that a select hands on, as its source has it."""
        name = engine_name(column.this)
        if column.this.args.get("quoted"):
            return name
        offered = {name for source in self._sources(select) for name in source.columns}
        matches = {each for each in offered if each.lower() == name}
        return matches.pop() if len(matches) == 1 else name

    def _star(self, select: exp.Select, qualifier: tuple[str, ...] | None) -> tuple[str, ...]:
        return tuple(
            name
            for source in self._sources(select)
            if qualifier is None or qualifier in source.qualifiers
            for name in source.columns
        )

    def _full_name(self, table: exp.Table) -> tuple[str, ...]:
        parts = tuple(engine_name(part) for part in table.parts if isinstance(part, exp.Identifier))
        defaults = (self._query.catalog or "", self._query.schema or "")
        return (*defaults[: _TABLE_PARTS - len(parts)], *parts)
