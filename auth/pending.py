"""Passwords that wait to be judged until the caller's address is known.

Where a Handshake does not tell the caller's address, a user under attack is neither judged nor
locked there: the caller is handed what they typed, encrypted for this process alone, and is judged
by their address at the first call with it. Nothing is kept here for anybody but those who proved
themselves, so that guessing fills no memory.

Source: NIST SP 800-38D (AES-GCM); a random nonce of 96 bits for each value.
"""

import hashlib
import secrets
from collections import OrderedDict
from dataclasses import dataclass
from datetime import datetime

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from auth.encoding import (
    EncodingFaultError,
    decode_base64url,
    decode_json_object,
    encode_base64url,
    encode_json,
)
from auth.errors import ExpiredTokenError, InvalidTokenError

_PREFIX = "fm-pending."
_PURPOSE = b"fm-pending"
_NONCE_BYTES = 12
_LIFE_S = 60
_MOST_PROVED = 10_000
_MAX_BYTES = 8_192


@dataclass(frozen=True, slots=True)
class Proved:
    """What a pending sign-in became: a token, for the one source that proved it."""

    token: str
    source: str


class PendingSignIns:
    """Makes and opens pending sign-ins of one process. Safe to use from many threads."""

    def __init__(self) -> None:
        self._cipher = AESGCM(AESGCM.generate_key(bit_length=256))
        self._proved: OrderedDict[bytes, Proved] = OrderedDict()

    def seal(self, user: str, password: str, now: datetime) -> str:
        """Return what stands for a name and password until they are judged."""
        nonce = secrets.token_bytes(_NONCE_BYTES)
        typed = {"user": user, "password": password, "until": int(now.timestamp()) + _LIFE_S}
        sealed = self._cipher.encrypt(nonce, encode_json(typed), _PURPOSE)
        return _PREFIX + encode_base64url(nonce + sealed)

    def open(self, text: str, now: datetime) -> tuple[str, str]:
        """Return the name and password.

        Raises:
            InvalidTokenError: When this process did not make it.
            ExpiredTokenError: When it was not used within a minute.
        """
        typed = None
        if len(text) <= _MAX_BYTES and text.isascii():
            try:
                data = decode_base64url(text.removeprefix(_PREFIX).encode())
                nonce, sealed = data[:_NONCE_BYTES], data[_NONCE_BYTES:]
                typed = decode_json_object(self._cipher.decrypt(nonce, sealed, _PURPOSE))
            except (EncodingFaultError, InvalidTag, ValueError):
                typed = None
        if typed is None:
            raise InvalidTokenError("this server knows nothing of this sign-in; sign in again")
        if now.timestamp() >= typed["until"]:
            raise ExpiredTokenError("the sign-in was not used in time; sign in again")
        return typed["user"], typed["password"]

    def keep(self, text: str, token: str, source: str) -> None:
        """Remember the token that a pending sign-in became, for the source that proved it."""
        self._proved[_digest(text)] = Proved(token, source)
        while len(self._proved) > _MOST_PROVED:
            self._proved.popitem(last=False)

    def proved(self, text: str) -> Proved | None:
        """Return what a pending sign-in became, if it has been proved."""
        return self._proved.get(_digest(text))


def is_pending(text: str) -> bool:
    """Whether a text says that it is a pending sign-in."""
    return text.startswith(_PREFIX)


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode("utf-8", "replace")).digest()
