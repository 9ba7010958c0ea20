"""The engine's tables: files that it reads, and views behind their barriers.

Tables of files are shared between statements by id, snapshot and place, so that their files'
statistics are read once and not by every statement. A session in which a statement is planned knows
its own tables and nothing else.
"""

import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence

import pyarrow as pa
from datafusion import RuntimeEnvBuilder, SessionConfig, SessionContext, col, lit
from datafusion.catalog import Table as Provider
from datafusion.expr import Expr
from datafusion.functions import named_struct

from storage.errors import unusable_view
from storage.leasing import told_of
from storage.metastore import Table
from storage.names import ObjectName
from storage.objecturl import is_remote
from storage.sessions import ONLY_QUERIES, empty_session, make_schema, quoted
from storage.views import Source, View, columns_read, shown_tables, struct_name

_MAX_PROVIDERS = 512


class Providers:
    """Makes the sessions in which one engine's statements are planned. Used from many threads."""

    def __init__(
        self,
        config: Callable[[], SessionConfig],
        reaching: Callable[[SessionContext], SessionContext],
    ) -> None:
        """Begin with no table.

        Args:
            config: Returns a fresh configuration of the engine's.
            reaching: Makes a session able to read the files of the object stores.
        """
        self._config = config
        self._bare = RuntimeEnvBuilder().with_disk_manager_disabled()
        self._registrar = reaching(SessionContext(config(), self._bare))
        self._lock = threading.Lock()
        self._known: OrderedDict[tuple[str, str, str], Provider] = OrderedDict()

    def forget(self) -> None:
        """Forget what is kept of tables."""
        with self._lock:
            self._known.clear()

    def session(
        self,
        tables: Sequence[Source],
        text: str,
        names: tuple[str | None, str | None],
        parameters: Mapping[str, pa.Scalar] | None = None,
    ) -> SessionContext:
        """Return a fresh session that knows some tables and nothing else.

        Args:
            tables: The tables, with the places where they are read.
            text: The statement that it is for: of views no more is planned than it reads.
            names: The catalog and schema in which shorter names are looked for.
            parameters: The values of its parameters.
        """
        read = self._columns_read(tables, text, names, parameters)
        session = self._empty_session(tables, names)
        for table in tables:
            schema_of_it = session.catalog(str(table.name.catalog)).schema(str(table.name.schema))
            schema_of_it.register_table(
                str(table.name.table),
                self._view(table, read[table.name])
                if isinstance(table, View)
                else self._provider(table),
            )
        return session

    def _columns_read(
        self,
        tables: Sequence[Source],
        text: str,
        names: tuple[str | None, str | None],
        parameters: Mapping[str, pa.Scalar] | None,
    ) -> Mapping[ObjectName, tuple[str, ...]]:
        """Return which columns a statement reads of views, as it is planned on empty tables."""
        views = [source for source in tables if isinstance(source, View)]
        if not views:
            return {}
        session = self._empty_session(tables, names)
        for table in shown_tables(tables):
            # That a column is never null must not be what it is left out for.
            columns = pa.schema([each.with_nullable(True) for each in table.arrow_schema])
            empty = pa.RecordBatch.from_pylist([], schema=columns)
            session.register_record_batches(table.name.local, [[empty]])
        frame = session.sql_with_options(text, ONLY_QUERIES, dict(parameters or {}))
        return columns_read(frame.optimized_logical_plan(), views)

    def _empty_session(
        self, tables: Sequence[Source], names: tuple[str | None, str | None]
    ) -> SessionContext:
        """Return a fresh session with the schemas of some tables, and no table."""
        session = empty_session(self._config(), self._bare, *names)
        for place in {(str(one.name.catalog), str(one.name.schema)) for one in tables}:
            make_schema(session, *place)
        return session

    def _provider(self, table: Table) -> Provider:
        location = str(table.location)
        key = (table.id, table.snapshot, location)
        with self._lock:
            provider = self._known.get(key)
            if provider is None:
                provider = self._register(table, location)
                self._known[key] = provider
                if len(self._known) > _MAX_PROVIDERS:
                    self._known.popitem(last=False)
            self._known.move_to_end(key)
        return provider

    def _register(self, table: Table, location: str) -> Provider:
        held_by_files = [f for f in table.arrow_schema if f.name not in table.partition_columns]
        name = f"t{table.id}"
        self._registrar.register_parquet(
            name,
            f"{location}/" if is_remote(location) else location,
            table_partition_cols=[
                (column, table.arrow_schema.field(column).type)
                for column in table.partition_columns
            ],
            schema=pa.schema(held_by_files),
        )
        provider = self._registrar.catalog().schema().table(name)
        self._registrar.deregister_table(name)
        return provider

    def _view(self, view: View, read: Sequence[str]) -> Provider:
        """Plan a view's query behind its barrier, for these of its columns; see `storage.views`.

        The others are there for the statement to be planned, and null.
        """
        with told_of(view):
            wanted = f"SELECT {', '.join(map(quoted, read))} FROM ({view.text}\n) AS v"
            session = self.session(view.reads, wanted, (view.catalog, view.schema))
            frame = session.sql_with_options(view.text, ONLY_QUERIES)
            found, columns = frame.schema(), view.table.arrow_schema
            if found.names != columns.names:
                raise unusable_view(view.name)
            struct = struct_name(view.table)
            # The types that were promised: the engine's own may be other layouts of the same.
            packed = [(name, _typed(found.field(name), columns.field(name))) for name in read]
            unpacked = frame.select(named_struct(packed).alias(struct)).unnest_columns(struct)
            taken = dict(zip(read, unpacked.schema().names, strict=True))
            return unpacked.select(
                *(
                    (
                        col(quoted(taken[each.name]))
                        if each.name in taken
                        else lit(None).cast(each.type)
                    ).alias(each.name)
                    for each in columns
                )
            ).into_view()


def _typed(found: pa.Field, promised: pa.Field) -> Expr:
    column = col(quoted(found.name))
    return column if found.type == promised.type else column.cast(promised.type)
