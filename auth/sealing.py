"""Sealed values: JSON Web Tokens with one algorithm and one accepted spelling.

Everything that travels signed (tokens, tickets, prepared handles, calls between servers) is sealed
and opened here. What holds for all of them:

- `typ` says what a value is and is checked first: none passes for another;
- the algorithm is Ed25519 (`EdDSA`) and nothing in the value can choose another, name a key by
  content or point to one: the header has exactly `alg`, `kid`, `typ`;
- the key is found by issuer and `kid`;
- every byte counts: base64url must be canonical, JSON keys unique, so that a changed byte is
  refused whether or not it would change the meaning;
- a key that has been replaced counts until its date;
- `iss`, `aud`, `iat`, `exp` and `jti` are there and well formed; `exp` is exact, and `iat` may lie
  in the future by no more than the clocks' skew.

No clock is read: the time is an argument.

Source: RFC 7515, 7519, 8037; RFC 8725 (JWT best current practices) sections 3.1 to 3.12.
"""

import secrets
from collections.abc import Mapping
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, cast

import jwt

from auth.encoding import (
    EncodingFaultError,
    decode_base64url,
    decode_json_object,
    encode_json,
)
from auth.errors import (
    AuthError,
    ExpiredTicketError,
    ExpiredTokenError,
    InvalidTicketError,
    InvalidTokenError,
)
from auth.keys import KeyRing, PublicKey, SigningKey

MAX_TOKEN_BYTES = 16_384
MAX_TICKET_BYTES = 1_048_576
MAX_LIFETIME_S = 31 * 86_400
DEFAULT_SKEW_S = 30

_ALGORITHM = "EdDSA"
_JWS = jwt.PyJWS(algorithms=[_ALGORITHM])
_HEADER_KEYS = {"alg", "kid", "typ"}
_ADDED_CLAIMS = frozenset({"iss", "aud", "iat", "exp", "jti"})
_MAX_CLAIM_LENGTH = 256


class TokenKind(StrEnum):
    """What a sealed value is for; its `typ` header is `fm-<kind>+jwt`."""

    IDENTITY = "identity"
    """A home cluster says who its user is."""
    SESSION = "session"
    """The MoM says for whom it answered a Handshake."""
    TICKET = "ticket"
    """The MoM says what one member may stream to one caller."""
    ANSWER = "answer"
    """The MoM holds an answer of its own (metadata, a system table) for one caller."""
    PREPARED = "prepared"
    """A prepared statement; it carries no authority."""
    COOKIE = "cookie"
    """What a session completes names with; it carries no authority."""
    SERVICE = "service"
    """One server of the federation calls another."""
    NODE = "node"
    """A data node speaks to its controllers; it vouches for nothing else."""
    JOIN = "join"
    """A server that is joining speaks before it has a place in the federation."""

    @property
    def typ(self) -> str:
        """The header that is checked first."""
        return f"fm-{self.value}+jwt"

    @property
    def is_ticket(self) -> bool:
        """Whether it proves what may be fetched, rather than who asks."""
        return self in _TICKETS

    @property
    def max_bytes(self) -> int:
        """The longest accepted text; a ticket carries a whole statement."""
        return MAX_TICKET_BYTES if self.is_ticket else MAX_TOKEN_BYTES


_NOUNS = {TokenKind.PREPARED: "prepared statement", TokenKind.ANSWER: "ticket"}
_TICKETS = frozenset({TokenKind.TICKET, TokenKind.ANSWER, TokenKind.PREPARED})


def seal(
    kind: TokenKind,
    claims: Mapping[str, Any],
    key: SigningKey,
    *,
    issuer: str,
    audience: str,
    now: datetime,
    ttl_s: float,
    token_id: str | None = None,
) -> str:
    """Sign claims for one audience and a limited time.

    Args:
        kind: What the value is for.
        claims: JSON values; `iss`, `aud`, `iat`, `exp` and `jti` are added.
        key: The issuer's key.
        issuer: The cluster that vouches for the claims.
        audience: Who may accept them.
        now: The time of issue, aware.
        ttl_s: Seconds until it expires, above 0 and at most 31 days.
        token_id: The `jti`; a random one when None.

    Raises:
        InvalidTokenError: When the sealed value would be longer than is accepted (for kinds of
            tickets InvalidTicketError).
        ValueError: When the claims hold a name that is added here, or the time is out of range.
    """
    if clash := _ADDED_CLAIMS & claims.keys():
        raise ValueError(f"these claims are added by seal: {sorted(clash)}")
    if not 0 < ttl_s <= MAX_LIFETIME_S:
        raise ValueError(f"ttl_s must be above 0 and at most {MAX_LIFETIME_S}")
    issued = _timestamp(now)
    key = key.current
    payload = {
        **claims,
        "iss": issuer,
        "aud": audience,
        "iat": issued,
        "exp": _plain(round(issued + ttl_s, 6)),
        "jti": token_id or secrets.token_hex(16),
    }
    text = _JWS.encode(
        encode_json(payload),
        key.private,
        algorithm=_ALGORITHM,
        headers={"kid": key.kid, "typ": kind.typ},
        sort_headers=True,
    )
    if len(text) > kind.max_bytes:
        raise _invalid(kind, f"it would be longer than {kind.max_bytes} bytes")
    return text


def open_sealed(
    kind: TokenKind,
    text: str | bytes,
    keyring: KeyRing,
    *,
    audience: str | None,
    now: datetime,
    issuer: str | None = None,
    skew_s: float = DEFAULT_SKEW_S,
    may_be_over: bool = False,
) -> dict[str, Any]:
    """Return the claims of a genuine value of this kind.

    Args:
        kind: What the value must be.
        text: The value as it travelled.
        keyring: The issuers that are believed, with their keys.
        audience: Who is asking; None accepts any, for an issuer that opens its own.
        now: The time, aware.
        issuer: The one issuer that is believed for this; None: all of the ring.
        skew_s: Seconds by which `iat` may lie in the future.
        may_be_over: Accept one whose time is over: for ending what it began, never for more.

    Raises:
        InvalidTokenError: When it is not of this kind, malformed, forged, not for this audience,
            from another issuer or not valid yet.
        ExpiredTokenError: When it is genuine, and its time is over. For the kinds of tickets these
            are InvalidTicketError and ExpiredTicketError.
    """
    data = text if isinstance(text, bytes) else text.encode("utf-8", errors="replace")
    if len(data) > kind.max_bytes:
        raise _invalid(kind, f"it is longer than {kind.max_bytes} bytes")
    parts = data.split(b".")
    if len(parts) != 3:  # noqa: PLR2004  header, payload, signature
        raise _invalid(kind, "it is malformed")
    header = _part(kind, parts[0])
    if header.get("typ") != kind.typ:
        raise _invalid(kind, "it was made for another purpose")
    if header.keys() != _HEADER_KEYS or header["alg"] != _ALGORITHM:
        raise _invalid(kind, "it is not signed as the federation signs")
    claims = _part(kind, parts[1])
    key = _find_key(kind, header, claims, keyring, issuer)
    _check_signature(kind, key, parts)
    _check_addressed(kind, claims, audience)
    _check_times(kind, claims, now, skew_s, may_be_over=may_be_over)
    if key.ends_at is not None:
        if now >= key.ends_at:
            raise _invalid(kind, "the key that signed it has been replaced")
        # Whoever remembers what was opened forgets it with the key.
        claims["exp"] = min(claims["exp"], key.ends_at.timestamp())
    return claims


def kind_of(text: str | bytes) -> TokenKind | None:
    """Return what a value says it is, or None; nothing is verified.

    For choosing which kind to open: `open_sealed` then checks that it is one.
    """
    data = text if isinstance(text, bytes) else text.encode("utf-8", errors="replace")
    try:
        header = decode_json_object(decode_base64url(data[:MAX_TOKEN_BYTES].partition(b".")[0]))
    except EncodingFaultError:
        return None
    typ = header.get("typ")
    return next((kind for kind in TokenKind if kind.typ == typ), None)


def issued_at(claims: Mapping[str, Any]) -> datetime:
    """Return the time of issue of opened claims."""
    return datetime.fromtimestamp(claims["iat"], UTC)


def expires_at(claims: Mapping[str, Any]) -> datetime:
    """Return the time of expiry of opened claims."""
    return datetime.fromtimestamp(claims["exp"], UTC)


def _part(kind: TokenKind, text: bytes) -> dict[str, Any]:
    try:
        return decode_json_object(decode_base64url(text))
    except EncodingFaultError:
        pass
    raise _invalid(kind, "it is malformed")


def _find_key(
    kind: TokenKind,
    header: Mapping[str, Any],
    claims: Mapping[str, Any],
    keyring: KeyRing,
    issuer: str | None,
) -> PublicKey:
    claimed, kid = claims.get("iss"), header["kid"]
    key = None
    if isinstance(claimed, str) and isinstance(kid, str) and issuer in (None, claimed):
        key = keyring.find(claimed, kid)
    if key is None:
        raise _invalid(kind, "its issuer or key is not known here")
    return key


def _check_signature(kind: TokenKind, key: PublicKey, parts: list[bytes]) -> None:
    try:
        # PyJWT's own reading of base64url is lenient: the one spelling is checked first.
        decode_base64url(parts[2])
        _JWS.decode(b".".join(parts), key.public, algorithms=[_ALGORITHM])
    except (EncodingFaultError, jwt.InvalidTokenError):
        pass
    else:
        return
    raise _invalid(kind, "its signature does not match")


def _check_addressed(kind: TokenKind, claims: Mapping[str, Any], audience: str | None) -> None:
    for name in ("aud", "jti"):
        value = claims.get(name)
        if not isinstance(value, str) or not 0 < len(value) <= _MAX_CLAIM_LENGTH:
            raise _invalid(kind, f"it has no {name}")
    if audience is not None and claims["aud"] != audience:
        raise _invalid(kind, "it is meant for another server")


def _check_times(
    kind: TokenKind,
    claims: Mapping[str, Any],
    now: datetime,
    skew_s: float,
    *,
    may_be_over: bool,
) -> None:
    issued, expires, current = claims.get("iat"), claims.get("exp"), now.timestamp()
    # An exact type: JSON's true is an int to Python.
    if type(issued) not in (int, float) or type(expires) not in (int, float):
        raise _invalid(kind, "it has no time of issue or expiry")
    issued, expires = cast("float", issued), cast("float", expires)
    if not 0 <= issued < expires <= issued + MAX_LIFETIME_S:
        raise _invalid(kind, "its times are out of range")
    if issued > current + skew_s:
        raise _invalid(kind, "it is not valid yet: compare the servers' clocks")
    if current >= expires and not may_be_over:
        raise _expired(kind)


def _timestamp(moment: datetime) -> float:
    if moment.tzinfo is None:
        raise ValueError("times are aware")
    return _plain(round(moment.timestamp(), 6))


def _plain(seconds: float) -> float:
    """Return whole seconds as an int: they are shorter, and the usual spelling."""
    return int(seconds) if float(seconds).is_integer() else seconds


def _invalid(kind: TokenKind, reason: str) -> AuthError:
    if kind.is_ticket:
        return InvalidTicketError(f"this {_noun(kind)} cannot be used: {reason}; {_again(kind)}")
    return InvalidTokenError(f"this {kind} token cannot be used: {reason}; sign in again")


def _expired(kind: TokenKind) -> AuthError:
    if kind.is_ticket:
        return ExpiredTicketError(f"the {_noun(kind)} has expired; {_again(kind)}")
    return ExpiredTokenError(f"the {kind} token has expired; sign in again")


def _noun(kind: TokenKind) -> str:
    return _NOUNS.get(kind, str(kind))


def _again(kind: TokenKind) -> str:
    return "prepare it again" if kind is TokenKind.PREPARED else "execute the statement again"
