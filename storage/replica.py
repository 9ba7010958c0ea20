"""A metastore as it travels to a replica, and how that is read.

It goes without locations and definitions. Many tables of a cluster have the columns of others, and
lie in the same schemas: what they share is sent once, and held once by whoever reads it.
"""

import base64
import json
from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa

from storage.metastore import Metastore, Place, Table, TableKind
from storage.names import Level, ObjectName

# What a document of another shape can raise; every other member's bytes come through here.
_NOT_THIS = (
    KeyError,
    IndexError,
    TypeError,
    AttributeError,
    RecursionError,
    OSError,
    pa.ArrowException,
)
_MAX_COUNT = 2**63 - 1


def write_replica(metastore: Metastore) -> bytes:
    """Return the state of a cluster for a replica.

    The bytes are JSON: {cluster, version, places: [{name, owner}], arrow_schemas: [base64 of the
    IPC schema message], tables: [{…, arrow_schema: which of these}]}.
    """
    places: dict[bytes, int] = {}
    tables = [
        {
            "id": table.id,
            "name": table.name.local,
            "arrow_schema": places.setdefault(
                table.arrow_schema.serialize().to_pybytes(), len(places)
            ),
            "partition_columns": table.partition_columns,
            "schema_version": table.schema_version,
            "snapshot": table.snapshot,
            "row_count": table.row_count,
            "byte_count": table.byte_count,
            "file_count": table.file_count,
            "kind": table.kind,
            "owner": table.owner,
        }
        for table in metastore.all_tables()
    ]
    wire = {
        "cluster": metastore.cluster,
        "version": metastore.version,
        "places": [
            {"name": place.name.local, "owner": place.owner} for place in metastore.places.values()
        ],
        "arrow_schemas": [base64.b64encode(encoded).decode() for encoded in places],
        "tables": tables,
    }
    return json.dumps(wire).encode()


def read_replica(data: bytes, *, cluster: str) -> Metastore:
    """Read a replica of one cluster's state.

    Args:
        data: What `write_replica` returned.
        cluster: Whose state it must be: a cluster can only speak for itself.

    Raises:
        ValueError: When it is not that cluster's, or not such a state.
    """
    try:
        wire: dict[str, Any] = json.loads(data)
        reader = _Reader(cluster, wire.get("arrow_schemas", ()))
        tables = [reader.table(one) for one in wire["tables"]]
        places = [_read_place(one, cluster) for one in wire.get("places", ())]
        version, named = _read_count(wire, "version"), _read_text(wire, "cluster")
    except _NOT_THIS as error:
        raise ValueError(f"not a metastore: {type(error).__name__}") from None
    if named != cluster:
        raise ValueError(f"the metastore of {named[:80]} is not that of {cluster}")
    return Metastore(cluster, version, tables, places)


class _Reader:
    """Reads the tables of one cluster, which share the columns that they have alike."""

    def __init__(self, cluster: str, encoded: Sequence[Any]) -> None:
        self._cluster = cluster
        self._encoded = encoded
        self._columns: dict[tuple[object, ...], tuple[pa.Schema, tuple[str, ...]]] = {}

    def table(self, one: Mapping[str, Any]) -> Table:
        name = ObjectName(self._cluster, *_read_text(one, "name").split("."))
        if name.level is not Level.TABLE:
            raise ValueError(f"{name} is not a table")
        arrow_schema, partition_columns = self._columns_of(one)
        return Table(
            id=_read_text(one, "id"),
            name=name,
            arrow_schema=arrow_schema,
            partition_columns=partition_columns,
            schema_version=_read_count(one, "schema_version"),
            snapshot=_read_text(one, "snapshot"),
            row_count=_read_count(one, "row_count"),
            byte_count=_read_count(one, "byte_count"),
            file_count=_read_count(one, "file_count"),
            # Members of older versions say neither.
            kind=TableKind(one.get("kind", TableKind.EXTERNAL)),
            owner=_read_owner(one),
        )

    def _columns_of(self, one: Mapping[str, Any]) -> tuple[pa.Schema, tuple[str, ...]]:
        which = one["arrow_schema"]
        partitions = tuple(map(str, one["partition_columns"]))
        key = (type(which), which, partitions)
        if key not in self._columns:
            arrow_schema = self._arrow_schema(which)
            if arrow_schema.names[len(arrow_schema) - len(partitions) :] != list(partitions):
                raise ValueError("the last columns of a table are not its partitions")
            self._columns[key] = (arrow_schema, partitions)
        return self._columns[key]

    def _arrow_schema(self, which: object) -> pa.Schema:
        # Members of older versions write it out at each table.
        encoded = which if isinstance(which, str) else self._encoded[_as_count(which)]
        if not isinstance(encoded, str):
            raise TypeError("arrow_schema")
        return pa.ipc.read_schema(pa.py_buffer(base64.b64decode(encoded, validate=True)))


def _read_place(one: Mapping[str, Any], cluster: str) -> Place:
    name = ObjectName(cluster, *_read_text(one, "name").split("."))
    if name.level not in {Level.CATALOG, Level.SCHEMA}:
        raise ValueError(f"{name} is not a catalog or schema")
    return Place(name, _read_owner(one))


def _read_owner(one: Mapping[str, Any]) -> str | None:
    return None if one.get("owner") is None else _read_text(one, "owner")


def _read_text(one: Mapping[str, Any], key: str) -> str:
    value = one[key]
    if not isinstance(value, str):
        raise TypeError(key)
    return value


def _read_count(one: Mapping[str, Any], key: str) -> int:
    return _as_count(one[key])


def _as_count(value: object) -> int:
    if type(value) is not int or not 0 <= value <= _MAX_COUNT:
        raise TypeError("a count")
    return value
