"""Counters that only grow, as rates over an interval and volumes of the last minute. Pure.

A counter that falls was reset (a driver was loaded again, a number ran over): what came between is
not known, so that the rate of that interval is None and nothing is added to the minute. No rate is
ever negative.
"""

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass

WINDOW_S = 60.0
_LEAST_S = 0.5


@dataclass(frozen=True, slots=True)
class Metered:
    """What one counter did."""

    per_s: float | None = None
    """Over the last interval; None when it is not known."""
    last_minute: int | None = None
    """In the last minute, or since the first measurement; None before there are two."""


class Meter:
    """Remembers the counters of the last minute; one thread at a time."""

    def __init__(self) -> None:
        self._at_s: float | None = None
        self._counts: dict[str, int] = {}
        self._rates: dict[str, float | None] = {}
        self._grown: deque[tuple[float, dict[str, int]]] = deque()

    def measure(self, at_s: float, counts: Mapping[str, int | None]) -> Mapping[str, Metered]:
        """Take in the counters of a moment, by name, and return what each of them did.

        Two moments that are very near give no new rates: too little happened between them.

        Args:
            at_s: By a clock that only goes forward.
            counts: None for a counter that this host does not have.
        """
        known = {name: count for name, count in counts.items() if count is not None}
        if self._at_s is None:
            self._at_s, self._counts = at_s, known
        elif at_s - self._at_s >= _LEAST_S:
            grown = {
                name: count - self._counts[name]
                for name, count in known.items()
                if name in self._counts and count >= self._counts[name]
            }
            elapsed_s = at_s - self._at_s
            self._rates = {name: growth / elapsed_s for name, growth in grown.items()}
            self._grown.append((at_s, grown))
            self._at_s, self._counts = at_s, known
        while self._grown and self._grown[0][0] <= at_s - WINDOW_S:
            self._grown.popleft()
        return {name: self._metered(name) for name in counts}

    def _metered(self, name: str) -> Metered:
        volumes = [grown[name] for _, grown in self._grown if name in grown]
        return Metered(self._rates.get(name), sum(volumes) if volumes else None)
