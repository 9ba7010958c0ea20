"""Passwords: hashed with Argon2id, compared in the same time whether or not the user exists.

The cost is OWASP's recommendation and is not a setting: a slower machine is no reason for weaker
hashes. Each hash carries its own parameters, so raising them here leaves older ones valid.

Source: OWASP Password Storage Cheat Sheet (Argon2id, 19 MiB, two passes, one lane); RFC 9106; RFC
8265 section 4.2 (passwords are compared in Unicode normal form C).
"""

import base64
import re
import secrets
import unicodedata

from cryptography.exceptions import InvalidKey
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

from auth.errors import UnusablePasswordError

MAX_PASSWORD_BYTES = 1_024
NO_PASSWORD = "!"  # noqa: S105  that there is none is no secret
"""Stands for the hash of who has no password; none proves them."""

_MEMORY_KIB = 19_456
_PASSES = 2
_LANES = 1
_SALT_BYTES = 16
_HASH_BYTES = 32
_OWN_HASH = re.compile(
    rf"\$argon2id\$v=19\$m={_MEMORY_KIB},t={_PASSES},p={_LANES}"
    r"\$[A-Za-z0-9+/]{22}\$[A-Za-z0-9+/]{43}",
    re.ASCII,
)


def hash_password(password: str) -> str:
    """Return a new salted hash as a PHC string (`$argon2id$v=19$m=19456,t=2,p=1$…`).

    Takes some 30 ms and 19 MiB.

    Raises:
        UnusablePasswordError: When the password is empty or longer than 1024 bytes.
    """
    data = _normalise(password)
    if not 0 < len(data) <= MAX_PASSWORD_BYTES:
        raise UnusablePasswordError(f"a password has 1 to {MAX_PASSWORD_BYTES} bytes in UTF-8")
    return Argon2id(
        salt=secrets.token_bytes(_SALT_BYTES),
        length=_HASH_BYTES,
        iterations=_PASSES,
        lanes=_LANES,
        memory_cost=_MEMORY_KIB,
    ).derive_phc_encoded(data)


def check_hash(encoded: str) -> None:
    """Refuse what `hash_password` would not have made today; `NO_PASSWORD` is taken.

    Raises:
        UnusablePasswordError: When it is another kind of hash, or costs more or less to try.
    """
    if encoded != NO_PASSWORD and _OWN_HASH.fullmatch(encoded) is None:
        raise UnusablePasswordError(
            f"this is no hash of a password as they are kept here: $argon2id$v=19$m={_MEMORY_KIB},"
            f"t={_PASSES},p={_LANES}$ with {_SALT_BYTES} bytes of salt and {_HASH_BYTES} of hash"
        )


def verify_password(password: str, encoded: str | None) -> bool:
    """Whether this is the password that was hashed.

    Exactly one hash is computed in every case, so that the time taken does not tell whether the
    user exists, has a usable hash, or was given a password that is too long.

    Args:
        password: What somebody typed.
        encoded: The user's hash, or None when there is no such user.
    """
    data = _normalise(password)
    is_usable = 0 < len(data) <= MAX_PASSWORD_BYTES and _is_hash(encoded)
    is_right = _matches(data[:MAX_PASSWORD_BYTES], encoded if is_usable and encoded else _DUMMY)
    return is_right and is_usable


def _matches(data: bytes, encoded: str) -> bool:
    try:
        Argon2id.verify_phc_encoded(data, encoded)
    except InvalidKey:
        return False
    return True


def _is_hash(encoded: str | None) -> bool:
    """Whether a text has the form that `hash_password` writes, so that verifying it costs a hash.

    The library refuses a damaged text at once, which would tell that the user exists.
    """
    fields = (encoded or "").split("$")
    if len(fields) != 6 or fields[:3] != ["", "argon2id", "v=19"]:  # noqa: PLR2004  the PHC fields
        return False
    names = [parameter.partition("=") for parameter in fields[3].split(",")]
    return [name for name, _, value in names if value.isdecimal()] == ["m", "t", "p"] and all(
        fields[4:]
    )


def _normalise(password: str) -> bytes:
    return unicodedata.normalize("NFC", password).encode("utf-8", errors="surrogatepass")


def _make_dummy() -> str:
    """Return a hash at today's cost that no password has: random bytes, not anything's hash."""
    salt, digest = (
        base64.b64encode(secrets.token_bytes(count)).rstrip(b"=").decode("ascii")
        for count in (_SALT_BYTES, _HASH_BYTES)
    )
    return f"$argon2id$v=19$m={_MEMORY_KIB},t={_PASSES},p={_LANES}${salt}${digest}"


_DUMMY = _make_dummy()
