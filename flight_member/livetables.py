"""Live tables: their rows are made when they are fetched, of what one caller may see then.

Each table is one small class: a name, columns, and rows. What a caller may not see is never made,
so that no error, plan or count of the engine that reads the rows can tell of it.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import pyarrow as pa

from auth import Identity
from flight_member.information_schema import SHAPES, information_rows
from flight_member.listing import ListedTable
from flight_sql import Call
from storage.metastore import Table
from storage.names import FEDERATION_SCHEMA, INFORMATION_SCHEMA, SYSTEM_CATALOG, ObjectName
from storage.needed import Needed


@dataclass(frozen=True, slots=True)
class Wanted:
    """What one statement wants of a live table.

    Attributes:
        call: The call that fetches.
        caller: Whose part of the table it is.
        listing: Returns the tables that they may read at or below a place, or everywhere.
        scope: The cluster or catalog that `information_schema` is to tell of; None for all.
        needed: The rows that the statement can need; others may be left out.
    """

    call: Call
    caller: Identity
    listing: Callable[[ObjectName | None], Sequence[ListedTable]]
    scope: ObjectName | None
    needed: Needed


class LiveTable(Protocol):
    """One table of `information_schema` or `system.federation`."""

    @property
    def name(self) -> str:
        """The table's own name."""

    @property
    def arrow_schema(self) -> pa.Schema:
        """The columns, as they travel."""

    def rows(self, wanted: Wanted) -> pa.Table:
        """Return the caller's part, in the columns of `arrow_schema`; it may be empty."""


class InformationTable:
    """A table of `information_schema`."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.arrow_schema = SHAPES[name]

    def rows(self, wanted: Wanted) -> pa.Table:
        """Tell of what the caller may read in the scope."""
        return information_rows(self.name, wanted.listing(wanted.scope))


class LiveTables:
    """The live tables that one server answers."""

    def __init__(self, federation: Iterable[LiveTable] = ()) -> None:
        """Keep the tables of `information_schema`, and those of `system.federation` at the MoM."""
        self._federation = {table.name: table for table in federation}
        self._information = {name: InformationTable(name) for name in SHAPES}

    def find(self, name: ObjectName) -> LiveTable | None:
        """Return the live table of a name, or None when there is none."""
        if name.schema == INFORMATION_SCHEMA:
            return self._information.get(str(name.table))
        if (name.catalog, name.schema) == (SYSTEM_CATALOG, FEDERATION_SCHEMA):
            return self._federation.get(str(name.table))
        return None

    def listed(self, mom: str, parent: ObjectName | None) -> Iterator[ListedTable]:
        """Yield what is listed of `system` at or below a place; everybody may read all of it."""
        for table in self._federation.values():
            name = ObjectName(mom, SYSTEM_CATALOG, FEDERATION_SCHEMA, table.name)
            if parent is None or parent.covers(name):
                yield ListedTable(SYSTEM_CATALOG, _uncounted(name, table.arrow_schema))


def _uncounted(name: ObjectName, arrow_schema: pa.Schema) -> Table:
    return Table(
        id="",
        name=name,
        arrow_schema=arrow_schema,
        partition_columns=(),
        schema_version=0,
        snapshot="",
        row_count=0,
        byte_count=0,
        file_count=0,
    )
