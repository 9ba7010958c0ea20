"""The metastore as it is kept: one row per table, and a version that every change bumps.

The catalogs and schemas that tables lie in are kept by `storage.placestore`, in the same metadata.

Every function takes the caller's connection, so that a change and its audit row share one
transaction. Another process sees a change by polling `version`.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import pyarrow as pa
from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    Integer,
    LargeBinary,
    Row,
    String,
    Text,
    delete,
    insert,
    select,
    update,
)
from sqlalchemy import Table as SqlTable

from storage.errors import TableExistsError, UnknownTableError
from storage.metastore import Table, TableKind
from storage.names import ObjectName
from storage.placestore import PlaceStore, bump_version, metadata, read_version

__all__ = ["Departure", "TableStore", "metadata"]

_tables = SqlTable(
    "tables",
    metadata,
    Column("cluster", String, primary_key=True),
    Column("name", String, primary_key=True),
    Column("id", String, nullable=False, unique=True),
    Column("arrow_schema", LargeBinary, nullable=False),
    Column("partition_columns", String, nullable=False),
    Column("schema_version", Integer, nullable=False),
    Column("snapshot", String, nullable=False),
    Column("row_count", BigInteger, nullable=False),
    Column("byte_count", BigInteger, nullable=False),
    Column("file_count", BigInteger, nullable=False),
    Column("location", String, nullable=False),
    Column("kind", String(16), nullable=False),
    Column("owner", String(127)),
    Column("definition", Text),
)
# Tables that are gone for good, unlike those whose files cannot be seen at the moment.
_dropped = SqlTable(
    "dropped_tables",
    metadata,
    Column("number", Integer, primary_key=True, autoincrement=True),
    Column("id", String, nullable=False),
)
# Schemas and catalogs that were dropped, or got another name.
_departed = SqlTable(
    "departed_places",
    metadata,
    Column("number", Integer, primary_key=True, autoincrement=True),
    Column("id", String, nullable=False),
    Column("name", String, nullable=False),
    Column("new_name", String),
)


@dataclass(frozen=True, slots=True)
class Departure:
    """A schema or catalog that was dropped, or got another name: once, under an id of its own."""

    id: str
    name: str
    new_name: str | None
    """None when it was dropped."""


class TableStore:
    """Reads and changes the metastore inside the caller's transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def all(self) -> list[Table]:
        """Return every table, ordered by name; it may be empty."""
        rows = self._connection.execute(select(_tables).order_by(_tables.c.name))
        return [_read(row) for row in rows]

    def find(self, table_id: str) -> Table | None:
        """Return the table with an id, whatever it is called by now, or None."""
        row = self._connection.execute(
            select(_tables).where(_tables.c.id == table_id)
        ).one_or_none()
        return None if row is None else _read(row)

    def add(self, table: Table) -> None:
        """Keep a new table; the schema and catalog of its name are made when they are missing.

        Raises:
            TableExistsError: When there is one of that name.
        """
        if self._id_of(table.name) is not None:
            raise TableExistsError(f"{table.name} exists already; choose another name")
        self._connection.execute(insert(_tables).values(**_row(table)))
        PlaceStore(self._connection).ensure_above(table.name)
        self._bump()

    def replace(self, table: Table) -> None:
        """Keep a new state of a table that is known by its id.

        Raises:
            UnknownTableError: When there is none with that id.
            TableExistsError: When its new name is another table's.
        """
        if self._id_of(table.name) not in {None, table.id}:
            raise TableExistsError(f"{table.name} exists already; choose another name")
        changed = self._connection.execute(
            update(_tables).where(_tables.c.id == table.id).values(**_row(table))
        )
        if changed.rowcount == 0:
            raise UnknownTableError(f"{table.name} does not exist")
        PlaceStore(self._connection).ensure_above(table.name)
        self._bump()

    def drop(self, name: ObjectName) -> None:
        """Forget a table, but for its id; its files stay where they are.

        Raises:
            UnknownTableError: When there is none of that name.
        """
        table_id = self._id_of(name)
        dropped = self._connection.execute(
            delete(_tables).where(_tables.c.cluster == name.cluster, _tables.c.name == name.local)
        )
        if dropped.rowcount == 0:
            raise UnknownTableError(f"{name} does not exist")
        self._connection.execute(insert(_dropped).values(id=table_id))
        self._bump()

    def dropped(self, most: int) -> list[str]:
        """Return the ids of the tables that were dropped last, newest first."""
        newest = select(_dropped.c.id).order_by(_dropped.c.number.desc()).limit(most)
        return list(self._connection.execute(newest).scalars())

    def are_dropped(self, ids: Iterable[str]) -> set[str]:
        """Return those of some ids that are of tables that were dropped."""
        known = select(_dropped.c.id).where(_dropped.c.id.in_(list(ids)))
        return set(self._connection.execute(known).scalars())

    def depart(self, place: ObjectName, new_place: ObjectName | None = None) -> None:
        """Note that a schema or catalog was dropped, or got another name, under an id of its own.

        What lies there is dropped or renamed table by table.
        """
        new_name = None if new_place is None else new_place.local
        departure = {"id": uuid4().hex, "name": place.local, "new_name": new_name}
        self._connection.execute(insert(_departed).values(departure))
        self._bump()

    def departed(self, most: int) -> list[Departure]:
        """Return the departures noted last, oldest of them first."""
        newest = select(_departed).order_by(_departed.c.number.desc()).limit(most)
        rows = self._connection.execute(newest).all()
        return [Departure(row.id, row.name, row.new_name) for row in reversed(rows)]

    def version(self) -> int:
        """Return the number of changes so far."""
        return read_version(self._connection)

    def _id_of(self, name: ObjectName) -> str | None:
        return self._connection.execute(
            select(_tables.c.id).where(
                _tables.c.cluster == name.cluster, _tables.c.name == name.local
            )
        ).scalar_one_or_none()

    def _bump(self) -> None:
        bump_version(self._connection)


def _read(row: Row[Any]) -> Table:
    return Table(
        id=row.id,
        name=ObjectName.parse(row.name, cluster=row.cluster),
        arrow_schema=pa.ipc.read_schema(pa.py_buffer(row.arrow_schema)),
        partition_columns=tuple(json.loads(row.partition_columns)),
        schema_version=row.schema_version,
        snapshot=row.snapshot,
        row_count=row.row_count,
        byte_count=row.byte_count,
        file_count=row.file_count,
        location=row.location or None,
        kind=TableKind(row.kind),
        owner=row.owner,
        definition=row.definition,
    )


def _row(table: Table) -> dict[str, object]:
    return {
        "cluster": table.name.cluster,
        "name": table.name.local,
        "id": table.id,
        "arrow_schema": table.arrow_schema.serialize().to_pybytes(),
        "partition_columns": json.dumps(table.partition_columns),
        "schema_version": table.schema_version,
        "snapshot": table.snapshot,
        "row_count": table.row_count,
        "byte_count": table.byte_count,
        "file_count": table.file_count,
        "location": table.location or "",
        "kind": str(table.kind),
        "owner": table.owner,
        "definition": table.definition,
    }
