"""One-time join tokens: how a server proves that an administrator expects it.

The text that an administrator hands over names the server to be, where the MoM is, and which CA
to believe there; the MoM keeps nothing of it but the digest of its secret. It is no signed value:
what makes it worth something is that its digest is on record, unused and in time, which is the
keeper's to check in one transaction with the joining.
"""

import hashlib
import hmac
import re
import secrets
from dataclasses import dataclass, field
from typing import Self

from auth.encoding import (
    EncodingFaultError,
    decode_base64url,
    decode_json_object,
    encode_base64url,
    encode_json,
)
from auth.errors import InvalidTokenError
from storage.names import InvalidNameError, fold_name

_PREFIX = "fmj1."
_SECRET_BYTES = 32
_MAX_BYTES = 2_048
_FINGERPRINT = re.compile(r"sha256:[0-9a-f]{64}", re.ASCII)
_FIELDS = ("member", "address", "fingerprint", "secret")


@dataclass(frozen=True, slots=True)
class JoinToken:
    """What an administrator hands to a server that is to join."""

    member: str
    address: str
    """The MoM's, as the new server reaches it."""
    fingerprint: str
    """Of the federation's CA; empty where TLS is off."""
    secret: bytes = field(repr=False)

    @classmethod
    def make(cls, member: str, address: str, fingerprint: str) -> Self:
        """Return a new token with a secret of its own."""
        return cls(fold_name(member), address, fingerprint, secrets.token_bytes(_SECRET_BYTES))

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a token as it was printed; space around it does not count.

        Raises:
            InvalidTokenError: When it is damaged or something else.
        """
        text = text.strip()
        found: dict[str, object] = {}
        secret = b""
        if text.startswith(_PREFIX) and text.isascii() and len(text) <= _MAX_BYTES:
            try:
                found = decode_json_object(decode_base64url(text.removeprefix(_PREFIX).encode()))
                secret = decode_base64url(str(found.get("secret")).encode())
            except EncodingFaultError:
                found = {}
        values = [found.get(name) for name in _FIELDS]
        if found.keys() != set(_FIELDS) or len(secret) != _SECRET_BYTES:
            raise _damaged()
        member, address, fingerprint, _ = (v if isinstance(v, str) else "" for v in values)
        try:
            is_sound = member == fold_name(member) and bool(address)
        except InvalidNameError:
            is_sound = False
        if not is_sound or not (fingerprint == "" or _FINGERPRINT.fullmatch(fingerprint)):
            raise _damaged()
        return cls(member, address, fingerprint, secret)

    @property
    def text(self) -> str:
        """The token as it is printed, once, and typed or piped at the joining server."""
        fields = {
            "member": self.member,
            "address": self.address,
            "fingerprint": self.fingerprint,
            "secret": encode_base64url(self.secret),
        }
        return _PREFIX + encode_base64url(encode_json(fields))

    @property
    def digest(self) -> str:
        """What the MoM keeps, in hexadecimal. It binds the secret to the member's name."""
        return hashlib.sha256(self.member.encode() + b"\0" + self.secret).hexdigest()

    def matches(self, digest: str) -> bool:
        """Whether this is the token of that digest, compared in constant time."""
        return hmac.compare_digest(self.digest.encode(), digest.encode())


def _damaged() -> InvalidTokenError:
    return InvalidTokenError(
        "this is not a whole join token; copy it again, or ask for a new one with `member add`"
    )
