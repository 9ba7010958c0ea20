"""Small tables on the disk, and the engine over them."""

from collections.abc import Iterable
from pathlib import Path
from uuid import uuid4

import pyarrow as pa
import pyarrow.parquet as pq

from storage.engine import Engine
from storage.metastore import Table
from storage.names import ObjectName
from storage.parquet import scan_partitioned

NAME = ObjectName("hangzhou", "trading", "stock", "quote")


def write_file(path: Path, **columns: Iterable[object]) -> Path:
    """Write one Parquet file from columns, with the directories above it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(dict(columns)), path)
    return path


def write_quotes(directory: Path, days: int = 3, row_count: int = 4) -> Path:
    """Write a table partitioned by day, each with rows 0 … row_count - 1."""
    for day in range(1, days + 1):
        write_file(
            directory / f"day=2024-01-{day:02}" / "part-0.parquet",
            number=range(row_count),
            text=[f"row {number}" for number in range(row_count)],
        )
    return directory


def table_of(directory: Path, name: ObjectName = NAME, **changes: object) -> Table:
    """Return the metastore's entry for a directory."""
    found = scan_partitioned(directory)
    values: dict[str, object] = {
        "id": uuid4().hex,
        "name": name,
        "arrow_schema": found.arrow_schema,
        "partition_columns": found.partition_columns,
        "schema_version": 1,
        "snapshot": found.snapshot,
        "row_count": found.row_count,
        "byte_count": found.byte_count,
        "file_count": found.file_count,
        "location": str(directory),
    }
    return Table(**(values | changes))  # type: ignore[arg-type]  # the fields' own types vary


def ask(engine: Engine, text: str, *tables: Table) -> pa.Table:
    """Run a statement in `trading.stock` and return all its rows."""
    execution = engine.execute(tables, text, catalog="trading", schema="stock")
    return pa.Table.from_batches(list(execution.batches()), execution.arrow_schema)
