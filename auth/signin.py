"""A limit on guessing passwords: five failures within a minute lock for ten minutes.

Counted per user *and* source, so that guesses from elsewhere do not lock the user out. Kept in
memory: a restart forgets it, and each server counts for itself.
"""

import threading
from collections import OrderedDict, deque
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from auth.errors import LockedError

MAX_FAILURES = 5
WINDOW = timedelta(minutes=1)
LOCK = timedelta(minutes=10)
_MAX_ENTRIES = 100_000


@dataclass(slots=True)
class _Attempts:
    failed_at: deque[datetime] = field(default_factory=lambda: deque(maxlen=MAX_FAILURES))
    locked_until: datetime | None = None


class SignInLimiter:
    """Counts failed sign-ins. Safe to use from many threads.

    Ask `check`, verify the password, then report `fail` or `succeed`. Guesses made in parallel
    all pass `check`; those that end after the lock has fallen are refused by `succeed`, so that
    parallel guessing gains nothing.
    """

    def __init__(self, *, max_entries: int = _MAX_ENTRIES) -> None:
        self._max_entries = max_entries
        self._attempts: OrderedDict[tuple[str, str], _Attempts] = OrderedDict()
        self._changing = threading.Lock()

    def check(self, user: str, source: str, now: datetime) -> None:
        """Refuse a sign-in before the password is looked at.

        Raises:
            LockedError: While this user is locked for this source.
        """
        with self._changing:
            attempts = self._attempts.get((user, source))
            if attempts is None or attempts.locked_until is None:
                return
            if now >= attempts.locked_until:
                del self._attempts[user, source]
                return
            # A clock that was ahead and was set right must not lock for longer than any other.
            attempts.locked_until = min(attempts.locked_until, now + LOCK)
            remaining_s = (attempts.locked_until - now).total_seconds()
        raise _locked(remaining_s)

    def fail(self, user: str, source: str, now: datetime) -> None:
        """Count a wrong password; the fifth within a minute locks."""
        with self._changing:
            attempts = self._attempts.setdefault((user, source), _Attempts())
            self._attempts.move_to_end((user, source))
            attempts.failed_at.append(now)
            if (
                len(attempts.failed_at) == MAX_FAILURES
                and now - attempts.failed_at[0] < WINDOW
                and attempts.locked_until is None
            ):
                attempts.locked_until = now + LOCK
            self._forget(now)

    def succeed(self, user: str, source: str) -> None:
        """Forget the failures of a user who gave the right password.

        Raises:
            LockedError: When the lock fell while the password was being verified.
        """
        with self._changing:
            attempts = self._attempts.get((user, source))
            if attempts is None or attempts.locked_until is None:
                self._attempts.pop((user, source), None)
                return
        raise _locked(LOCK.total_seconds())

    def _forget(self, now: datetime) -> None:
        """Drop what no longer counts, oldest first, and what is too much in any case."""
        while self._attempts:
            key, oldest = next(iter(self._attempts.items()))
            ends_at = oldest.locked_until or oldest.failed_at[-1] + WINDOW
            if now < ends_at and len(self._attempts) <= self._max_entries:
                return
            del self._attempts[key]


def _locked(remaining_s: float) -> LockedError:
    minutes = max(1, -(-int(remaining_s) // 60))
    return LockedError(
        f"too many failed sign-ins; try again in {minutes} minute{'s' if minutes > 1 else ''}"
    )
