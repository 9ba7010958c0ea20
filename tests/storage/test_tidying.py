from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pytest

from storage.datafusionengine import DataFusionEngine
from storage.delta import append_rows, overwrite_rows, read_state
from storage.errors import StaleMetastoreError
from storage.metastore import Table
from storage.tidying import Vacuumed, optimize, vacuum
from tests.corpus.samples import make_samples
from tests.storage.factories import ask, entry_of, litter_of, managed_table, read_rows

ROWS = pa.table({"number": [1, 2, 3, 4], "day": [0, 0, 1, 1]})


@pytest.fixture
def table(tmp_path: Path) -> Table:
    return managed_table(tmp_path / "t", ROWS, ["day"])


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[DataFusionEngine]:
    made = DataFusionEngine(memory_limit_bytes=1 << 28, spill_directory=tmp_path / "spill")
    yield made
    made.close()


def newest(table: Table) -> Table:
    location = Path(str(table.location))
    return entry_of(location, read_state(location))


def test_small_files_of_a_partition_become_one_and_no_row_changes(table: Table) -> None:
    for _ in range(4):
        append_rows(table, ROWS.to_batches())
    before = read_rows(table)
    change = optimize(table)
    assert (change.row_count, len(change.state.files)) == (8, 2)
    assert read_rows(table) == before
    assert optimize(table).state == change.state


def test_file_much_larger_than_the_smaller_ones_is_not_written_again(tmp_path: Path) -> None:
    rows = pa.table({"number": pa.array(range(200_000)), "text": [str(n) for n in range(200_000)]})
    table = managed_table(tmp_path / "t", rows)
    (large,) = read_state(tmp_path / "t").files
    for start in range(3):
        append_rows(table, rows.slice(start, 10).to_batches())
    joined = optimize(table).state
    assert large in joined.files
    assert [file.row_count for file in joined.files if file != large] == [30]
    # Nothing is left to do, until more has come in.
    assert optimize(newest(table)).state == joined
    for start in range(3):
        append_rows(table, rows.slice(start * 60_000, 60_000).to_batches())
    assert len(optimize(newest(table)).state.files) == 1
    assert len(read_rows(newest(table))) == 380_030


def test_tidying_offers_to_rest_after_each_file(table: Table) -> None:
    for _ in range(3):
        append_rows(table, ROWS.to_batches())
    file_counts: list[int] = []

    def count_files() -> None:
        file_counts.append(len(list(Path(str(table.location)).glob("*/*.parquet"))))

    optimize(table, pause=count_files)
    # Each partition is read, written and described; what was read is there all the time.
    assert len(file_counts) == 6
    assert file_counts == sorted(file_counts)
    assert (file_counts[0], file_counts[-1]) == (8, 10)


def test_files_are_joined_whatever_their_types(tmp_path: Path) -> None:
    samples = make_samples()
    table = managed_table(tmp_path / "samples", samples, ["region", "year"])
    append_rows(table, samples.to_batches())
    before = read_rows(table)
    assert optimize(table).row_count > 0
    assert read_rows(table) == before


def test_vacuum_keeps_what_the_kept_versions_need(engine: DataFusionEngine, table: Table) -> None:
    append_rows(table, ROWS.to_batches())
    overwrite_rows(table, ROWS.slice(0, 1).to_batches())
    assert vacuum(table, keep_s=3600) == Vacuumed(0, 0)
    old = replace(table, snapshot="1")
    assert ask(engine, "select * from quote", old).num_rows == 8
    counted = vacuum(table, keep_s=0, is_dry=True)
    assert counted.file_count == 4
    assert counted.byte_count > 0
    assert vacuum(table, keep_s=0) == counted
    assert vacuum(table, keep_s=0) == Vacuumed(0, 0)
    assert litter_of(table) == []
    assert len(read_rows(table)) == 1
    # Whoever has it open reads on; whoever comes later is told to execute again.
    assert ask(engine, "select * from quote", old).num_rows == 8
    with pytest.raises(StaleMetastoreError, match="gone; execute it again"):
        ask(engine, "select * from quote", replace(old, id="f" * 32))
    assert ask(engine, "select * from quote", newest(table)).num_rows == 1


def test_vacuum_leaves_running_writes_alone(table: Table) -> None:
    def rows() -> Iterator[pa.RecordBatch]:
        yield from ROWS.to_batches()
        vacuum(table, keep_s=0)
        yield from ROWS.to_batches()

    append_rows(table, rows())
    assert len(read_rows(table)) == 12
