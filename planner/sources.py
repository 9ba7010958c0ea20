"""Which columns of which table a query uses, select by select.

An estimate for advice, not for decisions: a column that could be of several tables counts for each.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import pyarrow as pa
from sqlglot import exp

from planner.reading import Reading
from planner.references import Reference, engine_name, full_name
from storage.names import ObjectName, split_cluster


@dataclass(eq=False, slots=True)
class Source:
    """One table in one FROM.

    Attributes:
        name: The table's full name.
        label: What the query calls it: its alias, or the last part of its name.
        has_alias: Whether the label is an alias, which hides the table's own name.
        schema: Its columns.
        used: Those that the query uses.
    """

    name: ObjectName
    label: str
    has_alias: bool
    schema: pa.Schema
    used: set[str] = field(default_factory=set)

    def find(self, column: str, *, quoted: bool) -> str | None:
        """Return a column as the table has it, None when there is none."""
        if quoted:
            return column if column in self.schema.names else None
        lowered = column.lower()
        return next((each for each in self.schema.names if each.lower() == lowered), None)

    def is_called(self, qualifier: tuple[str, ...]) -> bool:
        """Whether a column's qualifier means this table."""
        if self.has_alias:
            return qualifier == (self.label,)
        parts = (str(self.name.catalog), str(self.name.schema), str(self.name.table))
        return qualifier == parts[-len(qualifier) :]


class Usage:
    """The tables of a query and the columns that it uses of them."""

    def __init__(self, reading: Reading, schemas: Mapping[ObjectName, pa.Schema]) -> None:
        self._by_select: dict[int, list[Source]] = {}
        self.owners: dict[int, list[Source]] = {}
        self.sources: list[Source] = []
        for reference in reading.references:
            self._add(reading, reference, schemas)
        for column in reading.nodes.of(exp.Column):
            self._use(column)
        for select in reading.nodes.of(exp.Select):
            self._use_stars(select)
            self._use_shared(select)

    def of(self, select: exp.Expr | None) -> list[Source]:
        """Return the tables in the FROM of a select, in the order of the text."""
        return self._by_select.get(id(select), [])

    def owners_of(self, node: exp.Expr) -> list[Source]:
        """Return the tables whose columns stand in a piece of the query, each once."""
        found = (
            source
            for column in node.find_all(exp.Column)
            for source in self.owners.get(id(column), ())
        )
        return list(dict.fromkeys(found))

    def _add(
        self, reading: Reading, reference: Reference, schemas: Mapping[ObjectName, pa.Schema]
    ) -> None:
        name = full_name(reference, reading.defaults)
        if name is None or name not in schemas:
            return
        label = reference.alias or reference.parts[-1]
        source = Source(name, label, reference.alias is not None, schemas[name])
        self.sources.append(source)
        self._by_select.setdefault(id(reference.table.parent_select), []).append(source)

    def _use(self, column: exp.Column) -> None:
        """Count a column for the nearest tables around it that have it."""
        if isinstance(column.this, exp.Star):
            return
        parts = parts_of(column)
        for around in _selects_around(column):
            sources = self.of(around)
            found = list(_matches(sources, parts))
            for source, name in found:
                source.used.add(name)
            if found:
                self.owners[id(column)] = [source for source, _ in found]
                return

    def _use_stars(self, select: exp.Select) -> None:
        for item in select.expressions:
            if isinstance(item, exp.Star):
                qualifier = None
            elif isinstance(item, exp.Column) and isinstance(item.this, exp.Star):
                qualifier = qualifier_of(parts_of(item))
            else:
                continue
            for source in self.of(select):
                if qualifier is None or source.is_called(qualifier):
                    source.used.update(source.schema.names)

    def _use_shared(self, select: exp.Select) -> None:
        """Count the columns of USING, and those that NATURAL compares."""
        sources = self.of(select)
        for join in select.args.get("joins") or []:
            names = [name for name in join.args.get("using") or [] if hasattr(name, "name")]
            shared = {name.name.lower() for name in names}
            if str(join.args.get("method") or "").upper() == "NATURAL":
                shared |= shared_columns(sources)
            for source in sources:
                source.used.update(n for n in source.schema.names if n.lower() in shared)


def parts_of(column: exp.Column) -> list[exp.Identifier]:
    """Return the names that a column is written with."""
    return [part for part in column.parts if isinstance(part, exp.Identifier)]


def shared_columns(sources: list[Source]) -> set[str]:
    """Return the columns that all of these tables have."""
    columns = [{name.lower() for name in source.schema.names} for source in sources]
    return set.intersection(*columns) if columns else set()


def _selects_around(column: exp.Column) -> Iterator[exp.Expr]:
    select = column.parent_select
    while select is not None:
        yield select
        select = select.parent_select


def _matches(sources: list[Source], parts: list[exp.Identifier]) -> Iterator[tuple[Source, str]]:
    """Yield the tables, and their columns, that a written column could mean."""
    called, wanted = sources, parts[0]
    for length in range(1, len(parts)):  # what follows the column is a field of it
        qualifier = qualifier_of(parts[:length])
        named = [source for source in sources if source.is_called(qualifier)]
        if named:
            called, wanted = named, parts[length]
    for source in called:
        name = source.find(str(wanted.this), quoted=bool(wanted.args.get("quoted")))
        if name is not None:
            yield source, name


def qualifier_of(parts: list[exp.Identifier]) -> tuple[str, ...]:
    """Return the parts of a written table name as the engine keeps them, without its cluster."""
    return tuple(split_cluster(engine_name(part))[0].lower() for part in parts)
