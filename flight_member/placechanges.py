"""Dropping and renaming catalogs, schemas and tables, inside a transaction of the caller's.

What lies in a place is dropped or renamed with it, and what was allowed there ends or follows (see
`departures`). The files of tables are nobody's matter here.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

from auth import AuditRecord
from auth.auditstore import AuditStore
from auth.grantstore import GrantStore
from auth.renaming import places_below
from flight_member.departures import record_departure, record_renaming
from flight_member.statestore import Database
from storage.metastore import Table
from storage.names import Level, ObjectName
from storage.placestore import PlaceStore
from storage.tablestore import TableStore


@dataclass(frozen=True, slots=True)
class ObjectStores:
    """What a change of objects is written to, all in one transaction."""

    tables: TableStore
    places: PlaceStore
    grants: GrantStore
    audit: AuditStore

    def below(self, name: ObjectName) -> list[Table]:
        """Return the tables at or below a name, as they are now, ordered by name."""
        return [table for table in self.tables.all() if name.covers(table.name)]

    def drop(self, name: ObjectName, act: AuditRecord) -> list[Table]:
        """Forget a table, or a place with all that lies there; returns the tables.

        Raises:
            UnknownTableError: When there is no such table.
            UnknownPlaceError: When there is no such place.
        """
        doomed = self.below(name)
        if name.level is Level.TABLE:
            self.tables.drop(name)
        else:
            self.places.drop(name)
            for table in doomed:
                self.tables.drop(table.name)
            self.tables.depart(name)
        record_departure(self.grants, self.audit, name, act)
        return doomed

    def rename(self, name: ObjectName, new_name: ObjectName, act: AuditRecord) -> None:
        """Give a table, or a place with all that lies there, another name.

        Raises:
            UnknownTableError: When there is no such table.
            UnknownPlaceError: When there is no such place.
            TableExistsError: When there is a table of the new name.
            PlaceExistsError: When there is a place of the new name.
        """
        moving = self.below(name)
        renamed = {table.name: table.name.moved(name, new_name) for table in moving}
        if name.level is not Level.TABLE:
            self.places.rename(name, new_name)
            renamed_places = places_below(self.grants, name, new_name)
        else:
            renamed_places = {}
        for table in moving:
            self.tables.replace(replace(table, name=renamed[table.name]))
        if name.level is not Level.TABLE:
            self.tables.depart(name, new_name)
        record_renaming(self.grants, self.audit, renamed | renamed_places, act)


@contextmanager
def changing_objects(database: Database) -> Iterator[ObjectStores]:
    """Open a transaction for the time of a `with` block; it commits unless the block raises."""
    with database.change() as connection:
        yield ObjectStores(
            TableStore(connection),
            PlaceStore(connection),
            GrantStore(connection),
            AuditStore(connection),
        )
