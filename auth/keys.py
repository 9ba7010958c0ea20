"""Ed25519 keys: what a cluster signs with, and what others check it with.

Keys are named by their content (`kid` is the RFC 7638 thumbprint), so that one name never stands
for two keys. A `KeyRing` finds a key by issuer *and* name: a member's key proves nothing about
another member's users.

Source: RFC 8032 (Ed25519), RFC 8037 appendix A.3 (thumbprints of Ed25519 keys).
"""

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Self

from cryptography.hazmat.primitives.asymmetric.ed25519 import (
    Ed25519PrivateKey,
    Ed25519PublicKey,
)
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from auth.encoding import EncodingFaultError, decode_base64url, encode_base64url
from auth.errors import InvalidTokenError, KeyFileError
from auth.keyfiles import read_private, write_private
from storage.names import fold_name

_KEY_BYTES = 32
_PREFIX = "ed25519:"
_WRITTEN = re.compile(rf"{_PREFIX}(?P<raw>[A-Za-z0-9_-]+)(?:~(?P<until>[0-9]{{1,11}}))?", re.ASCII)


@dataclass(frozen=True, slots=True)
class PublicKey:
    """A key that checks signatures.

    Raises:
        InvalidTokenError: When the bytes are no key, or the name is not theirs.
    """

    kid: str
    raw: bytes = field(repr=False)
    ends_at: datetime | None = field(default=None, compare=False)
    """When it stops counting, wherever it is known; None: it is still the signing one."""
    _loaded: Ed25519PublicKey = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if len(self.raw) != _KEY_BYTES or self.kid != thumbprint(self.raw):
            raise InvalidTokenError("a public key is not 32 bytes under their own name")
        object.__setattr__(self, "_loaded", Ed25519PublicKey.from_public_bytes(self.raw))

    @classmethod
    def from_raw(cls, raw: bytes) -> Self:
        """Return the key with these 32 bytes."""
        return cls(thumbprint(raw), raw)

    @classmethod
    def from_text(cls, text: str) -> Self:
        """Read what `to_text` wrote.

        Raises:
            InvalidTokenError: When it is anything else.
        """
        written = _WRITTEN.fullmatch(text)
        if written is not None:
            with suppress(EncodingFaultError, OverflowError, ValueError):
                raw = decode_base64url(written["raw"].encode("ascii"))
                until = written["until"]
                ends_at = None if until is None else datetime.fromtimestamp(int(until), UTC)
                return cls(thumbprint(raw), raw, ends_at)
        raise InvalidTokenError(f"a public key is written {_PREFIX} and its 32 bytes")

    def to_text(self) -> str:
        """Return `ed25519:` and the bytes in base64url, then `~` and the second when it ends."""
        end = "" if self.ends_at is None else f"~{int(self.ends_at.timestamp())}"
        return _PREFIX + encode_base64url(self.raw) + end

    @property
    def public(self) -> Ed25519PublicKey:
        """The key as the signing library takes it."""
        return self._loaded


class SigningKey:
    """A private key. It is never printed, compared or sent anywhere."""

    __slots__ = ("_private", "_public")

    def __init__(self, private: Ed25519PrivateKey) -> None:
        self._private = private
        self._public = PublicKey.from_raw(private.public_key().public_bytes_raw())

    @classmethod
    def generate(cls) -> Self:
        """Make a new key."""
        return cls(Ed25519PrivateKey.generate())

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read what `save` wrote.

        Raises:
            KeyFileError: When the file is missing, holds no such key, or other users of the
                machine may read or write it.
        """
        try:
            private = load_pem_private_key(read_private(path), password=None)
        except (ValueError, TypeError):
            private = None
        if not isinstance(private, Ed25519PrivateKey):
            raise KeyFileError(f"{path.name} does not hold an Ed25519 private key")
        return cls(private)

    def save(self, path: Path) -> None:
        """Write the key for this user alone (0600), atomically.

        Raises:
            KeyFileError: When the file cannot be written.
        """
        pem = self._private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        write_private(path, pem)

    @property
    def public_key(self) -> PublicKey:
        """What checks this key's signatures."""
        return self._public

    @property
    def kid(self) -> str:
        """The key's name, derived from its public half."""
        return self.public_key.kid

    @property
    def private(self) -> Ed25519PrivateKey:
        """The key as the signing library takes it; for sealing, and nothing else."""
        return self._private

    @property
    def current(self) -> "SigningKey":
        """The key to sign with now: this one, unless it is one that rotates."""
        return self

    def ring(self, issuer: str) -> "KeyRing":
        """Return what checks this key's signatures, under its issuer's name."""
        return KeyRing().with_key(issuer, self.public_key)

    def __repr__(self) -> str:
        return f"SigningKey(kid={self.kid!r})"


class KeyRing:
    """An immutable set of public keys, found by issuer and name only."""

    __slots__ = ("_keys",)

    def __init__(self, keys: Mapping[str, Iterable[PublicKey]] | None = None) -> None:
        """Take `{issuing cluster: its keys}`; several keys of one issuer let them rotate."""
        self._keys = {
            (fold_name(issuer), key.kid): key
            for issuer, held in (keys or {}).items()
            for key in held
        }

    def find(self, issuer: str, kid: str) -> PublicKey | None:
        """Return this issuer's key of that name, or None."""
        return self._keys.get((issuer, kid))

    def with_issuer(self, issuer: str, *keys: PublicKey) -> "KeyRing":
        """Return a ring in which this issuer has exactly these keys (none: it is unknown)."""
        held = self._by_issuer()
        held[fold_name(issuer)] = keys
        return KeyRing(held)

    def with_key(self, issuer: str, key: PublicKey) -> "KeyRing":
        """Return a ring in which this issuer has this key besides those it had."""
        return self.with_issuer(issuer, *self.keys_of(issuer), key)

    def without_issuer(self, issuer: str) -> "KeyRing":
        """Return a ring that does not know this issuer."""
        return self.with_issuer(issuer)

    def keys_of(self, issuer: str) -> tuple[PublicKey, ...]:
        """Return this issuer's keys, in the order of their names."""
        folded = fold_name(issuer)
        return tuple(key for name, key in sorted(self._keys.items()) if name[0] == folded)

    @property
    def issuers(self) -> frozenset[str]:
        """The clusters whose signatures can be checked."""
        return frozenset(issuer for issuer, _ in self._keys)

    def _by_issuer(self) -> dict[str, tuple[PublicKey, ...]]:
        return {issuer: self.keys_of(issuer) for issuer in self.issuers}

    def __iter__(self) -> Iterator[tuple[str, PublicKey]]:
        for (issuer, _), key in sorted(self._keys.items()):
            yield issuer, key

    def __len__(self) -> int:
        return len(self._keys)


def thumbprint(raw: bytes) -> str:
    """Return the RFC 7638 thumbprint of an Ed25519 public key (43 characters)."""
    jwk = f'{{"crv":"Ed25519","kty":"OKP","x":"{encode_base64url(raw)}"}}'
    return encode_base64url(hashlib.sha256(jwk.encode("ascii")).digest())
