"""The benchmark of servers under load: idle connections, slow readers, a burst of statements.

A member is asked by its own users, then the MoM, which relays the same rows of the same member to
the same users. Each crowd of clients is a process of its own. One of them asks a small statement
again and again, and one user sends very many statements at once; meanwhile that user asks more, one
after the other, to time how soon they are refused.
"""

import json
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self

import psutil
import pyarrow as pa

from bench.children import Child, running_child
from bench.loadresults import ALONE, BURST, IDLE, PHASES, SLOW, Answers, Attempt, Loaded, Sizes
from bench.memory import MemoryWatch, resident_bytes
from flight_member.tables import TableDesk
from flight_member.users import UserDesk
from flight_mom.demo.federation import HANGZHOU, MEMBERS, MOM, DemoFederation

TARGETS: Final = (HANGZHOU, MOM)
STEPS: Final = len(PHASES)
"""For each server."""
_MIB: Final = 1 << 20
_TABLE: Final = "bench.load.numbers"
_ROWS: Final = 2_000_000
_CHUNK_ROWS: Final = 200_000
_PROBE, _DAWDLER, _BURSTER = "probe", "dawdler", "burster"
_SMALL: Final = f"select count(*) as n from {_TABLE}@{HANGZHOU}"
_WHOLE: Final = f"select * from {_TABLE}@{HANGZHOU}"
# Some work for the engine: a place is held for a while.
_WORK: Final = f"select sum(a * b % 7) as n, max(c % 11) as m from {_TABLE}@{HANGZHOU}"


@dataclass(frozen=True, slots=True)
class _Server:
    """The server under load: its address, and its process."""

    name: str
    uri: str
    process: psutil.Process


def measure_load(
    directory: Path,
    targets: Sequence[str],
    sizes: Sizes,
    describe: Callable[[str], None],
    progress: Callable[[str], None],
) -> list[Loaded]:
    """Make a federation and put each server under load in turn.

    Args:
        directory: Where its state goes; empty.
        targets: Which servers, some of `TARGETS`.
        sizes: How much load.
        describe: Told what is being done.
        progress: Told what has just been done, `STEPS` times for each server.
    """
    describe("making the federation")
    federation = _make(directory)
    loaded = []
    for name in targets:
        # Each server is measured as it starts: the first one's load is not the second one's.
        with federation.running():
            process = psutil.Process(federation.processes[name].process.pid)
            server = _Server(name, federation.uri(name), process)
            loaded.append(_measure(federation, server, sizes, describe, progress))
    return loaded


def _make(directory: Path) -> DemoFederation:
    federation = DemoFederation(directory, 0)
    federation.create()
    for cluster in MEMBERS:
        TableDesk.open(federation.member_home(cluster)).load_batches(
            _TABLE, _numbers(), partition_by=(), progress=lambda _: None
        )
    desk = UserDesk(federation.member_home(HANGZHOU))
    for user in (_PROBE, _DAWDLER, _BURSTER):
        desk.add(user, federation.password(user), readable=("*",))
    return federation


def _numbers() -> pa.RecordBatchReader:
    schema = pa.schema([(name, pa.int64()) for name in "abcd"])

    def batches() -> Iterator[pa.RecordBatch]:
        for first in range(0, _ROWS, _CHUNK_ROWS):
            numbers = pa.array(range(first, first + _CHUNK_ROWS), pa.int64())
            yield pa.record_batch([numbers] * 4, schema=schema)

    return pa.RecordBatchReader.from_batches(schema, batches())


def _measure(
    federation: DemoFederation,
    server: _Server,
    sizes: Sizes,
    describe: Callable[[str], None],
    progress: Callable[[str], None],
) -> Loaded:
    with ExitStack() as stack:

        def crowd(user: str) -> Child:
            return stack.enter_context(_crowd(federation, server, user))

        probe, idle, dawdler = crowd(_PROBE), crowd(_PROBE), crowd(_DAWDLER)
        knocker = crowd(_BURSTER)
        bursters = [crowd(_BURSTER) for _ in range(sizes.bursters)]
        small: dict[str, Answers] = {}

        def ask(phase: str) -> None:
            told = _tell(probe, "ask", count=sizes.runs, sql=_SMALL)
            small[phase] = Answers.of(told["attempts"])
            progress(f"{server.name}: {phase}")

        _tell(probe, "ask", count=10, sql=_SMALL)
        before = resident_bytes([server.process.pid])
        with MemoryWatch([server.process.pid]) as memory, _Threads(server.process) as threads:
            ask(ALONE)
            describe(f"{server.name}: {sizes.idle} connections")
            _tell(idle, "connect", count=sizes.idle)
            ask(IDLE)
            describe(f"{server.name}: {sizes.slow} slow readers")
            _tell(dawdler, "dawdle", count=sizes.slow, sql=_WHOLE)
            ask(SLOW)
            connections = len(server.process.net_connections())
            describe(f"{server.name}: {sizes.burst} statements at once")
            small[BURST], knocks, burst, burst_s = _burst(probe, knocker, bursters, sizes)
            progress(f"{server.name}: {BURST}")
        growth_mib = (memory.peak_bytes - before) / _MIB
        return Loaded(
            *(server.name, small, knocks, burst, burst_s, growth_mib, threads.most, connections)
        )


def _burst(
    probe: Child, knocker: Child, bursters: Sequence[Child], sizes: Sizes
) -> tuple[Answers, Answers, Answers, float]:
    """Send the burst, and ask the small statement as two users for as long as it lasts."""
    counts = [len(range(number, sizes.burst, len(bursters))) for number in range(len(bursters))]
    with ThreadPoolExecutor(len(bursters) + 1) as threads:
        began = time.perf_counter()
        bursts = [
            threads.submit(_tell, one, "burst", count=count, sql=_WORK)
            for one, count in zip(bursters, counts, strict=True)
        ]

        def go_on(child: Child) -> list[Attempt]:
            attempts: list[Attempt] = []
            while not all(one.done() for one in bursts):
                attempts += _tell(child, "ask", count=1, sql=_SMALL)["attempts"]
            return attempts

        knocking = threads.submit(go_on, knocker)
        asked = go_on(probe)
        burst_s = time.perf_counter() - began
        attempts = [attempt for one in bursts for attempt in one.result()["attempts"]]
        return Answers.of(asked), Answers.of(knocking.result()), Answers.of(attempts), burst_s


@contextmanager
def _crowd(federation: DemoFederation, server: _Server, user: str) -> Iterator[Child]:
    headers = {"x-route": "relay"} if server.name == MOM else {}
    arguments = ["--uri", server.uri, "--user", f"{user}@{HANGZHOU}"]
    arguments += ["--headers", json.dumps(headers)]
    password = federation.password(user)
    with running_child("bench.loadworker", arguments, greeted_with=password) as child:
        yield child


def _tell(crowd: Child, what: str, **how: object) -> dict[str, Any]:
    """Have a crowd do something, and return what came of it."""
    answer: dict[str, Any] = json.loads(crowd.ask(json.dumps({"do": what, **how})))
    return answer


class _Threads:
    """Counts a process's threads ten times a second inside a `with` block."""

    def __init__(self, process: psutil.Process) -> None:
        self._process = process
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="threads-watch", daemon=True)
        self.most = 0

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._is_over.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._is_over.wait(0.1):
            self.most = max(self.most, self._process.num_threads())
