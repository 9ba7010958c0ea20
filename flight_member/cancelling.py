"""Cancelling: what runs on which handle, and on which handles nothing may run any more.

A handle that was cancelled is refused until it expires by itself; then its mark is forgotten. Marks
are kept in memory: a server that is started again has stopped all that it ran. Handles that each
fetch a part of one result are cancelled together.
"""

import hashlib
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Self

import pyarrow as pa

from auth import shared_result
from flight_member.clock import Moment
from flight_member.errors import OverloadedError
from flight_member.jobs import cancelled
from flight_sql import Call, CancelStatus, ResultStream

_MAX_MARKS = 100_000
_FORGET_EVERY = timedelta(seconds=10)
# What runs is told at once; what waits for a place, or is being planned, looks 20 times a second.
_WAIT_S = 1.0


class Cancelling:
    """The statements that one server runs or relays, by the handle they run on."""

    def __init__(self, now: Moment, *, max_marks: int = _MAX_MARKS) -> None:
        self._now = now
        self._max_marks = max_marks
        self._changed = threading.Condition()
        self._running: dict[bytes, set[_Running]] = {}
        self._marks: dict[bytes, datetime] = {}
        self._forget_at = now()

    def run(self, handle: bytes, call: Call, start: Callable[[Call], ResultStream]) -> ResultStream:
        """Open the rows of a handle, so that they end when the handle is cancelled.

        Args:
            handle: What the rows are fetched with.
            call: The call that fetches.
            start: Opens the rows for a call, whose `is_cancelled` also tells of this.

        Raises:
            CancelledStatementError: When the handle has been cancelled.
        """
        key = _key(handle)
        running = _Running(lambda: self._leave(key, running))
        with self._changed:
            if key in self._marks:
                raise cancelled()
            self._running.setdefault(key, set()).add(running)
        try:
            stream = start(
                replace(call, is_cancelled=lambda: running.is_cancelled or call.is_cancelled())
            )
        except BaseException as error:
            running.leave()
            if not running.is_cancelled or not isinstance(error, Exception):
                raise
        else:
            return replace(stream, batches=CancellableRows(stream.batches, running))
        raise cancelled()

    def check(self, handle: bytes) -> None:
        """Refuse a handle that was cancelled.

        Raises:
            CancelledStatementError: When it was.
        """
        if _key(handle) in self._marks:
            raise cancelled()

    def cancel(self, handle: bytes, expires_at: datetime) -> CancelStatus:
        """Stop what runs on a handle, and let nothing run on it any more.

        Args:
            handle: A genuine one; whoever asks may cancel it.
            expires_at: When it counts no longer anyway.

        Returns:
            CANCELLED when nothing runs on it any more, CANCELLING when something has not ended
            yet, NOT_CANCELLABLE when its time is over and nothing ran.

        Raises:
            OverloadedError: When too many handles have been cancelled that did not expire yet.
        """
        key, now = _key(handle), self._now()
        shared = shared_result(handle)
        if shared is not None:
            # Others of the same result may have been renewed until just now.
            expires_at = max(expires_at, now + shared.life)
        with self._changed:
            self._forget(now)
            found = tuple(self._running.get(key, ()))
            if expires_at > now:
                if key not in self._marks and len(self._marks) >= self._max_marks:
                    raise OverloadedError("too many statements were cancelled; try again later")
                self._marks[key] = expires_at
            elif not found:
                return CancelStatus.NOT_CANCELLABLE
            for running in found:
                running.is_cancelled = True
        for running in found:
            running.stop()
        with self._changed:
            has_ended = self._changed.wait_for(
                lambda: self._running.get(key, set()).isdisjoint(found), _WAIT_S
            )
        return CancelStatus.CANCELLED if has_ended else CancelStatus.CANCELLING

    @property
    def mark_count(self) -> int:
        """How many cancelled handles are remembered."""
        return len(self._marks)

    def _leave(self, key: bytes, running: "_Running") -> None:
        with self._changed:
            found = self._running.get(key, set())
            found.discard(running)
            if not found:
                self._running.pop(key, None)
            self._changed.notify_all()

    def _forget(self, now: datetime) -> None:
        if now >= self._forget_at:
            self._marks = {key: until for key, until in self._marks.items() if until > now}
            self._forget_at = now + _FORGET_EVERY


class _Running:
    """One statement that runs on a handle."""

    def __init__(self, leave: Callable[[], None]) -> None:
        self.is_cancelled = False
        self.leave = leave
        self.stop: Callable[[], None] = lambda: None


class CancellableRows:
    """The batches of a handle, which say that they were cancelled when they were.

    Not a generator: any thread may close it.
    """

    def __init__(self, batches: Iterator[pa.RecordBatch], running: _Running) -> None:
        self._batches = batches
        self._running = running
        running.stop = self.close

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> pa.RecordBatch:
        """Return the next batch.

        Raises:
            CancelledStatementError: When the handle was cancelled meanwhile.
            Exception: What the batches themselves raise.
        """
        try:
            batch = next(self._batches)
        except Exception:
            self._running.leave()
            # A part must not pass for the whole, also when that is how the batches ended.
            if not self._running.is_cancelled:
                raise
        else:
            if not self._running.is_cancelled:
                return batch
            self.close()
        raise cancelled()

    def close(self) -> None:
        """Stop what yields the batches; fine from any thread, and more than once."""
        close = getattr(self._batches, "close", None)
        try:
            if close is not None:
                close()
        finally:
            self._running.leave()


def _key(handle: bytes) -> bytes:
    # A sealed value has one spelling: its bytes name it.
    shared = shared_result(handle)
    return hashlib.sha256(handle).digest() if shared is None else shared.id.encode()
