"""An engine that shares nothing with the one that is shipped but the seam: Arrow reads the files.

It takes the place of an engine that somebody else would bring: it reads whole tables into memory
and answers there, which nobody would do in earnest.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.dataset as ds

from storage.errors import StaleMetastoreError, StatementRefusedError
from storage.explanation import Explanation, OperatorExplanation
from storage.memoryengine import MemoryEngine
from storage.metastore import Table, TableKind
from storage.parquet import list_files, snapshot_of
from storage.sharding import Shard


class ArrowExecution:
    """Batches of a table that is there already."""

    def __init__(self, rows: pa.Table, batch_rows: int, is_cancelled: Callable[[], bool]) -> None:
        self.arrow_schema: pa.Schema = rows.schema
        self._batches = rows.to_batches(max_chunksize=batch_rows)
        self._is_cancelled = is_cancelled
        self.is_closed = False

    def batches(self) -> Iterator[pa.RecordBatch]:
        for batch in self._batches:
            if self._is_cancelled():
                return
            yield batch

    def parts(self) -> tuple[int, int] | None:
        return None

    def close(self) -> None:
        self.is_closed = True


class ArrowExplaining:
    def explain(self) -> Explanation:
        return Explanation((), OperatorExplanation("Arrow", "", (), None, None), None, None)

    def close(self) -> None:
        pass


class ArrowEngine:
    """Reads tables of files that others write, and joins nothing that it can avoid."""

    def __init__(self) -> None:
        self._memory = MemoryEngine(memory_limit_bytes=1 << 28)
        self.asked: list[tuple[str, Shard | None]] = []
        self.is_closed = False

    def execute(
        self,
        tables: Sequence[Table],
        text: str,
        *,
        catalog: str | None,
        schema: str | None,
        parameters: Mapping[str, pa.Scalar] | None = None,
        batch_rows: int = 32_768,
        shard: Shard | None = None,
        is_cancelled: Callable[[], bool] = bool,
    ) -> ArrowExecution:
        self.asked.append((text, shard))
        held = {table.name: _read(table, shard) for table in tables}
        started = self._memory.execute(
            held, text, catalog=catalog, schema=schema, parameters=parameters
        )
        rows = pa.Table.from_batches(list(started.batches()), started.arrow_schema)
        return ArrowExecution(rows, batch_rows, is_cancelled)

    def explain(
        self,
        tables: Sequence[Table],  # noqa: ARG002  the seam's
        text: str,
        *,
        catalog: str | None,  # noqa: ARG002  the seam's
        schema: str | None,  # noqa: ARG002  the seam's
        parameters: Mapping[str, pa.Scalar] | None = None,  # noqa: ARG002  the seam's
        batch_rows: int = 32_768,  # noqa: ARG002  the seam's
        is_measured: bool = False,  # noqa: ARG002  the seam's
        is_cancelled: Callable[[], bool] = bool,  # noqa: ARG002  the seam's
    ) -> ArrowExplaining:
        self.asked.append((text, None))
        return ArrowExplaining()

    def close(self) -> None:
        self.is_closed = True


def _read(table: Table, shard: Shard | None) -> pa.Table:
    if table.kind is not TableKind.EXTERNAL or table.location is None:
        raise StatementRefusedError(f"{table.name} is not read by this engine")
    files = list_files(Path(table.location))
    if snapshot_of(files) != table.snapshot:
        raise StaleMetastoreError(f"the files of {table.name} have changed; execute it again")
    chosen = [one for one in files if shard is None or shard.holds(one.path)]
    partitions = pa.schema([table.arrow_schema.field(name) for name in table.partition_columns])
    dataset = ds.dataset(
        [f"{table.location}/{one.path}" for one in chosen],
        schema=table.arrow_schema,
        format="parquet",
        partitioning=ds.partitioning(partitions, flavor="hive"),
        partition_base_dir=table.location,
    )
    return dataset.to_table()
