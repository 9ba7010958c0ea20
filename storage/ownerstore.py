"""Who owns tables, schemas and catalogs, as it is kept beside them.

Every function takes the caller's connection, so that a change and its audit row share one
transaction.
"""

from dataclasses import replace

from sqlalchemy import Connection

from storage.errors import UnknownPlaceError, UnknownTableError
from storage.metastore import Place, Table
from storage.names import Level, ObjectName
from storage.placestore import PlaceStore
from storage.tablestore import TableStore


class OwnerStore:
    """Changes owners inside the caller's transaction."""

    def __init__(self, connection: Connection) -> None:
        self._tables = TableStore(connection)
        self._places = PlaceStore(connection)

    def set_owner(self, name: ObjectName, owner: str | None) -> None:
        """Give a table, schema or catalog to a user, or to nobody but the administrators.

        Raises:
            UnknownTableError: When there is no such table.
            UnknownPlaceError: When there is no such schema or catalog.
        """
        if name.level is Level.TABLE:
            found = next((table for table in self._tables.all() if table.name == name), None)
            if found is None:
                raise UnknownTableError(f"{name} does not exist")
            self._tables.replace(replace(found, owner=owner))
            return
        if self._places.find(name) is None:
            raise UnknownPlaceError(f"{name} does not exist")
        self._places.replace(Place(name, owner))

    def disown(self, owner: str) -> list[ObjectName]:
        """Take everything from a user, who is gone; it is the administrators' then.

        Returns:
            What it was, ordered by name.
        """
        everything: list[Table | Place] = [*self._places.all(), *self._tables.all()]
        owned = sorted(one.name for one in everything if one.owner == owner)
        for name in owned:
            self.set_owner(name, None)
        return owned
