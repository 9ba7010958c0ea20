"""Handlers of heartbeats: called in order, and none of them in the way of another."""

import json
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from flight_member.configuration import load_settings
from flight_member.errors import ConfigurationError
from flight_member.noderow import PERF_SCHEMA, NodeRow
from flight_mom.handlerloading import check_heartbeats, load_handlers
from flight_mom.handling import HandlerThread, Handling
from flight_mom.pulse import Pulse
from flight_mom.settings import MomSettings
from tests.flight_member.factories import Clock
from tests.flight_member.test_noderow import FIRST_VERSION
from tests.flight_mom.factories import MOM
from tests.waiting import wait_until

ROW = NodeRow(**FIRST_VERSION)
WAIT_S = 20


class Handlers:
    """A pulse whose rows are handed over at once, instead of once a second."""

    def __init__(self, *handlers: Callable[[pa.Table], object], max_row_count: int = 1000) -> None:
        self.pulse = Pulse(Clock())
        self.threads = [
            HandlerThread(str(index), handler, Clock(), max_row_count=max_row_count)
            for index, handler in enumerate(handlers)
        ]
        self.handling = Handling(self.pulse.take, self.threads)
        for thread in self.threads:
            thread.start()

    def beat(self, cluster: str = "a") -> None:
        self.pulse.note(cluster, (ROW,))
        self.handling._hand_over()


@pytest.fixture
def release() -> Iterator[threading.Event]:
    """What a handler that blocks waits for; it always ends with the test."""
    event = threading.Event()
    yield event
    event.set()


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A handler is waited for however busy the machine is."""
    monkeypatch.setattr("flight_mom.handling._PATIENCE_S", WAIT_S)


@pytest.mark.usefixtures("patient")
def test_handlers_get_the_rows_as_a_table_one_after_the_other() -> None:
    calls: list[tuple[str, pa.Table]] = []
    handlers = Handlers(
        lambda rows: calls.append(("1", rows)), lambda rows: calls.append(("2", rows))
    )
    for cluster in ("a", "b", "c"):
        handlers.beat(cluster)
    assert [name for name, _ in calls] == ["1", "2"] * 3
    assert [rows["cluster_name"].to_pylist() for _, rows in calls[::2]] == [["a"], ["b"], ["c"]]
    assert all(rows.schema == PERF_SCHEMA for _, rows in calls)


@pytest.mark.usefixtures("patient")
@pytest.mark.parametrize("raised", [ValueError("no"), SystemExit(1), KeyboardInterrupt()])
def test_handler_that_raises_is_counted_and_stops_nobody(raised: BaseException) -> None:
    seen: list[int] = []

    def fail(_rows: pa.Table) -> None:
        raise raised

    handlers = Handlers(fail, lambda rows: seen.append(rows.num_rows))
    for _ in range(3):
        handlers.beat()
    assert seen == [1, 1, 1]
    assert [thread.failed_count for thread in handlers.threads] == [3, 0]
    assert [thread.call_count for thread in handlers.threads] == [3, 3]


def test_handler_that_blocks_delays_no_other_and_gets_the_rest_at_once(
    release: threading.Event,
) -> None:
    seen: list[int] = []
    sizes: list[int] = []

    def block(rows: pa.Table) -> None:
        sizes.append(rows.num_rows)
        release.wait(60)

    handlers = Handlers(block, lambda rows: seen.append(rows.num_rows))
    for _ in range(5):
        handlers.beat()
    wait_until(lambda: seen == [1] * 5, WAIT_S)
    blocked = handlers.threads[0]
    assert (sizes, blocked.waiting_row_count) == ([1], 4)
    assert blocked.busy_since is not None
    release.set()
    wait_until(lambda: sizes == [1, 4], WAIT_S)


def test_of_what_waits_for_a_handler_the_oldest_is_dropped_and_counted(
    release: threading.Event,
) -> None:
    seen: list[list[str]] = []

    def block(rows: pa.Table) -> None:
        seen.append(rows["cluster_name"].to_pylist())
        release.wait(60)

    handlers = Handlers(block, max_row_count=3)
    for number in range(10):
        handlers.beat(f"c{number}")
    assert handlers.threads[0].dropped_row_count == 6
    release.set()
    wait_until(lambda: seen == [["c0"], ["c7", "c8", "c9"]], WAIT_S)


def test_nothing_that_came_is_left_when_the_server_stops() -> None:
    seen: list[int] = []
    pulse = Pulse(Clock())
    thread = HandlerThread("1", lambda rows: seen.append(rows.num_rows), Clock(), max_row_count=9)
    handling = Handling(pulse.take, [thread])
    handling.start()
    pulse.note("a", (ROW, ROW))
    handling.stop()
    assert seen == [2]


def test_heartbeats_that_nobody_takes_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("flight_mom.pulse._MAX_PENDING", 2)
    pulse = Pulse(Clock())
    for _ in range(5):
        pulse.note("a", (ROW,))
    beats, left_out = pulse.take()
    assert (len(beats), left_out) == (2, 3)
    assert pulse.take() == ([], 0)


def test_member_that_beats_too_often_is_handed_on_as_often_as_it_should() -> None:
    clock = Clock()
    pulse = Pulse(clock, least_gap_s=2.5)
    for _ in range(100):
        pulse.note("hasty", (ROW,))
        pulse.note("other", (ROW,))
        clock.move(0.1)
    clusters = [cluster for cluster, _, _ in pulse.take()[0]]
    assert (clusters.count("hasty"), clusters.count("other")) == (4, 4)
    clock.move(-3600)
    pulse.note("hasty", (ROW,))
    assert len(pulse.take()[0]) == 1


@pytest.mark.parametrize(
    "setting, value, says",
    [
        ("data_node", "n7", "heartbeat.data_node: there is no node n7; the MoM has one"),
        ("table", "perf", "heartbeat.table: write catalog.schema.table"),
        ("table", "a.b.c@hangzhou", "heartbeat.table: write catalog.schema.table"),
        ("table", "system.federation.perf", "heartbeat.table: write catalog.schema.table"),
        ("table", "1.2.3", "heartbeat.table: "),
        ("keep_days", 0, "heartbeat.keep_days: "),
    ],
)
def test_wrong_table_or_node_is_a_fault_that_says_where_it_was_set(
    tmp_path: Path, setting: str, value: object, says: str
) -> None:
    file = tmp_path / "mom.toml"
    file.write_text(f"[heartbeat]\n{setting} = {json.dumps(value)}\n")
    flags: dict[str, Any] = {"cluster.name": MOM, "state.directory": str(tmp_path)}
    with pytest.raises(ConfigurationError) as refused:
        check_heartbeats(load_settings(MomSettings, file, flags))
    (fault,) = refused.value.faults
    assert fault.startswith(says)
    assert fault.endswith("(file mom.toml)")


@pytest.mark.parametrize("node", ["", MOM])
def test_node_of_the_table_is_the_mom_itself(tmp_path: Path, node: str) -> None:
    flags = {
        "cluster.name": MOM,
        "state.directory": str(tmp_path),
        "heartbeat.data_node": node,
        "heartbeat.table": "Monitor.Perf.Rows",
    }
    loaded = load_settings(MomSettings, None, flags)
    check_heartbeats(loaded)
    assert loaded.settings.heartbeat.table == "monitor.perf.rows"


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """The folder of a MoM that holds the modules of handlers."""
    folder = tmp_path / "handlers"
    folder.mkdir()
    yield folder
    sys.path[:] = [entry for entry in sys.path if entry != str(folder)]


def test_handler_is_found_in_the_folder_of_the_mom(folder: Path) -> None:
    (folder / "found_in_folder.py").write_text("def count(rows):\n    return rows.num_rows\n")
    ((name, handler),) = load_handlers(["found_in_folder:count"], folder.parent, {})
    assert (name, handler(pa.table({"a": [1, 2]}))) == ("found_in_folder:count", 2)


@pytest.mark.parametrize(
    "name, says",
    [
        ("nothing", "'nothing' is none: write module:function"),
        ("a:b:c", "is none"),
        ("os.path:", "is none"),
        ("no_such_module:f", "the module cannot be imported: ModuleNotFoundError"),
        ("json:nothing", "the module json has no nothing"),
        ("math:pi", "math:pi is no function"),
        ("raises_when_imported:f", "the module cannot be imported: ZeroDivisionError"),
    ],
)
def test_wrong_handler_is_a_fault_that_says_where_it_was_set(
    folder: Path, name: str, says: str
) -> None:
    (folder / "raises_when_imported.py").write_text("1 / 0\n")
    file = folder.parent / "mom.toml"
    file.write_text(f'[heartbeat]\nhandlers = ["json:dumps", "{name}"]\n')
    flags: dict[str, Any] = {"cluster.name": MOM, "state.directory": str(folder.parent)}
    loaded = load_settings(MomSettings, file, flags)
    with pytest.raises(ConfigurationError) as refused:
        check_heartbeats(loaded)
    (fault,) = refused.value.faults
    assert fault.startswith("heartbeat.handlers: ")
    assert says in fault
    assert fault.endswith("(file mom.toml)")


def test_handler_that_stands_twice_is_a_fault(folder: Path) -> None:
    with pytest.raises(ConfigurationError, match="json:dumps stands twice"):
        load_handlers(["json:dumps", "json:loads", "json:dumps"], folder.parent, {})
