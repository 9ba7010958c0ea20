"""When each member was last heard from, at this MoM or at another replica of it.

Silence is measured by this process's own clock that only goes forward: neither what a member says
about the time nor a MoM whose clock is set changes how anybody is doing. Of a beat that another
replica took, its arrival here counts, which is when its news is read.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from flight_member.clock import Moment
from flight_member.statestore import Database
from flight_mom.memberstore import MemberStore

Ticks = Callable[[], float]
_SHARED_PER_INTERVAL = 4
# Each beat's mark is later than the one before, whatever the clocks of the replicas say.
_LATER = timedelta(milliseconds=1)


@dataclass(frozen=True, slots=True)
class Heard:
    """One beat of a member: when it arrived, by the clock on the wall and by the process's own."""

    at: datetime
    ticks: float


class Hearing:
    """Remembers the last beats, and shares them with other replicas over the same database."""

    def __init__(
        self, database: Database, interval_s: float, now: Moment, ticks: Ticks = time.monotonic
    ) -> None:
        """Begin to listen: what was heard before this is not known any more."""
        self._database = database
        self._every_s = interval_s / _SHARED_PER_INTERVAL
        self._now = now
        self._ticks = ticks
        self.started = Heard(now(), ticks())
        self._share_at = self.started.ticks
        self._here: dict[str, Heard] = {}
        self._elsewhere: dict[str, Heard] = {}
        self._told: dict[str, Heard] = {}
        self._awaited: set[str] = set()
        # The marks that stood in the database when this replica last looked.
        self._marks: Mapping[str, datetime] = self._read()

    def note(self, name: str) -> None:
        """Note a beat that arrived here just now."""
        self._here[name] = Heard(self._now(), self._ticks())
        self._awaited.discard(name)

    def await_first(self, name: str) -> None:
        """Expect the first beat of a member that has joined, perhaps under another's name."""
        self._here.pop(name, None)
        self._elsewhere.pop(name, None)
        self._awaited.add(name)

    def is_awaited(self, name: str) -> bool:
        """Whether a member has joined and was not heard from yet."""
        return name in self._awaited

    def last(self, name: str) -> Heard | None:
        """Return a member's last beat, at any replica, since this one started."""
        here, elsewhere = self._here.get(name), self._elsewhere.get(name)
        if here is None or elsewhere is None:
            return here or elsewhere
        return max(here, elsewhere, key=lambda heard: heard.ticks)

    def silence_s(self, name: str) -> float:
        """Return for how long a member has not been heard from, or since when this one listens."""
        return self._ticks() - (self.last(name) or self.started).ticks

    def share(self) -> None:
        """Tell other replicas who was heard from here, and learn whom they heard from.

        Several times in each interval, so that a beat that another took is not missed here.
        """
        if self._ticks() < self._share_at:
            return
        self._share_at = self._ticks() + self._every_s
        marks = self._read()
        arrived = Heard(self._now(), self._ticks())
        news = [name for name, mark in marks.items() if mark != self._marks.get(name)]
        self._elsewhere |= dict.fromkeys(news, arrived)
        self._awaited.difference_update(news)
        heard = dict(self._here)
        fresh = {name: one for name, one in heard.items() if one != self._told.get(name)}
        # A beat that another took meanwhile is later than the one that arrived here before.
        fresh = {name: one for name, one in fresh.items() if name not in news}
        if fresh:
            written = {
                name: max(one.at, marks[name] + _LATER) if name in marks else one.at
                for name, one in fresh.items()
            }
            with self._database.change() as connection:
                MemberStore(connection).keep_heard(written)
            marks = {**marks, **written}
        self._told, self._marks = heard, marks

    def _read(self) -> dict[str, datetime]:
        with self._database.read() as connection:
            return MemberStore(connection).heard()
