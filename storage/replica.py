"""A metastore as it travels to a replica, and how that is read.

It goes without locations and definitions. Many tables of a cluster have the columns of others, and
lie in the same schemas: what they share is sent once, and held once by whoever reads it.
"""

import base64
import json
from collections.abc import Iterable, Mapping, Sequence
from itertools import repeat
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
_COLUMNS = (
    "id",
    "name",
    "arrow_schema",
    "partition_columns",
    "schema_version",
    "snapshot",
    "row_count",
    "byte_count",
    "file_count",
    "kind",
    "owner",
)


def write_replica(metastore: Metastore) -> bytes:
    """Return the state of a cluster for a replica.

    The bytes are JSON: {cluster, version, places: [{name, owner}], arrow_schemas: [base64 of the
    IPC schema message], tables: {id: […], name: […], arrow_schema: [which of these], …}}, of which
    each list has one value for each table.
    """
    known: dict[bytes, int] = {}
    tables = metastore.all_tables()
    encoded = (table.arrow_schema.serialize().to_pybytes() for table in tables)
    wire = {
        "cluster": metastore.cluster,
        "version": metastore.version,
        "places": [
            {"name": place.name.local, "owner": place.owner} for place in metastore.places.values()
        ],
        "tables": {
            "id": [table.id for table in tables],
            "name": [table.name.local for table in tables],
            "arrow_schema": [known.setdefault(one, len(known)) for one in encoded],
            "partition_columns": [table.partition_columns for table in tables],
            "schema_version": [table.schema_version for table in tables],
            "snapshot": [table.snapshot for table in tables],
            "row_count": [table.row_count for table in tables],
            "byte_count": [table.byte_count for table in tables],
            "file_count": [table.file_count for table in tables],
            "kind": [table.kind for table in tables],
            "owner": [table.owner for table in tables],
        },
        "arrow_schemas": [base64.b64encode(one).decode() for one in known],
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
        tables = _read_tables(cluster, _columns(wire["tables"]), wire.get("arrow_schemas", ()))
        places = [_read_place(one, cluster) for one in wire.get("places", ())]
        (version,), (named,) = _counts([wire["version"]]), _texts([wire["cluster"]])
    except _NOT_THIS as error:
        raise ValueError(f"not a metastore: {type(error).__name__}") from None
    if named != cluster:
        raise ValueError(f"the metastore of {named[:80]} is not that of {cluster}")
    return Metastore(cluster, version, tables, places)


def _columns(tables: Any) -> Mapping[str, list[Any]]:
    """Return what is said of the tables, column by column."""
    if isinstance(tables, dict):
        columns = tables
    else:
        # Members of older versions send them one by one, and say neither kind nor owner.
        rows = [{"kind": TableKind.EXTERNAL, "owner": None, **one} for one in tables]
        columns = {name: [row[name] for row in rows] for name in _COLUMNS}
    lists = [columns[name] for name in _COLUMNS]
    if any(type(one) is not list or len(one) != len(lists[0]) for one in lists):
        raise TypeError("tables")
    return columns


def _read_tables(
    cluster: str, columns: Mapping[str, list[Any]], encoded: Sequence[Any]
) -> list[Table]:
    """Read all tables at once: a federation has a million of them, and a MoM starts with all."""
    names = [ObjectName(cluster, *name.split(".")) for name in _texts(columns["name"])]
    if any(name.table is None for name in names):
        raise ValueError("what is no table is named as one")
    shared = _Shared(encoded)
    kinds = [
        shared.columns_of(which, partitions)
        for which, partitions in zip(
            columns["arrow_schema"], columns["partition_columns"], strict=True
        )
    ]
    return list(
        map(
            Table,
            _texts(columns["id"]),
            names,
            (arrow_schema for arrow_schema, _ in kinds),
            (partition_columns for _, partition_columns in kinds),
            _counts(columns["schema_version"]),
            _texts(columns["snapshot"]),
            _counts(columns["row_count"]),
            _counts(columns["byte_count"]),
            _counts(columns["file_count"]),
            repeat(None),
            map(TableKind, columns["kind"]),
            map(_read_owner, columns["owner"]),
        )
    )


class _Shared:
    """The columns of tables, one object for all that have them alike."""

    def __init__(self, encoded: Sequence[Any]) -> None:
        self._encoded = encoded
        self._known: dict[tuple[object, ...], tuple[pa.Schema, tuple[str, ...]]] = {}

    def columns_of(
        self, which: object, partitions: Iterable[object]
    ) -> tuple[pa.Schema, tuple[str, ...]]:
        """Return the schema with a number, or one that is written out, and its partitions."""
        key = (type(which), which, *partitions)
        if key not in self._known:
            arrow_schema, names = self._arrow_schema(which), tuple(_texts(list(partitions)))
            if tuple(arrow_schema.names[len(arrow_schema) - len(names) :]) != names:
                raise ValueError("the last columns of a table are not its partitions")
            self._known[key] = (arrow_schema, names)
        return self._known[key]

    def _arrow_schema(self, which: object) -> pa.Schema:
        # Members of older versions write it out at each table.
        (encoded,) = _texts(
            [which if isinstance(which, str) else self._encoded[_counts([which])[0]]]
        )
        return pa.ipc.read_schema(pa.py_buffer(base64.b64decode(encoded, validate=True)))


def _read_place(one: Mapping[str, Any], cluster: str) -> Place:
    (text,) = _texts([one["name"]])
    name = ObjectName(cluster, *text.split("."))
    if name.level not in {Level.CATALOG, Level.SCHEMA}:
        raise ValueError(f"{name} is not a catalog or schema")
    return Place(name, _read_owner(one.get("owner")))


def _read_owner(value: object) -> str | None:
    if value is not None and not isinstance(value, str):
        raise TypeError("an owner")
    return value


def _texts(values: list[Any]) -> list[str]:
    if not all(type(value) is str for value in values):
        raise TypeError("texts")
    return values


def _counts(values: list[Any]) -> list[int]:
    if not all(type(value) is int and 0 <= value <= _MAX_COUNT for value in values):
        raise TypeError("counts")
    return values
