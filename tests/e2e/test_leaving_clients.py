"""Clients that leave while a statement runs: the work for them ends, whichever way it came.

What is promised is 200 ms; what is asserted leaves room for a machine that does other things.
"""

import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import psutil
import pytest
from adbc_driver_flightsql import DatabaseOptions, dbapi
from pyarrow import flight

from flight_mom.demo.federation import HANGZHOU, MOM, DemoFederation
from flight_sql import Client, RemoteError
from flight_sql.messages import statement_ticket
from tests.e2e.federation import FLIGHTS_AT, READER
from tests.e2e.fetching import ended

# It reads a table of hangzhou, and would then count for a quarter of an hour.
COUNTING = (
    f"select count(*) as n from {FLIGHTS_AT} "
    "union all select count(*) from generate_series(1, 1000000000000)"
)
HEADER = DatabaseOptions.RPC_CALL_HEADER_PREFIX.value
ENDS_WITHIN_S = 2.0
Leaving = Callable[[DemoFederation, Client, str, str], Any]


def _elsewhere(federation: DemoFederation, client: Client, route: str) -> str:
    return federation.uri(HANGZHOU) if route == "direct" else client.uri


def _ticket(client: Client, route: str, query_id: str) -> Any:
    headers = (("x-route", route), ("x-query-id", query_id))
    (endpoint,) = client.get_info(COUNTING, headers=headers).endpoints
    return flight.Ticket(statement_ticket(endpoint.handle))


def _read_to_the_end(reader: Any) -> None:
    with suppress(StopIteration):
        while True:
            reader.read_chunk()


def _in_a_thread(read: Callable[[], object]) -> threading.Thread:
    def run() -> None:
        with suppress(Exception):
            read()

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    return thread


@contextmanager
def adbc_cancel(
    federation: DemoFederation, client: Client, route: str, query_id: str
) -> Iterator[Callable[[], None]]:
    """`adbc_cancel` from another thread than the one that waits for rows."""
    kwargs = {
        "username": READER,
        "password": federation.password("user1"),
        f"{HEADER}x-route": route,
        f"{HEADER}x-query-id": query_id,
    }
    with (
        dbapi.connect(client.uri, db_kwargs=kwargs, autocommit=True) as connection,
        connection.cursor() as cursor,
    ):

        def read() -> None:
            cursor.execute(COUNTING)
            cursor.fetch_arrow_table()

        thread = _in_a_thread(read)
        yield cursor.adbc_cancel
        thread.join(10)


@contextmanager
def closed_connection(
    federation: DemoFederation, client: Client, route: str, query_id: str
) -> Iterator[Callable[[], None]]:
    """A reader of pyarrow's that is cancelled and whose connection is closed."""
    ticket = _ticket(client, route, query_id)
    options = flight.FlightCallOptions(
        headers=[(b"authorization", f"Bearer {client.token}".encode())]
    )
    with flight.FlightClient(_elsewhere(federation, client, route)) as raw:
        reader = raw.do_get(ticket, options)
        thread = _in_a_thread(lambda: _read_to_the_end(reader))

        def leave() -> None:
            reader.cancel()
            raw.close()

        yield leave
        thread.join(10)


@contextmanager
def deadline(
    federation: DemoFederation, client: Client, route: str, query_id: str
) -> Iterator[Callable[[], None]]:
    """A deadline that the client set for its call, and that passes."""
    ticket = _ticket(client, route, query_id)
    options = flight.FlightCallOptions(
        timeout=1.5, headers=[(b"authorization", f"Bearer {client.token}".encode())]
    )
    with flight.FlightClient(_elsewhere(federation, client, route)) as raw:
        reader = raw.do_get(ticket, options)
        failures: list[Exception] = []

        def read() -> None:
            try:
                _read_to_the_end(reader)
            except flight.FlightTimedOutError as error:
                failures.append(error)

        thread = _in_a_thread(read)

        def leave() -> None:
            thread.join(10)
            assert failures

        yield leave


@contextmanager
def killed_process(
    federation: DemoFederation, client: Client, route: str, query_id: str
) -> Iterator[Callable[[], None]]:
    """A client whose process is killed."""
    del federation
    arguments = (client.uri, str(client.token), route, query_id)
    with subprocess.Popen(  # noqa: S603  our own module
        [sys.executable, "-m", "tests.e2e.leaver", *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(COUNTING)
        process.stdin.close()
        assert process.stdout.readline() == "reading\n"
        yield process.kill


@pytest.mark.usefixtures("granted")
@pytest.mark.parametrize("route", ["relay", "direct"])
@pytest.mark.parametrize("way", [adbc_cancel, closed_connection, deadline, killed_process])
def test_work_at_the_member_ends_with_its_client(
    federation: DemoFederation, at_mom: Client, way: Leaving, route: str
) -> None:
    query_id = f"left-{way.__name__}-{route}-{time.monotonic_ns()}"
    member = psutil.Process(federation.processes[HANGZHOU].process.pid)
    with way(federation, at_mom, route, query_id) as leave:
        _wait_until_busy(member)
        assert ended(federation, HANGZHOU, query_id) == []
        leave()
        left_at = time.monotonic()
        while not ended(federation, HANGZHOU, query_id):
            assert time.monotonic() - left_at < ENDS_WITHIN_S
            time.sleep(0.01)
        assert ended(federation, HANGZHOU, query_id) == ["cancelled"]
        time.sleep(0.2)
        assert _cpu_share(member, 1.0) < 0.3
    assert federation.processes[MOM].process.poll() is None


def test_nobody_waits_for_a_home_statement_that_is_left(
    federation: DemoFederation, at_home: Client
) -> None:
    sql = "select count(*) as n from generate_series(1, 1000000000000)"
    query_id = f"left-home-{time.monotonic_ns()}"
    rows = at_home.query(sql, headers=(("x-query-id", query_id),))
    time.sleep(0.3)
    rows.close()
    left_at = time.monotonic()
    while ended(federation, "shanghai", query_id) != ["cancelled"]:
        assert time.monotonic() - left_at < ENDS_WITHIN_S
        time.sleep(0.01)
    with pytest.raises((RemoteError, StopIteration)):
        next(rows)


def _wait_until_busy(process: psutil.Process) -> None:
    give_up_at = time.monotonic() + 20
    while _cpu_share(process, 0.3) < 0.1:
        assert time.monotonic() < give_up_at


def _cpu_share(process: psutil.Process, seconds: float) -> float:
    before = sum(process.cpu_times()[:2])
    time.sleep(seconds)
    return float(sum(process.cpu_times()[:2]) - before) / seconds
