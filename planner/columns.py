"""The case of columns: unquoted references match case-insensitively when that is unambiguous.

The engine lower-cases what is not quoted and then compares exactly: `carrier` does not find
`Carrier`. Where a name in sight is not all in lower case, references that mean it are written out
here, quoted; everything else is left to the engine. The same holds for the fields of structs.
"""

import re
from collections.abc import Iterable, Mapping, Sequence

import pyarrow as pa
from sqlglot import exp

from planner.dialect import place_at, read_tokens, shown
from planner.edits import Edit, splice
from planner.errors import UnknownColumnError
from planner.limits import nesting_fault
from planner.nodes import Nodes
from planner.outputs import Column, Columns, Outputs, Source
from planner.parse import read_tree
from planner.references import engine_name, start_of
from planner.scopes import selects_around
from planner.statement import Query
from storage.names import ObjectName

_QUOTED = re.compile(r"\"[^\"]*\"|`[^`]*`")
# Where the names that a SELECT gives are in sight, besides its columns.
_SEES_ALIASES = frozenset({"order", "group", "having", "qualify"})


def resolve_columns(query: Query, schemas: Mapping[ObjectName, pa.Schema]) -> str:
    """Return the query's text with the columns that differ in case only written as they are.

    Args:
        query: What was asked.
        schemas: The schema of each of its tables.

    Raises:
        UnknownColumnError: When an unquoted reference matches several columns.
    """
    if not _has_upper_case(query, schemas):
        return query.text
    tree = read_tree(query.text, tuple(read_tokens(query.text)))
    resolver = _Resolver(query, Outputs(query, schemas))
    try:
        resolver.resolve(tree)
    except RecursionError:
        pass
    else:
        return splice(query.text, resolver.edits)
    raise nesting_fault()


def _has_upper_case(query: Query, schemas: Mapping[ObjectName, pa.Schema]) -> bool:
    """Whether any name in sight is not all in lower case."""
    return any(_is_mixed(field) for table in query.tables for field in schemas[table]) or any(
        quoted != quoted.lower() for quoted in _QUOTED.findall(query.text)
    )


def _is_mixed(field: pa.Field) -> bool:
    name: str = field.name
    if name != name.lower():
        return True
    return pa.types.is_struct(field.type) and any(_is_mixed(each) for each in field.type)


class _Resolver:
    """Resolves each column against the FROM of its SELECT, then of those around it."""

    def __init__(self, query: Query, outputs: Outputs) -> None:
        self._query = query
        self._outputs = outputs
        self.edits: list[Edit] = []

    def resolve(self, tree: exp.Expr) -> None:
        """Collect the edits of a whole query, WITH parts first, as later ones read them."""
        nodes = Nodes(tree)
        for cte in sorted(nodes.of(exp.CTE), key=lambda cte: start_of(cte.args["alias"])):
            self._outputs.columns(cte.this)
        aliases = {id(select): _aliases(select) for select in nodes.of(exp.Select)}
        for column in nodes.of(exp.Column):
            self._resolve_column(column, aliases)
        for star in nodes.of(exp.Star):
            self._resolve_replaced(star)
        for join in nodes.of(exp.Join):
            for identifier in join.args.get("using") or []:
                self._resolve_bare(identifier, self._scopes(identifier)[:1])

    def _scopes(self, node: exp.Expr) -> list[tuple[Source, ...]]:
        """Return what a node can see, the nearest first."""
        scopes = [self._outputs.sources(select) for select in selects_around(node)]
        ordered = _ordered_query(node)
        if ordered is not None:
            scopes.insert(0, (Source(frozenset(), self._outputs.columns(ordered)),))
        return scopes

    def _resolve_column(self, column: exp.Column, aliases: Mapping[int, frozenset[str]]) -> None:
        parts = [part for part in column.parts if isinstance(part, exp.Identifier)]
        if not parts or isinstance(column.this, exp.Star):
            return
        scopes = self._scopes(column)
        given = self._aliases_in_sight(column, aliases)
        if len(parts) == 1 and engine_name(parts[0]) in given:
            return
        count = _qualifier_length(parts, scopes)
        qualifier = tuple(engine_name(part) for part in parts[:count])
        found = self._resolve_name(parts[count], _offered(scopes, qualifier, parts[count]))
        if found is None and len(parts) == 1:
            self._resolve_name(parts[0], [Columns(Column(alias) for alias in given)])
        if found is not None and found.type is not None:
            self._resolve_fields(column, parts[count + 1 :], found.type)

    def _resolve_fields(
        self, column: exp.Column, fields: list[exp.Identifier], kind: pa.DataType
    ) -> None:
        """Resolve the fields that follow a column, as far as they are of structs."""
        node: exp.Expr = column
        while isinstance(node.parent, exp.Dot) and node.parent.this is node:
            node = node.parent
            if isinstance(node.expression, exp.Identifier):
                fields = [*fields, node.expression]
        for field in fields:
            if kind is None or not pa.types.is_struct(kind):
                return
            found = self._resolve_name(
                field, [Columns(Column(each.name, each.type) for each in kind)]
            )
            kind = None if found is None else found.type

    def _resolve_replaced(self, star: exp.Star) -> None:
        """Resolve the names in `* REPLACE (… AS name)`, which are columns of the table."""
        for item in star.args.get("replace") or ():
            alias = item.args.get("alias")
            if isinstance(alias, exp.Identifier):
                self._resolve_bare(alias, self._scopes(star)[:1])

    def _resolve_bare(
        self, identifier: exp.Expr, scopes: Sequence[tuple[Source, ...]]
    ) -> Column | None:
        if not isinstance(identifier, exp.Identifier):
            return None
        return self._resolve_name(identifier, _offered(scopes, (), identifier))

    def _resolve_name(self, identifier: exp.Identifier, scopes: Iterable[Columns]) -> Column | None:
        """Write out what a name means in the nearest scope that has it, and return that.

        Raises:
            UnknownColumnError: When it could be several.
        """
        is_quoted = bool(identifier.args.get("quoted"))
        for columns in scopes:
            matches = {column.name: column for column in columns.matching(identifier)}
            if len(matches) > 1:
                raise self._ambiguous(identifier, sorted(matches))
            if matches:
                (column,) = matches.values()
                if not is_quoted and column.name != engine_name(identifier):
                    start, end = identifier.meta["start"], identifier.meta["end"] + 1
                    self.edits.append(Edit(start, end, _quote(column.name)))
                return column
        return None

    def _aliases_in_sight(
        self, column: exp.Column, aliases: Mapping[int, frozenset[str]]
    ) -> frozenset[str]:
        """Return the names that the SELECT gives, where the column stands in a clause after it."""
        node: exp.Expr = column
        while node.parent is not None:
            if isinstance(node.parent, exp.Select):
                sees = node.arg_key in _SEES_ALIASES
                return aliases[id(node.parent)] if sees else frozenset()
            node = node.parent
        return frozenset()

    def _ambiguous(self, identifier: exp.Identifier, names: list[str]) -> UnknownColumnError:
        place = place_at(self._query.sql, self._query.typed_offset(identifier.meta["start"]))
        listed = " and ".join(shown(_quote(name)) for name in names)
        return UnknownColumnError(
            f"{place}: {shown(str(identifier.this))} could be {listed}; quote the one that is meant"
        )


def _aliases(select: exp.Select) -> frozenset[str]:
    """Return the names that a SELECT gives to its items."""
    return frozenset(
        engine_name(alias)
        for item in select.expressions
        if isinstance(item, exp.Alias) and isinstance(alias := item.args["alias"], exp.Identifier)
    )


def _ordered_query(node: exp.Expr) -> exp.Expr | None:
    """Return the query other than a SELECT whose ORDER BY holds a node, if one does."""
    child, parent = node, node.parent
    while parent is not None and not isinstance(parent, exp.Select):
        if isinstance(parent, exp.Query) and child.arg_key == "order":
            return parent
        child, parent = parent, parent.parent
    return None


def _qualifier_length(parts: list[exp.Identifier], scopes: list[tuple[Source, ...]]) -> int:
    """Return how many of a column's parts name what it is of; 0 where the first is the column."""
    for count in range(len(parts) - 1, 0, -1):
        qualifier = tuple(engine_name(part) for part in parts[:count])
        if any(qualifier in source.qualifiers for scope in scopes for source in scope):
            return count
    return 0


def _offered(
    scopes: Sequence[tuple[Source, ...]], qualifier: tuple[str, ...], identifier: exp.Identifier
) -> Iterable[Columns]:
    """Yield, scope by scope, the columns that a name and its qualifier leave to choose from."""
    for scope in scopes:
        yield Columns(
            column
            for source in scope
            if not qualifier or qualifier in source.qualifiers
            for column in source.columns.matching(identifier)
        )


def _quote(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
