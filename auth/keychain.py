"""A server's own keys as they change: the one that signs, the coming one, and those that end.

In the state directory, each for its owner alone (0600):

- `signing.key` signs;
- `signing.next.key`, while there is one, is published already and signs from its time on;
- `keys.json` holds that time, and the public halves of earlier keys until they end.

What is changed by a command is noticed by a server that runs. Publishing comes before signing, so
that nobody meets a signature of a key that they have not heard of.
"""

import fcntl
import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from auth.errors import AlreadyExistsError, KeyFileError
from auth.keyfiles import read_private, write_private
from auth.keys import KeyRing, PublicKey, SigningKey

_CURRENT, _NEXT, _CHAIN, _LOCK = "signing.key", "signing.next.key", "keys.json", "keys.lock"


@dataclass(frozen=True, slots=True)
class Coming:
    """The next key, and when it takes over."""

    key: SigningKey
    signs_from: datetime | None
    """None: as soon as somebody has said that they know it."""
    overlap: timedelta
    """How long the key before it is honoured from then on."""


@dataclass(frozen=True, slots=True)
class KeyChain:
    """One state of a server's keys."""

    signing: SigningKey
    coming: Coming | None = None
    earlier: tuple[PublicKey, ...] = ()
    """Keys that do not sign any more; each ends at its date."""

    @property
    def published(self) -> tuple[PublicKey, ...]:
        """Every key that others should know, the one that signs first."""
        coming = () if self.coming is None else (self.coming.key.public_key,)
        return (self.signing.public_key, *coming, *self.earlier)

    @classmethod
    def load(cls, directory: Path) -> "KeyChain":
        """Read the keys of a state directory as they stand there.

        Raises:
            KeyFileError: When a file is missing, damaged, or open to others.
        """
        signing = SigningKey.load(directory / _CURRENT)
        written = _read(directory)
        coming = None
        if written.get("next") is not None and (directory / _NEXT).exists():
            key, told = SigningKey.load(directory / _NEXT), written["next"]
            coming = Coming(key, _moment(told["signs_from"]), timedelta(seconds=told["overlap_s"]))
        earlier = (PublicKey.from_text(text) for text in written.get("earlier", ()))
        return cls(signing, coming, tuple(key for key in earlier if key.kid != signing.kid))

    def save(self, directory: Path) -> None:
        """Write everything but the key that signs; the coming key's file comes last."""
        told = None
        if self.coming is not None:
            signs_from = self.coming.signs_from
            told = {
                "signs_from": None if signs_from is None else signs_from.timestamp(),
                "overlap_s": self.coming.overlap.total_seconds(),
            }
        written = {"next": told, "earlier": [key.to_text() for key in self.earlier]}
        write_private(directory / _CHAIN, json.dumps(written, indent=2).encode())
        if self.coming is not None:
            self.coming.key.save(directory / _NEXT)


def rotate(
    directory: Path, now: datetime, *, overlap: timedelta, signs_from: datetime | None
) -> KeyChain:
    """Make the next key.

    Args:
        directory: The state directory.
        now: The time.
        overlap: How long the key before it is honoured once the next one signs.
        signs_from: When the next one signs; None: as soon as it is known to others.

    Raises:
        AlreadyExistsError: While an earlier rotation is under way.
    """
    with _locked(directory):
        chain = _advanced(directory, KeyChain.load(directory), now)
        if chain.coming is not None:
            raise AlreadyExistsError("the next key waits to sign already; see keys list")
        chain = replace(chain, coming=Coming(SigningKey.generate(), signs_from, overlap))
        chain.save(directory)
        return _advanced(directory, chain, now)


class RotatingKey(SigningKey):
    """A signing key that changes while a server uses it; `current` is the one to sign with now.

    Servers of one cluster sign with a key each: what any of them signed counts as the cluster's.
    """

    __slots__ = ("_directory", "_held", "_now", "_peers", "_rings")

    def __init__(self, directory: Path, now: Callable[[], datetime]) -> None:
        """Read the keys of a state directory.

        Raises:
            KeyFileError: When a file is missing, damaged, or open to others.
        """
        self._directory = directory
        self._now = now
        self._peers: tuple[PublicKey, ...] = ()
        self._rings: tuple[KeyChain, tuple[PublicKey, ...], dict[str, KeyRing]] | None = None
        self._held = KeyChain.load(directory)
        self.notice()

    def notice(self) -> bool:
        """Read the files again; returns whether a key came, took over or ended."""
        with _locked(self._directory):
            chain = _advanced(self._directory, KeyChain.load(self._directory), self._now())
        if _looks(chain) == _looks(self._held):
            return False
        self._held = chain
        return True

    def trust_peers(self, keys: tuple[PublicKey, ...]) -> bool:
        """Count signatures of the cluster's other servers; returns whether their keys changed."""
        if tuple(key.to_text() for key in keys) == tuple(key.to_text() for key in self._peers):
            return False
        self._peers = keys
        return True

    def acknowledge(self, known: tuple[PublicKey, ...]) -> None:
        """Let the next key sign, now that whoever must know it does."""
        coming = self._held.coming
        if coming is None or coming.signs_from is not None or coming.key.public_key not in known:
            return
        with _locked(self._directory):
            chain = KeyChain.load(self._directory)
            if chain.coming is not None and chain.coming.key.kid == coming.key.kid:
                waiting = replace(chain.coming, signs_from=self._now())
                replace(chain, coming=waiting).save(self._directory)
        self.notice()

    @property
    def current(self) -> SigningKey:
        """The key to sign with now."""
        return self._held.signing

    @property
    def chain(self) -> KeyChain:
        """This server's own keys as they are now."""
        return self._held

    @property
    def published(self) -> tuple[PublicKey, ...]:
        """Every key that others should know as the cluster's, the one that signs first."""
        return _joined(self._held, self._peers)

    @property
    def public_key(self) -> PublicKey:
        """The public half of the key that signs now."""
        return self.current.public_key

    @property
    def kid(self) -> str:
        """The name of the key that signs now."""
        return self.current.kid

    @property
    def private(self) -> Ed25519PrivateKey:
        """The key that signs now; whoever needs its name too asks `current` for both."""
        return self.current.private

    def ring(self, issuer: str) -> KeyRing:
        """Return all published keys, under this issuer's name; the same ring until they change."""
        held, peers, rings = self._held, self._peers, self._rings
        if rings is None or rings[0] is not held or rings[1] is not peers:
            rings = self._rings = (held, peers, {})
        if issuer not in rings[2]:
            rings[2][issuer] = KeyRing().with_issuer(issuer, *_joined(held, peers))
        return rings[2][issuer]


def _joined(chain: KeyChain, peers: tuple[PublicKey, ...]) -> tuple[PublicKey, ...]:
    own = chain.published
    known = {key.kid for key in own}
    return (*own, *(key for key in peers if key.kid not in known))


def _advanced(directory: Path, chain: KeyChain, now: datetime) -> KeyChain:
    """Return a chain whose next key signs if it is time, without keys that have ended."""
    earlier = tuple(key for key in chain.earlier if key.ends_at is not None and now < key.ends_at)
    advanced = replace(chain, earlier=earlier)
    coming = chain.coming
    if coming is not None and coming.signs_from is not None and now >= coming.signs_from:
        ends_at = coming.signs_from + coming.overlap
        ending = replace(chain.signing.public_key, ends_at=ends_at)
        kept = (*earlier, ending) if now < ends_at else earlier
        advanced = KeyChain(coming.key, None, kept)
        # The date is written before the key is replaced: whatever happens between, it ends.
        replace(chain, earlier=kept).save(directory)
        (directory / _NEXT).replace(directory / _CURRENT)
    if advanced.earlier != chain.earlier or advanced.coming is not chain.coming:
        advanced.save(directory)
    return advanced


def _looks(chain: KeyChain) -> tuple[object, ...]:
    return (chain.signing.kid, tuple(key.to_text() for key in chain.published))


def _read(directory: Path) -> dict[str, Any]:
    if not (directory / _CHAIN).exists():
        return {}
    try:
        return dict(json.loads(read_private(directory / _CHAIN)))
    except ValueError:
        pass
    raise KeyFileError(f"{_CHAIN} is damaged")


def _moment(seconds: float | None) -> datetime | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)


@contextmanager
def _locked(directory: Path) -> Iterator[None]:
    """Keep a command and a server from changing the files at once."""
    try:
        lock = os.open(directory / _LOCK, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW, 0o600)
        file = os.fdopen(lock, "wb")
    except OSError as error:
        reason = error.strerror
    else:
        with file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield
        return
    raise KeyFileError(f"{_LOCK} cannot be written: {reason}")
