"""Small tables on the disk, and the engine over them."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from uuid import uuid4

import pyarrow as pa
import pyarrow.parquet as pq

from storage.delta import create_table, read_state
from storage.deltalog import DeltaState
from storage.engine import Engine
from storage.metastore import Table, TableKind
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


def managed_table(
    directory: Path, rows: pa.Table, partition_by: Sequence[str] = (), name: ObjectName = NAME
) -> Table:
    """Make a managed table and return the metastore's entry for it."""
    directory.mkdir(parents=True)
    change = create_table(directory, rows.schema, partition_by, rows.to_batches())
    return entry_of(directory, change.state, name=name)


def entry_of(
    directory: Path, state: DeltaState, table_id: str = "d" * 32, name: ObjectName = NAME
) -> Table:
    """Return the metastore's entry for a version of a managed table."""
    return Table(
        id=table_id,
        name=name,
        arrow_schema=state.arrow_schema,
        partition_columns=state.partition_columns,
        schema_version=1,
        snapshot=state.snapshot,
        row_count=state.row_count,
        byte_count=state.byte_count,
        file_count=len(state.files),
        location=str(directory),
        kind=TableKind.MANAGED,
    )


def read_rows(table: Table) -> list[tuple[object, ...]]:
    """Return all rows of the newest version of a managed table, ordered, without an engine."""
    location = Path(str(table.location))
    state = read_state(location)
    rows: list[tuple[object, ...]] = []
    for file in state.files:
        held = pq.ParquetFile(location / file.path).read()
        rows += [(*row.values(), *file.values) for row in held.to_pylist()]
    return sorted(rows, key=repr)


def litter_of(table: Table) -> list[str]:
    """Return the folders and notes of a managed table that its newest version does not need."""
    location = Path(str(table.location))
    needed = {file.path.partition("/")[0] for file in read_state(location).files}
    found = {path.name for path in location.iterdir()} - needed - {"_delta_log", ".pending"}
    return sorted(found | {path.name for path in (location / ".pending").iterdir()})
