"""Further controllers of a member: who may join, who is there, and which of them leads."""

import getpass
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from auth import (
    AlreadyExistsError,
    AuditRecord,
    InvalidTokenError,
    JoinToken,
    PublicKey,
    fingerprint,
)
from auth.auditstore import AuditStore
from flight_member.clock import Moment
from flight_member.controllerprotocol import ControllerJoinReply, ControllerJoinRequest
from flight_member.errors import BadRequestError, ConfigurationError, NotFoundError
from flight_member.leadership import LEADER, place_of
from flight_member.leasestore import LeaseStore
from flight_member.logs import get_logger
from flight_member.memberhome import MemberHome
from flight_member.membership import Membership
from flight_member.peerstore import Peer, PeerStore
from flight_member.sharedstore import SharedStore
from flight_member.statestore import Database
from flight_sql import Call
from storage.names import fold_name

_log = get_logger(__name__)
_TOKEN_LIFE_S = 24 * 3600.0
_MAX_SHOWN, _MAX_RULE = 48, 200
ROLE = "controller"


@dataclass(frozen=True, slots=True)
class ListedController:
    """One controller of a member as the database tells of it."""

    name: str
    uri: str
    is_leader: bool
    lease_s: float | None
    """Seconds until its leases lapse unless it renews them; None when they have lapsed."""
    number: int | None
    """Of the present leader's time; None of all others."""
    heard_at: datetime


def list_controllers(database: Database, now: datetime) -> list[ListedController]:
    """Return the controllers of a member, by name."""
    with database.read() as connection:
        peers, leases = PeerStore(connection).all(), LeaseStore(connection)
        leader = leases.find(LEADER)
        held = {peer.name: leases.find(place_of(peer.name)) for peer in peers}

    def listed(peer: Peer) -> ListedController:
        place = held[peer.name]
        leads = leader is not None and leader.left_s > 0 and leader.holder == peer.name
        left_s = 0.0 if place is None else place.left_s
        return ListedController(
            name=peer.name,
            uri=peer.uri,
            is_leader=leads,
            lease_s=round(left_s, 1) if left_s > 0 else None,
            number=leader.number if leads and leader is not None else None,
            heard_at=now - timedelta(seconds=peer.silence_s),
        )

    return [listed(peer) for peer in peers if peer.role == ROLE]


def add_controller(home: MemberHome, database: Database, name: str) -> JoinToken:
    """Make the one-time token that a further controller joins with, at the terminal.

    Raises:
        ConfigurationError: When the member's database is one that only one process can use.
        AlreadyExistsError: When there is a controller of that name.
        InvalidNameError: When the name is none.
    """
    name = fold_name(name)
    if not database.is_shared:
        fault = (
            "state.database: one process alone can use SQLite; a member with several controllers "
            "keeps its state in PostgreSQL"
        )
        raise ConfigurationError([fault])
    joined = Membership.load(home.directory)
    server = home.settings.server
    with database.change() as connection:
        peers = {peer.name: peer for peer in PeerStore(connection).all()}
        own = peers.get(home.settings.server_name)
        token = JoinToken.make(
            name,
            (own.uri if own is not None else "") or server.uri(server.port),
            fingerprint(joined.ca_certificate.encode())
            if joined is not None and server.uses_tls
            else "",
        )
        if token.member in peers:
            raise AlreadyExistsError(
                f"there is a controller {token.member} already; flight-member controllers lists "
                "them, choose another name"
            )
        SharedStore(connection).add_token(token.digest, token.member, _TOKEN_LIFE_S)
        AuditStore(connection).append(_terminal_record("add controller", name))
    return token


def remove_controller(home: MemberHome, database: Database, name: str) -> None:
    """Forget a controller and its keys, at the terminal: nothing that it signs counts any more.

    Raises:
        NotFoundError: When there is none of that name.
        BadRequestError: When it runs.
    """
    name = fold_name(name)
    with database.change() as connection:
        peers = PeerStore(connection)
        known = next((one for one in peers.all() if (one.name, one.role) == (name, ROLE)), None)
        if known is None:
            raise NotFoundError(
                f"there is no controller {name} of {home.settings.cluster.name}; "
                "flight-member controllers lists them"
            )
        place = LeaseStore(connection).find(place_of(name))
        if place is not None and place.left_s > 0:
            raise BadRequestError(f"{name} runs; stop it first, or wait until its lease has lapsed")
        peers.remove(name)
        AuditStore(connection).append(_terminal_record("remove controller", name))


class ControllerDesk:
    """Lets further controllers join, for a controller that is there."""

    def __init__(
        self,
        home: MemberHome,
        database: Database,
        membership: Callable[[], Membership | None],
        sign: Callable[[bytes], bytes],
        joined: Callable[[], object],
        now: Moment,
    ) -> None:
        """Keep what it takes.

        Args:
            home: Of the controller that is there.
            database: Of all controllers.
            membership: Returns the federation that was joined, if any.
            sign: Has the federation's CA sign a certificate request; both in PEM.
            joined: Called when one has joined, to have the MoM know its key.
            now: The clock.
        """
        self._home = home
        self._cluster = home.settings.cluster.name
        self._database = database
        self._membership = membership
        self._sign = sign
        self._joined = joined
        self._now = now

    def join(self, call: Call, body: bytes) -> bytes:
        """Take in a further controller, once for each token.

        Raises:
            InvalidTokenError: When the token does not count, for whatever reason.
            BadRequestError: When the key cannot be read.
        """
        request = ControllerJoinRequest.read(body)
        request.check_protocol(request.name[:_MAX_SHOWN])
        record = AuditRecord(
            at=self._now(),
            actor=request.name[:_MAX_SHOWN],
            source=call.peer,
            action="join controller",
            object=request.name[:_MAX_SHOWN],
            allowed=True,
            rule="join token",
        )
        try:
            reply = self._admit(request, record)
        except (InvalidTokenError, BadRequestError) as error:
            refusal = error
        else:
            _log.info("controller_joined", name=request.name)
            self._joined()
            return reply.write()
        with self._database.change() as connection:
            rule = str(refusal)[:_MAX_RULE]
            AuditStore(connection).append(replace(record, allowed=False, rule=rule))
        raise refusal

    def _admit(self, request: ControllerJoinRequest, record: AuditRecord) -> ControllerJoinReply:
        token, key = JoinToken.parse(request.token), _read_key(request.public_key)
        joined, certificate = self._membership(), b""
        if token.member != request.name:
            raise _unknown_token()
        if joined is not None and request.uri.startswith("grpc+tls"):
            # Before the token is used up: the MoM may be away.
            certificate = self._sign(request.certificate_request.encode())
        with self._database.change() as connection:
            if not SharedStore(connection).use_token(token.digest, request.name):
                raise _unknown_token()
            PeerStore(connection).write(request.name, ROLE, "", (key,))
            AuditStore(connection).append(record)
        return ControllerJoinReply(
            cluster=self._cluster,
            tables_directory=str(self._home.tables_directory.resolve()),
            ca_certificate="" if joined is None else joined.ca_certificate,
            certificate=certificate.decode(),
        )


def _terminal_record(action: str, name: str) -> AuditRecord:
    return AuditRecord(
        at=datetime.now(UTC),
        actor=f"{getpass.getuser()} at the terminal",
        source="terminal",
        action=action,
        object=name,
        allowed=True,
    )


def _read_key(text: str) -> PublicKey:
    try:
        return PublicKey.from_text(text)
    except InvalidTokenError:
        pass
    raise BadRequestError("the public key is not one")


def _unknown_token() -> InvalidTokenError:
    return InvalidTokenError(
        "the join token does not count: it is unknown, used, expired or another controller's; ask "
        "an administrator for a new one"
    )
