import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import date
from pathlib import Path

import pyarrow as pa
import pytest
from deltalake import DeltaTable

from storage.datafusionengine import DataFusionEngine
from storage.delta import append_rows, create_table, latest_version, overwrite_rows, read_state
from storage.deltasnapshots import Snapshots
from storage.errors import CancelledError, StaleMetastoreError, UnusableTableError
from storage.metastore import Table
from tests.corpus.samples import make_samples
from tests.storage.factories import ask, entry_of, litter_of, managed_table, read_rows

DAYS = [date(2024, 1, 1), date(2024, 1, 2)]
SCHEMA = pa.schema(
    [pa.field("day", pa.date32()), pa.field("number", pa.int64()), pa.field("city", pa.utf8())]
)


def quotes(start: int = 0, count: int = 4, city: str = "São / Paulo%") -> pa.Table:
    numbers = range(start, start + count)
    days = [DAYS[number % 2] for number in numbers]
    return pa.table([days, list(numbers), [city] * count], schema=SCHEMA)


@pytest.fixture
def table(tmp_path: Path) -> Table:
    return managed_table(tmp_path / "t", quotes(), ["day", "city"])


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[DataFusionEngine]:
    made = DataFusionEngine(memory_limit_bytes=1 << 28, spill_directory=tmp_path / "spill")
    yield made
    made.close()


def numbers(engine: DataFusionEngine, table: Table, where: str = "true") -> list[int]:
    found = ask(engine, f"select number from quote where {where} order by number", table)
    return [int(row) for row in found["number"].to_pylist()]


def at(table: Table, version: int) -> Table:
    return replace(table, snapshot=str(version))


def test_partition_columns_stand_last_and_are_never_null(table: Table) -> None:
    assert table.arrow_schema == pa.schema(
        [
            pa.field("number", pa.int64()),
            pa.field("day", pa.date32(), nullable=False),
            pa.field("city", pa.utf8(), nullable=False),
        ]
    )
    assert (table.row_count, table.file_count, table.snapshot) == (4, 2, "0")


def test_every_version_is_read_as_it_was(engine: DataFusionEngine, table: Table) -> None:
    more = append_rows(table, quotes(4).to_batches())
    assert (more.row_count, more.state.version, more.state.row_count) == (4, 1, 8)
    whole = overwrite_rows(table, quotes(100, 1).to_batches())
    assert (whole.row_count, whole.state.version, whole.state.row_count) == (1, 2, 1)
    assert numbers(engine, at(table, 0)) == [0, 1, 2, 3]
    assert numbers(engine, at(table, 1)) == list(range(8))
    assert numbers(engine, at(table, 2)) == [100]
    assert numbers(engine, at(table, 1), "day = '2024-01-02' and city like 'São%'") == [1, 3, 5, 7]


def test_statement_that_has_begun_reads_its_version_to_the_end(
    engine: DataFusionEngine, table: Table
) -> None:
    for _ in range(3):
        append_rows(table, quotes().to_batches())
    execution = engine.execute(
        [at(table, 3)], "select number from quote", catalog="trading", schema="stock"
    )
    overwrite_rows(table, [])
    assert sum(batch.num_rows for batch in execution.batches()) == 16
    assert numbers(engine, at(table, 4)) == []


def test_every_type_is_read_as_it_was_written(engine: DataFusionEngine, tmp_path: Path) -> None:
    samples = make_samples()
    table = managed_table(tmp_path / "samples", samples, ["region"])
    known = {field.name: field.type for field in table.arrow_schema}
    assert known == {field.name: field.type for field in samples.schema}
    found = ask(engine, "select * from quote order by id", table)
    assert found.schema.equals(table.arrow_schema)
    expected = samples.sort_by("id").select(found.column_names)
    for name in found.column_names:
        assert found[name].to_pylist() == expected[name].to_pylist(), name


def test_other_readers_of_the_log_find_rows_and_what_files_hold(table: Table) -> None:
    append_rows(table, quotes(4).to_batches())
    other = DeltaTable(str(table.location))
    rows = pa.table(other.scan())
    assert sorted(rows["number"].to_pylist()) == list(range(8))
    assert set(rows["city"].to_pylist()) == {"São / Paulo%"}
    files = pa.table(other.get_add_actions(flatten=True)).to_pylist()
    assert [(one["min.number"], one["max.number"]) for one in files] == [
        (4, 6),
        (5, 7),
        (0, 2),
        (1, 3),
    ]


def test_table_without_rows_can_be_read_and_explained(
    engine: DataFusionEngine, tmp_path: Path
) -> None:
    table = managed_table(tmp_path / "t", quotes(count=0), ["day"])
    assert numbers(engine, table) == []
    assert ask(engine, "select count(*) as n from quote", table).to_pylist() == [{"n": 0}]
    explained = engine.explain([table], "select * from quote", catalog="trading", schema="stock")
    (scan,) = explained.explain().scans
    assert (scan.file_count, scan.file_total) == (0, 0)


def test_explaining_counts_files_and_row_groups_of_the_version(
    engine: DataFusionEngine, table: Table
) -> None:
    append_rows(table, quotes(4).to_batches())
    explained = engine.explain(
        [at(table, 1)],
        "select * from quote where day = '2024-01-02' and number > 3",
        catalog="trading",
        schema="stock",
    )
    (scan,) = explained.explain().scans
    assert (scan.file_count, scan.file_total) == (2, 4)
    assert (scan.row_group_count, scan.row_group_total) == (1, 4)


@pytest.mark.parametrize(
    "rows, says",
    [
        (pa.table({"day": DAYS[:1], "number": [1]}), "column city is missing"),
        (quotes().append_column("more", pa.array([1] * 4)), "no column more"),
        (quotes().set_column(1, "number", pa.array(["x"] * 4)), "column number is int64"),
        (quotes().set_column(2, "city", pa.array([None, "a", "b", "c"])), "column city has rows"),
        (quotes(city=""), "column city has rows without a value"),
    ],
)
@pytest.mark.parametrize("write", [append_rows, overwrite_rows])
def test_rows_that_do_not_fit_change_nothing(
    table: Table, rows: pa.Table, says: str, write: Callable[..., object]
) -> None:
    before = read_rows(table)
    with pytest.raises(UnusableTableError, match=says) as caught:
        write(table, [*quotes().to_batches(), *rows.to_batches()])
    assert str(table.location) not in str(caught.value)
    assert read_rows(table) == before
    assert litter_of(table) == []


def test_column_that_must_have_values_has_them(tmp_path: Path) -> None:
    schema = pa.schema([pa.field("number", pa.int64(), nullable=False)])
    rows = pa.table([[None, 1]], schema=pa.schema([("number", pa.int64())]))
    (tmp_path / "t").mkdir()
    with pytest.raises(UnusableTableError, match="number has rows without a value"):
        create_table(tmp_path / "t", schema, (), rows.to_batches())


def test_cancelled_write_changes_nothing(table: Table) -> None:
    seen: list[int] = []
    with pytest.raises(CancelledError):
        append_rows(
            table,
            quotes(count=20).to_batches(max_chunksize=4),
            progress=seen.append,
            is_cancelled=lambda: len(seen) >= 3,
        )
    assert seen == [4, 8, 12]
    assert (latest_version(Path(str(table.location))), litter_of(table)) == (0, [])


def test_fault_of_the_source_changes_nothing(table: Table) -> None:
    def rows() -> Iterator[pa.RecordBatch]:
        yield from quotes().to_batches()
        raise RuntimeError("the source broke")

    with pytest.raises(RuntimeError):
        append_rows(table, rows())
    assert (latest_version(Path(str(table.location))), litter_of(table)) == (0, [])


def test_many_appending_threads_all_land(table: Table) -> None:
    together = threading.Barrier(4)

    def append(number: int) -> None:
        together.wait(timeout=30)
        for turn in range(5):
            append_rows(table, quotes(1000 * number + turn, 1).to_batches())

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(append, range(1, 5)))
    found = sorted(int(str(row[0])) for row in read_rows(table))
    assert found == [0, 1, 2, 3, *(1000 * n + turn for n in range(1, 5) for turn in range(5))]
    assert litter_of(table) == []


def test_version_that_is_gone_is_stale(engine: DataFusionEngine, table: Table) -> None:
    for gone in (at(table, 7), replace(table, location="/nowhere")):
        with pytest.raises(StaleMetastoreError) as caught:
            numbers(engine, gone)
        assert "/nowhere" not in str(caught.value)


def test_columns_of_another_state_are_stale(table: Table) -> None:
    other = replace(table, arrow_schema=table.arrow_schema.remove(0))
    with pytest.raises(StaleMetastoreError, match="columns of"):
        append_rows(other, quotes().to_batches())


def test_folders_of_versions_are_shared_kept_for_a_while_and_bounded(
    tmp_path: Path, table: Table
) -> None:
    snapshots = Snapshots(tmp_path / "snapshots")
    with snapshots.lease(table) as one, snapshots.lease(table) as other:
        assert one == other
        assert len(list(one.rglob("*.parquet"))) == 2
    assert one.exists()
    state = read_state(Path(str(table.location)))
    for number in range(40):
        with snapshots.lease(entry_of(Path(str(table.location)), state, f"{number:032}")):
            pass
    (own,) = (tmp_path / "snapshots").iterdir()
    assert sum(one.is_dir() for one in own.iterdir()) == 32
    assert not one.exists()
    snapshots.close()
    assert list((tmp_path / "snapshots").iterdir()) == []


@pytest.mark.parametrize(
    "snapshot", ["", "-1", "00", "²", "1e0", "9", "0/../../../kept", "../kept"]
)
def test_what_is_no_version_names_no_folder(tmp_path: Path, table: Table, snapshot: str) -> None:
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept" / "something").touch()
    snapshots = Snapshots(tmp_path / "snapshots")
    # So that a way through its folder leads somewhere.
    with snapshots.lease(table), pytest.raises(StaleMetastoreError):
        snapshots.lease(replace(table, snapshot=snapshot)).__enter__()
    assert (tmp_path / "kept" / "something").exists()
    snapshots.close()


def test_folders_of_a_process_that_is_gone_are_removed(tmp_path: Path, table: Table) -> None:
    left = tmp_path / "snapshots" / "left"
    left.mkdir(parents=True)
    (left / "something").touch()
    running = Snapshots(tmp_path / "snapshots")
    with running.lease(table) as folder, Snapshots(tmp_path / "snapshots").lease(table) as other:
        assert folder != other
        assert not left.exists()
        assert folder.exists()


def test_folders_of_another_machine_are_left_alone_until_they_are_old(
    tmp_path: Path, table: Table
) -> None:
    foreign, making = (
        tmp_path / "snapshots" / name for name in ("elsewhere-0a1b", ".making-elsewhere-0a1b")
    )
    for folder in (foreign, making):
        folder.mkdir(parents=True)
        (folder / ".owner").touch()
    for is_there in (True, False):
        with Snapshots(tmp_path / "snapshots").lease(table):
            assert foreign.exists() is making.exists() is is_there
        for folder in (foreign, making):
            if is_there:
                os.utime(folder, (0, 0))


def test_processes_that_begin_at_once_leave_each_others_folders_alone(tmp_path: Path) -> None:
    table = managed_table(tmp_path / "t", quotes(), ["day"])
    for turn in range(20):
        beginning = [Snapshots(tmp_path / f"snapshots-{turn}") for _ in range(6)]
        begin = threading.Barrier(len(beginning))

        def read(one: Snapshots, begin: threading.Barrier = begin) -> bool:
            begin.wait(30)
            with one.lease(table) as folder:
                return any(folder.rglob("*.parquet"))

        with ThreadPoolExecutor(len(beginning)) as pool:
            assert all(pool.map(read, beginning))
        for one in beginning:
            one.close()
