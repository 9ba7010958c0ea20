"""Makes sealed values that `seal` would never make, to see them refused."""

import base64
import json
from typing import Any

from auth import SigningKey
from tests.auth.factories import NOW, SHANGHAI, SHANGHAI_KEY

ALPHABET = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"


def b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def forge(
    header: dict[str, Any] | bytes | None = None,
    payload: dict[str, Any] | bytes | None = None,
    key: SigningKey = SHANGHAI_KEY,
    *,
    signature: bytes | None = None,
) -> str:
    """Sign anything at all; dicts are merged over what a good identity token holds."""
    head = {"alg": "EdDSA", "kid": key.kid, "typ": "fm-identity+jwt"}
    body = {
        "sub": "user1",
        "groups": [],
        "admin": False,
        "iss": SHANGHAI,
        "aud": "federation",
        "iat": int(NOW.timestamp()),
        "exp": int(NOW.timestamp()) + 60,
        "jti": "j1",
    }
    first = header if isinstance(header, bytes) else json.dumps(_merge(head, header)).encode()
    second = payload if isinstance(payload, bytes) else json.dumps(_merge(body, payload)).encode()
    signed = f"{b64(first)}.{b64(second)}"
    return f"{signed}.{b64(key.private.sign(signed.encode()) if signature is None else signature)}"


def _merge(values: dict[str, Any], changes: dict[str, Any] | None) -> dict[str, Any]:
    merged = values | (changes or {})
    return {name: value for name, value in merged.items() if value is not ...}


def flips(position: int, data: bytes) -> list[bytes]:
    """Return the data with each single bit of one byte flipped."""
    return [replace_byte(data, position, data[position] ^ (1 << bit)) for bit in range(8)]


def replace_byte(data: bytes, position: int, value: int) -> bytes:
    return data[:position] + bytes([value]) + data[position + 1 :]
