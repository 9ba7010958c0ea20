"""Who is asking at a member: passwords become identity tokens, tokens become identities."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from auth import (
    FEDERATION,
    AuditRecord,
    Identity,
    InvalidTokenError,
    KeyRing,
    SigningKey,
    SignInLimiter,
    TokenKind,
    kind_of,
    open_identity_token,
    open_sealed,
    seal,
    seal_identity_token,
    verify_password,
)
from flight_member.audit import AuditTrail
from flight_member.errors import RevokedTokenError
from flight_member.memberstate import MemberState
from flight_member.settings import AuthSection
from flight_member.tokencache import TokenCache

_SERVICE_TTL_S = 60
_WRONG = "user or password is wrong"
# What strangers type is cut to what the audit holds.
_MAX_ACTOR, _MAX_SOURCE = 128, 128


@dataclass(frozen=True, slots=True)
class ServiceCaller:
    """Another server of the federation, as proved by a token of its own key."""

    cluster: str


def service_token(key: SigningKey, *, issuer: str, audience: str, now: datetime) -> str:
    """Return the token with which one server of the federation calls another."""
    return seal(
        TokenKind.SERVICE, {}, key, issuer=issuer, audience=audience, now=now, ttl_s=_SERVICE_TTL_S
    )


def _expiry(identity: Identity) -> datetime:
    return identity.expires_at


class MemberAuthority:
    """Signs a member's own users in and recognises their tokens and the MoM's calls."""

    def __init__(
        self,
        cluster: str,
        key: SigningKey,
        state: MemberState,
        keys: Callable[[], KeyRing],
        audit: AuditTrail,
        settings: AuthSection,
        now: Callable[[], datetime],
    ) -> None:
        """Keep what it takes; `keys` returns the public keys of this member and of the MoM."""
        self._cluster = cluster
        self._key = key
        self._state = state
        self._keys = keys
        self._audit = audit
        self._settings = settings
        self._now = now
        self._limiter = SignInLimiter()
        self._opened: TokenCache[Identity] = TokenCache(_expiry)

    def sign_in(self, user: str, password: str, peer: str) -> str:
        """Return an identity token for one of this member's users.

        Raises:
            InvalidTokenError: When the user does not exist or is locked, or the password is
                wrong; the same words and the same time for all of them.
            LockedError: After five failures within a minute from this peer.
        """
        now = self._now()
        name, _, cluster = user.partition("@")
        name = name.strip().lower()[:_MAX_ACTOR]
        self._limiter.check(name, peer, now)
        found = self._state.snapshot.users.get(name)
        is_right = verify_password(password, found.password_hash if found else None)
        is_ours = cluster.lower() in {"", self._cluster}
        if found is None or found.is_locked or not is_right or not is_ours:
            self._limiter.fail(name, peer, now)
            self._audit.refuse(
                AuditRecord(
                    at=now,
                    actor=user[:_MAX_ACTOR],
                    source=peer[:_MAX_SOURCE],
                    action="sign_in",
                    allowed=False,
                )
            )
            raise InvalidTokenError(_WRONG)
        self._limiter.succeed(name, peer)
        return seal_identity_token(
            user=found.name,
            groups=found.groups,
            is_admin=found.is_admin,
            key=self._key,
            issuer=self._cluster,
            audience=FEDERATION,
            now=now,
            ttl_s=self._settings.identity_ttl_s,
        )

    def authenticate(self, token: str, _peer: str) -> Identity | ServiceCaller:
        """Return who presents a token.

        Raises:
            InvalidTokenError: When the token is none of this member's users' nor the MoM's.
            RevokedTokenError: When the user changed since it was issued.
        """
        now = self._now()
        if kind_of(token) is TokenKind.SERVICE:
            claims = open_sealed(
                TokenKind.SERVICE, token, self._keys(), audience=self._cluster, now=now
            )
            return ServiceCaller(claims["iss"])
        identity = self._opened.open(
            token,
            self._state.snapshot,
            now,
            lambda: open_identity_token(token, self._keys(), audience=FEDERATION, now=now),
        )
        if identity.cluster != self._cluster:
            raise InvalidTokenError(
                f"{identity.name} is not a user of {self._cluster}; ask at the MoM or at home"
            )
        if not self._state.is_current(identity, identity.issued_at.timestamp()):
            raise RevokedTokenError("the user was changed since this token; sign in again")
        return identity

    def exchange(self, token: str, _identity: object) -> str:
        """Return the token of a Handshake itself: it is as good as any that could be made."""
        return token

    def renew(self, _token: str, _identity: object) -> str | None:
        """Identity tokens are not renewed: a password or the home cluster proves anew."""
        return None
