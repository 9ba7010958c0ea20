"""Who is asking at the MoM: its own users, every member's users, and the members themselves."""

from datetime import UTC, datetime
from operator import itemgetter

from auth import (
    FEDERATION,
    ExpiredTokenError,
    Identity,
    InvalidTokenError,
    KeyRing,
    LockedError,
    SessionToken,
    SigningKey,
    TokenKind,
    kind_of,
    open_identity_token,
    open_sealed,
    open_session_token,
    seal_session_token,
    session_ttl_s,
    verify_password,
)
from flight_member import protocol
from flight_member.authority import ServiceCaller
from flight_member.clock import Moment
from flight_member.errors import (
    ClusterUnavailableError,
    ForwardedError,
    RevokedTokenError,
    UserNotReportedError,
)
from flight_member.signin import WRONG, AwaitingProof, OwnUsers, SignIn, SignInTrail
from flight_member.statestore import Database
from flight_member.tokencache import TokenCache
from flight_mom.binding import AddressBinding
from flight_mom.issuers import OutsideIssuers
from flight_mom.relay import Relay
from flight_mom.settings import MomAuthSection
from flight_mom.topology import Federation, Topology
from flight_sql import Call


def _out_of_step(cluster: str) -> ClusterUnavailableError:
    return ClusterUnavailableError(
        f"{cluster} and the MoM do not count each other's signatures now; try again, and have "
        "administrators compare the servers' clocks"
    )


def _expiry(session: SessionToken) -> datetime:
    return session.identity.expires_at


class MomAuthority:
    """Signs in with a password, and recognises tokens of three kinds.

    A session token is the MoM's own and is renewed while it is used; an identity token was issued
    by the user's home cluster; a service token is a member's. Which one it is stands in the
    token's header and is checked first.
    """

    def __init__(
        self,
        cluster: str,
        key: SigningKey,
        database: Database,
        topology: Topology,
        relay: Relay,
        audit: SignInTrail,
        settings: MomAuthSection,
        now: Moment,
    ) -> None:
        self._cluster = cluster
        self._key = key
        self._topology = topology
        self._relay = relay
        self._settings = settings
        self._now = now
        self._issuers = OutsideIssuers(settings.issuer, now)
        self._own = OwnUsers(cluster, database, lambda: key, settings, now)
        self._signing_in = SignIn(cluster, self._prove, audit, settings, now)
        self._binding = (
            AddressBinding(database, settings.trusted_proxies, now)
            if settings.bind_address
            else None
        )
        self._opened: TokenCache[SessionToken] = TokenCache(_expiry)
        self._services: TokenCache[tuple[ServiceCaller, datetime]] = TokenCache(itemgetter(1))

    def sign_in(self, user: str, password: str, call: Call) -> str:
        """Return a session token for a user of any cluster, whose home checks the password.

        Args:
            user: `user1@shanghai`; without a cluster, a user of the MoM itself.
            password: As given; it is kept and logged nowhere.
            call: The Handshake.

        Raises:
            InvalidTokenError: When user or password is wrong, or the cluster is unknown.
            LockedError: After five failures within a minute from this address.
            ClusterUnavailableError: When the home cluster does not answer.
        """
        return self._signing_in.sign_in(user, password, call)

    def _prove(self, name: str, cluster: str, password: str, source: str, is_long: bool) -> str:
        if cluster == self._cluster:
            token = self._own.prove(name, password)
        else:
            token = self._ask_home(name, cluster, password, source)
        try:
            identity = open_identity_token(
                token, self._topology.federation.keys, audience=FEDERATION, now=self._now()
            )
        except (InvalidTokenError, ExpiredTokenError):
            identity = None
        if identity is None:
            # The password was right: it must not count as a guess.
            raise _out_of_step(cluster)
        if identity.cluster != cluster or identity.user != name:
            raise InvalidTokenError(WRONG)
        # The home cluster's own time: it is compared with its own times of change.
        return str(self._seal(identity, proved_at=identity.issued_at, is_long=is_long))

    def authenticate(self, token: str, _peer: str) -> Identity | ServiceCaller | AwaitingProof:
        """Return who presents a token.

        What any replica has changed by now counts. Members' own calls decide nothing, and are
        spared the question.

        Raises:
            InvalidTokenError: When the token is none that counts here.
            ExpiredTokenError: When it has expired.
            RevokedTokenError: When its user changed since it was issued.
            StateUnavailableError: When it cannot be known what counts.
        """
        try:
            caller = self._recognise(token)
        except (InvalidTokenError, RevokedTokenError, UserNotReportedError):
            if not self._topology.check():
                raise
        else:
            if not isinstance(caller, Identity) or not self._topology.check():
                return caller
        return self._recognise(token)

    def _recognise(self, token: str) -> Identity | ServiceCaller | AwaitingProof:
        now, keys = self._now(), self._topology.federation.keys
        counting = self._signing_in.proved(token)
        if counting is None:
            return AwaitingProof()
        token = counting
        kind = kind_of(token)
        if kind is TokenKind.SERVICE:
            return self._services.open(
                token, (keys,), now, lambda: self._open_service(token, keys, now)
            )[0]
        return self._open(token, now).identity

    def _open_service(
        self, token: str, keys: KeyRing, now: datetime
    ) -> tuple[ServiceCaller, datetime]:
        claims = open_sealed(TokenKind.SERVICE, token, keys, audience=self._cluster, now=now)
        return ServiceCaller(claims["iss"]), datetime.fromtimestamp(claims["exp"], UTC)

    def confirm(self, call: Call) -> None:
        """Judge what depends on the caller's address: where a session counts, a late password."""
        if call.bearer is None or call.identity is None:
            return
        became = self._signing_in.confirm(call.bearer, call)
        if became is not None:
            call.identity = self.authenticate(became, call.peer)
        call.bearer = self._signing_in.proved(call.bearer)
        if (
            self._binding is not None
            and call.bearer is not None
            and kind_of(call.bearer) is TokenKind.SESSION
        ):
            self._binding.check(self._open(call.bearer, self._now()), call)

    def exchange(self, token: str, call: Call) -> str:
        """Return a session token for whoever brings an identity token to a Handshake.

        The session ends as if the password had been given when the token was issued.
        """
        identity = call.identity
        if not isinstance(identity, Identity) or kind_of(token) is TokenKind.SESSION:
            return token
        is_long = self._signing_in.is_long(call)
        return self._seal(identity, proved_at=identity.issued_at, is_long=is_long) or token

    def renew(self, token: str, identity: object) -> str | None:
        """Return a fresh session token once half of the old one is spent.

        Nothing is renewed `auth.session_max_h` after the password was last given.
        """
        if not isinstance(identity, Identity) or kind_of(token) is not TokenKind.SESSION:
            return None
        now = self._now()
        session = self._open(token, now)
        if not session.needs_renewal(now):
            return None
        address = None
        if self._binding is not None:
            address = self._binding.address_of(session)
            if address is None:
                # The call that brings it is the first: it is bound before it is renewed.
                return None
        return self._seal(session.identity, proved_at=session.proved_at, address=address)

    def _open(self, token: str, now: datetime) -> SessionToken:
        """Return what a session or identity token says; checked once per state of the federation.

        The MoM's own users are not part of that state, so theirs are looked up every time.
        """
        federation = self._topology.federation
        if kind_of(token) is None and self._issuers.names(token):
            # Not remembered: an issuer can take its key back at any time.
            identity = self._issuers.open(token)
            self._require_current(identity, identity.issued_at, is_by_home=False)
            return SessionToken(identity, identity.issued_at, proved_at=identity.issued_at)
        session = self._opened.open(
            token, (federation,), now, lambda: self._open_anew(token, federation, now)
        )
        if session.identity.cluster == self._cluster:
            self._require_current(session.identity, session.proved_at)
        return session

    def _open_anew(self, token: str, federation: Federation, now: datetime) -> SessionToken:
        if kind_of(token) is TokenKind.SESSION:
            session = open_session_token(token, federation.keys, audience=self._cluster, now=now)
        else:
            identity = open_identity_token(token, federation.keys, audience=FEDERATION, now=now)
            session = SessionToken(identity, identity.issued_at, proved_at=identity.issued_at)
        self._require_current(session.identity, session.proved_at)
        return session

    def _seal(
        self,
        identity: Identity,
        *,
        proved_at: datetime,
        is_long: bool = False,
        address: str | None = None,
    ) -> str | None:
        now = self._now()
        max_s = self._settings.session_max_h * 3600
        ttl_s = session_ttl_s(
            proved_at, now, ttl_s=max_s if is_long else self._settings.session_ttl_s, max_s=max_s
        )
        if ttl_s <= 0:
            return None
        return seal_session_token(
            identity,
            self._key,
            issuer=self._cluster,
            now=now,
            ttl_s=ttl_s,
            proved_at=proved_at,
            address=address,
        )

    def _ask_home(self, name: str, cluster: str, password: str, source: str) -> str:
        member = self._topology.federation.members.get(cluster)
        if member is None or not member.uri:
            # As slow as a cluster that exists and says no.
            verify_password(password, None)
            raise InvalidTokenError(WRONG)
        request = protocol.SignInRequest(user=name, password=password, source=source)
        try:
            body = self._relay.action(member, protocol.SIGN_IN, request.write())
        except ForwardedError as error:
            refusal = error
        else:
            return protocol.SignInReply.read(body).token
        if refusal.code == LockedError.code:
            raise LockedError(refusal.text)
        if (refusal.code, refusal.text) == (InvalidTokenError.code, WRONG):
            raise InvalidTokenError(WRONG)
        if refusal.code in {InvalidTokenError.code, ExpiredTokenError.code}:
            # What home refused is the MoM's own token; of the password it said nothing.
            raise _out_of_step(cluster)
        raise refusal

    def _require_current(
        self, identity: Identity, proved_at: datetime, *, is_by_home: bool = True
    ) -> None:
        """Refuse a token whose user was removed, locked or changed since.

        Args:
            identity: Whom the token names.
            proved_at: When they proved themselves, by the clock of whom they proved it to.
            is_by_home: Whether that was their home cluster, which signs for who is a user only.

        Raises:
            RevokedTokenError: When the user was changed since.
            UserNotReportedError: When the change is one that home has not told of yet.
        """
        if identity.cluster == self._cluster:
            found = self._own.find(identity.user)
            is_current = found is not None and not found.is_locked and found.changed_at <= proved_at
        else:
            member = self._topology.federation.members.get(identity.cluster)
            user = member.users.get(identity.user) if member is not None else None
            is_current = (
                user is not None and not user.is_locked and user.changed_at <= proved_at.timestamp()
            )
            if (
                not is_current
                and is_by_home
                and member is not None
                and proved_at.timestamp() > self._topology.told_at(member)
            ):
                # Home has signed for them since: what the MoM knows is older than that.
                raise UserNotReportedError(
                    f"{identity.cluster} has not told the MoM yet of a change of {identity.user}; "
                    "try again in a second"
                )
        if not is_current:
            raise RevokedTokenError("the user was changed since this token; sign in again")
