"""Executes statements with DataFusion over exactly the tables that they were given.

A statement is planned in a session of its own that knows nothing but its tables: no other table,
no file, no settings, no DDL or DML. Its plan is then executed by a long-lived session, which knows
no table at all and holds what statements share: one memory pool with a place to spill to, and what
was read of files' footers. `storage.leasing` opens the tables, `storage.providers` makes the
sessions in which is planned.

Whether a statement may be asked is the planner's matter. What the engine says never leaves this
package: `storage.enginefaults` turns it into this package's errors.
"""

import os
import shutil
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
from datafusion import DataFrame, RuntimeEnvBuilder, SessionContext

from storage.deltasnapshots import Snapshots
from storage.enginefaults import to_storage_error
from storage.execution import PulledExecution
from storage.explaining import PlannedExplaining
from storage.leasing import Leasing, Opened
from storage.metastore import Table
from storage.objectstore import DISK_ALONE, ObjectStores
from storage.objecturl import SCHEME
from storage.plannodes import is_steady, multiplies_rows, node_names
from storage.progress import ScanProgress
from storage.providers import Providers
from storage.pruning import TotalsCache
from storage.remotefiles import remote_stores
from storage.sessions import MULTIPLIED_BATCH_ROWS, ONLY_QUERIES, engine_config, require_query
from storage.sharding import Shard
from storage.views import Source, shown_tables, without_barriers

_MIN_BATCH_ROWS, _MAX_BATCH_ROWS = 1024, 1_048_576
# What an aggregate reads stays in the processor's cache: TPC-H Q1 takes 10 to 20 % longer with
# batches of 131,072 rows. What it makes is small, however it is cut.
_AGGREGATED_BATCH_ROWS = 16_384
_SPILL_FOLDERS = "datafusion-*"


@dataclass(frozen=True, slots=True)
class _Planned:
    """A statement bound to the session that executes it, and the names of its plan's nodes."""

    frame: DataFrame
    nodes: frozenset[str]


class DataFusionEngine:
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
        self._stores = stores
        self._remote = remote_stores(self._stores)
        self._lock = threading.Lock()
        self._executors: dict[int, SessionContext] = {}
        self._totals = TotalsCache(self._stores)
        self._providers = Providers(
            lambda: engine_config(_MIN_BATCH_ROWS, self._partitions), self._reaching
        )
        self.snapshots = Snapshots(snapshot_directory or spill_directory / "snapshots")
        """Where versions of managed tables, and parts of tables, are laid out."""
        self._leasing = Leasing(self.snapshots, stores, open_view)

    def execute(
        self,
        tables: Sequence[Source],
        text: str,
        *,
        catalog: str | None,
        schema: str | None,
        parameters: Mapping[str, pa.Scalar] | None = None,
        batch_rows: int = 32_768,
        shard: Shard | None = None,
        is_cancelled: Callable[[], bool] = bool,
    ) -> PulledExecution:
        """Start a statement; see `Engine.execute`."""
        with self._leasing.opened(tables, shard) as opened:
            planned = self._plan(opened, text, (catalog, schema), parameters, batch_rows)
            return self._start(planned, opened.tables, opened.held.pop_all(), is_cancelled)

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
    ) -> PlannedExplaining:
        """Plan a statement to be explained; see `Engine.explain`."""
        with self._leasing.opened(tables) as opened:
            planned = self._plan(opened, text, (catalog, schema), parameters, batch_rows)
            execution = (
                self._start(planned, opened.tables, ExitStack(), is_cancelled)
                if is_measured
                else None
            )
            return PlannedExplaining(
                planned.frame,
                shown_tables(opened.sources),
                self._totals,
                execution,
                opened.held.pop_all(),
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
        with self._leasing.opened(tables) as opened:
            planned = self._plan(opened, text, (catalog, schema), parameters, _MIN_BATCH_ROWS)
            return str(planned.frame.logical_plan().display_indent())

    def close(self) -> None:
        """Forget what is kept of tables, and of the files that were read."""
        self._providers.forget()
        with self._lock:
            self._executors.clear()
        self.snapshots.close()

    def _plan(
        self,
        opened: Opened,
        text: str,
        names: tuple[str | None, str | None],
        parameters: Mapping[str, pa.Scalar] | None,
        batch_rows: int,
    ) -> _Planned:
        """Plan a statement and bind it to the session that executes it."""
        try:
            session = self._providers.session(opened.sources, text, names, parameters)
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
            fault = to_storage_error(error, opened.tables, self._stores)
        raise fault

    def _start(
        self,
        planned: _Planned,
        tables: Sequence[Table],
        held: ExitStack,
        is_cancelled: Callable[[], bool],
    ) -> PulledExecution:
        """Start what was planned; `held` is given back when it ends."""
        try:
            stream = planned.frame.execute_stream()
            arrow_schema = planned.frame.schema()
        except BaseException as error:  # noqa: BLE001  the engine's panics are no Exceptions
            fault = to_storage_error(error, tables, self._stores)
        else:
            return PulledExecution(
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

    def _executor(self, batch_rows: int) -> SessionContext:
        """Return the session that executes with about so many rows per batch."""
        rows = 1 << (max(_MIN_BATCH_ROWS, min(batch_rows, _MAX_BATCH_ROWS)).bit_length() - 1)
        with self._lock:
            executor = self._executors.get(rows)
            if executor is None:
                config = engine_config(rows, self._partitions)
                executor = self._reaching(SessionContext(config, self._shared))
                # Which files a table has is asked anew: the engine would remember it for ever.
                executor.sql("SET datafusion.runtime.list_files_cache_limit = '0K'")
                self._executors[rows] = executor
            return executor

    def _reaching(self, session: SessionContext) -> SessionContext:
        """Return the session, able to read the files of the object stores."""
        for bucket, store in self._remote.items():
            session.register_object_store(SCHEME, store, bucket)
        return session
