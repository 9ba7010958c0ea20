"""How many statements run at once: some run, some wait for a place, the rest are refused.

A place that comes free goes to the waiting user who holds the fewest, and among equals to whoever
came first. When the queue is full, the youngest statement of the user with the most in it makes
room for one whose user has fewer: one user's burst locks nobody out.

A statement whose reader takes no rows does nothing. After `limits.slow_reader_s` it lends its place
to one that waits, and gets one back, before all others, when the reader goes on. One thread looks
after that while statements run, and ends those whose time is over while nobody reads.
"""

import threading
import time
from collections import Counter
from collections.abc import Callable
from types import TracebackType
from typing import Self

from flight_member.errors import CancelledStatementError, OverloadedError
from flight_member.logs import get_logger
from flight_member.settings import LimitsSection
from flight_member.shares import Shares

_log = get_logger(__name__)
_POLL_S = 0.1
_LOOK_S = 0.25
# Statements follow one another: the thread that looks after them is not started for each.
_LOOKS_IN_VAIN = 20


class Place:
    """One statement's place among the running ones; give it back with `leave` or a `with` block."""

    def __init__(self, admission: "Admission", user: str) -> None:
        self.user = user
        self.is_lent = False
        self.resting_since: float | None = None
        self.look: Callable[[], None] | None = None
        self._admission = admission

    def leave(self) -> None:
        """Give the place back; fine from any thread, and a second call does nothing."""
        self._admission.give_back(self)

    def rest(self) -> None:
        """Say that the statement does nothing from now on: somebody else has to go on first."""
        self.resting_since = time.monotonic()

    def go_on(self, is_stopped: Callable[[], bool]) -> bool:
        """Say that it goes on, waiting for a place if its own was lent.

        Args:
            is_stopped: Whether it is not to go on after all.

        Returns:
            Whether it may go on.
        """
        self.resting_since = None
        return not self.is_lent or self._admission.take_again(self, is_stopped)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        _type: type[BaseException] | None,
        _error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        self.leave()


class _Waiting:
    """A statement in the queue."""

    def __init__(self, place: Place, *, returns: bool) -> None:
        self.place = place
        self.returns = returns
        self.told = threading.Event()
        self.is_displaced = False


class Admission:
    """The places of one server."""

    def __init__(self, limits: LimitsSection, cluster: str) -> None:
        """Begin with all places free.

        Args:
            limits: How many there are, and how they are shared.
            cluster: Whose server it is.
        """
        self._limits = limits
        self._changing = threading.Lock()
        self._shares = Shares(limits, cluster)
        self._held: set[Place] = set()
        self._lent_count = 0
        self._queue: list[_Waiting] = []
        self._watcher: threading.Thread | None = None

    @classmethod
    def of_planning(cls, limits: LimitsSection, cluster: str) -> Self:
        """Return the places for reading and planning statements, most of them for any one user.

        Planning is work of this process itself: more at once would take no less time, and whoever
        is refused would wait behind all of them for the answer.
        """
        most = limits.max_planning - 1
        shared = {"max_running_per_user": most, "max_running_per_cluster": most}
        changes = {"max_running": limits.max_planning, "max_slow_readers": 0, **shared}
        return cls(limits.model_copy(update=changes), cluster)

    @property
    def running(self) -> int:
        """How many statements hold a place now."""
        return self._shares.total

    @property
    def queued(self) -> int:
        """How many statements wait for their first place now."""
        with self._changing:
            return sum(not one.returns for one in self._queue)

    @property
    def lent(self) -> int:
        """How many statements have lent their places, because their readers take nothing."""
        return self._lent_count

    def enter(self, user: str, is_cancelled: Callable[[], bool]) -> Place:
        """Take a place, waiting for one if need be.

        Args:
            user: Whose statement it is, as `user1@shanghai`.
            is_cancelled: Whether it is not wanted any more.

        Raises:
            OverloadedError: When the queue is full, or no place came free within
                `limits.queue_timeout_s`.
            CancelledStatementError: When the caller left while waiting.
        """
        place = Place(self, user)
        with self._changing:
            if self._shares.obstacle(user):
                self._lend()
            obstacle = self._shares.obstacle(user)
            if not obstacle:
                self._take(place)
                return place
            waiting = self._enqueue(place, obstacle)
        self._wait(waiting, is_cancelled)
        return place

    def take_again(self, place: Place, is_stopped: Callable[[], bool]) -> bool:
        """Wait for a place for a statement that lent its own; see `Place.go_on`."""
        with self._changing:
            if not place.is_lent:
                return place in self._held
            waiting = _Waiting(place, returns=True)
            self._queue.append(waiting)
            self._lend()
            self._hand_out()
        while not waiting.told.wait(_POLL_S):
            if is_stopped():
                with self._changing:
                    if waiting in self._queue:
                        self._queue.remove(waiting)
                return False
        return place in self._held

    def give_back(self, place: Place) -> None:
        """Free a place; see `Place.leave`."""
        with self._changing:
            if place not in self._held:
                return
            self._held.remove(place)
            if place.is_lent:
                place.is_lent = False
                self._lent_count -= 1
                # It may wait for its return in another thread: there is nothing to return to.
                for one in [one for one in self._queue if one.place is place]:
                    self._queue.remove(one)
                    one.told.set()
            else:
                self._shares.remove(place.user)
                self._hand_out()

    # With the lock held:

    def _take(self, place: Place) -> None:
        if place.is_lent:
            place.is_lent = False
            self._lent_count -= 1
        self._held.add(place)
        self._shares.add(place.user)
        if self._watcher is None:
            self._watcher = threading.Thread(target=self._watch, name="admission", daemon=True)
            self._watcher.start()

    def _enqueue(self, place: Place, obstacle: str) -> _Waiting:
        """Let a statement wait, in the stead of another if need be.

        Raises:
            OverloadedError: When there is no room for it in the queue.
        """
        queued = [one for one in self._queue if not one.returns]
        if len(queued) >= self._limits.max_queued:
            counts = Counter(one.place.user for one in queued)
            user, most = max(counts.items(), key=lambda item: item[1], default=("", 0))
            if most <= counts[place.user] + 1:
                raise OverloadedError(f"{obstacle} and {len(queued)} wait; try again in a moment")
            displaced = next(one for one in reversed(queued) if one.place.user == user)
            self._queue.remove(displaced)
            displaced.is_displaced = True
            displaced.told.set()
        waiting = _Waiting(place, returns=False)
        self._queue.append(waiting)
        return waiting

    def _hand_out(self) -> None:
        """Give free places to those who wait."""
        while self._shares.total < self._limits.max_running and self._queue:
            can = [one for one in self._queue if not self._shares.obstacle(one.place.user)]
            if not can:
                return
            chosen = min(can, key=lambda one: (not one.returns, self._shares.of(one.place.user)))
            self._queue.remove(chosen)
            self._take(chosen.place)
            chosen.told.set()

    def _lend(self) -> None:
        """Free the places of statements whose readers take nothing."""
        late = time.monotonic() - self._limits.slow_reader_s
        for place in self._held:
            if self._lent_count >= self._limits.max_slow_readers:
                return
            since = place.resting_since
            if not place.is_lent and since is not None and since <= late:
                place.is_lent = True
                self._lent_count += 1
                self._shares.remove(place.user)

    # Without it:

    def _wait(self, waiting: _Waiting, is_cancelled: Callable[[], bool]) -> None:
        try:
            refusal = self._outcome(waiting, is_cancelled)
        except BaseException:
            self._give_up(waiting)
            raise
        if refusal is not None:
            self._give_up(waiting)
            raise refusal

    def _outcome(self, waiting: _Waiting, is_cancelled: Callable[[], bool]) -> Exception | None:
        """Wait, and return why there is no place; None when there is."""
        timeout_s = self._limits.queue_timeout_s
        deadline = time.monotonic() + timeout_s
        while not waiting.told.wait(_POLL_S):
            if is_cancelled():
                return CancelledStatementError("the caller left while the statement was queued")
            if time.monotonic() >= deadline:
                return OverloadedError(
                    f"no place came free within {timeout_s:g} s; try again in a moment"
                )
        if waiting.is_displaced:
            return OverloadedError(
                "you have the most statements waiting and others came; send fewer at once, and "
                "this one again in a moment"
            )
        return None

    def _give_up(self, waiting: _Waiting) -> None:
        """Leave the queue; a place that came free at the same moment is for the next."""
        with self._changing:
            if waiting in self._queue:
                self._queue.remove(waiting)
        waiting.place.leave()

    def _watch(self) -> None:
        """Look after what runs and waits, until there was nothing for a while."""
        in_vain = 0
        while in_vain < _LOOKS_IN_VAIN:
            time.sleep(_LOOK_S)
            with self._changing:
                if self._queue:
                    self._lend()
                    self._hand_out()
                looks = [place.look for place in self._held if place.look is not None]
                in_vain = 0 if self._held else in_vain + 1
                if in_vain == _LOOKS_IN_VAIN:
                    self._watcher = None
            for look in looks:
                try:
                    look()
                except Exception:  # noqa: BLE001  one that cannot be asked ends no other
                    # Whoever reads the statement is told of it as well.
                    _log.exception("statement_not_looked_at")
