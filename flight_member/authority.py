"""Who is asking at a member: passwords become identity tokens, tokens become identities."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from auth import (
    FEDERATION,
    Identity,
    InvalidTokenError,
    KeyRing,
    SigningKey,
    TokenKind,
    kind_of,
    open_identity_token,
    open_sealed,
    seal,
    verify_password,
)
from flight_member.clock import Moment
from flight_member.errors import RevokedTokenError
from flight_member.memberstate import MemberState
from flight_member.protocol import SignInRequest
from flight_member.settings import AuthSection
from flight_member.signin import WRONG, AwaitingProof, OwnUsers, SignIn, SignInTrail
from flight_member.statestore import Database
from flight_member.tokencache import TokenCache
from flight_sql import Call

_SERVICE_TTL_S = 60


@dataclass(frozen=True, slots=True)
class ServiceCaller:
    """Another server of the federation, as proved by a token of its own key."""

    cluster: str


@dataclass(frozen=True, slots=True)
class NodeCaller:
    """A data node of this cluster, as proved by a token of its own key."""

    node: str


def node_audience(cluster: str, node: str) -> str:
    """Return whom a server's call to a data node is meant for: what it says counts nowhere else."""
    return f"{cluster}/{node}"


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
        database: Database,
        state: MemberState,
        keys: Callable[[], KeyRing],
        audit: SignInTrail,
        settings: AuthSection,
        now: Moment,
        node_keys: Callable[[], KeyRing] = KeyRing,
    ) -> None:
        """Keep what it takes.

        `keys` returns the public keys of this member and of the MoM, `node_keys` those of this
        member's nodes.
        """
        self._cluster = cluster
        self._state = state
        self._keys = keys
        self._node_keys = node_keys
        self._now = now
        self._own = OwnUsers(cluster, database, lambda: key, settings, now)
        self._signing_in = SignIn(cluster, self._prove, audit, settings, now)
        self._opened: TokenCache[Identity] = TokenCache(_expiry)

    def sign_in(self, user: str, password: str, call: Call) -> str:
        """Return an identity token for one of this member's users; see `SignIn.sign_in`."""
        return self._signing_in.sign_in(user, password, call)

    def sign_in_for_mom(self, request: SignInRequest) -> str:
        """Return an identity token for who signs in at the MoM, from the address that it saw."""
        name = f"{request.user}@{self._cluster}"
        return self._signing_in.attempt(name, request.password, request.source)

    def _prove(self, name: str, cluster: str, password: str, _source: str, is_long: bool) -> str:
        if cluster != self._cluster:
            verify_password(password, None)
            raise InvalidTokenError(WRONG)
        token = self._own.prove(name, password, is_long=is_long)
        # Who was added or changed a moment ago is known here at once.
        if self._state.snapshot.users.get(name) != self._own.find(name):
            self._state.refresh()
        return token

    def authenticate(
        self, token: str, _peer: str
    ) -> Identity | ServiceCaller | NodeCaller | AwaitingProof:
        """Return who presents a token.

        Raises:
            InvalidTokenError: When the token is none of this member's users' nor the MoM's.
            RevokedTokenError: When the user changed since it was issued.
        """
        now = self._now()
        counting = self._signing_in.proved(token)
        if counting is None:
            return AwaitingProof()
        token = counting
        if kind_of(token) is TokenKind.SERVICE:
            claims = open_sealed(
                TokenKind.SERVICE, token, self._keys(), audience=self._cluster, now=now
            )
            return ServiceCaller(claims["iss"])
        if kind_of(token) is TokenKind.NODE:
            claims = open_sealed(
                TokenKind.NODE, token, self._node_keys(), audience=self._cluster, now=now
            )
            return NodeCaller(claims["iss"])
        keys = self._keys()
        identity = self._opened.open(
            token,
            (self._state.snapshot, keys),
            now,
            lambda: open_identity_token(token, keys, audience=FEDERATION, now=now),
        )
        if identity.cluster != self._cluster:
            raise InvalidTokenError(
                f"{identity.name} is not a user of {self._cluster}; ask at the MoM or at home"
            )
        if not self._state.is_current(identity, identity.issued_at.timestamp()):
            raise RevokedTokenError("the user was changed since this token; sign in again")
        return identity

    def confirm(self, call: Call) -> None:
        """Judge a password that waited for the caller's address."""
        if call.bearer is None or call.identity is None:
            return
        became = self._signing_in.confirm(call.bearer, call)
        if became is not None:
            call.identity = self.authenticate(became, call.peer)
        call.bearer = self._signing_in.proved(call.bearer)

    def exchange(self, token: str, _call: Call) -> str:
        """Return the token of a Handshake itself: it is as good as any that could be made."""
        return token

    def renew(self, _token: str, _identity: object) -> str | None:
        """Identity tokens are not renewed: a password or the home cluster proves anew."""
        return None
