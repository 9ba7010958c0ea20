"""The benchmark of a federation with very many members: what beats and reports cost its MoM.

The MoM is a process of its own, as it is served; so is one real member, whose table is asked for.
All other members are simulated: each joins, beats and reports over a connection of its own, with
its own key, through the members' own code. First all report their tables; then the MoM is watched
while they beat, and some report a changed table in each interval; then a statement is routed in
turns with beats and without; then tables are listed for somebody who may read few of them; then
the MoM is killed and started again. At last it is killed and stays away for a while, and all
members come back by themselves, with the pauses that members make.
"""

import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from statistics import mean
from typing import Any, Final

import psutil

from bench.adbc import AdbcReader, adbc_reader
from bench.children import Child
from bench.errors import RowsDifferError, TooSlowError
from bench.federationresults import (
    ALONE,
    BEAT,
    CPU,
    FIRST,
    HERD,
    HERD_ASKED,
    LISTING,
    MEANWHILE,
    MEMORY,
    RATIO,
    RESTART,
    Mark,
)
from bench.federationstate import (
    MOM,
    REAL,
    SMALL,
    SMALL_ROWS,
    ScaledFederation,
    Sizes,
    kill,
    tell,
)
from bench.memory import MemoryWatch
from flight_member.errors import StartupError
from flight_sql import Client, RemoteError
from storage.names import SYSTEM_CATALOG

PHASES: Final = 6
_PER_TURN, _WARM_UPS = 20, 10
_SETTLE_S: Final = 0.5
_PATIENCE_S: Final = 600.0
# Fewer beats than this part of what was to be sent: what was measured is another load.
_LEAST_RATE: Final = 0.95
_COUNT: Final = f"select count(*) as n from {SMALL}@{REAL}"


def measure_federation(
    directory: Path,
    sizes: Sizes,
    seconds: int,
    runs: int,
    away_s: float,
    describe: Callable[[str], None],
    progress: Callable[[str], None],
) -> list[Mark]:
    """Make a federation and measure it.

    Args:
        directory: Where its state goes; empty.
        sizes: How much there is.
        seconds: How long beats are watched.
        runs: How often a statement is timed with beats and without, and a listing.
        away_s: How long the MoM is away before all members come back.
        describe: Told what is being done.
        progress: Told what has just been done, `PHASES` times.

    Raises:
        TooSlowError: When the beats could not be sent as often as was asked.
        RowsDifferError: When a statement or a listing answers something else than is there.
    """
    federation = ScaledFederation(directory, sizes)
    with ExitStack() as stack:
        mom = stack.enter_context(federation.running_mom())
        with MemoryWatch([mom.pid]) as memory:
            federation.admit(describe)
            swarm = stack.enter_context(federation.running_members())
            describe("the first reports of all")
            first = tell(swarm, "join")
            _wait_until_known(federation)
            federation.grant()
            progress("joined and reported")
            marks = [Mark.of(FIRST, first["elapsed_s"])]
            tell(swarm, "go")
            time.sleep(sizes.interval_s)
            marks += _watch(mom, swarm, sizes, seconds)
            progress("watched")
            marks += _ask_in_turns(federation, swarm, runs)
            progress("asked")
            marks.append(_list(federation, runs))
            progress("listed")
        describe("killing the MoM")
        kill(mom)
        started = time.perf_counter()
        again = stack.enter_context(federation.running_mom())
        with MemoryWatch([again.pid]) as memory_after:
            _wait_until_known(federation)
            marks.append(Mark.of(RESTART, time.perf_counter() - started))
        progress("started again")
        describe("the MoM is away")
        tell(swarm, "herd")
        kill(again)
        time.sleep(away_s)
        back = stack.enter_context(federation.running_mom())
        with MemoryWatch([back.pid]) as memory_back:
            marks += _ask_until_known(federation)
        progress("all are back")
        watches = (memory, memory_after, memory_back)
        peak_bytes = max(watch.peak_bytes for watch in watches)
        marks.append(Mark.of(MEMORY, peak_bytes / 2**20))
    return marks


def _watch(mom: Child, swarm: Child, sizes: Sizes, seconds: int) -> list[Mark]:
    """Return what the MoM's process takes of one core, second by second, and how long beats take.

    Raises:
        TooSlowError: When fewer beats came through than were to be sent.
    """
    process = psutil.Process(mom.pid)
    tell(swarm, "tell")
    samples: list[float] = []
    for _ in range(seconds):
        before, started = sum(process.cpu_times()[:2]), time.perf_counter()
        time.sleep(1)
        used = sum(process.cpu_times()[:2]) - before
        samples.append(100 * used / (time.perf_counter() - started))
    told = tell(swarm, "tell")
    wanted = sizes.members * seconds / sizes.interval_s
    if told["beats"] < _LEAST_RATE * wanted - sizes.members / sizes.interval_s:
        raise TooSlowError(
            f"{told['beats']:,} beats came through in {seconds} s and {wanted:,.0f} were to be "
            f"sent; {len(told['failures'])} failed: {set(told['failures'][:3])}"
        )
    return [
        Mark.of(CPU, mean(samples), samples),
        Mark.median(BEAT, told["beat_ms"]),
    ]


def _ask_in_turns(federation: ScaledFederation, swarm: Child, runs: int) -> list[Mark]:
    """Return the times of one statement, asked in turns while nobody beats and while all do."""
    found: dict[str, list[float]] = {ALONE: [], MEANWHILE: []}
    with adbc_reader(federation.reader, _COUNT) as reader:
        for turn in range(2 * -(-runs // _PER_TURN)):
            name, word = ((ALONE, "rest"), (MEANWHILE, "go"))[turn % 2]
            tell(swarm, word)
            time.sleep(_SETTLE_S)
            for run in range(_WARM_UPS + _PER_TURN):
                took_ms = _ask(reader)
                if run >= _WARM_UPS:
                    found[name].append(took_ms)
    alone, meanwhile = (Mark.median(name, values) for name, values in found.items())
    return [alone, meanwhile, Mark.of(RATIO, meanwhile.value / alone.value)]


def _ask(reader: AdbcReader) -> float:
    """Return how many milliseconds the statement takes.

    Raises:
        RowsDifferError: When the answer is wrong.
    """
    started = time.perf_counter()
    (batch,) = reader.batches()
    took_ms = (time.perf_counter() - started) * 1000
    if batch["n"][0].as_py() != SMALL_ROWS:
        raise RowsDifferError(f"{batch['n'][0]} rows were counted and {SMALL_ROWS:,} are there")
    return took_ms


def _list(federation: ScaledFederation, runs: int) -> Mark:
    """Return how long GetTables takes for somebody who may read few tables, while all beat.

    Raises:
        RowsDifferError: When it lists another number of tables.
    """
    took_ms: list[float] = []
    with Client(federation.uri) as client:
        account = federation.reader
        client.sign_in(str(account.username), account.password)
        for run in range(_WARM_UPS + runs):
            started = time.perf_counter()
            listed = client.tables()
            if run >= _WARM_UPS:
                took_ms.append((time.perf_counter() - started) * 1000)
            catalogs = listed["catalog_name"].to_pylist()
            # The tables of the federation itself are everybody's.
            count = len(catalogs) - catalogs.count(SYSTEM_CATALOG)
            if count != len(federation.sizes.few) + 1:
                raise RowsDifferError(f"{count} tables were listed")
    return Mark.median(LISTING, took_ms)


def _ask_until_known(federation: ScaledFederation) -> list[Mark]:
    """Ask the statement again and again until the MoM has heard of every member.

    Returns:
        How long that took since it serves, and the times of the statement meanwhile.

    Raises:
        StartupError: When that takes too long.
        RowsDifferError: When the statement answers something else than is there.
    """
    started = look_at = time.perf_counter()
    took_ms: list[float] = []
    with adbc_reader(federation.reader, _COUNT) as reader:
        while True:
            took_ms.append(_ask(reader))
            if time.perf_counter() < look_at:
                continue
            look_at = time.perf_counter() + 1
            if _is_known(federation):
                break
            if time.perf_counter() > started + _PATIENCE_S:
                raise StartupError("the members did not come back in time")
    return [
        Mark.of(HERD, time.perf_counter() - started),
        Mark.median(HERD_ASKED, took_ms),
    ]


def _wait_until_known(federation: ScaledFederation) -> None:
    """Wait until the MoM has heard of every member, and has the tables of all.

    Raises:
        StartupError: When that takes too long.
    """
    deadline = time.monotonic() + _PATIENCE_S
    while not _is_known(federation):
        if time.monotonic() > deadline:
            raise StartupError("the members are not known to the MoM in time")
        time.sleep(0.25)


def _is_known(federation: ScaledFederation) -> bool:
    sizes = federation.sizes
    try:
        with federation.admin() as admin:
            rows: list[dict[str, Any]] = admin.query("SHOW CLUSTERS").read_all().to_pylist()
    except RemoteError:
        return False
    members = [row for row in rows if row["cluster_name"] != MOM]
    heard = [row for row in members if row["last_heartbeat_at"]]
    tables = sum(row["table_count"] for row in heard)
    return len(heard) == sizes.members + 1 and bool(tables == sizes.all_tables)
