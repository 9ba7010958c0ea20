"""A member's own schemas and catalogs, with tables or without.

Dropping or renaming one drops or renames every table there, in one transaction with its audit rows.
The MoM hears of it with the next report; a schema whose tables merely cannot be seen is none that
was dropped.
"""

import weakref
from dataclasses import replace
from pathlib import Path

from auth.auditstore import AuditStore
from auth.grantstore import GrantStore
from auth.renaming import places_below
from flight_member.departures import record_departure, record_renaming, terminal_record
from flight_member.errors import BadRequestError
from flight_member.managedtables import ManagedTables
from flight_member.memberhome import MemberHome
from flight_member.statestore import Database
from storage.metastore import Table
from storage.names import INFORMATION_SCHEMA, SYSTEM_CATALOG, InvalidNameError, Level, ObjectName
from storage.placestore import PlaceStore
from storage.tablestore import TableStore

_FORMS = {Level.CATALOG: "catalog", Level.SCHEMA: "catalog.schema"}


def is_reserved(name: ObjectName) -> bool:
    """Whether a name lies where no cluster may have tables: the federation answers there."""
    return name.catalog == SYSTEM_CATALOG or name.schema == INFORMATION_SCHEMA


def require_own_place(name: ObjectName) -> None:
    """Refuse a name in the federation's own catalog or schema.

    Raises:
        BadRequestError: When it lies there.
    """
    if is_reserved(name):
        raise BadRequestError(
            f"{name} cannot be a {name.level.value}: the catalog {SYSTEM_CATALOG} and the schema "
            f"{INFORMATION_SCHEMA} are the federation's own; choose another"
        )


class PlaceDesk:
    """Drops and renames the schemas, or the catalogs, of one member at its own terminal."""

    def __init__(
        self, cluster: str, database: Database, tables_directory: Path, level: Level
    ) -> None:
        self._cluster = cluster
        self._tables_directory = tables_directory
        self._database = database
        self._level = level

    @classmethod
    def open(cls, home: MemberHome, level: Level) -> "PlaceDesk":
        """Open a desk for schemas or for catalogs; a running server notices the changes."""
        database = home.open_database()
        desk = cls(home.settings.cluster.name, database, home.tables_directory, level)
        weakref.finalize(desk, database.close)
        return desk

    def drop(self, text: str) -> tuple[ObjectName, int]:
        """Forget a place with all its tables, and what was allowed there.

        The files of managed tables are removed; those of others stay where they are.

        Returns:
            Its name, and how many tables it had.

        Raises:
            BadRequestError: When the name is none.
            UnknownPlaceError: When there is no such place.
        """
        place = self._read_name(text)
        with self._database.change() as connection:
            tables = TableStore(connection)
            doomed = self._below(tables, place)
            PlaceStore(connection).drop(place)
            for table in doomed:
                tables.drop(table.name)
            tables.depart(place)
            act = terminal_record("drop", place, f"with {len(doomed)} tables")
            record_departure(GrantStore(connection), AuditStore(connection), place, act)
        ManagedTables(self._database, self._tables_directory).sweep()
        return place, len(doomed)

    def rename(self, text: str, new_text: str) -> tuple[ObjectName, ObjectName]:
        """Give a place another name; of a schema's, the last part alone stays in its catalog.

        What was allowed there follows to the new name; denials hold at both.

        Returns:
            The old name and the new one.

        Raises:
            BadRequestError: When a name is none.
            UnknownPlaceError: When there is no such place.
            PlaceExistsError: When there is one of the new name.
        """
        place = self._read_name(text)
        is_short = self._level is Level.SCHEMA and "." not in new_text
        new_place = self._read_name(f"{place.catalog}.{new_text}" if is_short else new_text)
        with self._database.change() as connection:
            tables = TableStore(connection)
            moving = self._below(tables, place)
            PlaceStore(connection).rename(place, new_place)
            renamed = {table.name: table.name.moved(place, new_place) for table in moving}
            for table in moving:
                tables.replace(replace(table, name=renamed[table.name]))
            tables.depart(place, new_place)
            grants = GrantStore(connection)
            renamed |= places_below(grants, place, new_place)
            act = terminal_record("rename", place, f"to {new_place}")
            record_renaming(grants, AuditStore(connection), renamed, act)
        return place, new_place

    @staticmethod
    def _below(tables: TableStore, place: ObjectName) -> list[Table]:
        return [table for table in tables.all() if place.covers(table.name)]

    def _read_name(self, text: str) -> ObjectName:
        try:
            name = ObjectName.parse(text, cluster=self._cluster)
        except InvalidNameError as error:
            fault = str(error)
        else:
            if name.level is self._level and name.cluster == self._cluster:
                require_own_place(name)
                return name
            kind, form = self._level.value, _FORMS[self._level]
            fault = f"{text} is not a {kind} of {self._cluster}: write {form}"
        raise BadRequestError(fault)
