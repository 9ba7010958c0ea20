"""The benchmark of what is promised within a time: cancelling, and telling the MoM of changes.

A MoM and two members run as they are served, with the heartbeats of their defaults. Statements that
would run for very long are cancelled in each of the ways there are, and the member's process is
watched until it works no more. Then the member's tables are changed in each of the ways there are,
and the MoM is asked until it says so.
"""

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from typing import Final
from uuid import uuid4

import pyarrow as pa

from bench.errors import TooSlowError
from bench.planresults import Timing
from bench.processortime import busy_until_s, processor_time_s
from bench.promptstate import CATALOG, OWN, PromptFederation
from flight_sql import Client, Endpoint, RemoteError, Rows

STOPS: Final = "the engine works on"
REACHES: Final = "the MoM knows after"
STOP_MS: Final = 200.0
REACH_MS: Final = 1000.0
CANCEL: Final = "CancelFlightInfo"
CANCEL_JOB: Final = "CANCEL JOB at the MoM"
LEAVE: Final = "the client leaves"
LEAVE_RELAY: Final = "the client leaves the relay"
WAYS: Final = (CANCEL, CANCEL_JOB, LEAVE, LEAVE_RELAY)
CHANGES: Final = ("CREATE TABLE", "INSERT", "load by a command", "ALTER TABLE", "DROP TABLE")

_MANY = f"(select n, unnest(range(0, 100000)) as x from {OWN}) as t"
WORKS: Final[Mapping[str, str]] = {
    # With a table of the member's, so that it runs there whoever asks.
    "count": f"select count(*) as c from {OWN} "
    "union all select count(*) from generate_series(1, 1000000000000)",
    "group": f"select (n + x) % 1000 as k, count(*) as c, max(x) as m from {_MANY} group by 1",
    "sort": f"select n, x from {_MANY} order by sin(n + x) limit 1000",
    "rows": f"select n, x, n + x as y from {_MANY}",
}
_BUSY_S: Final = 0.2
_PATIENCE_S: Final = 20.0
_POLL_S: Final = 0.002
_PLACE: Final = f"{CATALOG}.told"


def prompt_steps(runs: int) -> int:
    """Return how often `measure_promptness` tells of its progress."""
    return 2 * runs


def measure_promptness(
    federation: PromptFederation,
    works: Sequence[str],
    runs: int,
    progress: Callable[[str], None],
) -> list[Timing]:
    """Measure both promises in every way; the federation runs.

    Args:
        federation: Where.
        works: Which of `WORKS` are cancelled.
        runs: How often each way of cancelling, with each work, and each change is timed.
        progress: Told what has just been done, `prompt_steps(runs)` times.

    Raises:
        TooSlowError: When a statement that is to be cancelled does not begin, or the MoM does not
            tell of a change.
    """
    seconds: dict[tuple[str, str], list[float]] = {}
    with ExitStack() as stack:
        owner = stack.enter_context(federation.owner())
        visitor = stack.enter_context(federation.visitor())
        admin = stack.enter_context(federation.admin())
        for run in range(runs):
            for work in works:
                for way in WAYS:
                    client = visitor if way == LEAVE_RELAY else owner
                    found = _cancel(federation.member_pid, way, client, admin, WORKS[work])
                    seconds.setdefault((f"{STOPS}: {work}", way), []).append(found)
            progress(f"cancelled {run + 1}")
        owner.update(f"CREATE SCHEMA {_PLACE}")
        for run in range(runs):
            for change, found in _change(federation, owner, visitor):
                seconds.setdefault((REACHES, change), []).append(found)
            progress(f"changed {run + 1}")
    return [
        Timing.of(*key, found, REACH_MS if key[0] == REACHES else STOP_MS, is_bound=True)
        for key, found in seconds.items()
    ]


class _Reading(threading.Thread):
    """Reads rows and drops them, until they end or are cancelled."""

    def __init__(self, rows: Rows) -> None:
        super().__init__(daemon=True)
        self._rows = rows

    def run(self) -> None:
        with suppress(RemoteError):
            for _ in self._rows:
                pass


def _cancel(pid: int, way: str, client: Client, admin: Client, sql: str) -> float:
    """Return for how many seconds a process works on after a statement was cancelled."""
    job = f"prompt-{uuid4().hex}"
    (endpoint,) = client.get_info(sql, headers=(("x-query-id", job),)).endpoints
    rows = client.open_ticket(endpoint.handle)
    reading = _Reading(rows)
    before = processor_time_s(pid)
    reading.start()
    _wait_until(lambda: processor_time_s(pid) - before > _BUSY_S, "did not begin")
    since = time.perf_counter()
    # Each way takes a while itself, in which the engine may end: it is part of what is timed.
    stopping = threading.Thread(
        target=_stop, args=(way, client, admin, endpoint, rows, job), daemon=True
    )
    stopping.start()
    found = busy_until_s(pid, since)
    stopping.join(_PATIENCE_S)
    reading.join(_PATIENCE_S)
    return found


def _stop(
    way: str, client: Client, admin: Client, endpoint: Endpoint, rows: Rows, job: str
) -> None:
    if way == CANCEL:
        client.cancel([endpoint])
    elif way == CANCEL_JOB:
        admin.update(f"CANCEL JOB '{job}'")
    else:
        rows.close()


def _change(
    federation: PromptFederation, owner: Client, visitor: Client
) -> list[tuple[str, float]]:
    """Change a table of its own in each way; returns how long until the MoM tells of each."""
    name, renamed = f"t{uuid4().hex[:12]}", f"r{uuid4().hex[:12]}"
    table, desk = f"{_PLACE}.{name}", federation.desk()
    rows = pa.table({"n": pa.array([1], pa.int64())}).to_batches()
    found: list[tuple[str, float]] = []

    def step(change: str, act: Callable[[], object], named: str, row_count: int | None) -> None:
        act()
        since = time.perf_counter()
        _wait_until(lambda: _told_rows(visitor, named) == row_count, "was not told")
        found.append((change, time.perf_counter() - since))

    step("CREATE TABLE", lambda: owner.update(f"CREATE TABLE {table} (n BIGINT)"), name, 0)
    step("INSERT", lambda: owner.update(f"INSERT INTO {table} VALUES (1)"), name, 1)
    step("load by a command", lambda: desk.append(table, rows), name, 2)
    rename = f"ALTER TABLE {table} RENAME TO {renamed}"
    step("ALTER TABLE", lambda: owner.update(rename), renamed, 2)
    step("DROP TABLE", lambda: owner.update(f"DROP TABLE {_PLACE}.{renamed}"), renamed, None)
    return found


def _told_rows(client: Client, name: str) -> int | None:
    """Return how many rows the MoM says a table has; None when it knows of none."""
    sql = f"select row_count from system.federation.tables where table_name = '{name}'"
    counts = client.query(sql).read_all()["row_count"].to_pylist()
    return int(counts[0]) if counts else None


def _wait_until(is_so: Callable[[], bool], fault: str) -> None:
    until = time.monotonic() + _PATIENCE_S
    while not is_so():
        if time.monotonic() > until:
            raise TooSlowError(f"what was to be measured {fault} in {_PATIENCE_S:g} s")
        time.sleep(_POLL_S)
