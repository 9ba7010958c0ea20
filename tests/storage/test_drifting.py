"""Files of one folder whose columns drifted apart are one table, or are refused by name."""

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from storage.datafusionengine import DataFusionEngine
from storage.drifting import wider_type
from storage.errors import UnusableTableError
from storage.parquet import scan_partitioned
from tests.storage.factories import ask, table_of


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[DataFusionEngine]:
    made = DataFusionEngine(memory_limit_bytes=1 << 28, spill_directory=tmp_path / "spill")
    yield made
    made.close()


def write(folder: Path, name: str, rows: pa.Table) -> None:
    file = folder / name
    file.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(rows, file)


def test_added_column_is_null_where_it_is_missing(engine: DataFusionEngine, tmp_path: Path) -> None:
    folder = tmp_path / "t"
    for day, rows in (
        (1, pa.table({"n": [1, 2]})),
        (2, pa.table({"n": [3], "more": ["x"]})),
        (3, pa.table({"more": ["y"], "n": [4]})),
    ):
        write(folder, f"day={day}/a.parquet", rows)
    table = table_of(folder)
    assert table.arrow_schema.names == ["n", "more", "day"]
    assert table.arrow_schema.field("more").nullable
    found = ask(engine, "select n, more, day from quote order by n", table).to_pylist()
    assert [tuple(row.values()) for row in found] == [
        (1, None, 1),
        (2, None, 1),
        (3, "x", 2),
        (4, "y", 3),
    ]
    for where, expected in (("more is null", [1, 2]), ("more = 'y'", [4]), ("more <> 'y'", [3])):
        rows = ask(engine, f"select n from quote where {where} order by n", table)
        assert rows["n"].to_pylist() == expected


@pytest.mark.parametrize(
    "narrow, wide, kind",
    [
        (pa.array([1, 2], pa.int32()), pa.array([2**40], pa.int64()), pa.int64()),
        (pa.array([1, 200], pa.uint8()), pa.array([-5], pa.int16()), pa.int16()),
        (pa.array([1.5, 2.5], pa.float32()), pa.array([0.1], pa.float64()), pa.float64()),
        (pa.array([1, 2], pa.int32()), pa.array([0.5], pa.float64()), pa.float64()),
        (
            pa.array([1, 2], pa.decimal128(5, 2)),
            pa.array([100000], pa.decimal128(9, 1)),
            pa.decimal128(10, 2),
        ),
        (
            pa.array([1, 2], pa.timestamp("ms")),
            pa.array([3], pa.timestamp("us")),
            pa.timestamp("us"),
        ),
        (pa.nulls(2), pa.array(["x"]), pa.utf8()),
    ],
)
@pytest.mark.parametrize("is_reversed", [False, True])
def test_widened_column_has_the_widest_type_and_every_value(
    engine: DataFusionEngine,
    tmp_path: Path,
    narrow: pa.Array,
    wide: pa.Array,
    kind: pa.DataType,
    is_reversed: bool,
) -> None:
    names = ("b.parquet", "a.parquet") if is_reversed else ("a.parquet", "b.parquet")
    for name, values in zip(names, (narrow, wide), strict=True):
        write(tmp_path / "t", name, pa.table({"n": values}))
    table = table_of(tmp_path / "t")
    assert table.arrow_schema.field("n").type == kind
    found = ask(engine, "select n from quote", table)
    assert found.schema.field("n").type == kind
    expected = pa.concat_arrays([narrow.cast(kind), wide.cast(kind)])
    assert sorted(found["n"].to_pylist(), key=repr) == sorted(expected.to_pylist(), key=repr)
    for value in expected:
        if value.is_valid:
            parameters = {"1": value}
            execution = engine.execute(
                [table],
                "select count(*) as c from quote where n = $1",
                catalog="trading",
                schema="stock",
                parameters=parameters,
            )
            (batch,) = execution.batches()
            assert batch["c"].to_pylist() == [expected.to_pylist().count(value.as_py())]


def test_order_of_columns_is_kept_when_files_come_first_that_have_another(tmp_path: Path) -> None:
    write(tmp_path / "t", "b.parquet", pa.table({"n": [1], "text": ["x"]}))
    known = scan_partitioned(tmp_path / "t").arrow_schema
    write(tmp_path / "t", "a.parquet", pa.table({"more": [1], "text": ["x"], "n": [1]}))
    found = scan_partitioned(tmp_path / "t", known)
    assert found.arrow_schema.names == ["n", "text", "more"]


@pytest.mark.parametrize(
    "one, other",
    [
        (pa.int64(), pa.utf8()),
        (pa.int64(), pa.float64()),
        (pa.uint64(), pa.int64()),
        (pa.timestamp("us"), pa.timestamp("us", "UTC")),
        (pa.date32(), pa.timestamp("us")),
        (pa.decimal256(76, 0), pa.decimal256(76, 76)),
        (pa.list_(pa.int32()), pa.list_(pa.int64())),
        (pa.bool_(), pa.int8()),
    ],
)
def test_types_without_a_common_one_are_refused_by_file_and_column(
    tmp_path: Path, one: pa.DataType, other: pa.DataType
) -> None:
    assert wider_type(one, other) is None is wider_type(other, one)
    for name, kind in (("a.parquet", one), ("b.parquet", other)):
        write(tmp_path / "t", name, pa.table({"n": pa.nulls(1, kind)}))
    with pytest.raises(UnusableTableError, match=r"b\.parquet has .* in column n") as caught:
        scan_partitioned(tmp_path / "t")
    assert str(tmp_path) not in str(caught.value)


@pytest.mark.parametrize(
    "name, content, says",
    [
        ("x.parquet", None, r"x\.parquet lies in other partitions .* day="),
        ("day=2/sub=1/x.parquet", None, r"x\.parquet lies in other partitions"),
        ("hour=2/x.parquet", None, r"x\.parquet lies in other partitions"),
        ("day=2/x.parquet", b"PAR1 half", r"x\.parquet is not a whole Parquet file"),
        ("day=2/notes.txt", b"no", r"notes\.txt does not belong"),
        ("day=2/.x.parquet", b"no", r"\.x\.parquet does not belong"),
        ("backup/x.parquet", None, r"folder backup is not a partition"),
    ],
)
def test_file_that_does_not_belong_is_refused_by_its_base_name(
    tmp_path: Path, name: str, content: bytes | None, says: str
) -> None:
    folder = tmp_path / "t"
    write(folder, "day=1/a.parquet", pa.table({"n": [1]}))
    if content is None:
        write(folder, name, pa.table({"n": [1]}))
    else:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    with pytest.raises(UnusableTableError, match=says) as caught:
        scan_partitioned(folder)
    assert str(tmp_path) not in str(caught.value)
