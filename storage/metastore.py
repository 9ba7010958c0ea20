"""What catalogs, schemas and tables exist in one cluster, as immutable values.

A `Metastore` is one state of one cluster; a change makes another. The MoM holds replicas, which
know everything but where the files lie.
"""

import base64
import json
from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Self

import pyarrow as pa

from storage.names import Level, ObjectName


@dataclass(frozen=True, slots=True)
class Table:
    """One table. Equal versions and snapshots mean equal rows.

    Attributes:
        id: 32 hex digits, never used again; survives renaming.
        name: With its cluster.
        arrow_schema: Every column, partition columns last, as the engine shows them.
        partition_columns: In the order of the directories.
        schema_version: Grows when the columns change.
        snapshot: A digest of the files' relative paths, sizes and times of change.
        row_count: Rows in all files.
        byte_count: Bytes of all files on disk.
        file_count: Files.
        location: The directory that holds them; None in a replica.
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


def _name(table: Table) -> ObjectName:
    return table.name


class Metastore:
    """One state of a cluster's tables. Immutable, and quick to ask."""

    def __init__(self, cluster: str, version: int, tables: Iterable[Table]) -> None:
        """Index the tables; all of them must be the cluster's own.

        Raises:
            ValueError: When a table is another cluster's, or two have one name.
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

    def table(self, name: ObjectName) -> Table | None:
        """Return a table, or None when there is none of that name."""
        return self.tables.get(name)

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

    def to_wire(self) -> bytes:
        """Return the state for a replica, without locations.

        The bytes are JSON: {cluster, version, tables: [{…, arrow_schema: base64 of the IPC
        schema message}]}.
        """
        tables = [
            {
                "id": table.id,
                "name": table.name.local,
                "arrow_schema": base64.b64encode(table.arrow_schema.serialize()).decode(),
                "partition_columns": table.partition_columns,
                "schema_version": table.schema_version,
                "snapshot": table.snapshot,
                "row_count": table.row_count,
                "byte_count": table.byte_count,
                "file_count": table.file_count,
            }
            for table in self.all_tables()
        ]
        wire = {"cluster": self.cluster, "version": self.version, "tables": tables}
        return json.dumps(wire).encode()

    @classmethod
    def from_wire(cls, data: bytes, *, cluster: str) -> Self:
        """Read a replica of one cluster's state.

        Args:
            data: What `to_wire` returned.
            cluster: Whose state it must be: a cluster can only speak for itself.

        Raises:
            ValueError: When it is not that cluster's, or not such a state.
        """
        try:
            wire: dict[str, Any] = json.loads(data)
            tables = [_read_table(one, cluster) for one in wire["tables"]]
            version, named = _read_count(wire, "version"), _read_text(wire, "cluster")
        except _NOT_THIS as error:
            raise ValueError(f"not a metastore: {type(error).__name__}") from None
        if named != cluster:
            raise ValueError(f"the metastore of {named[:80]} is not that of {cluster}")
        return cls(cluster, version, tables)


# What a document of another shape can raise; every other member's bytes come through here.
_NOT_THIS = (KeyError, TypeError, AttributeError, RecursionError, OSError, pa.ArrowException)
_MAX_COUNT = 2**63 - 1


def _read_table(one: Mapping[str, Any], cluster: str) -> Table:
    encoded = base64.b64decode(_read_text(one, "arrow_schema"), validate=True)
    arrow_schema = pa.ipc.read_schema(pa.py_buffer(encoded))
    name = ObjectName(cluster, *_read_text(one, "name").split("."))
    partitions = [str(column) for column in one["partition_columns"]]
    if name.level is not Level.TABLE:
        raise ValueError(f"{name} is not a table")
    if arrow_schema.names[len(arrow_schema) - len(partitions) :] != partitions:
        raise ValueError(f"the last columns of {name} are not its partitions")
    return Table(
        id=_read_text(one, "id"),
        name=name,
        arrow_schema=arrow_schema,
        partition_columns=tuple(partitions),
        schema_version=_read_count(one, "schema_version"),
        snapshot=_read_text(one, "snapshot"),
        row_count=_read_count(one, "row_count"),
        byte_count=_read_count(one, "byte_count"),
        file_count=_read_count(one, "file_count"),
    )


def _read_text(one: Mapping[str, Any], key: str) -> str:
    value = one[key]
    if not isinstance(value, str):
        raise TypeError(key)
    return value


def _read_count(one: Mapping[str, Any], key: str) -> int:
    value = one[key]
    if type(value) is not int or not 0 <= value <= _MAX_COUNT:
        raise TypeError(key)
    return value
