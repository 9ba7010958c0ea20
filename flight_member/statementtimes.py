"""How long the last statements took: what a heartbeat tells of it."""

import threading
from collections import deque
from dataclasses import dataclass
from statistics import median

_KEPT = 100
_FEW = 10


@dataclass(frozen=True, slots=True)
class TimesOfLast:
    """Median and longest of the last statements that ended, in seconds; 0 before the first."""

    median_s: float = 0.0
    max_s: float = 0.0


class StatementTimes:
    """The times of the last hundred statements that ended, whatever came of them."""

    def __init__(self) -> None:
        self._changing = threading.Lock()
        self._elapsed_s: deque[float] = deque(maxlen=_KEPT)

    def add(self, elapsed_s: float) -> None:
        """Take the time of one that ended."""
        with self._changing:
            self._elapsed_s.append(elapsed_s)

    def of_last(self, count: int) -> TimesOfLast:
        """Return the figures of the last so many, at most 100; fewer when there were not so many.

        Args:
            count: How many, from 1 on.
        """
        with self._changing:
            last = list(self._elapsed_s)[-count:]
        return TimesOfLast(median(last), max(last)) if last else TimesOfLast()

    @property
    def last_10(self) -> TimesOfLast:
        """Those of the last ten."""
        return self.of_last(_FEW)

    @property
    def last_100(self) -> TimesOfLast:
        """Those of the last hundred."""
        return self.of_last(_KEPT)
