"""The engine over tables that are handed in as rows."""

import threading
from pathlib import Path

import pyarrow as pa
import pytest

from storage.errors import CancelledError, MemoryLimitError, StorageError, UnknownTableError
from storage.memoryengine import MemoryEngine
from storage.names import ObjectName
from tests.storage.factories import write_file

TABLES = ObjectName("hangzhou", "system", "information_schema", "tables")
COLUMNS = ObjectName("hangzhou", "trading", "information_schema", "columns")
ROWS = pa.table({"table_name": ["quote", "trade"], "row_count": pa.array([3, None], pa.int64())})
FOR_EVER = "select count(*) from generate_series(1, 1000000000000) a (x) where x * x % 1009 = 7"


@pytest.fixture
def engine() -> MemoryEngine:
    return MemoryEngine(memory_limit_bytes=16 << 20)


def ask(engine: MemoryEngine, text: str, tables: dict[ObjectName, pa.Table]) -> pa.Table:
    execution = engine.execute(tables, text, catalog="system", schema="information_schema")
    return pa.Table.from_batches(execution.batches(), execution.arrow_schema)


def test_rows_are_found_by_every_form_of_their_name(engine: MemoryEngine) -> None:
    for name in ("tables", "information_schema.tables", "system.information_schema.tables"):
        answered = ask(engine, f"select * from {name} order by table_name", {TABLES: ROWS})
        assert answered.to_pylist() == ROWS.to_pylist()


def test_two_tables_are_kept_apart(engine: MemoryEngine) -> None:
    both = "select count(*) as n from tables union all select count(*) from {} order by n"
    answered = ask(
        engine,
        both.format("trading.information_schema.columns"),
        {TABLES: ROWS, COLUMNS: ROWS.slice(1)},
    )
    assert answered["n"].to_pylist() == [1, 2]


def test_a_table_without_rows_keeps_its_columns(engine: MemoryEngine) -> None:
    answered = ask(engine, "select * from tables", {TABLES: ROWS.slice(2)})
    assert answered.num_rows == 0
    assert answered.schema == ROWS.schema


def test_nothing_but_the_tables_is_known(engine: MemoryEngine, tmp_path: Path) -> None:
    with pytest.raises(UnknownTableError):
        ask(engine, "select * from information_schema.columns", {TABLES: ROWS})
    path = write_file(tmp_path / "a.parquet", number=[1])
    for text in (f"select * from '{path}'", "set a.b = 1", "create view v as select 1"):
        with pytest.raises(StorageError) as caught:
            ask(engine, text, {TABLES: ROWS})
        assert str(path) not in str(caught.value)


def test_memory_is_bounded(engine: MemoryEngine) -> None:
    many = "select x, repeat('a', 100) from generate_series(1, 1000000) a (x) order by x % 7"
    with pytest.raises(MemoryLimitError):
        ask(engine, many, {TABLES: ROWS})


def test_work_ends_when_it_is_cancelled(engine: MemoryEngine) -> None:
    left = threading.Event()
    execution = engine.execute({}, FOR_EVER, catalog=None, schema=None, is_cancelled=left.is_set)
    threading.Timer(0.2, left.set).start()
    with pytest.raises(CancelledError):
        next(execution.batches())
