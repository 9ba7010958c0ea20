"""Remembers what tokens were found to say, so that a signature is checked once and not per call."""

import hashlib
from collections.abc import Callable
from datetime import datetime
from operator import is_
from typing import Generic, TypeVar

T = TypeVar("T")
_MOST = 10_000


class TokenCache(Generic[T]):
    """Opened tokens by digest, none beyond its expiry.

    What is remembered dies with the state it was found under (keys, users, members): whoever asks
    brings that state, and another one than last time empties the cache. Needs no lock: entries are
    only ever added to a dictionary that is replaced as a whole.
    """

    def __init__(self, expires_at: Callable[[T], datetime]) -> None:
        self._expires_at = expires_at
        # One value, replaced at once: what was found under one state never counts under another.
        self._held: tuple[tuple[object, ...], dict[bytes, T]] = ((), {})

    def open(
        self, token: str, state: tuple[object, ...], now: datetime, opener: Callable[[], T]
    ) -> T:
        """Return what a token says, opening it only when it is not remembered.

        Args:
            token: As it was presented; only its digest is kept.
            state: The snapshots under which it counts; each compared by identity.
            now: The time.
            opener: Checks the token and returns what it says; what it raises is not remembered.
        """
        known_state, found = self._held
        if not _are_same(known_state, state) or len(found) >= _MOST:
            found = {}
            self._held = (state, found)
        digest = hashlib.sha256(token.encode()).digest()
        known = found.get(digest)
        if known is not None and now < self._expires_at(known):
            return known
        opened = opener()
        found[digest] = opened
        return opened


def _are_same(one: tuple[object, ...], other: tuple[object, ...]) -> bool:
    return len(one) == len(other) and all(map(is_, one, other))
