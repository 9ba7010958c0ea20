"""Executes statements over rows in memory, for tables that servers make when they are asked for."""

from collections.abc import Callable, Mapping

import pyarrow as pa
from datafusion import RuntimeEnvBuilder, SessionConfig, SessionContext

from storage.engine import Execution
from storage.enginefaults import to_storage_error
from storage.execution import PulledExecution
from storage.names import ObjectName
from storage.needed import EVERYTHING, Needed, needed_rows
from storage.plannodes import node_names
from storage.sessions import (
    MULTIPLIED_BATCH_ROWS,
    ONLY_QUERIES,
    empty_session,
    make_schema,
    require_query,
)


class MemoryEngine:
    """Executes statements over tables that are handed in, row by row; no file is ever touched."""

    def __init__(self, *, memory_limit_bytes: int) -> None:
        """Keep the limit of what all statements may hold together beside their tables."""
        self._shared = (
            RuntimeEnvBuilder()
            .with_greedy_memory_pool(memory_limit_bytes)
            .with_disk_manager_disabled()
        )

    def execute(
        self,
        tables: Mapping[ObjectName, pa.Table],
        text: str,
        *,
        catalog: str | None,
        schema: str | None,
        parameters: Mapping[str, pa.Scalar] | None = None,
        is_cancelled: Callable[[], bool] = bool,
    ) -> Execution:
        """Start a statement; see `Engine.execute`.

        Raises:
            StatementRefusedError: When the text is anything but a query.
            StorageError: One of the others, for what the engine found out while planning.
        """
        try:
            session = self._session(tables, catalog, schema)
            frame = session.sql_with_options(text, ONLY_QUERIES, dict(parameters or {}))
            nodes = node_names(frame.logical_plan().display_indent())
            require_query(nodes)
            return PulledExecution(
                frame.execute_stream(),
                frame.schema(),
                (),
                is_steady=False,
                is_cancelled=is_cancelled,
            )
        except BaseException as error:  # noqa: BLE001  the engine's panics are no Exceptions
            fault = to_storage_error(error, ())
        raise fault

    def needed(
        self,
        shapes: Mapping[ObjectName, pa.Schema],
        text: str,
        *,
        catalog: str | None,
        schema: str | None,
        parameters: Mapping[str, pa.Scalar] | None = None,
    ) -> Mapping[ObjectName, Needed]:
        """Return which rows of each table a statement can need; nothing runs.

        Raises:
            StorageError: As for `execute`.
        """
        try:
            empty = {name: shape.empty_table() for name, shape in shapes.items()}
            session = self._session(empty, catalog, schema)
            frame = session.sql_with_options(text, ONLY_QUERIES, dict(parameters or {}))
            found = needed_rows(frame.optimized_logical_plan())
            return {name: found.get(name.local, EVERYTHING) for name in shapes}
        except BaseException as error:  # noqa: BLE001  the engine's panics are no Exceptions
            fault = to_storage_error(error, ())
        raise fault

    def _session(
        self, tables: Mapping[ObjectName, pa.Table], catalog: str | None, schema: str | None
    ) -> SessionContext:
        """Return a fresh session that knows these tables and nothing else."""
        config = (
            SessionConfig()
            .with_information_schema(enabled=False)
            .with_target_partitions(1)
            .with_batch_size(MULTIPLIED_BATCH_ROWS)
        )
        session = empty_session(config, self._shared, catalog, schema)
        for place in {(str(name.catalog), str(name.schema)) for name in tables}:
            make_schema(session, *place)
        for name, rows in tables.items():
            empty = pa.RecordBatch.from_pylist([], schema=rows.schema)
            session.register_record_batches(name.local, [rows.to_batches() or [empty]])
        return session
