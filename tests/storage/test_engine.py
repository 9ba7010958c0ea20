"""The seam: whatever keeps its promises can stand where the engine stands."""

from collections import Counter
from pathlib import Path

import pyarrow as pa
import pytest

from storage.datafusionengine import DataFusionEngine
from storage.engine import Engine
from storage.errors import StaleMetastoreError, StorageError
from storage.metastore import Table
from storage.rowchanges import ChangingEngine
from storage.sharding import Shard
from tests.storage.factories import ask, table_of, write_file, write_quotes
from tests.storage.otherengine import ArrowEngine


@pytest.fixture(params=["datafusion", "arrow"])
def any_engine(request: pytest.FixtureRequest, engine: DataFusionEngine) -> Engine:
    return engine if request.param == "datafusion" else ArrowEngine()


@pytest.fixture
def quote(tmp_path: Path) -> Table:
    return table_of(write_quotes(tmp_path / "quote", days=5, row_count=3))


def rows_of(answer: pa.Table) -> Counter[tuple[str, ...]]:
    return Counter(tuple(map(str, row.values())) for row in answer.to_pylist())


@pytest.mark.parametrize(
    "text",
    [
        "select * from quote",
        "select number, count(*) as n from quote group by number",
        "select number from quote where day = date '2024-01-02' order by number desc limit 2",
    ],
)
def test_rows_and_columns_are_the_same(
    any_engine: Engine, engine: DataFusionEngine, quote: Table, text: str
) -> None:
    answer, known = ask(any_engine, text, quote), ask(engine, text, quote)
    assert (answer.schema.names, rows_of(answer)) == (known.schema.names, rows_of(known))


def test_parts_are_together_the_whole(any_engine: Engine, quote: Table) -> None:
    text = "select number, day from quote where number < 2"
    found: Counter[tuple[str, ...]] = Counter()
    for part in range(3):
        started = any_engine.execute(
            [quote], text, catalog="trading", schema="stock", shard=Shard(part, ("a", "b", "c"))
        )
        found += rows_of(pa.Table.from_batches(list(started.batches()), started.arrow_schema))
    assert found == rows_of(ask(any_engine, text, quote))


def test_files_of_another_snapshot_are_stale(any_engine: Engine, quote: Table) -> None:
    write_file(
        Path(quote.location or "") / "day=2024-02-01" / "new.parquet", number=[9], text=["x"]
    )
    with pytest.raises(StaleMetastoreError):
        ask(any_engine, "select * from quote", quote)


def test_faults_are_of_this_package(any_engine: Engine, quote: Table) -> None:
    with pytest.raises(StorageError):
        ask(any_engine, "select * from nowhere", quote)


def test_statement_is_explained(any_engine: Engine, quote: Table) -> None:
    explaining = any_engine.explain(
        [quote], "select * from quote", catalog="trading", schema="stock"
    )
    assert explaining.explain().root.name
    explaining.close()


def test_rows_are_changed_by_an_engine_that_tells_its_plans(engine: DataFusionEngine) -> None:
    changing: ChangingEngine = engine
    assert "Projection" in changing.logical_plan([], "select 1", catalog=None, schema=None)
