"""What catalogs, schemas and tables exist in one cluster, as immutable values.

A `Metastore` is one state of one cluster; a change makes another. The MoM holds replicas, which
know everything but where the files lie and what a view is made of.
"""

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

import pyarrow as pa

from storage.names import ObjectName


class TableKind(StrEnum):
    """Who writes a table's files, if it has any."""

    EXTERNAL = "external"
    """Somebody else; changes are noticed."""
    MANAGED = "managed"
    """This cluster alone, by commits to a Delta log."""
    VIEW = "view"
    """Nobody: its rows are those of a query."""


@dataclass(frozen=True, slots=True)
class Place:
    """A catalog or schema, with tables or without."""

    name: ObjectName
    owner: str | None = None
    """The user who may do everything there, as `user1@shanghai`; None for administrators only."""


@dataclass(frozen=True, slots=True)
class Table:
    """One table. Equal versions and snapshots mean equal rows.

    Attributes:
        id: 32 hex digits, never used again; survives renaming.
        name: With its cluster.
        arrow_schema: Every column, partition columns last, as the engine shows them.
        partition_columns: In the order of the directories.
        schema_version: Grows when the columns change.
        snapshot: Of a managed table the version of its log. Otherwise a digest of what its rows
            come from: the files' relative paths, sizes and times of change.
        row_count: Rows in all files.
        byte_count: Bytes of all files on disk.
        file_count: Files.
        location: The directory that holds them; None in a replica, and of a view.
        kind: Who writes its files.
        owner: The user who may do everything with it, as `user1@shanghai`; None for
            administrators only.
        definition: A view's query; None in a replica, and of other kinds.
    """

    id: str
    name: ObjectName
    arrow_schema: pa.Schema
    partition_columns: tuple[str, ...]
    schema_version: int
    snapshot: str
    row_count: int
    byte_count: int
    file_count: int
    location: str | None = None
    kind: TableKind = TableKind.EXTERNAL
    owner: str | None = None
    definition: str | None = None


def _name(table: Table) -> ObjectName:
    return table.name


class Metastore:
    """One state of a cluster's tables and places. Immutable, and quick to ask."""

    def __init__(
        self, cluster: str, version: int, tables: Iterable[Table], places: Iterable[Place] = ()
    ) -> None:
        """Index the tables and places; all of them must be the cluster's own.

        Args:
            cluster: Whose state it is.
            version: Of the state.
            tables: In any order.
            places: Catalogs and schemas. Those that tables lie in are there without being named.

        Raises:
            ValueError: When one is another cluster's, or two have one name.
        """
        self.cluster = cluster
        self.version = version
        ordered = self._ordered = tuple(sorted(tables, key=_name))
        self.tables: Mapping[ObjectName, Table] = MappingProxyType(
            {table.name: table for table in ordered}
        )
        if any(name.cluster != cluster for name in self.tables):
            raise ValueError(f"every table must lie in {cluster}")
        if len(self.tables) != len(ordered):
            raise ValueError(f"two tables of {cluster} have one name")
        self.places: Mapping[ObjectName, Place] = MappingProxyType(_all_places(places, ordered))
        if any(name.cluster != cluster for name in self.places):
            raise ValueError(f"every place must lie in {cluster}")

    def table(self, name: ObjectName) -> Table | None:
        """Return a table, or None when there is none of that name."""
        return self.tables.get(name)

    def place(self, name: ObjectName) -> Place | None:
        """Return a catalog or schema, or None when there is none of that name."""
        return self.places.get(name)

    def owners(self) -> Iterator[tuple[ObjectName, str]]:
        """Yield the places and tables that have an owner, each with them."""
        for place in self.places.values():
            if place.owner is not None:
                yield place.name, place.owner
        for table in self._ordered:
            if table.owner is not None:
                yield table.name, table.owner

    def places_below(self, parent: ObjectName) -> list[ObjectName]:
        """Return the catalogs and schemas at or below a place, ordered by name."""
        return [name for name in self.places if parent.covers(name)]

    def all_tables(self) -> tuple[Table, ...]:
        """Return every table, ordered by name; it may be empty."""
        return self._ordered

    def below(self, parent: ObjectName | None) -> Sequence[Table]:
        """Return the tables at or below a place of this cluster, ordered by name; None for all.

        Costs two searches and what is found, however many tables there are.
        """
        if parent is None or parent.catalog is None:
            return self._ordered
        start = bisect_left(self._ordered, parent, key=_name)
        end = bisect_left(self._ordered, True, lo=start, key=lambda t: not parent.covers(t.name))
        return self._ordered[start:end]


def _all_places(named: Iterable[Place], tables: Sequence[Table]) -> dict[ObjectName, Place]:
    """Return the places that were named and those that tables and other places lie in, ordered."""
    found = {place.name: place for place in named}
    above: list[ObjectName] = [name for place in found.values() for name in _wider(place.name)]
    last: tuple[str | None, str | None] | None = None
    for table in tables:
        # Tables are ordered: those of one schema follow each other.
        if (table.name.catalog, table.name.schema) != last:
            last = (table.name.catalog, table.name.schema)
            above += _wider(table.name)
    for name in above:
        found.setdefault(name, Place(name))
    return {name: found[name] for name in sorted(found)}


def _wider(name: ObjectName) -> list[ObjectName]:
    """Return the schema and catalog that a table lies in, or the catalog of a schema."""
    return [place for place in name.ancestors() if place != name and place.catalog is not None]
