"""Signing in with a name and password: one way for a member and the MoM alike.

Failures count per user and address. A Handshake does not tell the address (pyarrow shows it to
handlers alone), so that what is typed there counts as of an unknown one; when that is locked, the
next are judged by their address, at the first call that tells it. Somebody else's guesses thus lock
somebody else.
"""

from collections.abc import Callable
from datetime import datetime
from typing import Protocol

from auth import (
    FEDERATION,
    AuditRecord,
    InvalidTokenError,
    LockedError,
    NotFoundError,
    PendingSignIns,
    SigningKey,
    SignInLimiter,
    fold_principal,
    is_pending,
    seal_identity_token,
    verify_password,
)
from auth.userstore import User, UserStore
from flight_member.clock import Moment
from flight_member.settings import AuthSection
from flight_member.sources import UNKNOWN, Sources
from flight_member.statestore import Database
from flight_sql import Call, has_agent

WRONG = "user or password is wrong"
HANDSHAKE = "handshake"
"""Stands for the source where a Handshake does not tell it."""

# What strangers type is cut to what the audit holds.
_MAX_ACTOR, _MAX_SOURCE = 128, 128


class SignInTrail(Protocol):
    """Where it is written how sign-ins went."""

    def allow(self, record: AuditRecord) -> None:
        """Write down who signed in."""

    def refuse(self, record: AuditRecord) -> None:
        """Write down who did not."""


class AwaitingProof:
    """Stands for the identity of a caller who is judged as soon as their address is known."""


class SignIn:
    """Counts, locks, defers and audits; whether a password is right others know."""

    def __init__(
        self,
        cluster: str,
        prove: Callable[[str, str, str, str, bool], str],
        audit: SignInTrail,
        settings: AuthSection,
        now: Moment,
    ) -> None:
        """Keep what it takes.

        Args:
            cluster: Whose users are written without a cluster.
            prove: Takes user, cluster, password, source and whether the client cannot renew;
                returns a token, or raises InvalidTokenError.
            audit: Gets every failure, and who signed in.
            settings: What is locked for how long is fixed; who is trusted is set.
            now: The clock.
        """
        self._cluster = cluster
        self._prove = prove
        self._audit = audit
        self._now = now
        self._sources = Sources(settings.trusted_proxies)
        self._agents = settings.long_session_agents
        self._limiter = SignInLimiter()
        self._pending = PendingSignIns()

    def sign_in(self, user: str, password: str, call: Call) -> str:
        """Return a token for a name and password, or what stands for them until they are judged.

        Raises:
            InvalidTokenError: When the user does not exist or is locked, or the password is
                wrong; the same words and the same time for all of them.
            LockedError: After five failures within a minute from this call's address.
        """
        source = self._sources.of(call)
        try:
            return self.attempt(user, password, source, is_long=self.is_long(call))
        except LockedError:
            if source != UNKNOWN:
                raise
        return self._pending.seal(user, password, self._now())

    def attempt(self, user: str, password: str, source: str, *, is_long: bool = False) -> str:
        """Return a token for a name and password that came from an address.

        Raises:
            InvalidTokenError: When they are wrong.
            LockedError: After five failures within a minute from this address.
            AuditUnavailableError: When it must be written down and cannot be.
        """
        now = self._now()
        name, _, cluster = user.strip().lower().rpartition("@")
        name, cluster = (name, cluster) if name else (cluster, self._cluster)
        who = f"{name}@{cluster}"[:_MAX_ACTOR]
        try:
            self._limiter.check(who, source, now)
            token = self._prove(name, cluster, password, source, is_long)
            self._limiter.succeed(who, source)
        except (InvalidTokenError, LockedError) as error:
            refusal = error
        else:
            self._audit.allow(_record(now, who, source, refusal=None))
            return token
        if isinstance(refusal, InvalidTokenError):
            self._limiter.fail(who, source, now)
        self._audit.refuse(_record(now, who, source, refusal))
        raise refusal

    def is_long(self, call: Call) -> bool:
        """Whether a call is of a client that cannot take a renewed token."""
        return has_agent(call.headers, self._agents)

    def proved(self, token: str) -> str | None:
        """Return the token that counts: the same, or what a pending sign-in became; else None."""
        if not is_pending(token):
            return token
        proved = self._pending.proved(token)
        return None if proved is None else proved.token

    def confirm(self, token: str, call: Call) -> str | None:
        """Judge a pending sign-in by the address of the call that brings it.

        Returns:
            The token that counts from now on; None when there was nothing to judge.

        Raises:
            InvalidTokenError: When name or password are wrong, or another address proved it.
            LockedError: After five failures within a minute from this address.
        """
        if not is_pending(token):
            return None
        source = self._sources.of(call)
        proved = self._pending.proved(token)
        if proved is not None:
            if proved.source != source:
                elsewhere = InvalidTokenError(
                    "this sign-in was made at another address; sign in again"
                )
                self._audit.refuse(_record(self._now(), "unknown", source, elsewhere))
                raise elsewhere
            return None
        user, password = self._pending.open(token, self._now())
        # What a pending sign-in became is never handed out, so cannot be renewed either.
        became = self.attempt(user, password, source, is_long=True)
        self._pending.keep(token, became, source)
        return became


def _record(
    now: datetime, who: str, source: str, refusal: InvalidTokenError | LockedError | None
) -> AuditRecord:
    return AuditRecord(
        at=now,
        actor=who,
        source=(source or HANDSHAKE)[:_MAX_SOURCE],
        action="sign_in",
        allowed=refusal is None,
        rule="password" if refusal is None else refusal.code,
    )


class OwnUsers:
    """Proves a cluster's own users by their passwords."""

    def __init__(
        self,
        cluster: str,
        database: Database,
        key: Callable[[], SigningKey],
        settings: AuthSection,
        now: Moment,
    ) -> None:
        self._cluster = cluster
        self._database = database
        self._key = key
        self._settings = settings
        self._now = now

    def find(self, name: str) -> User | None:
        """Return the user of that name as they are now, or None."""
        try:
            folded = fold_principal(name)
        except NotFoundError:
            return None
        with self._database.read() as connection:
            return UserStore(connection).find(folded)

    def prove(self, name: str, password: str, *, is_long: bool = False) -> str:
        """Return an identity token for a right password.

        Raises:
            InvalidTokenError: When there is no such user, they are locked, or it is wrong.
        """
        found = self.find(name)
        is_right = verify_password(password, found.password_hash if found else None)
        if found is None or found.is_locked or not is_right:
            raise InvalidTokenError(WRONG)
        # Behind the lock that every change takes: a token of who is changed meanwhile is either
        # older than the change, or not made.
        with self._database.change() as connection:
            if UserStore(connection).find(name) == found:
                return self.issue(found, is_long=is_long)
        raise InvalidTokenError(WRONG)

    def issue(self, user: User, *, is_long: bool = False) -> str:
        """Return an identity token for a user, who has proved themselves."""
        longest_s = int(self._settings.session_max_h * 3600)
        usual_s = self._settings.identity_ttl_s
        return seal_identity_token(
            user=user.name,
            groups=user.groups,
            is_admin=user.is_admin,
            key=self._key(),
            issuer=self._cluster,
            audience=FEDERATION,
            now=self._now(),
            ttl_s=max(usual_s, longest_s) if is_long else usual_s,
        )
