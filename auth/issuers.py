"""Tokens of outside identity providers: whom they name, as far as the federation lets them.

An issuer is believed about the users of the clusters that its configuration names, and of no
others. Signatures are checked with the issuer's own published keys (a JSON Web Key Set), by
asymmetric algorithms only: a set that holds a secret is passed over, and nothing in a token can
choose a key by content or an algorithm that its key is not for.

Pure: keys and time are arguments. Who fetches the keys is the server's matter.

Source: OpenID Connect Core 1.0 section 2 (claims), RFC 7517 (key sets), RFC 8725 (best practices).
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import jwt
from jwt.types import Options

from auth.encoding import EncodingFaultError, decode_base64url, decode_json_object
from auth.errors import ExpiredTokenError, InvalidTokenError, NotFoundError
from auth.principals import Identity
from auth.sealing import DEFAULT_SKEW_S, MAX_TOKEN_BYTES
from storage.names import InvalidNameError

ALGORITHMS = frozenset({"EdDSA", "ES256", "ES384", "PS256", "PS384", "RS256", "RS384", "RS512"})

# Times are checked here, because the library would read a clock.
_OPTIONS: Options = {
    "verify_signature": True,
    "verify_exp": False,
    "verify_iat": False,
    "verify_nbf": False,
    "require": ["iss", "aud", "exp", "iat"],
}


@dataclass(frozen=True, slots=True)
class OutsideIssuer:
    """An outside identity provider, and what its word counts for.

    Attributes:
        issuer: Its `iss`, compared exactly.
        audience: The `aud` that its tokens must name.
        clusters: The clusters whose users it may speak for.
        user_claim: The claim that holds the user's name at home.
        user_suffix: What is cut from the end of that claim; a value without it is refused.
        cluster_claim: The claim that holds the cluster; None when there is only one.
        groups_claim: The claim that lists groups at home; None: tokens bring no groups.
    """

    issuer: str
    audience: str
    clusters: frozenset[str]
    user_claim: str = "sub"
    user_suffix: str = ""
    cluster_claim: str | None = None
    groups_claim: str | None = None


@dataclass(frozen=True, slots=True)
class IssuerKeys:
    """An issuer's published keys by `kid`; those that cannot be used here are left out."""

    _keys: Mapping[str, jwt.PyJWK] = field(repr=False)

    @classmethod
    def parse(cls, text: bytes) -> "IssuerKeys":
        """Read a JSON Web Key Set.

        Raises:
            InvalidTokenError: When it is none.
        """
        try:
            listed = json.loads(text)["keys"]
            entries = [entry for entry in listed if isinstance(entry, dict)]
        except (ValueError, KeyError, TypeError, RecursionError):
            entries = None
        if entries is None:
            raise InvalidTokenError("the issuer's key set cannot be read")
        found = (_read_key(entry) for entry in entries)
        return cls({str(key.key_id): key for key in found if key is not None})

    def find(self, kid: str) -> jwt.PyJWK | None:
        """Return the key of that name, or None."""
        return self._keys.get(kid)

    def __len__(self) -> int:
        return len(self._keys)


@dataclass(frozen=True, slots=True)
class OutsideToken:
    """A token as it reads before anything is verified: enough to look for its issuer and key.

    Attributes:
        text: As it travelled.
        issuer: The `iss` that it claims.
        kid: The key that it claims to be signed with.
    """

    text: str = field(repr=False)
    issuer: str
    kid: str

    @classmethod
    def parse(cls, text: str) -> "OutsideToken":
        """Read a token.

        Raises:
            InvalidTokenError: When it is no JSON Web Token with an issuer and a key's name, or is
                longer than is accepted.
        """
        parts = text.encode("utf-8", "replace").split(b".")
        if len(text) > MAX_TOKEN_BYTES or len(parts) != 3:  # noqa: PLR2004  header, payload, signature
            raise _invalid("it is malformed")
        try:
            header, claims = (decode_json_object(decode_base64url(part)) for part in parts[:2])
        except EncodingFaultError:
            header, claims = {}, {}
        issuer, kid = claims.get("iss"), header.get("kid")
        # An extension that must be understood is none that is understood here.
        if not isinstance(issuer, str) or not isinstance(kid, str) or "crit" in header:
            raise _invalid("it is malformed")
        return cls(text, issuer, kid)


def open_outside_token(
    token: OutsideToken,
    issuer: OutsideIssuer,
    keys: IssuerKeys,
    *,
    now: datetime,
    skew_s: float = DEFAULT_SKEW_S,
) -> Identity:
    """Return the user whom an outside issuer vouches for.

    Args:
        token: As it was read.
        issuer: Whose token it must be.
        keys: Its published keys.
        now: The time.
        skew_s: Seconds by which the issuer's clock may differ.

    Returns:
        The user, who administers nothing, whatever the token says.

    Raises:
        InvalidTokenError: When it is no genuine token of this issuer for this audience, or it
            names nobody whom the issuer may speak for.
        ExpiredTokenError: When its time is over.
    """
    key = keys.find(token.kid)
    if key is None:
        raise _invalid("its key is not one of its issuer's")
    try:
        claims = jwt.decode(
            token.text,
            key,
            algorithms=[str(key.algorithm_name)],
            audience=issuer.audience,
            issuer=issuer.issuer,
            options=_OPTIONS,
        )
    except (jwt.PyJWTError, ValueError, RecursionError):
        claims = None
    if claims is None:
        raise _invalid("it is malformed, forged or made for somebody else")
    issued_at, expires_at = _times(claims, now, skew_s)
    try:
        return Identity(
            user=_user(claims, issuer),
            cluster=_cluster(claims, issuer),
            groups=_groups(claims, issuer),
            is_admin=False,
            token_id=str(claims.get("jti") or "")[:256],
            expires_at=expires_at,
            issued_at=issued_at,
        )
    except (NotFoundError, InvalidNameError):
        pass
    raise _invalid("it names nobody of the federation")


def _read_key(entry: dict[str, Any]) -> jwt.PyJWK | None:
    if not isinstance(entry.get("kid"), str) or entry.get("use", "sig") != "sig":
        return None
    try:
        key = jwt.PyJWK(entry)
    except (jwt.PyJWTError, ValueError, TypeError):
        return None
    return key if key.algorithm_name in ALGORITHMS else None


def _times(claims: Mapping[str, Any], now: datetime, skew_s: float) -> tuple[datetime, datetime]:
    """Return when a token was issued and when it ends, both of which must fit the time."""
    skew = timedelta(seconds=skew_s)
    issued_at, expires_at = _moment(claims["iat"]), _moment(claims["exp"])
    starts_at = _moment(claims.get("nbf", claims["iat"]))
    if issued_at is None or expires_at is None or starts_at is None:
        raise _invalid("its times are no times")
    if max(issued_at, starts_at) > now + skew:
        raise _invalid("it is not valid yet")
    if now >= expires_at:
        raise ExpiredTokenError("the token has expired; get a new one from its issuer")
    return issued_at, expires_at


def _moment(seconds: object) -> datetime | None:
    # An exact type: JSON's true is an int to Python.
    if type(seconds) not in (int, float):
        return None
    try:
        return datetime.fromtimestamp(float(str(seconds)), UTC)
    except (ValueError, OverflowError, OSError):
        return None


def _user(claims: Mapping[str, Any], issuer: OutsideIssuer) -> str:
    user = claims.get(issuer.user_claim)
    if not isinstance(user, str) or not user.endswith(issuer.user_suffix):
        raise _invalid("it names no user")
    return user.removesuffix(issuer.user_suffix)


def _cluster(claims: Mapping[str, Any], issuer: OutsideIssuer) -> str:
    if issuer.cluster_claim is None:
        return next(iter(issuer.clusters))
    cluster = claims.get(issuer.cluster_claim)
    if not isinstance(cluster, str) or cluster.lower() not in issuer.clusters:
        raise _invalid("its issuer may not speak for users of that cluster")
    return cluster.lower()


def _groups(claims: Mapping[str, Any], issuer: OutsideIssuer) -> frozenset[str]:
    groups = claims.get(issuer.groups_claim, []) if issuer.groups_claim is not None else []
    if not isinstance(groups, list) or not all(isinstance(group, str) for group in groups):
        raise _invalid("its groups are no list of names")
    return frozenset(groups)


def _invalid(reason: str) -> InvalidTokenError:
    return InvalidTokenError(f"this token cannot be used: {reason}; sign in again")
