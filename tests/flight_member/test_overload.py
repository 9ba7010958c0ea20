"""A member whose places are few, asked by several users over the wire."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest

from flight_member.server import MemberServer
from flight_sql import Client, RemoteError, Rows
from tests.flight_member.factories import PASSWORD, QUOTE, add_user, load_quotes, make_home
from tests.waiting import wait_until

COUNT = f"select count(*) as n from {QUOTE}"
ENDLESS = "select count(*) as n from generate_series(1, 1000000000000)"
LIMITS = {
    "limits__max_running": 2,
    "limits__max_running_per_user": 1,
    "limits__max_queued": 2,
    "limits__slow_reader_s": 0.5,
}


@pytest.fixture
def server(tmp_path: Path) -> Iterator[MemberServer]:
    home = make_home(tmp_path / "shanghai", **LIMITS)
    load_quotes(home)
    for user in ("user1", "user2"):
        add_user(home, user)
    server = MemberServer(home.settings)
    server.start()
    yield server
    server.stop(1)


@pytest.fixture
def clients(server: MemberServer) -> Iterator[tuple[Client, Client]]:
    """user1 and user2."""
    with Client(server._flight.uri) as one, Client(server._flight.uri) as other:
        one.sign_in("user1", PASSWORD)
        other.sign_in("user2", PASSWORD)
        yield one, other


@pytest.fixture
def threads(server: MemberServer) -> Iterator[ThreadPoolExecutor]:
    del server
    with ThreadPoolExecutor(8) as threads:
        yield threads


def test_one_users_burst_waits_and_is_refused_and_others_are_answered(
    server: MemberServer, clients: tuple[Client, Client], threads: ThreadPoolExecutor
) -> None:
    greedy, modest = clients
    with ExitStack() as stack:
        stack.enter_context(greedy.query(ENDLESS))
        waiting = [threads.submit(greedy.query, ENDLESS) for _ in range(2)]
        wait_until(lambda: server._admission.queued == 2)
        with pytest.raises(RemoteError, match="1 of your statements run here and 2 wait") as caught:
            greedy.query(COUNT)
        assert (caught.value.code, caught.value.retryable) == ("overloaded", True)
        assert modest.query(COUNT).read_all().to_pylist() == [{"n": 100}]
        rows = greedy.query("SHOW JOBS").read_all().to_pylist()
        assert sorted(row["state"] for row in rows if row["kind"] == "query")[-3:] == [
            *("queued", "queued", "running")
        ]
        for row in rows:
            if row["state"] in {"queued", "running"} and row["kind"] == "query":
                greedy.query(f"CANCEL JOB '{row['job_id']}'").read_all()
        for one in waiting:
            with pytest.raises(RemoteError, match=r"^cancelled"):
                _read(one.result(20))
    wait_until(lambda: not server._admission.running)
    assert server._admission.queued == 0


def test_reader_who_takes_nothing_makes_room(
    server: MemberServer, clients: tuple[Client, Client]
) -> None:
    one, _ = clients
    slow = server._admission.enter("user1@shanghai", bool)
    slow.rest()
    assert one.query(COUNT).read_all().to_pylist() == [{"n": 100}]
    assert server._admission.lent == 1
    assert slow.go_on(bool)
    slow.leave()
    assert (server._admission.running, server._admission.lent) == (0, 0)


def _read(rows: Rows) -> None:
    rows.read_all()
