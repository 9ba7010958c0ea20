"""Contender: DataFusion in a process of its own, with nothing around it.

As a program it is the worker: one JSON line in, `{"action": "time" | "weigh"}`, one JSON line out.
It reads the same files with the settings of a member: plain strings, batches of the same size.
"""

import json
import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import pyarrow as pa
from datafusion import SessionConfig, SessionContext

from bench.lineitem import PARTITION_COLUMN, lineitem_schema
from bench.reading import time_reading, weigh
from flight_sql import batch_rows_for, wire_schema

TABLE = "lineitem"

_PLAIN_STRINGS = {"datafusion.execution.parquet.schema_force_view_types": "false"}


class PlainDataFusion:
    """One statement over one layout of lineitem."""

    def __init__(self, directory: Path, sql: str) -> None:
        self._directory = directory
        self._sql = sql
        self.arrow_schema = wire_schema(self._context(1024).sql(sql).schema())
        self._context_for_all = self._context(batch_rows_for(self.arrow_schema))

    def batches(self) -> Iterator[pa.RecordBatch]:
        """Plan and execute the statement and yield its batches."""
        for batch in self._context_for_all.sql(self._sql).execute_stream():
            yield batch.to_pyarrow()

    def _context(self, batch_rows: int) -> SessionContext:
        config = SessionConfig(_PLAIN_STRINGS).with_batch_size(batch_rows)
        context = SessionContext(config)
        is_partitioned = any(self._directory.glob(f"{PARTITION_COLUMN}=*"))
        context.register_listing_table(
            TABLE,
            str(self._directory),
            table_partition_cols=[(PARTITION_COLUMN, pa.int32())] if is_partitioned else [],
            schema=lineitem_schema(self._directory),
        )
        return context


def serve(directory: Path, sql: str) -> None:
    """Answer one line after the other until standard input ends."""
    engine = PlainDataFusion(directory, sql)
    print("ready", flush=True)
    for line in sys.stdin:
        is_timed = json.loads(line)["action"] == "time"
        answer = time_reading(engine.batches) if is_timed else weigh(engine.batches)
        print(json.dumps(asdict(answer)), flush=True)


if __name__ == "__main__":
    serve(Path(sys.argv[1]), sys.argv[2])
