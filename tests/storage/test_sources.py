import json
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.csv as pc
import pyarrow.parquet as pq
import pytest

from storage.errors import UnusableTableError
from storage.sources import Sources

ROWS = pa.table({"n": [1, 2, 3], "text": ["a", None, "c"], "share": [0.5, 1.5, 2.5]})


def write_lines(rows: pa.Table, file: Path) -> None:
    file.write_text("".join(json.dumps(row) + "\n" for row in rows.to_pylist()))


def write_array(rows: pa.Table, file: Path) -> None:
    file.write_text(" \n" + json.dumps(rows.to_pylist()))


def write_ipc_file(rows: pa.Table, file: Path) -> None:
    with pa.ipc.new_file(str(file), rows.schema) as writer:
        writer.write_table(rows)


def write_ipc_stream(rows: pa.Table, file: Path) -> None:
    with file.open("wb") as sink, pa.ipc.new_stream(sink, rows.schema) as writer:
        writer.write_table(rows)


FORMATS: dict[str, tuple[str, Callable[[pa.Table, Path], object]]] = {
    "csv": ("csv", pc.write_csv),
    "parquet": ("parquet", pq.write_table),
    "lines": ("jsonl", write_lines),
    "array": ("json", write_array),
    "ipc file": ("arrow", write_ipc_file),
    "ipc stream": ("arrows", write_ipc_stream),
}


@pytest.mark.parametrize("suffix, write", FORMATS.values(), ids=FORMATS.keys())
def test_every_format_is_read_in_the_order_of_names(
    tmp_path: Path, suffix: str, write: Callable[[pa.Table, Path], object]
) -> None:
    for position, name in enumerate(("a", "b", "c")):
        write(ROWS.slice(position, 1), tmp_path / f"{name}.{suffix}")
    write(ROWS.slice(1, 1).drop_columns(["text"]), tmp_path / f"b.{suffix}")
    sources = Sources([str(tmp_path / f"[bc].{suffix}"), str(tmp_path / f"a.{suffix}")])
    assert {field.name: field.type for field in sources.arrow_schema} == {
        field.name: field.type for field in ROWS.schema
    }
    found = pa.Table.from_batches(list(sources.batches()))
    assert found.select(ROWS.column_names).to_pylist() == ROWS.to_pylist()


def test_files_of_several_kinds_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("n\n1\n")
    pq.write_table(ROWS, tmp_path / "b.parquet")
    with pytest.raises(UnusableTableError, match="one kind at a time"):
        Sources([str(tmp_path / "*")])


@pytest.mark.parametrize(
    "name, content",
    [
        ("bad.parquet", b"no"),
        ("bad.json", b"[1, 2"),
        ("bad.json", b"[1, 2]"),
        ("bad.jsonl", b"{no}"),
        ("bad.arrow", b"no"),
        ("bad.csv", b"a,b\n1\n"),
        ("notes.txt", b"no"),
    ],
)
def test_unreadable_file_is_refused_by_base_name(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UnusableTableError) as caught:
        list(Sources([str(tmp_path / name)]).batches())
    assert str(tmp_path) not in str(caught.value)
    assert name == "notes.txt" or name in str(caught.value)
    with pytest.raises(UnusableTableError, match="no file matches none"):
        Sources([str(tmp_path / "none.csv")])


@pytest.mark.parametrize(
    "name, line",
    [("a.csv", "{},x\n"), ("a.jsonl", '{{"n": {}, "text": "x"}}\n')],
)
def test_value_far_down_that_does_not_fit_is_refused_by_file_and_column(
    tmp_path: Path, name: str, line: str
) -> None:
    head = "n,text\n" if name.endswith("csv") else ""
    odd = "oops" if name.endswith("csv") else '"oops"'
    lines = head + "".join(line.format(number) for number in range(300_000)) + line.format(odd)
    (tmp_path / name).write_text(lines)
    with pytest.raises(UnusableTableError, match=rf"{name} has a value in column n") as caught:
        for _ in Sources([str(tmp_path / name)]).batches():
            pass
    assert "oops" not in str(caught.value)


def test_text_is_read_as_the_table_wants_it(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("code,day\n007,2024-01-02\n")
    wanted = pa.schema([("code", pa.utf8()), ("day", pa.utf8())])
    (batch,) = Sources([str(tmp_path / "a.csv")]).batches(wanted)
    assert batch.to_pylist() == [{"code": "007", "day": "2024-01-02"}]
    with pytest.raises(UnusableTableError, match=r"a\.csv: .*no column day"):
        list(Sources([str(tmp_path / "a.csv")]).batches(wanted.remove(1)))
