"""Strict readings of base64url and JSON: every value has exactly one accepted spelling.

Base64 leaves spare bits in a last character, and lenient decoders skip what they do not know; JSON
readers let the last of two equal keys win. Each is a way to change a sealed text without breaking
its signature, or to have two programs read it differently. Both are refused here.

Source: RFC 7515 section 2 (base64url without padding), RFC 8259 section 4 (names SHOULD be
unique), RFC 8725 section 3.
"""

import base64
import binascii
import json
import re
from typing import Any, NoReturn

_ALPHABET = re.compile(rb"[A-Za-z0-9_-]*")


class EncodingFaultError(ValueError):
    """A text is not the one spelling of any value; callers say what it should have been."""


def encode_base64url(data: bytes) -> str:
    """Return bytes as base64url without padding."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")


def decode_base64url(text: bytes) -> bytes:
    """Return the bytes that `encode_base64url` would spell exactly so.

    Raises:
        EncodingFaultError: When the text has another alphabet, padding, or spare bits that are set.
    """
    if not _ALPHABET.fullmatch(text):
        raise EncodingFaultError("not base64url")
    try:
        data = base64.urlsafe_b64decode(text + b"=" * (-len(text) % 4))
    except binascii.Error:
        data = None
    if data is None or encode_base64url(data).encode("ascii") != text:
        raise EncodingFaultError("not canonical base64url")
    return data


def encode_json(value: Any) -> bytes:
    """Return a value as compact JSON with sorted keys, in UTF-8.

    Raises:
        ValueError: When it holds NaN, infinity or a lone surrogate.
    """
    text = json.dumps(
        value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    )
    return text.encode("utf-8")


def decode_json_object(data: bytes) -> dict[str, Any]:
    """Return the JSON object that these bytes spell.

    Raises:
        EncodingFaultError: When they are not UTF-8, not one JSON object, nested too deeply, hold a
            key twice, or a number that is not finite.
    """
    try:
        value = json.loads(
            data.decode("utf-8"), object_pairs_hook=_unique, parse_constant=_refuse_constant
        )
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise EncodingFaultError("not a JSON object with unique keys")
    return value


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise EncodingFaultError("a key stands twice")
    return found


def _refuse_constant(name: str) -> NoReturn:
    raise EncodingFaultError(f"{name} is not JSON")
