"""Identity tokens and session tokens: who is asking, as somebody vouches.

An identity token is a home cluster's word about its own user: the cluster of the identity is
always the issuer, never a claim. A session token is the MoM's word about a user of any cluster; it
remembers when the user last proved themselves, because renewing it must end some time.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from auth.errors import InvalidTokenError, NotFoundError
from auth.keys import KeyRing, SigningKey
from auth.principals import Identity
from auth.sealing import DEFAULT_SKEW_S, TokenKind, expires_at, issued_at, open_sealed, seal

FEDERATION = "federation"
"""The audience of identity tokens: every server of the federation."""


@dataclass(frozen=True, slots=True)
class SessionToken:
    """What an opened session token says."""

    identity: Identity
    issued_at: datetime
    proved_at: datetime
    """When the user last gave a password or an identity token."""
    address: str | None = None
    """The only address it counts from, when sessions are bound to addresses."""

    def is_bound_elsewhere(self, address: str) -> bool:
        """Whether it must not be accepted from this address."""
        return self.address is not None and self.address != address

    def needs_renewal(self, now: datetime) -> bool:
        """Whether half of its time is spent."""
        return now - self.issued_at >= (self.identity.expires_at - self.issued_at) / 2


def session_ttl_s(proved_at: datetime, now: datetime, *, ttl_s: float, max_s: float) -> float:
    """Return how long a session token made now may live, in seconds; 0 or less: not at all.

    Args:
        proved_at: When the user last proved themselves.
        now: The time.
        ttl_s: The usual life of a session token.
        max_s: How long after the proof the last one ends.
    """
    return min(ttl_s, max_s - (now - proved_at).total_seconds())


def seal_identity_token(
    user: str,
    groups: Iterable[str],
    key: SigningKey,
    *,
    issuer: str,
    now: datetime,
    ttl_s: float,
    is_admin: bool = False,
    audience: str = FEDERATION,
) -> str:
    """Sign that this is a user of the issuing cluster.

    Args:
        user: The user's name at home.
        groups: The groups at home that they are in.
        key: The home cluster's key.
        issuer: The home cluster.
        now: The time of issue.
        ttl_s: Seconds until it expires.
        is_admin: Whether they administer the home cluster.
        audience: Who may accept it.
    """
    claims = {"sub": user, "groups": sorted(groups), "admin": is_admin}
    return seal(
        TokenKind.IDENTITY, claims, key, issuer=issuer, audience=audience, now=now, ttl_s=ttl_s
    )


def open_identity_token(
    text: str | bytes,
    keyring: KeyRing,
    *,
    now: datetime,
    audience: str = FEDERATION,
    skew_s: float = DEFAULT_SKEW_S,
) -> Identity:
    """Return the user whom a home cluster vouches for.

    Raises:
        InvalidTokenError: When it is no genuine identity token for this audience.
        ExpiredTokenError: When its time is over.
    """
    claims = open_sealed(
        TokenKind.IDENTITY, text, keyring, audience=audience, now=now, skew_s=skew_s
    )
    return _identity(claims, claims["iss"])


def seal_session_token(
    identity: Identity,
    key: SigningKey,
    *,
    issuer: str,
    now: datetime,
    ttl_s: float,
    proved_at: datetime,
    audience: str | None = None,
    address: str | None = None,
) -> str:
    """Sign that this user has proved themselves to the MoM.

    Args:
        identity: The user, of any cluster.
        key: The MoM's key.
        issuer: The MoM's cluster.
        now: The time of issue.
        ttl_s: Seconds until it expires; see `session_ttl_s`.
        proved_at: When they last gave a password or an identity token.
        audience: Who may accept it; the issuer alone when None.
        address: The only address it counts from, or None.
    """
    claims = {
        "sub": identity.user,
        "cluster": identity.cluster,
        "groups": sorted(identity.groups),
        "admin": identity.is_admin,
        "proved": proved_at.timestamp(),
        "address": address,
    }
    return seal(
        TokenKind.SESSION,
        claims,
        key,
        issuer=issuer,
        audience=audience or issuer,
        now=now,
        ttl_s=ttl_s,
    )


def open_session_token(
    text: str | bytes,
    keyring: KeyRing,
    *,
    audience: str,
    now: datetime,
    issuer: str | None = None,
    skew_s: float = DEFAULT_SKEW_S,
) -> SessionToken:
    """Return the session that the MoM vouches for.

    Args:
        text: The token as it travelled.
        keyring: Whose signatures count.
        audience: The server that is asking, the MoM.
        now: The time.
        issuer: The only cluster that makes sessions; the audience when None, since a MoM accepts
            its own. A member's key must not make sessions for other clusters' users.
        skew_s: Seconds by which `iat` may lie in the future.

    Raises:
        InvalidTokenError: When it is no genuine session token of this issuer for this audience.
        ExpiredTokenError: When its time is over.
    """
    claims = open_sealed(
        TokenKind.SESSION,
        text,
        keyring,
        audience=audience,
        now=now,
        issuer=issuer or audience,
        skew_s=skew_s,
    )
    cluster, address = claims.get("cluster"), claims.get("address")
    proved: Any = claims.get("proved")
    if not isinstance(cluster, str) or not isinstance(address, str | None):
        raise _misses()
    # An exact type: JSON's true is an int to Python.
    if type(proved) not in (int, float) or not 0 <= proved <= claims["iat"] + skew_s:
        raise _misses()
    proved_at = datetime.fromtimestamp(proved, UTC)
    return SessionToken(_identity(claims, cluster), issued_at(claims), proved_at, address)


def _identity(claims: Mapping[str, Any], cluster: str) -> Identity:
    user, groups, is_admin = claims.get("sub"), claims.get("groups"), claims.get("admin")
    if not isinstance(user, str) or not isinstance(is_admin, bool):
        raise _misses()
    if not isinstance(groups, list) or not all(isinstance(group, str) for group in groups):
        raise _misses()
    try:
        return Identity(
            user=user,
            cluster=cluster,
            groups=frozenset(groups),
            is_admin=is_admin,
            token_id=claims["jti"],
            expires_at=expires_at(claims),
            issued_at=issued_at(claims),
        )
    except NotFoundError:
        pass
    raise _misses()


def _misses() -> InvalidTokenError:
    return InvalidTokenError("this token does not say who is asking; sign in again")
