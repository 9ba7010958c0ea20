"""Executes statements with DataFusion over exactly the tables that they were given.

A statement is planned in a session of its own that knows nothing but its tables: no other table,
no file, no settings, no DDL or DML. Its plan is then executed by a long-lived session, which knows
no table at all and holds what statements share: one memory pool with a place to spill to, and what
was read of files' footers. Tables themselves are shared by id and snapshot, so that their files'
statistics are read once and not by every statement.

Whether a statement may be asked is the planner's matter. What the engine says never leaves this
package: `storage.enginefaults` turns it into this package's errors.
"""

import logging
import os
import shutil
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pyarrow as pa
from datafusion import (
    DataFrame,
    RuntimeEnvBuilder,
    SessionConfig,
    SessionContext,
    col,
    lit,
)
from datafusion.catalog import Table as Provider
from datafusion.expr import Expr
from datafusion.functions import named_struct

from storage.deltasnapshots import Snapshots
from storage.enginefaults import is_current, to_storage_error
from storage.errors import (
    StaleMetastoreError,
    StorageError,
    unusable_view,
)
from storage.execution import Execution
from storage.explaining import Explaining
from storage.metastore import Table, TableKind
from storage.names import ObjectName
from storage.objectstore import DISK_ALONE, ObjectStores
from storage.objecturl import SCHEME, is_remote
from storage.plannodes import is_steady, multiplies_rows, node_names
from storage.progress import ScanProgress
from storage.pruning import TotalsCache
from storage.remotefiles import remote_stores
from storage.sessions import (
    MULTIPLIED_BATCH_ROWS,
    ONLY_QUERIES,
    empty_session,
    make_schema,
    require_query,
)
from storage.views import (
    Source,
    View,
    base_tables,
    columns_read,
    shown_tables,
    struct_name,
    without_barriers,
)

__all__ = ["Engine", "Execution", "Explaining"]

_log = logging.getLogger(__name__)
_MIN_BATCH_ROWS, _MAX_BATCH_ROWS = 1024, 1_048_576
_MAX_PROVIDERS = 512
# What an aggregate reads stays in the processor's cache: TPC-H Q1 takes 10 to 20 % longer with
# batches of 131,072 rows. What it makes is small, however it is cut.
_AGGREGATED_BATCH_ROWS = 16_384
# Every footer that is read at once takes a thread of the engine's, which later reads data as well
# and keeps what it freed: a scan of 12 million rows held 600 MiB with 32, the engine's default,
# up to 340 MiB with 2, and 250 MiB with 1. Footers are read once per snapshot of a table.
_FOOTERS_AT_ONCE = "1"
_SPILL_FOLDERS = "datafusion-*"


@dataclass(frozen=True, slots=True)
class _Planned:
    """A statement bound to the session that executes it, and the names of its plan's nodes."""

    frame: DataFrame
    nodes: frozenset[str]


class Engine:
    """One DataFusion engine, made once per process and used from many threads."""

    def __init__(
        self,
        *,
        memory_limit_bytes: int,
        spill_directory: Path,
        snapshot_directory: Path | None = None,
        target_partitions: int | None = None,
        open_view: Callable[[Table], Source] | None = None,
        stores: ObjectStores = DISK_ALONE,
    ) -> None:
        """Make an engine.

        Args:
            memory_limit_bytes: What sorts, aggregates and joins of all statements may hold
                together before they spill, and then fail.
            spill_directory: Where they spill to, this engine alone; made when it is missing, and
                emptied of what an earlier engine left.
            snapshot_directory: Where versions of managed tables are laid out to be read, on their
                file system; engines may share it. By default beside what is spilled.
            target_partitions: How many threads one statement uses; all cores by default.
            open_view: Says what a view is made of; without it, none can be read.
            stores: The object stores that files of tables may lie in.
        """
        spill_directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        # What a process left that was killed, or did not wait for the engine's threads.
        for left in spill_directory.glob(_SPILL_FOLDERS):
            shutil.rmtree(left, ignore_errors=True)
        self._partitions = target_partitions or os.cpu_count() or 1
        # A builder hands its memory pool on to every session that is made with it.
        self._shared = (
            RuntimeEnvBuilder()
            .with_fair_spill_pool(memory_limit_bytes)
            .with_disk_manager_specified(str(spill_directory))
        )
        self._bare = RuntimeEnvBuilder().with_disk_manager_disabled()
        self._open_view = open_view
        self._stores = stores
        self._remote = remote_stores(self._stores)
        self._lock = threading.Lock()
        self._providers: OrderedDict[tuple[str, str, str], Provider] = OrderedDict()
        self._registrar = self._reaching(SessionContext(self._config(_MIN_BATCH_ROWS), self._bare))
        self._executors: dict[int, SessionContext] = {}
        self._totals = TotalsCache(self._stores)
        self.snapshots = Snapshots(snapshot_directory or spill_directory / "snapshots")
        """Where versions of managed tables are laid out."""

    def execute(
        self,
        tables: Sequence[Source],
        text: str,
        *,
        catalog: str | None,
        schema: str | None,
        parameters: Mapping[str, pa.Scalar] | None = None,
        batch_rows: int = 32_768,
        is_cancelled: Callable[[], bool] = bool,
    ) -> Execution:
        """Start a statement.

        Args:
            tables: The only tables it may read, with their locations.
            text: One query, in which tables are named without their cluster.
            catalog: Where names of fewer than three parts are looked for.
            schema: Where names of one part are looked for.
            parameters: The values of its `$1`, `$2`, … or `$name`.
            batch_rows: About how many rows the batches should have; a power of two near it.
            is_cancelled: Asked between batches, and at least every 50 ms while waiting for one.

        Raises:
            StatementRefusedError: When the text is anything but a query.
            StaleMetastoreError: When the files of a table are not those of its snapshot.
            StorageError: One of the others, for what the engine found out while planning.
        """
        with self._opened(tables) as (found, held):
            planned = self._plan(found, text, (catalog, schema), parameters, batch_rows)
            return self._start(planned, found, held.pop_all(), is_cancelled)

    def explain(
        self,
        tables: Sequence[Source],
        text: str,
        *,
        catalog: str | None,
        schema: str | None,
        parameters: Mapping[str, pa.Scalar] | None = None,
        batch_rows: int = 32_768,
        is_measured: bool = False,
        is_cancelled: Callable[[], bool] = bool,
    ) -> Explaining:
        """Plan a statement to be explained: told how it would run, or run and measured.

        Args:
            tables: The only tables it may read, with their locations.
            text: One query, in which tables are named without their cluster.
            catalog: Where names of fewer than three parts are looked for.
            schema: Where names of one part are looked for.
            parameters: The values of its `$1`, `$2`, … or `$name`.
            batch_rows: As for `execute`, which makes the same plan.
            is_measured: Run it as `execute` does, throw its rows away and tell what it took.
            is_cancelled: Asked between files and batches.

        Raises:
            StorageError: As `execute` does.
        """
        with self._opened(tables) as (found, held):
            planned = self._plan(found, text, (catalog, schema), parameters, batch_rows)
            execution = (
                self._start(planned, found, ExitStack(), is_cancelled) if is_measured else None
            )
            return Explaining(
                planned.frame,
                shown_tables(found),
                self._totals,
                execution,
                held.pop_all(),
                self._stores,
                is_cancelled,
            )

    def logical_plan(
        self,
        tables: Sequence[Table],
        text: str,
        *,
        catalog: str | None,
        schema: str | None,
        parameters: Mapping[str, pa.Scalar] | None = None,
    ) -> str:
        """Return the engine's words for what a statement means; nothing runs.

        They are for reading by this package alone: they name columns and values.

        Raises:
            StorageError: As `execute` does.
        """
        with self._opened(tables) as (found, _):
            planned = self._plan(found, text, (catalog, schema), parameters, _MIN_BATCH_ROWS)
            return str(planned.frame.logical_plan().display_indent())

    @contextmanager
    def _opened(self, tables: Sequence[Source]) -> Iterator[tuple[list[Source], ExitStack]]:
        """Give the tables with the folders of their snapshots, and what holds these."""
        with ExitStack() as held:
            yield [self._lease(source, held) for source in tables], held

    def _lease(self, source: Source, held: ExitStack) -> Source:
        if isinstance(source, Table) and source.kind is TableKind.VIEW:
            if self._open_view is None:
                raise unusable_view(source.name)
            source = self._open_view(source)
        if isinstance(source, View):
            with _told_of(source):
                return replace(source, reads=tuple(self._lease(one, held) for one in source.reads))
        if source.kind is TableKind.MANAGED and source.location is not None:
            folder = held.enter_context(self.snapshots.lease(source))
            return replace(source, location=str(folder))
        return source

    def _plan(
        self,
        tables: Sequence[Source],
        text: str,
        names: tuple[str | None, str | None],
        parameters: Mapping[str, pa.Scalar] | None,
        batch_rows: int,
    ) -> _Planned:
        """Plan a statement and bind it to the session that executes it."""
        try:
            read = self._columns_read(tables, text, names, parameters)
            session = self._session(tables, *names, read)
            planned = session.sql_with_options(text, ONLY_QUERIES, dict(parameters or {}))
            logical = planned.logical_plan()
            nodes = node_names(without_barriers(logical.display_indent()))
            require_query(nodes)
            if multiplies_rows(nodes):
                batch_rows = min(batch_rows, MULTIPLIED_BATCH_ROWS)
            elif "Aggregate" in nodes:
                batch_rows = min(batch_rows, _AGGREGATED_BATCH_ROWS)
            executor = self._executor(batch_rows)
            return _Planned(executor.create_dataframe_from_logical_plan(logical), nodes)
        except BaseException as error:  # noqa: BLE001  the engine's panics are no Exceptions
            fault = to_storage_error(error, list(base_tables(tables)), self._stores)
        raise fault

    def _start(
        self,
        planned: _Planned,
        sources: Sequence[Source],
        held: ExitStack,
        is_cancelled: Callable[[], bool],
    ) -> Execution:
        """Start what was planned; `held` is given back when it ends."""
        tables = list(base_tables(sources))
        try:
            stream = planned.frame.execute_stream()
            arrow_schema = planned.frame.schema()
        except BaseException as error:  # noqa: BLE001  the engine's panics are no Exceptions
            fault = to_storage_error(error, tables, self._stores)
        else:
            return Execution(
                stream,
                arrow_schema,
                tables,
                stores=self._stores,
                is_steady=is_steady(planned.nodes),
                is_cancelled=is_cancelled,
                held=held,
                progress=ScanProgress(planned.frame),
            )
        held.close()
        raise fault

    def close(self) -> None:
        """Forget what is kept of tables, and of the files that were read."""
        with self._lock:
            self._providers.clear()
            self._executors.clear()
        self.snapshots.close()

    def _columns_read(
        self,
        tables: Sequence[Source],
        text: str,
        names: tuple[str | None, str | None],
        parameters: Mapping[str, pa.Scalar] | None = None,
    ) -> Mapping[ObjectName, tuple[str, ...]]:
        """Return which columns a statement reads of views, as it is planned on empty tables."""
        views = [source for source in tables if isinstance(source, View)]
        if not views:
            return {}
        session = self._empty_session(*names)
        for name in {(str(one.name.catalog), str(one.name.schema)) for one in tables}:
            make_schema(session, *name)
        for table in shown_tables(tables):
            # That a column is never null must not be what it is left out for.
            columns = pa.schema([each.with_nullable(True) for each in table.arrow_schema])
            empty = pa.RecordBatch.from_pylist([], schema=columns)
            session.register_record_batches(table.name.local, [[empty]])
        frame = session.sql_with_options(text, ONLY_QUERIES, dict(parameters or {}))
        return columns_read(frame.optimized_logical_plan(), views)

    def _empty_session(self, catalog: str | None, schema: str | None) -> SessionContext:
        """Return a fresh session that knows no table."""
        return empty_session(self._config(_MIN_BATCH_ROWS), self._bare, catalog, schema)

    def _session(
        self,
        tables: Sequence[Source],
        catalog: str | None,
        schema: str | None,
        read: Mapping[ObjectName, tuple[str, ...]],
    ) -> SessionContext:
        """Return a fresh session that knows these tables and nothing else.

        Args:
            tables: The tables.
            catalog: Where names of fewer than three parts are looked for.
            schema: Where names of one part are looked for.
            read: The columns that are read of each view.
        """
        session = self._empty_session(catalog, schema)
        for place in {(str(one.name.catalog), str(one.name.schema)) for one in tables}:
            make_schema(session, *place)
        for table in tables:
            schema_of_it = session.catalog(str(table.name.catalog)).schema(str(table.name.schema))
            schema_of_it.register_table(
                str(table.name.table),
                self._view(table, read[table.name])
                if isinstance(table, View)
                else self._provider(table),
            )
        return session

    def _provider(self, table: Table) -> Provider:
        if table.location is None or not is_current(table, self._stores):
            # The engine lists the files itself, and would pass over those that are gone.
            raise StaleMetastoreError(f"the files of {table.name} have changed; execute it again")
        key = (table.id, table.snapshot, table.location)
        with self._lock:
            provider = self._providers.get(key)
            if provider is None:
                provider = self._register(table, table.location)
                self._providers[key] = provider
                if len(self._providers) > _MAX_PROVIDERS:
                    self._providers.popitem(last=False)
            self._providers.move_to_end(key)
        return provider

    def _view(self, view: View, read: Sequence[str]) -> Provider:
        """Plan a view's query behind its barrier, for these of its columns; see `storage.views`.

        The others are there for the statement to be planned, and null.
        """
        with _told_of(view):
            names = (view.catalog, view.schema)
            wanted = f"SELECT {', '.join(map(_quoted, read))} FROM ({view.text}\n) AS v"
            session = self._session(
                view.reads, *names, self._columns_read(view.reads, wanted, names)
            )
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
                        col(_quoted(taken[each.name]))
                        if each.name in taken
                        else lit(None).cast(each.type)
                    ).alias(each.name)
                    for each in columns
                )
            ).into_view()

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

    def _executor(self, batch_rows: int) -> SessionContext:
        """Return the session that executes with about so many rows per batch."""
        rows = 1 << (max(_MIN_BATCH_ROWS, min(batch_rows, _MAX_BATCH_ROWS)).bit_length() - 1)
        with self._lock:
            executor = self._executors.get(rows)
            if executor is None:
                executor = self._reaching(SessionContext(self._config(rows), self._shared))
                # Which files a table has is asked anew: the engine would remember it for ever.
                executor.sql("SET datafusion.runtime.list_files_cache_limit = '0K'")
                self._executors[rows] = executor
            return executor

    def _reaching(self, session: SessionContext) -> SessionContext:
        """Return the session, able to read the files of the object stores."""
        for bucket, store in self._remote.items():
            session.register_object_store(SCHEME, store, bucket)
        return session

    def _config(self, batch_rows: int) -> SessionConfig:
        # The methods of a config change it and return it: every session needs one of its own.
        return (
            SessionConfig()
            .with_information_schema(enabled=False)
            .with_batch_size(batch_rows)
            .with_target_partitions(self._partitions)
            .with_parquet_pruning(enabled=True)
            .set("datafusion.execution.parquet.schema_force_view_types", "false")
            # Measured with TPC-H lineitem: 3 to 35 % less time with filters, none lost without.
            .set("datafusion.execution.parquet.pushdown_filters", "true")
            .set("datafusion.execution.parquet.reorder_filters", "true")
            .set("datafusion.execution.meta_fetch_concurrency", _FOOTERS_AT_ONCE)
        )


@contextmanager
def _told_of(view: View) -> Iterator[None]:
    """Have faults of what a view is made of told of the view alone."""
    try:
        yield
    except StaleMetastoreError:
        fault: StorageError = StaleMetastoreError(
            f"what {view.name} is made of has changed; execute it again"
        )
    except Exception as error:  # noqa: BLE001  whatever the engine or the tables say, is theirs
        _log.info("view_unusable", extra={"engine_text": str(error)})
        fault = unusable_view(view.name)
    else:
        return
    raise fault


def _quoted(name: str) -> str:
    doubled = name.replace('"', '""')
    return f'"{doubled}"'


def _typed(found: pa.Field, promised: pa.Field) -> Expr:
    column = col(_quoted(found.name))
    return column if found.type == promised.type else column.cast(promised.type)
