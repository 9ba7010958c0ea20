"""How many failures of strangers are written down one by one: the others are counted.

Whoever holds no right at all can still fail to prove themselves, as often as they like. Each
source gets so many records a minute, all together get so many, and what is left out is told as a
number. Failures without a source (a Handshake does not tell it) are capped together.
"""

import threading
from collections import Counter
from datetime import datetime

UNKNOWN_SOURCE = ""
OTHERS = "other sources"

_MINUTE_S = 60
_EACH = 20
_UNKNOWN = 100
_ALL = 200


class FailureCap:
    """Counts by the minute. Safe to use from many threads; its memory is bounded."""

    def __init__(self, *, each: int = _EACH, unknown: int = _UNKNOWN, most: int = _ALL) -> None:
        """Keep the limits.

        Args:
            each: Records a minute of one source.
            unknown: Records a minute of all whose source is not known.
            most: Records a minute of all sources that are known.
        """
        self._each = each
        self._unknown = unknown
        self._most = most
        self._counting = threading.Lock()
        self._minute = 0
        self._written: Counter[str] = Counter()
        self._known_count = 0
        self._left_out: Counter[str] = Counter()
        self._over: Counter[str] = Counter()

    def admit(self, source: str, now: datetime) -> bool:
        """Return whether one more failure of a source is written down; else it is counted."""
        with self._counting:
            self._turn(now)
            limit = self._unknown if source == UNKNOWN_SOURCE else self._each
            is_full = source != UNKNOWN_SOURCE and self._known_count >= self._most
            if self._written[source] < limit and not is_full:
                self._written[source] += 1
                self._known_count += source != UNKNOWN_SOURCE
                return True
            # A source that was never written down gets no entry of its own: there may be millions.
            is_listed = source == UNKNOWN_SOURCE or self._written[source] > 0
            if not self._written[source]:
                del self._written[source]
            self._left_out[source if is_listed else OTHERS] += 1
            return False

    def take_left_out(self, now: datetime | None = None) -> dict[str, int]:
        """Return how many failures of each source were left out, once.

        Args:
            now: Only those of minutes that are over by then; None: all of them.
        """
        with self._counting:
            if now is None:
                self._close_minute()
            else:
                self._turn(now)
            over, self._over = self._over, Counter()
            return dict(over)

    def _turn(self, now: datetime) -> None:
        minute = int(now.timestamp()) // _MINUTE_S
        if minute != self._minute:
            self._close_minute()
            self._minute = minute

    def _close_minute(self) -> None:
        self._over.update(self._left_out)
        self._left_out.clear()
        self._written.clear()
        self._known_count = 0
