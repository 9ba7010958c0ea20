"""The files of managed tables and the metastore stay in step, whatever is killed."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pyarrow as pa
import pytest

from flight_member.memberhome import MemberHome
from flight_member.tables import TableDesk
from storage.delta import append_rows, read_state
from storage.errors import StorageError, TableExistsError
from tests.flight_member.factories import QUOTE, load_quotes, make_quotes

ROOT = Path(__file__).parents[2]
LOAD_FOR_EVER = """
import itertools, sys
from pathlib import Path
from flight_member.configuration import load_settings
from flight_member.memberhome import MemberHome
from flight_member.settings import SETTINGS_FILE, MemberSettings
from flight_member.tables import TableDesk
from tests.flight_member.factories import make_quotes

directory = Path(sys.argv[1])
flags = {"state.directory": directory}
settings = load_settings(MemberSettings, directory / SETTINGS_FILE, flags).settings
TableDesk.open(MemberHome(settings)).load_batches(
    "trading.stock.endless",
    itertools.repeat(make_quotes().to_batches()[0]),
    partition_by=("day",),
    progress=lambda rows: print(rows, flush=True),
)
"""


def folders(home: MemberHome) -> set[str]:
    return {one.name for one in home.tables_directory.iterdir() if not one.name.startswith(".")}


def test_killed_load_leaves_nothing_that_anybody_sees_and_the_next_one_clears_up(
    home: MemberHome,
) -> None:
    with subprocess.Popen(  # noqa: S603  our own interpreter and text
        [sys.executable, "-c", LOAD_FOR_EVER, str(home.directory)],
        stdout=subprocess.PIPE,
        cwd=ROOT,
    ) as loading:
        assert loading.stdout is not None
        for _ in range(3):
            assert loading.stdout.readline()
        # A load that is running is nobody's litter.
        first = load_quotes(home)
        assert len(folders(home)) == 2
        os.kill(loading.pid, signal.SIGKILL)
    desk = TableDesk.open(home)
    assert [table.id for table in desk.all()] == [first.id]
    second = load_quotes(home, "trading.stock.other")
    assert folders(home) == {first.id, second.id}


def test_metastore_catches_up_with_a_commit_that_it_was_not_told_of(home: MemberHome) -> None:
    table = load_quotes(home)
    desk = TableDesk.open(home)
    assert not desk.rescan()
    append_rows(table, make_quotes().to_batches())
    assert desk.rescan()
    (found,) = desk.all()
    assert (found.snapshot, found.row_count, found.schema_version) == ("1", 200, 1)
    assert not desk.rescan()


def test_many_threads_append_and_the_metastore_ends_with_the_newest_version(
    home: MemberHome,
) -> None:
    load_quotes(home)
    with ThreadPoolExecutor(4) as pool:
        list(
            pool.map(
                lambda _: TableDesk.open(home).append(QUOTE, make_quotes(10).to_batches()),
                range(12),
            )
        )
    (found,) = TableDesk.open(home).all()
    assert (found.snapshot, found.row_count) == ("12", 220)
    assert read_state(Path(str(found.location))).snapshot == "12"


def test_of_two_loads_of_one_name_the_second_leaves_nothing(home: MemberHome) -> None:
    desk = TableDesk.open(home)

    def rows() -> Iterator[pa.RecordBatch]:
        yield from make_quotes().to_batches()
        load_quotes(home)

    with pytest.raises(TableExistsError):
        desk.load_batches(QUOTE, rows(), partition_by=(), progress=lambda _: None)
    assert folders(home) == {table.id for table in desk.all()}


@pytest.mark.parametrize(
    "act",
    [
        lambda desk: desk.append("trading.stock.nothing", []),
        lambda desk: desk.append(QUOTE, [pa.record_batch({"symbol": ["a"]})]),
        lambda desk: desk.load_batches("a.b.c", [], partition_by=(), progress=lambda _: None),
    ],
)
def test_refused_write_changes_nothing(
    home: MemberHome, act: Callable[[TableDesk], object]
) -> None:
    table = load_quotes(home)
    with pytest.raises(StorageError):
        act(TableDesk.open(home))
    assert TableDesk.open(home).all() == [table]
    assert folders(home) == {table.id}
