"""The benchmark of limits: how long the largest statements take that are planned or refused.

Each kind of statement grows until it is refused as too large, and its size is then closed in on. So
the benchmark finds the limits wherever they are set, and what is slowest below and above them.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass
from threading import Timer
from typing import Any, Final

from bench.children import Child, running_child
from bench.limitstatements import LIMIT_STATEMENTS, LIMIT_TABLES
from bench.limitworker import Planned
from bench.machine import described_machine, measured_now
from flight_member.errors import StartupError

TARGET_S: Final = 1.0
TOO_LARGE: Final = "statement-too-large"
_TIMEOUT_S = 10.0
_LARGEST = 300_000
_GROWTH = 4
_CLOSE = 1.1


@dataclass(frozen=True, slots=True)
class Edge:
    """The slowest of one kind of statement over one table, among those with one outcome."""

    kind: str
    table: str
    size: int
    outcome: str
    code: str
    seconds: float

    @property
    def is_met(self) -> bool:
        """Whether it took no longer than it should."""
        return self.outcome != "unfinished" and self.seconds <= TARGET_S


class _Worker:
    """A process that plans; one that takes too long is ended and started anew."""

    def __init__(self) -> None:
        self._running: AbstractContextManager[Child] | None = None
        self._child: Child | None = None

    def plan(self, kind: str, table: str, size: int) -> Planned:
        if self._child is None:
            self._running = running_child("bench.limitworker", ())
            self._child = self._running.__enter__()
        timer = Timer(_TIMEOUT_S, self._child.process.kill)
        timer.start()
        try:
            return Planned(**json.loads(self._child.ask(json.dumps([kind, table, size]))))
        except (StartupError, BrokenPipeError):
            self.stop()
            return Planned("unfinished", "", _TIMEOUT_S)
        finally:
            timer.cancel()

    def stop(self) -> None:
        if self._running is not None:
            self._running.__exit__(None, None, None)
        self._running = self._child = None


def measure_limits(kinds: Sequence[str], progress: Callable[[str], None]) -> list[Edge]:
    """Measure statements of some kinds over every table; all when none is named.

    Returns:
        Up to two for each kind and table: the slowest that is planned, or refused for another
        reason than its size, and the slowest that is too large.
    """
    worker = _Worker()
    edges: list[Edge] = []
    try:
        for kind in kinds or LIMIT_STATEMENTS:
            for table in LIMIT_TABLES:
                edges += _edges(kind, table.name, _search(worker, kind, table.name))
                progress(f"{kind}, {table.name}")
    finally:
        worker.stop()
    return edges


def _search(worker: _Worker, kind: str, table: str) -> dict[int, Planned]:
    """Plan statements of growing sizes, then of sizes around the first that is too large."""
    found: dict[int, Planned] = {}
    taken, refused = 1, _GROWTH
    for refused in _sizes():
        found[refused] = worker.plan(kind, table, refused)
        if found[refused].code == TOO_LARGE or found[refused].outcome == "unfinished":
            break
        taken = refused
    else:
        return found
    while refused > max(taken + 1, taken * _CLOSE):
        middle = (taken + refused) // 2
        found[middle] = worker.plan(kind, table, middle)
        if found[middle].code == TOO_LARGE or found[middle].outcome == "unfinished":
            refused = middle
        else:
            taken = middle
    return found


def _sizes() -> Iterator[int]:
    size = _GROWTH
    while size < _LARGEST:
        yield size
        size *= _GROWTH


def _edges(kind: str, table: str, found: dict[int, Planned]) -> Iterator[Edge]:
    for is_refused in (False, True):
        alike = {at: one for at, one in found.items() if (one.code == TOO_LARGE) == is_refused}
        if alike:
            size = max(alike, key=lambda at: alike[at].seconds)
            one = alike[size]
            yield Edge(kind, table, size, one.outcome, one.code, one.seconds)


def limits_json(edges: Sequence[Edge]) -> dict[str, Any]:
    """Return the whole benchmark as JSON values."""
    return {
        "benchmark": "limits",
        "measured_at": measured_now(),
        "machine": described_machine(),
        "target_s": TARGET_S,
        "is_met": all(edge.is_met for edge in edges),
        "edges": [{**asdict(edge), "is_met": edge.is_met} for edge in edges],
    }
