"""`flight-member load` as somebody types it: shows the columns, asks, and does what it is told."""

import os
import pty
import select
import subprocess
import sys
import time
from pathlib import Path

import pyarrow as pa
import pyarrow.csv
import pytest

from flight_member.configuration import load_settings
from flight_member.memberhome import MemberHome
from flight_member.settings import MemberSettings
from flight_member.tables import TableDesk
from storage.metastore import Table

TABLE = "trading.stock.quote"
_BOUND_S = 60
_ENV = {"COLUMNS": "100", "TERM": "xterm"}
# A terminal that a session's first process opens is that session's: what is typed there, as
# Ctrl-C, reaches the command as it reaches one in a shell.
_AT_TERMINAL = ("/bin/sh", "-c", 'exec "$@" < "$0" > "$0" 2>&1')
_QUESTION = f"load them into {TABLE}? [y/N]:"
_CTRL_C = "\x03"


@pytest.fixture
def home(tmp_path: Path) -> MemberHome:
    flags = {"cluster.name": "shanghai", "state.directory": str(tmp_path / "shanghai")}
    home = MemberHome(load_settings(MemberSettings, None, flags).settings)
    MemberHome.create(home.settings)
    return home


@pytest.fixture
def quotes(tmp_path: Path) -> Path:
    file = tmp_path / "quotes.csv"
    pa.csv.write_csv(pa.table({"symbol": ["A", "B"], "bid": [1.5, 2.5]}), file)
    return file


def load(home: MemberHome, *arguments: str, typed: str) -> tuple[int, str]:
    """Run the command at a terminal, and type something when it asks.

    Returns:
        Its exit code, and everything that the terminal showed.
    """
    screen, terminal = pty.openpty()
    command = [sys.executable, "-m", "flight_member", "load", TABLE, *arguments]
    command += ["--dir", str(home.directory)]
    process = subprocess.Popen(  # noqa: S603  our own module
        [*_AT_TERMINAL, os.ttyname(terminal), *command],
        env={**os.environ, **_ENV},
        start_new_session=True,
    )
    try:
        return _converse(process, screen, typed)
    finally:
        process.kill()
        process.wait(_BOUND_S)
        os.close(screen)
        os.close(terminal)


def _converse(process: "subprocess.Popen[bytes]", screen: int, typed: str) -> tuple[int, str]:
    shown, is_answered = "", False
    deadline = time.monotonic() + _BOUND_S
    # Not `select`: among many open files the number of this one may be too large for it.
    waiting = select.poll()
    waiting.register(screen, select.POLLIN)
    while True:
        code = process.poll()
        while any(event & select.POLLIN for _, event in waiting.poll(50)):
            shown += os.read(screen, 4096).decode()
        if code is not None:
            return code, shown
        if _QUESTION in shown and not is_answered:
            os.write(screen, typed.encode())
            is_answered = True
        assert time.monotonic() < deadline, shown


def loaded(home: MemberHome) -> Table | None:
    return TableDesk.open(home).find(TABLE)


def left_behind(home: MemberHome) -> list[Path]:
    """Return the folders of tables that are there."""
    tables = home.tables_directory
    return [one for one in tables.glob("[0-9a-f]*") if one.is_dir()]


def test_columns_are_shown_and_loaded_when_the_answer_is_yes(
    home: MemberHome, quotes: Path
) -> None:
    code, shown = load(home, str(quotes), "--partition-by", "symbol", typed="y\n")
    assert code == 0, shown
    before, _, after = shown.partition(_QUESTION)
    for word in ("symbol", "string", "bid", "double", "partition"):
        assert word in before
    assert f"loaded {TABLE}@shanghai: 2 rows in 2 files" in after
    table = loaded(home)
    assert table is not None
    assert table.row_count == 2


@pytest.mark.parametrize("typed", ["\n", _CTRL_C], ids=["nothing", "Ctrl-C"])
def test_nothing_is_made_or_lost_when_the_answer_is_not_yes(
    home: MemberHome, quotes: Path, typed: str
) -> None:
    code, shown = load(home, str(quotes), typed=typed)
    assert code != 0
    assert _QUESTION in shown
    assert "Traceback" not in shown
    assert "loaded" not in shown
    assert loaded(home) is None
    assert left_behind(home) == []
    assert quotes.read_text("utf-8").count("\n") == 3


def test_appending_is_asked_about_as_well_and_leaves_the_table_as_it_was(
    home: MemberHome, quotes: Path
) -> None:
    desk = TableDesk.open(home)
    rows = pa.csv.read_csv(quotes)
    before = desk.load_batches(
        TABLE, iter(rows.to_batches()), partition_by=(), progress=lambda _: None
    )
    code, _ = load(home, str(quotes), "--append", typed="n\n")
    assert code == 1
    assert loaded(home) == before
