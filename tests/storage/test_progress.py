"""How far a statement has read, told while it runs."""

import time
from pathlib import Path

import pytest

from storage.datafusionengine import DataFusionEngine
from storage.errors import CancelledError
from storage.execution import PulledExecution
from tests.storage.factories import table_of, write_quotes
from tests.waiting import wait_until

DAYS = 6


def start(engine: DataFusionEngine, text: str, directory: Path) -> PulledExecution:
    table = table_of(write_quotes(directory, days=DAYS, row_count=2_000))
    return engine.execute([table], text, catalog="trading", schema="stock", batch_rows=1_024)


@pytest.fixture
def narrow_engine(tmp_path: Path) -> DataFusionEngine:
    spill = tmp_path / "spill"
    return DataFusionEngine(memory_limit_bytes=1 << 28, spill_directory=spill, target_partitions=1)


def test_parts_are_counted_while_the_statement_runs(
    tmp_path: Path, narrow_engine: DataFusionEngine
) -> None:
    execution = start(narrow_engine, "select * from quote", tmp_path / "quotes")
    assert execution.parts() == (0, DAYS)
    told = []
    for _ in execution.batches():
        parts = execution.parts()
        assert parts is not None
        told.append(parts)
    assert told == sorted(told)
    assert {total for _, total in told} == {DAYS}
    assert told[0][0] < DAYS
    assert execution.parts() == (DAYS, DAYS)
    narrow_engine.close()


def test_partitions_that_are_left_out_are_no_parts(
    tmp_path: Path, narrow_engine: DataFusionEngine
) -> None:
    text = "select count(number + 1) from quote where day = date '2024-01-02'"
    execution = start(narrow_engine, text, tmp_path / "quotes")
    assert execution.parts() == (0, 1)
    assert len(list(execution.batches())) == 1
    assert execution.parts() == (1, 1)
    narrow_engine.close()


def test_what_was_stopped_keeps_what_was_seen(
    tmp_path: Path, narrow_engine: DataFusionEngine
) -> None:
    execution = start(narrow_engine, "select * from quote", tmp_path / "quotes")
    batches = execution.batches()
    next(batches)
    seen = execution.parts()
    assert seen is not None
    execution.close()
    left = execution.parts()
    assert left is not None
    assert seen <= left < (DAYS, DAYS)
    narrow_engine.close()


def test_nothing_is_told_of_what_reads_no_files(
    tmp_path: Path, narrow_engine: DataFusionEngine
) -> None:
    execution = start(narrow_engine, "select * from generate_series(1, 10)", tmp_path / "quotes")
    assert execution.parts() is None
    assert execution.batches()
    execution.close()
    assert execution.parts() is None


def test_looking_keeps_no_engine_at_work(tmp_path: Path, engine: DataFusionEngine) -> None:
    """The plan that is looked at must not outlive the statement: it would go on working."""
    text = (
        "select count(*) from quote, generate_series(1, 1000000000) g (x) where x % 1009 > number"
    )
    execution = start(engine, text, tmp_path / "quotes")
    looked = []

    def is_cancelled() -> bool:
        looked.append(execution.parts())
        return len(looked) > 5

    execution._is_cancelled = is_cancelled
    with pytest.raises(CancelledError):
        list(execution.batches())
    assert looked[-1] is not None

    def is_idle() -> bool:
        before = time.process_time()
        time.sleep(0.2)
        return time.process_time() - before < 0.02

    wait_until(is_idle, 20)
