"""Runs statements with DataFusion, in sessions that know nothing but the tables they are given.

Every statement gets a session of its own: its tables and no others, no information schema, no DDL,
DML or statements. What is costly to find out about a table (its files and their footers) is kept
with the table's snapshot and shared by all sessions.

Rows are pulled through one asyncio loop per process: an engine's stream that is awaited there ends
at once when it is cancelled, while one that is pulled in a thread cannot be stopped.
"""

import asyncio
import logging
import os
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from concurrent.futures import TimeoutError as NotYetError
from pathlib import Path
from typing import Any

import pyarrow as pa
from datafusion import RuntimeEnvBuilder, SessionConfig, SessionContext, SQLOptions
from datafusion.catalog import Catalog, Schema

from storage.errors import (
    CancelledError,
    EngineFaultError,
    MemoryLimitError,
    StaleMetastoreError,
    StorageError,
    TypeMismatchError,
)
from storage.metastore import Table

_log = logging.getLogger(__name__)

_KEPT_PROVIDERS = 256
_POLL_S = 0.05
_NOWHERE = "_unset"  # no catalog or schema can be called so
_READ_AS = {
    # Views would have to be copied before they travel; plain strings travel as they are.
    "datafusion.execution.parquet.schema_force_view_types": "false",
    "datafusion.catalog.information_schema": "false",
}

# What the engine's messages hold, in lower case, and what is wrong then. The texts are ours.
_FAULTS: tuple[tuple[str, type[StorageError], str], ...] = (
    (
        "resources exhausted",
        MemoryLimitError,
        "the statement needs more memory than it may take; filter or aggregate more, or sort less",
    ),
    ("no such file", StaleMetastoreError, "a file of the table is gone; execute it again"),
    ("not found", StaleMetastoreError, "a file of the table is gone; execute it again"),
    ("parquet error", StaleMetastoreError, "a file of the table has changed; execute it again"),
    ("divide by zero", TypeMismatchError, "a division by zero; use nullif(divisor, 0)"),
    ("overflow", TypeMismatchError, "a value is out of range; cast to a wider type first"),
    ("cast", TypeMismatchError, "a value cannot be cast to the type asked for; use try_cast"),
    ("pars", TypeMismatchError, "a value cannot be read as the type asked for; use try_cast"),
    (
        "more than one row",
        TypeMismatchError,
        "a subquery used as a value returned more than one row; add limit 1 or an aggregate",
    ),
    ("arrow error", TypeMismatchError, "a value does not fit the expression that it is used in"),
    ("execution error", TypeMismatchError, "a value does not fit the function it is given to"),
)


class Engine:
    """Executes statements over a cluster's tables. Safe to use from many threads."""

    def __init__(
        self,
        *,
        memory_limit_bytes: int,
        spill_directory: Path,
        target_partitions: int | None = None,
    ) -> None:
        """Prepare to execute.

        Args:
            memory_limit_bytes: What one statement may hold before it spills to disk.
            spill_directory: Where it spills to; made when missing, emptied by the engine.
            target_partitions: Threads of one statement; None takes one per core.
        """
        spill_directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._memory_limit_bytes = memory_limit_bytes
        self._spill_directory = str(spill_directory)
        self._target_partitions = target_partitions or os.cpu_count() or 1
        self._providers: OrderedDict[tuple[str, str], Any] = OrderedDict()
        self._registering = threading.Lock()

    def execute(
        self,
        tables: Sequence[Table],
        text: str,
        *,
        catalog: str | None,
        schema: str | None,
        batch_rows: int = 32_768,
        is_cancelled: Callable[[], bool] = bool,
    ) -> "Execution":
        """Start a statement.

        Args:
            tables: All that the statement can see, each with its location.
            text: One SELECT; table names without cluster.
            catalog: What fills in a missing catalog; None: such names find nothing.
            schema: What fills in a missing schema; likewise.
            batch_rows: How many rows a batch holds, about.
            is_cancelled: Asked about twenty times a second while the engine works.

        Raises:
            StorageError: What the engine refuses before the first row, in our own words.
        """
        context = self._session(tables, catalog, schema, batch_rows)
        options = (
            SQLOptions().with_allow_ddl(False).with_allow_dml(False).with_allow_statements(False)
        )
        try:
            frame = context.sql_with_options(text, options)
            arrow_schema = frame.schema()
            stream = frame.execute_stream()
        except Exception as error:  # noqa: BLE001  the engine raises whatever it likes
            message = str(error)
        else:
            return Execution(arrow_schema, stream, is_cancelled)
        raise _explain(message)

    def close(self) -> None:
        """Forget what is kept of tables."""
        with self._registering:
            self._providers.clear()

    def _session(
        self, tables: Sequence[Table], catalog: str | None, schema: str | None, batch_rows: int
    ) -> SessionContext:
        config = (
            SessionConfig(_READ_AS)
            .with_create_default_catalog_and_schema(False)
            .with_default_catalog_and_schema(catalog or _NOWHERE, schema or _NOWHERE)
            .with_target_partitions(self._target_partitions)
            .with_batch_size(batch_rows)
        )
        runtime = (
            RuntimeEnvBuilder()
            .with_disk_manager_specified(self._spill_directory)
            .with_fair_spill_pool(self._memory_limit_bytes)
        )
        context = SessionContext(config, runtime)
        catalogs: dict[str, Catalog] = {}
        schemas: dict[tuple[str, str], Any] = {}
        for table in tables:
            at = (str(table.name.catalog), str(table.name.schema))
            if at[0] not in catalogs:
                catalogs[at[0]] = Catalog.memory_catalog()
                context.register_catalog_provider(at[0], catalogs[at[0]])
            if at not in schemas:
                catalogs[at[0]].register_schema(at[1], Schema.memory_schema())
                schemas[at] = catalogs[at[0]].schema(at[1])
            schemas[at].register_table(str(table.name.table), self._provider(table))
        return context

    def _provider(self, table: Table) -> Any:
        """Return what reads a table at its snapshot; made once, kept while it is asked for."""
        key = (table.id, table.snapshot)
        with self._registering:
            provider = self._providers.get(key)
            if provider is None:
                provider = self._providers[key] = _make_provider(table)
            self._providers.move_to_end(key)
            if len(self._providers) > _KEPT_PROVIDERS:
                self._providers.popitem(last=False)
            return provider


class Execution:
    """One running statement: its batches, and how to stop it."""

    def __init__(
        self, arrow_schema: pa.Schema, stream: Any, is_cancelled: Callable[[], bool]
    ) -> None:
        self.arrow_schema = arrow_schema
        self._stream = aiter(stream)
        self._is_cancelled = is_cancelled
        self._next: Future[Any] | None = None
        self._is_over = False

    def batches(self) -> Iterator[pa.RecordBatch]:
        """Yield the rows, one batch ahead of whoever reads them; empty batches are left out.

        Raises:
            CancelledError: When nobody waits for them any more.
            StorageError: What the engine failed with, in our own words.
        """
        try:
            self._pull()
            while (batch := self._wait()) is not None:
                self._pull()
                if batch.num_rows:
                    yield batch
        finally:
            self.close()

    def cancel(self) -> None:
        """Stop the engine's work at once."""
        self._is_over = True
        pending, self._next = self._next, None
        if pending is not None:
            pending.cancel()
        self._stream = None

    close = cancel

    def _pull(self) -> None:
        if self._is_over:
            raise CancelledError("the statement was stopped")
        self._next = asyncio.run_coroutine_threadsafe(_pull_one(self._stream), _loop())

    def _wait(self) -> pa.RecordBatch | None:
        while True:
            pending = self._next
            if pending is None or self._is_cancelled():
                self.cancel()
                raise CancelledError("the statement was stopped")
            try:
                return pending.result(_POLL_S)
            except NotYetError:
                if not pending.done():
                    continue
                message = "timed out"
            except Exception as error:  # noqa: BLE001  the engine raises whatever it likes
                message = str(error)
            raise _explain(message)


async def _pull_one(stream: Any) -> pa.RecordBatch | None:
    try:
        batch = await anext(stream)
    except StopAsyncIteration:
        return None
    arrow_batch: pa.RecordBatch = batch.to_pyarrow()
    return arrow_batch


class _Loop:
    """The one asyncio loop of this process, in a thread of its own."""

    def __init__(self) -> None:
        self._starting = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None

    def __call__(self) -> asyncio.AbstractEventLoop:
        with self._starting:
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                thread = threading.Thread(
                    target=self._loop.run_forever, name="engine-streams", daemon=True
                )
                thread.start()
            return self._loop


_loop = _Loop()


def _make_provider(table: Table) -> Any:
    partitions = [(name, table.arrow_schema.field(name).type) for name in table.partition_columns]
    columns = [field for field in table.arrow_schema if field.name not in table.partition_columns]
    context = SessionContext(SessionConfig(_READ_AS))
    try:
        context.register_listing_table(
            "table",
            str(table.location),
            table_partition_cols=partitions,
            file_extension=".parquet",
            schema=pa.schema(columns),
        )
        return context.catalog().schema().table("table")
    except Exception as error:  # noqa: BLE001  the engine raises whatever it likes
        message = str(error)
    raise _explain(message)


def _explain(message: str) -> StorageError:
    """Return our own words for what the engine said; its words go to the log only."""
    _log.info("engine_refused", extra={"engine_text": message})
    said = message.lower()
    for part, kind, text in _FAULTS:
        if part in said:
            return kind(text)
    return EngineFaultError("the engine failed; the operator finds the reason by the call's id")
