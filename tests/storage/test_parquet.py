import os
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from storage.errors import UnusableTableError
from storage.parquet import list_files, require_within, scan_partitioned, snapshot_of
from tests.storage.factories import write_file, write_quotes


def test_partitioned_table_is_described(tmp_path: Path) -> None:
    found = scan_partitioned(write_quotes(tmp_path / "quote", days=3, row_count=4))

    assert found.arrow_schema.equals(
        pa.schema(
            [
                ("number", pa.int64()),
                ("text", pa.utf8()),
                pa.field("day", pa.date32(), nullable=False),
            ]
        )
    )
    assert found.partition_columns == ("day",)
    assert (found.row_count, found.file_count) == (12, 3)
    sizes = (path.stat().st_size for path in tmp_path.rglob("*.parquet"))
    assert found.byte_count == sum(sizes)


def test_directory_without_partitions_is_a_table(tmp_path: Path) -> None:
    write_file(tmp_path / "a.parquet", number=[1])
    write_file(tmp_path / "b.parquet", number=[2])

    found = scan_partitioned(tmp_path)

    assert found.partition_columns == ()
    assert found.row_count == 2


@pytest.mark.parametrize(
    "values, kind",
    [
        (["0", "1", "-20"], pa.int64()),
        (["9223372036854775807", "-9223372036854775808"], pa.int64()),
        (["9223372036854775808"], pa.utf8()),
        (["1", "01"], pa.utf8()),
        (["-0"], pa.utf8()),
        (["+1"], pa.utf8()),
        (["2024-02-29", "2023-12-31"], pa.date32()),
        (["2023-02-29"], pa.utf8()),
        (["2024-1-2"], pa.utf8()),
        (["2024-01-02", "7"], pa.utf8()),
        (["x", "1"], pa.utf8()),
    ],
)
def test_partition_column_takes_the_type_that_all_values_are_written_in(
    tmp_path: Path, values: list[str], kind: pa.DataType
) -> None:
    for value in values:
        write_file(tmp_path / f"key={value}" / "part.parquet", number=[1])

    assert scan_partitioned(tmp_path).arrow_schema.field("key").type == kind


def test_layouts_of_the_writer_are_shown_as_plain_types(tmp_path: Path) -> None:
    text = pa.array(["a", "b"])
    kept = pa.table(
        {
            "view": text.cast(pa.string_view()),
            "large": text.cast(pa.large_utf8()),
            "coded": text.dictionary_encode(),
            "bytes": text.cast(pa.large_binary()),
            "list": pa.array([["a"], []], pa.large_list(pa.large_utf8())),
            "struct": pa.array([{"a": "x"}, None], pa.struct([("a", pa.string_view())])),
        }
    )
    pq.write_table(kept, tmp_path / "a.parquet")

    shown = scan_partitioned(tmp_path).arrow_schema

    assert shown.types == [
        pa.utf8(),
        pa.utf8(),
        pa.utf8(),
        pa.binary(),
        pa.list_(pa.field("element", pa.utf8())),
        pa.struct([("a", pa.utf8())]),
    ]
    assert shown.metadata is None


def test_column_is_nullable_when_it_is_in_any_file(tmp_path: Path) -> None:
    for name, nullable in (("a", False), ("b", True)):
        schema = pa.schema([pa.field("number", pa.int64(), nullable=nullable)])
        pq.write_table(pa.table({"number": [1]}, schema), tmp_path / f"{name}.parquet")

    assert scan_partitioned(tmp_path).arrow_schema.field("number").nullable


def _foreign(root: Path) -> None:
    (root / "notes.txt").write_text("mine")


def _half_written(root: Path) -> None:
    whole = write_file(root / "day=2024-01-09" / "half.parquet", number=[1], text=["a"])
    whole.write_bytes(whole.read_bytes()[:-20])


def _empty(root: Path) -> None:
    (root / "day=2024-01-01" / "empty.parquet").touch()


def _hidden(root: Path) -> None:
    write_file(root / "day=2024-01-01" / ".part.parquet", number=[1], text=["a"])


def _delta(root: Path) -> None:
    (root / "_delta_log").mkdir()


def _unpartitioned(root: Path) -> None:
    write_file(root / "stray.parquet", number=[1], text=["a"])


def _deeper(root: Path) -> None:
    write_file(root / "day=2024-01-01" / "hour=1" / "deep.parquet", number=[1], text=["a"])


def _other_key(root: Path) -> None:
    write_file(root / "month=1" / "other.parquet", number=[1], text=["a"])


def _not_a_key(root: Path) -> None:
    write_file(root / "backup" / "old.parquet", number=[1], text=["a"])


def _null(root: Path) -> None:
    path = root / "day=__HIVE_DEFAULT_PARTITION__" / "null.parquet"
    write_file(path, number=[1], text=["a"])


def _without_value(root: Path) -> None:
    write_file(root / "day=" / "blank.parquet", number=[1], text=["a"])


def _other_type(root: Path) -> None:
    write_file(root / "day=2024-01-09" / "typed.parquet", number=["x"], text=["a"])


def _key_in_file(root: Path) -> None:
    for path in root.rglob("*.parquet"):
        write_file(path, number=[1], day=["x"])


def _link(root: Path) -> None:
    outside = write_file(root.parent / "outside.parquet", number=[1], text=["a"])
    (root / "day=2024-01-01" / "link.parquet").symlink_to(outside)


def _linked_directory(root: Path) -> None:
    outside = write_file(root.parent / "outside" / "a.parquet", number=[1], text=["a"]).parent
    (root / "day=2024-01-08").symlink_to(outside)


def _loop(root: Path) -> None:
    (root / "day=2024-01-08").symlink_to(root)


def _pipe(root: Path) -> None:
    os.mkfifo(root / "day=2024-01-01" / "pipe.parquet")


@pytest.mark.parametrize(
    "spoil, named",
    [
        (_foreign, "notes.txt"),
        (_half_written, "half.parquet"),
        (_empty, "empty.parquet"),
        (_hidden, ".part.parquet"),
        (_delta, "_delta_log"),
        (_unpartitioned, "stray.parquet"),
        (_deeper, "part-0.parquet"),
        (_other_key, "other.parquet"),
        (_not_a_key, "backup"),
        (_null, "null.parquet"),
        (_without_value, "day="),
        (_other_type, "typed.parquet"),
        (_key_in_file, "day"),
        (_link, "link.parquet"),
        (_linked_directory, "day=2024-01-08"),
        (_loop, "day=2024-01-08"),
        (_pipe, "pipe.parquet"),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_spoiled_directory_is_refused_by_base_name(
    tmp_path: Path, spoil: Callable[[Path], None], named: str
) -> None:
    spoil(write_quotes(tmp_path / "quote"))

    with pytest.raises(UnusableTableError) as caught:
        scan_partitioned(tmp_path / "quote")

    assert named in str(caught.value)
    assert str(tmp_path) not in str(caught.value)


def test_empty_directory_is_no_table(tmp_path: Path) -> None:
    with pytest.raises(UnusableTableError, match="no Parquet files"):
        scan_partitioned(tmp_path)


def test_markers_are_passed_over(tmp_path: Path) -> None:
    write_quotes(tmp_path)
    (tmp_path / "_SUCCESS").touch()
    (tmp_path / ".part-0.parquet.crc").touch()

    assert scan_partitioned(tmp_path).file_count == 3


def test_snapshot_follows_every_change_of_the_files(tmp_path: Path) -> None:
    write_quotes(tmp_path)
    seen = [snapshot_of(list_files(tmp_path))]

    first = tmp_path / "day=2024-01-01" / "part-0.parquet"
    status = first.stat()
    os.utime(first, ns=(status.st_atime_ns, status.st_mtime_ns + 1))
    seen.append(snapshot_of(list_files(tmp_path)))
    first.rename(first.with_name("part-1.parquet"))
    seen.append(snapshot_of(list_files(tmp_path)))
    first.with_name("part-1.parquet").unlink()
    seen.append(snapshot_of(list_files(tmp_path)))

    assert len(set(seen)) == 4
    assert scan_partitioned(tmp_path).snapshot == seen[-1]


def test_location_must_lie_in_a_root_links_followed(tmp_path: Path) -> None:
    inside, outside = tmp_path / "root" / "quote", tmp_path / "elsewhere"
    inside.mkdir(parents=True)
    outside.mkdir()
    (tmp_path / "root" / "link").symlink_to(outside)
    roots = [tmp_path / "root"]

    assert require_within(inside, roots) == inside.resolve()
    for refused in (outside, tmp_path / "root" / "link", inside / ".." / ".." / "elsewhere"):
        with pytest.raises(UnusableTableError) as caught:
            require_within(refused, roots)
        assert str(tmp_path) not in str(caught.value)
    with pytest.raises(UnusableTableError, match="not a directory"):
        require_within(tmp_path / "nowhere", roots)
