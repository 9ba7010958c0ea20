"""Rows on their way into the table: on the disk first, and in the table once."""

import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pytest

from flight_mom.processfolder import ProcessFolder
from flight_mom.spool import Spool

ROWS = pa.table({"n": [1, 2]})


def test_rows_come_out_in_the_order_in_which_they_went_in(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    for number in range(5):
        spool.write(pa.table({"n": [number]}))
    batch = spool.form_batch(3, 4)
    assert batch is not None
    rows = batch.read()
    assert rows is not None
    assert rows["n"].to_pylist() == [0, 1, 2, 3]
    assert (batch.since, spool.file_count) == (3, 5)
    spool.remove(batch)
    rest = spool.form_batch(4, 4)
    assert rest is not None
    assert (len(rest.files), rest.mark == batch.mark) == (1, False)
    spool.remove(rest)
    assert spool.form_batch(5, 4) is None
    assert list(tmp_path.iterdir()) == []


def test_batch_that_was_begun_is_tried_again_as_it_was(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    spool.write(ROWS)
    begun = spool.form_batch(7, 10)
    spool.write(ROWS)
    again = Spool(tmp_path).form_batch(9, 10)
    assert again == begun


def test_batch_that_was_half_removed_is_removed_to_its_end(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    for _ in range(3):
        spool.write(ROWS)
    begun = spool.form_batch(0, 10)
    assert begun is not None
    begun.files[0].unlink()
    again = Spool(tmp_path).form_batch(0, 10)
    assert again is not None
    rows = again.read()
    assert rows is not None
    assert rows.num_rows == 4
    spool.remove(again)
    assert spool.form_batch(0, 10) is None


def test_half_a_file_of_a_killed_writer_is_none(tmp_path: Path) -> None:
    Spool(tmp_path).write(ROWS)
    (tmp_path / ".00000000000000000002.arrow").write_bytes(b"ARROW1 and no more")
    spool = Spool(tmp_path)
    assert [file.name for file in tmp_path.iterdir()] == ["00000000000000000001.arrow"]
    spool.write(ROWS)
    batch = spool.form_batch(0, 10)
    assert batch is not None
    assert [file.name for file in batch.files] == [
        "00000000000000000001.arrow",
        "00000000000000000002.arrow",
    ]
    assert batch.read() is not None


def test_write_that_fails_leaves_nothing(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    in_the_way = tmp_path / "00000000000000000001.arrow"
    in_the_way.mkdir()
    with pytest.raises(IsADirectoryError):
        spool.write(ROWS)
    assert list(tmp_path.iterdir()) == [in_the_way]


def test_folder_of_a_process_that_lives_is_nobody_elses(tmp_path: Path) -> None:
    mine, other = ProcessFolder(tmp_path), ProcessFolder(tmp_path)
    (other.path / "kept").touch()
    with mine.left() as folders:
        assert folders == []
    other.close()
    with mine.left() as folders:
        assert folders == [other.path]
    mine.remove_left()
    assert list(tmp_path.iterdir()) == [mine.path]
    mine.close()
    assert list(tmp_path.iterdir()) == []


_HOLD = """
import os, signal, sys
from pathlib import Path
from flight_mom.processfolder import ProcessFolder
folder = ProcessFolder(Path(sys.argv[1]))
(folder.path / "left").touch()
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_folder_of_a_killed_process_is_taken_over(tmp_path: Path) -> None:
    killed = subprocess.run(  # noqa: S603  our own program
        [sys.executable, "-c", _HOLD, str(tmp_path)], timeout=60, check=False
    )
    assert killed.returncode < 0
    with ProcessFolder(tmp_path).left() as (folder,):
        assert [file.name for file in folder.iterdir()] == ["left"]


@pytest.mark.parametrize("count", [0, 3])
def test_spool_goes_on_numbering_where_it_was(tmp_path: Path, count: int) -> None:
    for _ in range(count):
        Spool(tmp_path).write(ROWS)
    assert Spool(tmp_path).file_count == count
