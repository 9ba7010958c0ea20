"""A lease over PostgreSQL: one holder, who learns in time that it is not one any more."""

import threading
import time
from collections.abc import Iterator
from uuid import uuid4

import pytest

from flight_member import statestore
from flight_member.errors import FencedError, OutcomeUnknownError, StateUnavailableError
from flight_member.lease import Lease, begun_under, guard_changes
from flight_member.leasestore import LeaseStore
from flight_member.statestore import Database
from storage.lastlook import take_last_look
from tests.databases import PostgresServer
from tests.ha.databases import open_direct, open_through
from tests.proxy import Line, Proxy
from tests.waiting import wait_until

pytestmark = pytest.mark.ha
TTL_S = 1.0
LEADER = "leader"


class Ticks:
    def __init__(self) -> None:
        self.passed_s = 0.0

    def __call__(self) -> float:
        return time.monotonic() + self.passed_s


@pytest.fixture
def name() -> str:
    return f"lease_{uuid4().hex}"


@pytest.fixture
def database(postgresql: PostgresServer, name: str) -> Iterator[Database]:
    database = open_direct(postgresql, name)
    yield database
    database.close()


@pytest.fixture
def far(line: Proxy, postgresql: PostgresServer, name: str) -> Iterator[Database]:
    """The same database, as a server sees it whose line can be cut."""
    database = open_through(line, postgresql, name)
    yield database
    line.set(Line.PASS)
    database.close()


def make_lease(database: Database, holder: str, ttl_s: float = TTL_S) -> Lease:
    return Lease(database, LEADER, holder, ttl_s, Ticks())


def count_leases(database: Database) -> int:
    with database.read() as connection:
        return int(LeaseStore(connection).find("written") is not None)


def write(database: Database) -> None:
    with database.change() as connection:
        LeaseStore(connection).take("written", "test", 60, is_restart=False)


def test_one_holds_it_until_it_lapses(database: Database) -> None:
    first, second = make_lease(database, "a"), make_lease(database, "b")
    first.tend()
    second.tend()
    assert (first.is_held, second.is_held) == (True, False)
    assert second.seen is not None
    assert second.seen.holder == "a"
    deadline = time.monotonic() + TTL_S + 20
    while not second.is_held:
        time.sleep(second.tend())
        assert time.monotonic() < deadline
    assert not first.is_held
    assert second.number > first.number


def test_renewing_keeps_the_number(database: Database) -> None:
    lease, other = make_lease(database, "a"), make_lease(database, "b")
    lease.tend()
    number = lease.number
    until = time.monotonic() + 2 * TTL_S
    while time.monotonic() < until:
        time.sleep(lease.tend() / 4)
        other.tend()
    assert (lease.is_held, lease.number, other.is_held) == (True, number, False)


def test_holder_that_stops_in_order_is_not_waited_for(database: Database) -> None:
    first, second = make_lease(database, "a", 60), make_lease(database, "b", 60)
    first.tend()
    first.give_up()
    second.tend()
    assert (first.is_held, second.is_held) == (False, True)


def test_holder_that_was_started_again_need_not_wait_for_itself(database: Database) -> None:
    before, after = make_lease(database, "a", 60), make_lease(database, "a", 60)
    before.tend()
    after.tend()
    assert after.is_held
    before.tend()
    assert not before.is_held
    assert after.number > before.number


def test_of_many_at_once_one_gets_it(database: Database) -> None:
    leases = [make_lease(database, f"holder{number}", 60) for number in range(8)]
    threads = [threading.Thread(target=lease.tend) for lease in leases]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert sum(lease.is_held for lease in leases) == 1


def test_what_was_begun_before_it_lapsed_is_not_written(database: Database) -> None:
    lease = make_lease(database, "a")
    guard_changes(database)
    lease.tend()
    with begun_under(lease):
        with database.aside() as connection:
            LeaseStore(connection).give_up(LEADER, "a", lease.number)
        # As after a pause: it wakes, and is the holder again before the work goes on.
        lease.tend()
        wait_until(lambda: bool(lease.tend()) and lease.is_held)
        with pytest.raises(FencedError):
            write(database)
        with pytest.raises(FencedError):
            take_last_look()
    assert not count_leases(database)
    with begun_under(lease):
        take_last_look()
        write(database)
    assert count_leases(database)


def test_nothing_is_begun_without_it(database: Database) -> None:
    lease = make_lease(database, "a")
    with pytest.raises(FencedError), begun_under(lease):
        write(database)
    assert not count_leases(database)


def test_what_was_begun_under_no_lease_is_let_through(database: Database) -> None:
    guard_changes(database)
    write(database)
    assert count_leases(database)


@pytest.mark.parametrize("how", [Line.CUT, Line.BLACKHOLE, Line.HALF_OPEN])
def test_who_is_cut_off_steps_down_before_another_takes_over_and_comes_back(
    database: Database, far: Database, line: Proxy, how: Line
) -> None:
    cut_off, other = make_lease(far, "a"), make_lease(database, "b")
    cut_off.tend()
    line.set(how)
    cut_at = time.monotonic()
    stepped_down: list[bool] = []

    def take_over() -> None:
        while not other.is_held:
            pause_s = other.tend()
            # Asked in this order: who steps down after the other took over would be seen.
            if other.is_held:
                stepped_down.append(not cut_off.is_held)
            time.sleep(pause_s)

    thread = threading.Thread(target=take_over)
    thread.start()
    with pytest.raises(StateUnavailableError):
        cut_off.tend()
    # A database that does not answer keeps nobody for long.
    assert time.monotonic() - cut_at < 20
    thread.join(20)
    assert stepped_down == [True]
    line.set(Line.PASS)
    other.give_up()

    def is_back() -> bool:
        try:
            cut_off.tend()
        except StateUnavailableError:
            return False
        return cut_off.is_held

    wait_until(is_back, 30)
    assert cut_off.number > other.number


def test_change_that_is_left_alone_keeps_nobody_waiting(
    database: Database, far: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(statestore, "_PAUSE_S", 0.5)

    def pause_in_a_change() -> None:
        with far.change() as connection:
            LeaseStore(connection).take("written", "test", 60, is_restart=False)
            other = make_lease(database, "b")
            other.tend()
            assert other.is_held

    with pytest.raises(StateUnavailableError):
        pause_in_a_change()
    assert not count_leases(database)


def test_change_whose_end_was_lost_is_not_called_undone(
    database: Database, far: Database, line: Proxy
) -> None:
    def lose_the_end() -> None:
        with far.change() as connection:
            LeaseStore(connection).take("written", "test", 60, is_restart=False)
            # What the client says arrives, the answer does not.
            line.set(Line.HALF_OPEN)
            threading.Timer(1.0, line.set, (Line.CUT,)).start()

    with pytest.raises(OutcomeUnknownError):
        lose_the_end()
    assert count_leases(database)
