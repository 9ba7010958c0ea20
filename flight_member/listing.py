"""What one caller may read, as SHOW and DESCRIBE list it.

Everything here is given tables that its caller may read, so that nothing else can show: what is
not among them does not exist. At home the catalogs of one's own cluster are bare, all others are
written with theirs.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from flight_member.answers import answer
from flight_member.errors import BadRequestError, NotFoundError
from flight_sql import like_pattern, type_name, wire_schema
from planner import Describe, NamePattern, ShowCatalogs, ShowSchemas, ShowTables
from storage.metastore import Table, TableKind
from storage.names import SYSTEM_CATALOG, InvalidNameError, Level, ObjectName

_MOST_MEANT = 3
_PRIVILEGES = {
    Level.CLUSTER: "CATALOG_READ",
    Level.CATALOG: "CATALOG_READ",
    Level.SCHEMA: "SCHEMA_READ",
    Level.TABLE: "TABLE_READ",
}


@dataclass(frozen=True, slots=True)
class ListedTable:
    """A table as one caller sees it: `catalog` is bare at home, else `catalog@cluster`."""

    catalog: str
    table: Table

    @property
    def schema(self) -> str:
        """The schema's name."""
        return str(self.table.name.schema)

    @property
    def name(self) -> str:
        """The table's own name."""
        return str(self.table.name.table)

    @property
    def table_type(self) -> str:
        """`TABLE` or `VIEW`."""
        return "VIEW" if self.table.kind is TableKind.VIEW else "TABLE"

    @property
    def counts(self) -> tuple[int | None, int | None, int | None]:
        """How many rows, bytes and files it holds; not known of live tables and views."""
        if self.catalog == SYSTEM_CATALOG or self.table.kind is TableKind.VIEW:
            return None, None, None
        return self.table.row_count, self.table.byte_count, self.table.file_count


@dataclass(frozen=True, slots=True)
class ListedPlace:
    """A catalog or schema in which one caller may read, with tables or without."""

    catalog: str
    """As in `ListedTable`."""
    name: ObjectName


def show_catalogs(
    listed: Iterable[ListedTable | ListedPlace], like: NamePattern | None = None
) -> pa.Table:
    """Answer SHOW CATALOGS: ordered, each once.

    A pattern is compared with the catalog's name both bare and with its cluster.
    """
    fits = name_filter(like)
    names = {
        one.catalog
        for one in listed
        if fits(str(_name(one).catalog)) or fits(f"{_name(one).catalog}@{_name(one).cluster}")
    }
    return answer(ShowCatalogs, [(name,) for name in sorted(names)])


def show_schemas(
    listed: Iterable[ListedTable | ListedPlace], like: NamePattern | None = None
) -> pa.Table:
    """Answer SHOW SCHEMAS: ordered by catalog and schema, each once."""
    fits = name_filter(like)
    pairs = {(one.catalog, str(_name(one).schema)) for one in listed if _name(one).schema}
    return answer(ShowSchemas, sorted(pair for pair in pairs if fits(pair[1])))


def show_tables(listed: Iterable[ListedTable], like: NamePattern | None = None) -> pa.Table:
    """Answer SHOW TABLES: ordered by catalog, schema and name."""
    fits = name_filter(like)
    rows = sorted(
        (
            one.catalog,
            one.schema,
            one.name,
            *one.counts,
        )
        for one in listed
        if fits(one.name)
    )
    return answer(ShowTables, rows)


def describe_table(table: Table, like: NamePattern | None = None) -> pa.Table:
    """Answer DESCRIBE: the columns in the table's order."""
    return describe_columns(table.arrow_schema, table.partition_columns, like)


def describe_columns(
    arrow_schema: pa.Schema, partition_columns: tuple[str, ...], like: NamePattern | None = None
) -> pa.Table:
    """Answer DESCRIBE for these columns, in their order."""
    fits = name_filter(like)
    return answer(
        Describe,
        [
            (
                field.name,
                type_name(wire.type),
                field.nullable,
                field.name in partition_columns,
                str(field.type),
            )
            for field, wire in zip(arrow_schema, wire_schema(arrow_schema), strict=True)
            if fits(field.name)
        ],
    )


def name_filter(like: NamePattern | None) -> Callable[[str], bool]:
    """Return the test that a pattern stands for; without one everything passes."""
    if like is None:
        return lambda _name: True
    if like.ignores_case:
        folded = like_pattern(like.text.lower())
        return lambda name: folded.fullmatch(name.lower()) is not None
    pattern = like_pattern(like.text)
    return lambda name: pattern.fullmatch(name) is not None


def not_found(parent: ObjectName, listed: Iterable[ListedTable]) -> NotFoundError:
    """Return the one refusal of a place that is not there or holds nothing for its caller.

    Args:
        parent: The cluster, catalog or schema that was asked for.
        listed: All that the caller may read: places of that name among them are suggested.
    """
    last = _last_part(parent)
    meant = {
        place
        for one in listed
        for place in one.table.name.ancestors()
        if place.level is not Level.TABLE and _last_part(place) == last and place != parent
    }
    return NotFoundError.of(
        parent, elsewhere=sorted(meant)[:_MOST_MEANT], privilege=_PRIVILEGES[parent.level]
    )


def _last_part(name: ObjectName) -> str:
    return name.schema or name.catalog or name.cluster


def _name(one: ListedTable | ListedPlace) -> ObjectName:
    return one.name if isinstance(one, ListedPlace) else one.table.name


# Between servers.

_WIRE = pa.schema(
    [
        ("name", pa.list_(pa.utf8(), 4)),
        ("partition_columns", pa.list_(pa.utf8())),
        ("row_count", pa.int64()),
        ("byte_count", pa.int64()),
        ("file_count", pa.int64()),
        # Tables often have the columns of others: those are sent and read once.
        ("arrow_schema", pa.dictionary(pa.int32(), pa.binary())),
        ("kind", pa.utf8()),
    ]
)


def write_listing(listed: Iterable[ListedTable]) -> bytes:
    """Return what a caller may read for another server: an Arrow IPC stream, without locations."""
    rows = [
        (
            [one.table.name.cluster, one.table.name.catalog, one.schema, one.name],
            list(one.table.partition_columns),
            *one.counts,
            one.table.arrow_schema.serialize().to_pybytes(),
            str(one.table.kind),
        )
        for one in listed
    ]
    columns = list(zip(*rows, strict=True)) or [()] * len(_WIRE)
    arrays = [pa.array(values, field.type) for values, field in zip(columns, _WIRE, strict=True)]
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, _WIRE) as writer:
        writer.write_table(pa.table(arrays, schema=_WIRE))
    return bytes(sink.getvalue())


def read_listing(data: bytes) -> Iterator[ListedTable]:
    """Yield what `write_listing` wrote, catalogs with their clusters.

    Raises:
        BadRequestError: When it is no such listing.
    """
    try:
        with pa.ipc.open_stream(data) as reader:
            rows = reader.read_all().select(_WIRE.names)
        schemas: dict[bytes, pa.Schema] = {}
        listed = [
            _read_row(row, schemas) for row in zip(*(c.to_pylist() for c in rows), strict=True)
        ]
    except (pa.ArrowException, KeyError, TypeError, InvalidNameError, ValueError, OSError):
        pass
    else:
        yield from listed
        return
    raise BadRequestError("the MoM's listing cannot be read; bring both to the same version")


def _read_row(row: tuple[Any, ...], schemas: dict[bytes, pa.Schema]) -> ListedTable:
    (cluster, *parts), partition_columns, *counts, encoded, kind = row
    name = ObjectName(cluster, *parts)
    if encoded not in schemas:
        schemas[encoded] = pa.ipc.read_schema(pa.py_buffer(encoded))
    row_count, byte_count, file_count = (count or 0 for count in counts)
    table = Table(
        id="",
        name=name,
        arrow_schema=schemas[encoded],
        partition_columns=tuple(partition_columns),
        schema_version=0,
        snapshot="",
        row_count=row_count,
        byte_count=byte_count,
        file_count=file_count,
        kind=TableKind(kind),
    )
    is_system = name.catalog == SYSTEM_CATALOG
    return ListedTable(SYSTEM_CATALOG if is_system else f"{name.catalog}@{name.cluster}", table)
