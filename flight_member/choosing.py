"""Which node gets the next statement: the one with the least to do, of several one at random.

What a node has to do is what it last said that it runs, and what it was given since: heartbeats
come seconds apart, statements much faster. Whoever chooses counts its own choices only.
"""

import random
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import Protocol, TypeVar


class Loaded(Protocol):
    """A node that may be chosen."""

    @property
    def name(self) -> str:
        """Its name."""

    @property
    def running(self) -> int:
        """How many statements it said that it runs."""


L = TypeVar("L", bound=Loaded)


class Choosing:
    """Counts what each node of one cluster was given. Safe from many threads."""

    def __init__(self, remembered_s: float, ticks: Callable[[], float] = time.monotonic) -> None:
        """Begin with nothing given; what a silent node was given is forgotten after a time."""
        self._remembered_s = remembered_s
        self._ticks = ticks
        self._lock = threading.Lock()
        self._given: dict[str, list[float]] = defaultdict(list)

    def hear(self, name: str, age_s: float = 0.0) -> None:
        """Take note of what a node said that it runs: that counts what it was given.

        Args:
            name: The node.
            age_s: How long ago it may have said so; what it was given since counts on.
        """
        with self._lock:
            kept = [at for at in self._given.pop(name, ()) if at > self._ticks() - age_s]
            if kept:
                self._given[name] = kept

    def order(self, nodes: Iterable[L]) -> list[L]:
        """Return nodes, those with the least to do first, and count the first as given one more."""
        now = self._ticks()
        with self._lock:
            weighed = [
                (one.running + self._given_since(one.name, now - self._remembered_s), one)
                for one in nodes
            ]
            random.shuffle(weighed)
            ordered = [one for _, one in sorted(weighed, key=lambda pair: pair[0])]
            if ordered:
                self._given[ordered[0].name].append(now)
        return ordered

    def _given_since(self, name: str, since: float) -> int:
        if name not in self._given:
            return 0
        self._given[name] = kept = [at for at in self._given[name] if at > since]
        return len(kept)
