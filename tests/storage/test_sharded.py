"""Statements over a part of the files: all parts together are the whole, each row once."""

import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from storage.datafusionengine import DataFusionEngine
from storage.delta import append_rows
from storage.engine import Engine
from storage.errors import StaleMetastoreError, UnusableTableError
from storage.metastore import Table, TableKind
from storage.names import ObjectName
from storage.sharding import Shard
from tests.storage.factories import entry_of, managed_table, table_of, write_file, write_quotes

NAMES = ("n1", "n2", "n3", "n4", "n5", "n6", "n7")
OTHER = ObjectName("hangzhou", "trading", "stock", "other")
TEXTS = [
    "select * from quote",
    "select number * 2 as twice, day from quote where text <> 'row 1'",
    "select text from quote where day = date '2024-01-02'",
    "select number from quote union all select number from other",
    "select unnest(make_array(number, 0)) as x from quote where number > 1",
    "select x from (select number + 1 as x, day from quote) a where day > date '2024-01-03'",
    "select number from quote where number > 1000",
]


def ask_part(engine: Engine, text: str, shard: Shard | None, *tables: Table) -> pa.Table:
    started = engine.execute(tables, text, catalog="trading", schema="stock", shard=shard)
    return pa.Table.from_batches(list(started.batches()), started.arrow_schema)


def rows_of(answer: pa.Table) -> Counter[tuple[object, ...]]:
    return Counter(tuple(row.values()) for row in answer.to_pylist())


def parts_of(engine: Engine, text: str, count: int, *tables: Table) -> list[pa.Table]:
    shards = [Shard(part, NAMES[:count]) for part in range(count)]
    return [ask_part(engine, text, shard, *tables) for shard in shards]


@pytest.fixture(scope="module")
def quotes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Table, Table]]:
    """Two tables, written by others and by us."""
    folder = tmp_path_factory.mktemp("tables")
    external = (
        table_of(write_quotes(folder / "quote", days=9, row_count=5)),
        table_of(write_quotes(folder / "other", days=2, row_count=7), OTHER),
    )
    days = pa.array([day for day in range(19723, 19732) for _ in range(5)], pa.int32())
    rows = pa.table(
        {
            "number": [*range(5)] * 9,
            "text": [f"row {number}" for number in range(5)] * 9,
            "day": days.cast(pa.date32()),
        }
    )
    managed = (
        managed_table(folder / "managed", rows, ["day"]),
        replace(managed_table(folder / "more", rows, [], OTHER), id="e" * 32),
    )
    return {"external": external, "managed": managed}


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DataFusionEngine]:
    spill = tmp_path_factory.mktemp("spill")
    made = DataFusionEngine(memory_limit_bytes=1 << 28, spill_directory=spill, target_partitions=2)
    yield made
    made.close()


@pytest.mark.parametrize("kind", ["external", "managed"])
@pytest.mark.parametrize("text", TEXTS)
def test_parts_are_together_the_whole(
    reader: DataFusionEngine, quotes: dict[str, tuple[Table, Table]], text: str, kind: str
) -> None:
    tables = quotes[kind]
    whole = ask_part(reader, text, None, *tables)
    for count in (1, 2, 3, 7):
        parts = parts_of(reader, text, count, *tables)
        assert all(part.schema == whole.schema for part in parts)
        assert rows_of(pa.concat_tables(parts)) == rows_of(whole)


@settings(max_examples=20, deadline=None)
@given(names=st.lists(st.text(min_size=1, max_size=9), min_size=1, max_size=6, unique=True))
def test_parts_of_any_names_are_together_the_whole(
    reader: DataFusionEngine, quotes: dict[str, tuple[Table, Table]], names: list[str]
) -> None:
    text = "select number, day from quote where number < 4"
    whole = ask_part(reader, text, None, *quotes["external"])
    shards = [Shard(part, tuple(names)) for part in range(len(names))]
    parts = [ask_part(reader, text, shard, *quotes["external"]) for shard in shards]

    assert rows_of(pa.concat_tables(parts)) == rows_of(whole)


def test_each_part_reads_files_of_its_own(
    reader: DataFusionEngine, quotes: dict[str, tuple[Table, Table]]
) -> None:
    parts = parts_of(reader, "select distinct day from quote", 3, quotes["external"][0])
    days = [set(part["day"].to_pylist()) for part in parts]

    assert sum(map(len, days)) == len(set.union(*days)) == 9
    assert sum(map(bool, days)) > 1


def test_partitions_prune_within_a_part(
    reader: DataFusionEngine, quotes: dict[str, tuple[Table, Table]]
) -> None:
    table = quotes["external"][0]
    text = "select number from quote where day = date '2024-01-05'"
    read, files = 0, []
    for part in range(3):
        started = reader.execute(
            [table], text, catalog="trading", schema="stock", shard=Shard(part, NAMES[:3])
        )
        files.append(started.parts())
        read += sum(batch.num_rows for batch in started.batches())
    # Of the one file that is left, one part knows; the others have nothing to read.
    assert (read, Counter(files)) == (5, {None: 2, (0, 1): 1})


def test_part_without_files_answers_no_rows_in_the_same_columns(
    reader: DataFusionEngine, tmp_path: Path
) -> None:
    table = table_of(write_file(tmp_path / "t" / "one.parquet", number=[1, 2]).parent)
    parts = parts_of(reader, "select * from quote", 3, table)

    assert sorted(part.num_rows for part in parts) == [0, 0, 2]
    assert {str(part.schema) for part in parts} == {str(table.arrow_schema)}


def test_part_of_files_that_changed_is_stale(reader: DataFusionEngine, tmp_path: Path) -> None:
    table = table_of(write_quotes(tmp_path / "t", days=4))
    shard = Shard(0, NAMES[:2])
    held = ask_part(reader, "select * from quote", shard, table).num_rows
    write_file(tmp_path / "t" / "day=2024-01-09" / "new.parquet", number=[1], text=["a"])

    for part in range(2):
        with pytest.raises(StaleMetastoreError):
            ask_part(reader, "select * from quote", Shard(part, NAMES[:2]), table)
    now = table_of(tmp_path / "t", id=table.id)
    rows = sum(part.num_rows for part in parts_of(reader, "select * from quote", 2, now))
    assert (rows, held % 4) == (17, 0)


def test_part_whose_file_goes_before_it_is_read_is_stale(
    reader: DataFusionEngine, tmp_path: Path
) -> None:
    table = table_of(write_file(tmp_path / "t" / "one.parquet", number=range(9)).parent)
    parts = [
        reader.execute([table], "select * from quote", catalog="trading", schema="stock",
                       shard=Shard(part, NAMES[:2]))
        for part in range(2)
    ]  # fmt: skip
    (tmp_path / "t" / "one.parquet").unlink()

    refused = 0
    for started in parts:
        try:
            assert not list(started.batches())
        except StaleMetastoreError:
            refused += 1
    assert refused == 1


def test_parts_of_an_old_version_are_of_that_version(
    reader: DataFusionEngine, tmp_path: Path
) -> None:
    old = managed_table(tmp_path / "t", pa.table({"number": [1, 2]}))
    for number in range(5):
        change = append_rows(old, pa.table({"number": [number]}).to_batches())
    text = "select number from quote"

    assert sum(part.num_rows for part in parts_of(reader, text, 3, old)) == 2
    newest = entry_of(tmp_path / "t", change.state)
    assert sum(part.num_rows for part in parts_of(reader, text, 3, newest)) == 7


def test_parts_are_read_from_another_file_system(tmp_path: Path) -> None:
    memory = Path("/dev/shm")  # noqa: S108  another file system than that of the tables
    folder = memory / f"links-{os.getpid()}"
    table = table_of(write_quotes(tmp_path / "t", days=5))
    engine = DataFusionEngine(
        memory_limit_bytes=1 << 28,
        spill_directory=tmp_path / "spill",
        snapshot_directory=folder,
        target_partitions=1,
    )
    try:
        parts = parts_of(engine, "select * from quote", 3, table)
        assert sum(part.num_rows for part in parts) == 20
    finally:
        engine.close()
        folder.rmdir()


def test_view_is_read_as_a_whole_only(reader: DataFusionEngine, tmp_path: Path) -> None:
    table = table_of(write_quotes(tmp_path / "t"))
    with pytest.raises(UnusableTableError):
        ask_part(
            reader,
            "select * from quote",
            Shard(0, NAMES[:2]),
            replace(table, kind=TableKind.VIEW, location=None),
        )
