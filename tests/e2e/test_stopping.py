"""Servers that are told to stop while streams run: what their clients see, and how they end."""

import signal
import threading
import time
from collections.abc import Callable, Iterator

import pytest
from adbc_driver_flightsql import dbapi

from flight_mom.demo.federation import HANGZHOU, MOM, SHANGHAI, DemoFederation
from flight_sql import REUSE_CONNECTION, CancelStatus, Client, RemoteError, Rows
from tests.e2e.federation import (
    ADMIN,
    COUNT_FLIGHTS,
    FLIGHTS_AT,
    READER,
    count,
    environment,
    kill,
    make_federation,
    restart,
    wait_for_end,
)
from tests.waiting import wait_until

DRAIN_S = 3.0
CLOSING_S = 4.0
ROW_COUNT = 8_000_000
# More than fits into what lies between a server and a client that does not read.
LONG = f"select value from generate_series(1, {ROW_COUNT})"
COUNTING = "select count(*) as n from generate_series(1, 1000000000000)"


@pytest.fixture(scope="module")
def stoppable(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DemoFederation]:
    """A federation of its own, whose servers are told to stop and started again."""
    federation = make_federation(tmp_path_factory.mktemp("stoppable"))
    short = {
        "FLIGHT_MOM_SERVER__DRAIN_TIMEOUT_S": str(DRAIN_S),
        "FLIGHT_MEMBER_SERVER__DRAIN_TIMEOUT_S": str(DRAIN_S),
    }
    with environment(short), federation.running():
        yield federation


class Reading:
    """A stream read in a thread of its own, and how it ended."""

    def __init__(self, rows: Rows) -> None:
        self.row_count = 0
        self.error: RemoteError | None = None
        self._rows = rows
        self._thread = threading.Thread(target=self._read)
        self._thread.start()

    def _read(self) -> None:
        try:
            for batch in self._rows:
                self.row_count += batch.num_rows
        except RemoteError as error:
            self.error = error

    def wait(self) -> None:
        self._thread.join(DRAIN_S + CLOSING_S + 20)
        assert not self._thread.is_alive()


def reader(federation: DemoFederation, at: str) -> Client:
    user, cluster = ("user2", HANGZHOU) if at == HANGZHOU else ("user1", SHANGHAI)
    return federation.client(user, cluster, at=at)


def refused(ask: Callable[[], object]) -> RemoteError:
    """Return the refusal of a call that is made again and again until it is refused."""
    deadline = time.monotonic() + DRAIN_S + 10
    while time.monotonic() < deadline:
        try:
            ask()
        except RemoteError as error:
            return error
    raise AssertionError("nothing was refused")


@pytest.mark.parametrize("cluster", [MOM, HANGZHOU])
def test_server_lets_streams_end_in_time_and_ends_the_rest(
    stoppable: DemoFederation, cluster: str
) -> None:
    process = stoppable.processes[cluster].process
    with reader(stoppable, cluster) as client:
        ending = client.query(LONG)
        first = next(ending).num_rows
        unread = client.query(LONG)
        endless = Reading(client.query(COUNTING))
        told_at = time.monotonic()
        process.send_signal(signal.SIGTERM)
        error = refused(client.catalogs)
        assert (error.code, error.status, error.retryable) == (
            "cluster-unavailable",
            "UNAVAILABLE",
            True,
        )
        assert "stopping" in error.text
        assert first + ending.read_all().num_rows == ROW_COUNT
        endless.wait()
        assert time.monotonic() - told_at > DRAIN_S / 2
        assert endless.error is not None
        assert (endless.error.code, endless.error.status) == ("cluster-unavailable", "UNAVAILABLE")
        assert "stopping" in endless.error.text
        assert wait_for_end(stoppable, cluster, DRAIN_S + CLOSING_S + 20) == 0
        assert time.monotonic() - told_at < DRAIN_S + CLOSING_S + 5
        del unread
    restart(stoppable, cluster)


def test_member_that_stops_lets_relayed_streams_end_in_time_too(stoppable: DemoFederation) -> None:
    process = stoppable.processes[SHANGHAI].process
    with reader(stoppable, MOM) as client:
        # What reads no table runs at the caller's home, and is relayed.
        ending = client.query(LONG)
        first = next(ending).num_rows
        endless = Reading(client.query(COUNTING))
        process.send_signal(signal.SIGTERM)
        error = refused(lambda: client.query(f"select 1 as one from ({LONG}) limit 1").read_all())
        assert (error.code, error.status, error.retryable) == (
            "cluster-unavailable",
            "UNAVAILABLE",
            True,
        )
        assert SHANGHAI in error.text
        assert first + ending.read_all().num_rows == ROW_COUNT
        endless.wait()
        assert endless.error is not None
        assert (endless.error.code, endless.error.status) == ("cluster-unavailable", "UNAVAILABLE")
        assert SHANGHAI in endless.error.text
        assert wait_for_end(stoppable, SHANGHAI, DRAIN_S + CLOSING_S + 20) == 0
        # The MoM itself goes on.
        assert client.catalogs()
    restart(stoppable, SHANGHAI)


def test_second_signal_ends_streams_at_once(stoppable: DemoFederation) -> None:
    kill(stoppable, HANGZHOU)
    with environment({"FLIGHT_MEMBER_SERVER__DRAIN_TIMEOUT_S": "120"}):
        restart(stoppable, HANGZHOU)
    process = stoppable.processes[HANGZHOU].process
    with reader(stoppable, HANGZHOU) as client:
        endless = Reading(client.query(COUNTING))
        process.send_signal(signal.SIGTERM)
        assert "stopping" in refused(client.catalogs).text
        assert process.poll() is None
        process.send_signal(signal.SIGINT)
        assert wait_for_end(stoppable, HANGZHOU, 30) == 0
        endless.wait()
        assert endless.error is not None
        assert endless.error.code == "cluster-unavailable"
    restart(stoppable, HANGZHOU)


def test_dead_location_costs_no_answer_and_a_dead_member_is_not_said_to_have_stopped(
    stoppable: DemoFederation,
) -> None:
    kwargs = {"username": READER, "password": stoppable.password("user1")}
    with (
        stoppable.client(ADMIN, MOM, at=MOM) as admin,
        reader(stoppable, MOM) as client,
        dbapi.connect(stoppable.uri(MOM), db_kwargs=kwargs, autocommit=True) as connection,
        connection.cursor() as cursor,
    ):
        admin.update(f"GRANT TABLE_READ ON {FLIGHTS_AT} TO {READER}")
        wait_until(lambda: answers(client), 30)
        info = client.get_info(COUNT_FLIGHTS)
        assert info.endpoints[0].locations == (stoppable.uri(HANGZHOU), REUSE_CONNECTION)
        (partition,), _ = cursor.adbc_execute_partitions(COUNT_FLIGHTS)
        kill(stoppable, HANGZHOU)
        assert client.cancel(info.endpoints) is CancelStatus.CANCELLING
        restart(stoppable, HANGZHOU)
        assert stoppable.uri(HANGZHOU) not in info.endpoints[0].locations
        wait_until(lambda: answers(client), 30)
        # Its first location is dead for good: the same connection has the rows.
        cursor.adbc_read_partition(partition)
        assert cursor.fetchall() == [(4_000,)]
        assert client.cancel(info.endpoints) is CancelStatus.CANCELLED


def answers(client: Client) -> bool:
    try:
        return count(client, COUNT_FLIGHTS) == 4_000
    except RemoteError:
        return False
