"""How many statements run at once: some run, some wait for a place, the rest are refused."""

import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

from flight_member.errors import CancelledStatementError, OverloadedError
from flight_member.settings import LimitsSection

_POLL_S = 0.05


class Place:
    """One statement's place among the running ones; give it back with `leave` or a `with` block."""

    def __init__(self, leave: Callable[[], None]) -> None:
        self._leave = leave
        self._has_left = threading.Lock()

    def leave(self) -> None:
        """Give the place back; fine from any thread, and a second call does nothing."""
        if self._has_left.acquire(blocking=False):
            self._leave()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        _type: type[BaseException] | None,
        _error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        self.leave()


class Admission:
    """The places of one server, given out first come, first served as far as waiting goes."""

    def __init__(self, limits: LimitsSection) -> None:
        self._limits = limits
        self._changed = threading.Condition()
        self._running = 0
        self._queued = 0

    @property
    def running(self) -> int:
        """How many statements run now."""
        return self._running

    @property
    def queued(self) -> int:
        """How many statements wait for a place now."""
        return self._queued

    def enter(self, is_cancelled: Callable[[], bool]) -> Place:
        """Take a place, waiting for one if need be.

        Raises:
            OverloadedError: When the queue is full, or no place came free within
                `limits.queue_timeout_s`.
            CancelledStatementError: When the caller left while waiting.
        """
        with self._changed:
            if self._running >= self._limits.max_running:
                self._wait(is_cancelled)
            self._running += 1
        return Place(self._leave)

    def _wait(self, is_cancelled: Callable[[], bool]) -> None:
        if self._queued >= self._limits.max_queued:
            raise OverloadedError(
                f"{self._running} statements run and {self._queued} wait; try again in a moment"
            )
        deadline = time.monotonic() + self._limits.queue_timeout_s
        self._queued += 1
        try:
            while self._running >= self._limits.max_running:
                if is_cancelled():
                    raise CancelledStatementError("the caller left while the statement was queued")
                if time.monotonic() >= deadline:
                    raise OverloadedError(
                        f"no place came free within {self._limits.queue_timeout_s:g} s; "
                        "try again in a moment"
                    )
                self._changed.wait(_POLL_S)
        finally:
            self._queued -= 1

    def _leave(self) -> None:
        with self._changed:
            self._running -= 1
            self._changed.notify()
