"""Catalogs and schemas as they are kept: one row per place, also when no table lies there.

Every function takes the caller's connection, so that a change and its audit row share one
transaction. The version that every change bumps is the metastore's: `storage.tablestore` keeps
the tables beside.
"""

from sqlalchemy import (
    BigInteger,
    Column,
    ColumnElement,
    Connection,
    Integer,
    MetaData,
    String,
    delete,
    insert,
    select,
    update,
)
from sqlalchemy import Table as SqlTable

from storage.errors import PlaceExistsError, UnknownPlaceError
from storage.metastore import Place
from storage.names import ObjectName

metadata = MetaData()

_places = SqlTable(
    "places",
    metadata,
    Column("cluster", String(63), primary_key=True),
    Column("name", String(127), primary_key=True),
    Column("owner", String(127)),
)
_version = SqlTable(
    "metastore_version",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("version", BigInteger, nullable=False),
)
_ONLY_ROW = 1


class PlaceStore:
    """Reads and changes catalogs and schemas inside the caller's transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def all(self) -> list[Place]:
        """Return every place, ordered by name; it may be empty."""
        rows = self._connection.execute(select(_places))
        found = [Place(ObjectName.parse(row.name, cluster=row.cluster), row.owner) for row in rows]
        return sorted(found, key=lambda place: place.name)

    def find(self, name: ObjectName) -> Place | None:
        """Return a place, or None when there is none of that name."""
        row = self._connection.execute(select(_places).where(*_is(name))).one_or_none()
        return None if row is None else Place(name, row.owner)

    def add(self, place: Place) -> None:
        """Keep a new place; the catalog of a schema is made when it is missing.

        Raises:
            PlaceExistsError: When there is one of that name.
        """
        if self.find(place.name) is not None:
            raise PlaceExistsError(f"{place.name} exists already; choose another name")
        self._insert(place)
        self.ensure_above(place.name)
        bump_version(self._connection)

    def ensure_above(self, name: ObjectName) -> None:
        """Make the schema and the catalog that a name lies in, where they are missing."""
        for wider in name.ancestors():
            if wider not in {name, ObjectName(name.cluster)} and self.find(wider) is None:
                self._insert(Place(wider))

    def replace(self, place: Place) -> None:
        """Give a place another owner.

        Raises:
            UnknownPlaceError: When there is none of that name.
        """
        changed = self._connection.execute(
            update(_places).where(*_is(place.name)).values(owner=place.owner)
        )
        if changed.rowcount == 0:
            raise UnknownPlaceError(f"{place.name} does not exist")
        bump_version(self._connection)

    def drop(self, name: ObjectName) -> None:
        """Forget a place and those below it; nothing is said of their tables.

        Raises:
            UnknownPlaceError: When there is none of that name.
        """
        for place in self._below(name):
            self._connection.execute(delete(_places).where(*_is(place.name)))
        bump_version(self._connection)

    def rename(self, old: ObjectName, new: ObjectName) -> None:
        """Give a place another name, and with it those below; nothing is said of their tables.

        Raises:
            UnknownPlaceError: When there is none of the old name.
            PlaceExistsError: When there is one of the new name.
        """
        moving = self._below(old)
        if self.find(new) is not None:
            raise PlaceExistsError(f"{new} exists already; choose another name")
        for place in moving:
            name = place.name.moved(old, new)
            self._connection.execute(
                update(_places).where(*_is(place.name)).values(name=name.local)
            )
        self.ensure_above(new)
        bump_version(self._connection)

    def _below(self, name: ObjectName) -> list[Place]:
        if self.find(name) is None:
            raise UnknownPlaceError(f"{name} does not exist")
        return [place for place in self.all() if name.covers(place.name)]

    def _insert(self, place: Place) -> None:
        values = {
            "cluster": place.name.cluster,
            "name": place.name.local,
            "owner": place.owner,
        }
        self._connection.execute(insert(_places).values(values))


def read_version(connection: Connection) -> int:
    """Return the number of changes of the metastore so far."""
    found = connection.execute(select(_version.c.version)).scalar_one_or_none()
    return 0 if found is None else int(found)


def bump_version(connection: Connection) -> None:
    """Note that the metastore has changed."""
    changed = connection.execute(update(_version).values(version=_version.c.version + 1))
    if changed.rowcount == 0:
        connection.execute(insert(_version).values(id=_ONLY_ROW, version=1))


def _is(name: ObjectName) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    return _places.c.cluster == name.cluster, _places.c.name == name.local
