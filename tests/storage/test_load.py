import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from storage import partitionwriter
from storage.datafusionengine import DataFusionEngine
from storage.errors import TableExistsError, UnusableTableError
from storage.load import load_table
from storage.parquet import scan_partitioned
from tests.storage.factories import ask, table_of, write_file

LOAD_FOR_EVER = """
import itertools, sys
from pathlib import Path
import pyarrow as pa
from storage.load import load_table
batch = pa.record_batch({"key": [1, 2] * 70_000, "number": list(range(140_000))})
load_table(itertools.repeat(batch), Path(sys.argv[1]), partition_by=["key"],
           progress=lambda rows: print(rows, flush=True))
"""


def batch(**columns: object) -> pa.RecordBatch:
    return pa.record_batch(columns)


def test_rows_come_back_as_they_were_loaded(tmp_path: Path, engine: DataFusionEngine) -> None:
    texts = ["a b", "p%q", "x:y", "é", "c+d", "a/b", "..", "=", "'", "100", "A", "a"]
    rows = [
        batch(text=texts, number=range(len(texts)), day=[date(2024, 1, 1)] * len(texts)),
        batch(text=texts, number=range(len(texts)), day=[date(1969, 12, 31)] * len(texts)),
    ]

    load_table(rows, tmp_path / "t", partition_by=["day", "text"])
    table = table_of(tmp_path / "t")

    assert table.partition_columns == ("day", "text")
    assert table.row_count == 2 * len(texts)
    wanted = sorted(
        (number, text, day)
        for day in (date(2024, 1, 1), date(1969, 12, 31))
        for number, text in enumerate(texts)
    )
    found = ask(engine, "select number, text, day from quote", table).to_pylist()
    assert sorted(tuple(row.values()) for row in found) == wanted
    for number, text in enumerate(texts):
        literal = text.replace("'", "''")
        one = ask(engine, f"select distinct number from quote where text = '{literal}'", table)
        assert one.to_pylist() == [{"number": number}], text


def test_order_inside_a_partition_is_kept(tmp_path: Path) -> None:
    rows = (batch(key=[n % 3, n % 2], number=[n, n + 1000]) for n in range(500))

    load_table(rows, tmp_path / "t", partition_by=["key"])

    for path in (tmp_path / "t").rglob("*.parquet"):
        key = int(path.parent.name.removeprefix("key="))
        wanted = [
            number for n in range(500) for k, number in ((n % 3, n), (n % 2, n + 1000)) if k == key
        ]
        with path.open("rb") as opened:
            assert pq.read_table(opened)["number"].to_pylist() == wanted


def test_files_have_zstd_and_row_groups_that_can_be_pruned(tmp_path: Path) -> None:
    load_table([batch(number=range(300_000))], tmp_path / "t")

    footer = pq.read_metadata(tmp_path / "t" / "part-0.parquet")

    assert footer.row_group(0).column(0).compression == "ZSTD"
    assert footer.num_row_groups == 3
    assert footer.row_group(1).column(0).statistics.min == 131_072


def test_file_of_few_rows_is_written_in_less_time_and_has_statistics_all_the_same(
    tmp_path: Path,
) -> None:
    load_table([batch(number=range(100))], tmp_path / "t")

    column = pq.read_metadata(tmp_path / "t" / "part-0.parquet").row_group(0).column(0)

    assert column.compression == "LZ4"
    assert (column.statistics.min, column.statistics.max) == (0, 99)


def test_more_partitions_than_open_files_lose_nothing(tmp_path: Path) -> None:
    rows = (batch(key=range(200), number=[n] * 200) for n in range(3))

    load_table(rows, tmp_path / "t", partition_by=["key"])

    assert scan_partitioned(tmp_path / "t").row_count == 600


def test_progress_counts_rows(tmp_path: Path) -> None:
    seen: list[int] = []

    load_table([batch(number=[1, 2]), batch(number=[3])], tmp_path / "t", progress=seen.append)

    assert seen == [2, 3]


def test_table_without_rows_keeps_its_columns(tmp_path: Path) -> None:
    empty = pa.record_batch({"number": pa.array([], pa.int32())})

    load_table([empty], tmp_path / "t")

    found = scan_partitioned(tmp_path / "t")
    assert found.row_count == 0
    assert found.arrow_schema == pa.schema([("number", pa.int32())])


@pytest.mark.parametrize(
    "rows, keys, says",
    [
        ([], [], "nothing to load"),
        ([batch(a=[1])], ["b"], "no column b"),
        ([batch(a=[1])], ["a"], "must stay"),
        ([batch(a=[1], b=[2])], ["a", "a"], "once"),
        ([batch(a=[1.5], b=[2])], ["a"], "integers, dates or text"),
        ([batch(a=[1, None], b=[2, 3])], ["a"], "without a value"),
        ([batch(a=["", "x"], b=[2, 3])], ["a"], "without a value"),
        ([batch(a=[1], b=[2]), batch(a=[1])], ["a"], "do not fit"),
        ([batch(a=[1], b=[2]), batch(a=[1], b=["x"])], ["a"], "do not fit"),
        ([pa.record_batch({"a": pa.array([], pa.int64()), "b": []})], ["a"], "without rows"),
        ([pa.record_batch({"a/b": [1], "b": [2]})], ["a/b"], "cannot be a directory"),
        ([batch(a=["x" * 400], b=[2])], ["a"], "cannot be written"),
    ],
)
def test_rows_that_make_no_table_leave_nothing(
    tmp_path: Path, rows: list[pa.RecordBatch], keys: list[str], says: str
) -> None:
    with pytest.raises(UnusableTableError, match=says) as caught:
        load_table(rows, tmp_path / "t", partition_by=keys)

    assert list(tmp_path.iterdir()) == []
    assert str(tmp_path) not in str(caught.value)


def test_fault_of_the_source_is_passed_on_and_leaves_nothing(tmp_path: Path) -> None:
    def rows() -> Iterator[pa.RecordBatch]:
        yield batch(number=[1])
        raise RuntimeError("the source broke")

    with pytest.raises(RuntimeError, match="the source broke"):
        load_table(rows(), tmp_path / "t")

    assert list(tmp_path.iterdir()) == []


def test_existing_table_is_left_alone(tmp_path: Path) -> None:
    write_file(tmp_path / "t" / "mine.parquet", number=[1])

    with pytest.raises(TableExistsError):
        load_table([batch(number=[2])], tmp_path / "t")

    assert [path.name for path in (tmp_path / "t").iterdir()] == ["mine.parquet"]


def test_killed_load_leaves_nothing_visible_and_the_next_one_clears_up(tmp_path: Path) -> None:
    target = tmp_path / "t"
    with subprocess.Popen(  # noqa: S603  our own interpreter and text
        [sys.executable, "-c", LOAD_FOR_EVER, str(target)],
        stdout=subprocess.PIPE,
        cwd=Path(__file__).parents[2],
    ) as loading:
        assert loading.stdout is not None
        for _ in range(3):
            loading.stdout.readline()
        os.kill(loading.pid, signal.SIGKILL)

    assert not target.exists()
    assert [path.name.startswith(".t.loading-") for path in tmp_path.iterdir()] == [True]

    load_table([batch(number=[1])], target)

    assert [path.name for path in tmp_path.iterdir()] == ["t"]


def test_running_load_is_not_cleared_up_by_another(tmp_path: Path) -> None:
    target = tmp_path / "t"

    def rows() -> Iterator[pa.RecordBatch]:
        yield batch(number=[1])
        load_table([batch(number=[2])], target)
        yield batch(number=[3])

    with pytest.raises(TableExistsError):
        load_table(rows(), target)

    assert scan_partitioned(target).row_count == 1
    assert [path.name for path in tmp_path.iterdir()] == ["t"]


def test_memory_stays_bounded_with_many_partitions(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(partitionwriter, "_MAX_WAITING_BYTES", 16 * 1024 * 1024)
    text = "x" * 1000
    rows = (batch(key=[*range(100)] * 30, number=[n] * 3000, text=[text] * 3000) for n in range(50))
    before = pa.total_allocated_bytes()
    peaks: list[int] = []

    load_table(
        rows,
        tmp_path / "t",
        partition_by=["key"],
        progress=lambda _: peaks.append(pa.total_allocated_bytes() - before),
    )

    assert len(peaks) == 50  # of 3 MB each
    assert max(peaks) < 60 * 1024 * 1024
    assert scan_partitioned(tmp_path / "t").row_count == 150_000
