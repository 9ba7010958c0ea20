"""The replicas of the MoM: named and removed by administrators, joined with a one-time token.

A replica answers everything, so it gets what it takes to sign certificates: the CA's key, sealed
to a key that the joining server made for this one time. It is handed out over TLS, or where nobody
beyond this machine listens.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from auth import AuditRecord, CertificateAuthority, InvalidTokenError, JoinToken, PublicKey
from auth import PermissionDeniedError as UnnamedHostError
from auth.auditstore import AuditStore
from flight_member import protocol
from flight_member.administrators import signed_in
from flight_member.errors import BadRequestError, NotFoundError, NotSupportedError
from flight_member.locations import fold_host, read_hosts, read_location
from flight_member.logs import get_logger
from flight_member.peers import Peers, is_alive
from flight_member.peerstore import Peer, PeerStore
from flight_mom.momhome import CERTIFICATE_DAYS, LOOPBACK
from flight_mom.office import Office
from flight_mom.replicastore import ReplicaStore, StoredReplica
from flight_mom.settings import MomSettings
from flight_sql import Call
from storage.names import InvalidNameError, fold_name

_log = get_logger(__name__)
_TOKEN_LIFE = timedelta(hours=24)
_MAX_SHOWN, _MAX_RULE = 48, 200


class ReplicaDesk:
    """Answers what administrators and joining servers ask about replicas."""

    def __init__(
        self,
        settings: MomSettings,
        federation: str,
        authority: CertificateAuthority,
        office: Office,
        peers: Peers,
        periodic: Callable[[], str | None],
        trust: Callable[[], None],
    ) -> None:
        """Keep what it takes.

        Args:
            settings: This replica's.
            federation: The federation's id.
            authority: The CA.
            office: Where changes are made.
            peers: The servers over the database.
            periodic: Returns the name of the replica that runs periodic work, if it is known.
            trust: Called when other keys count as the MoM's.
        """
        self._trust = trust
        self._settings = settings
        self._cluster = office.cluster
        self._federation = federation
        self._authority = authority
        self._office = office
        self._peers = peers
        self._periodic = periodic
        self._places: list[tuple[str, str]] = []
        self._addresses: tuple[str, ...] = ()
        self.uri = ""

    def actions(self) -> Mapping[str, Callable[[Call, bytes], bytes]]:
        """Return the actions by name."""
        return {protocol.REPLICAS: self._carry_out, protocol.REPLICA_JOIN: self._join}

    def _carry_out(self, call: Call, body: bytes) -> bytes:
        """Answer an administrator; refusals are audited as well.

        Raises:
            PermissionDeniedError: When the caller is no administrator.
            BadRequestError: When it asks for what there is not.
            NotFoundError: When there is no such replica.
        """
        request = protocol.ReplicasRequest.read(body)
        caller, kinds = signed_in(call), protocol.ReplicasRequest
        name = "" if request.action == kinds.LIST else _read_name(request.name)
        action = f"replica {request.action}"[:_MAX_SHOWN]
        record = self._office.admit(caller, call.peer, action, name)
        record = replace(record, rule=" ".join(request.hosts)[:_MAX_RULE])
        match request.action:
            case kinds.LIST:
                return protocol.ReplicasReply(replicas=self._rows()).write()
            case kinds.ADD:
                return self._add(name, request.hosts, record).write()
            case kinds.REMOVE:
                return self._remove(name, record).write()
            case _:
                raise BadRequestError("action must be list, add or remove")

    def _add(
        self, name: str, named: tuple[str, ...], record: AuditRecord
    ) -> protocol.ReplicasReply:
        if name == self._cluster:
            raise BadRequestError(f"{name} is the first MoM itself; choose another name")
        if not self._office.database.is_shared:
            raise NotSupportedError(
                "replicas need a database that all of them reach: PostgreSQL, in state.database"
            )
        hosts = read_hosts(named) or ("127.0.0.1",)
        token = JoinToken.make(name, self.uri, self._authority.fingerprint)
        expires_at = record.at + _TOKEN_LIFE
        with self._office.database.change() as connection:
            ReplicaStore(connection).add(name, hosts, token.digest, expires_at)
            AuditStore(connection).append(record)
        return protocol.ReplicasReply(
            join_token=token.text,
            expires_at=expires_at.astimezone(UTC).isoformat(timespec="seconds"),
        )

    def _remove(self, name: str, record: AuditRecord) -> protocol.ReplicasReply:
        with self._office.database.change() as connection:
            # The row of what runs there holds its keys: nothing that it signs counts any more.
            had_row = PeerStore(connection).remove(name)
            if not (ReplicaStore(connection).remove(name) or had_row):
                raise NotFoundError(f"{name} is no replica; flight-mom replicas lists them")
            AuditStore(connection).append(record)
        self.look()
        return protocol.ReplicasReply(replicas=self._rows())

    def look(self) -> None:
        """Take over what changed among the servers over the database."""
        if self._peers.look():
            self._trust()
        places = [(peer.name, peer.uri) for peer in self._peers.all]
        if places != self._places:
            self._places = places
            with self._office.database.read() as connection:
                added = ReplicaStore(connection).all()
            self._addresses = tuple(
                peer.uri
                for peer in self._peers.all
                if peer.uri and answers_at_named_host(peer, added, self._cluster)
            )

    def addresses(self) -> tuple[str, ...]:
        """Return where the replicas at hosts that were named answer, by their names.

        Empty where there can be no other: each member knows where it reaches the one that it
        joined, and that may be no address of its own.
        """
        return self._addresses

    def _rows(self) -> tuple[protocol.ReplicaRow, ...]:
        with self._office.database.read() as connection:
            added = ReplicaStore(connection).all()
        found = {peer.name: peer for peer in self._peers.all}
        periodic = self._periodic()
        return tuple(
            _row(name, found.get(name), added.get(name), is_periodic=name == periodic)
            for name in sorted({*found, *added})
        )

    # What a server that joins sends.

    def _join(self, call: Call, body: bytes) -> bytes:
        request = protocol.ReplicaJoinRequest.read(body)
        request.check_protocol(request.name[:_MAX_SHOWN])
        server = self._settings.server
        if not (server.uses_tls or server.is_loopback):
            raise NotSupportedError(
                "replicas join over TLS, or on the machine itself: they are handed secrets"
            )
        token, now = JoinToken.parse(request.token), self._office.now()
        record = AuditRecord(
            at=now,
            actor=request.name[:_MAX_SHOWN],
            source=call.peer,
            action="replica join",
            object=request.name[:_MAX_SHOWN],
            allowed=True,
            rule="join token",
        )
        try:
            reply = self._admit(token, request, record)
        except (BadRequestError, InvalidTokenError, UnnamedHostError) as error:
            refusal = error
        else:
            self.look()
            _log.info("replica_joined", replica=request.name)
            return reply.write()
        with self._office.database.change() as connection:
            denied = replace(record, allowed=False, rule=str(refusal)[:_MAX_RULE])
            AuditStore(connection).append(denied)
        raise refusal

    def _admit(
        self, token: JoinToken, request: protocol.ReplicaJoinRequest, record: AuditRecord
    ) -> protocol.ReplicaJoinReply:
        """Use up a join token, and return what it is worth; all or nothing."""
        with self._office.database.change() as connection:
            store = ReplicaStore(connection)
            stored = store.all().get(request.name)
            is_named = stored is not None and token.member == request.name
            if not is_named or not store.use_token(request.name, token.digest, record.at):
                raise InvalidTokenError(
                    "the join token does not count: it is unknown, used, expired or another "
                    "replica's; ask an administrator for a new one"
                )
            hosts = () if stored is None else stored.hosts
            key = PublicKey.from_text(request.public_key)
            certificate = self._certify(request, hosts, record.at)
            # Known from now on: before it is started, others hear of the key that it signs with.
            PeerStore(connection).write(request.name, "replica", "", (key,))
            sealed = self._authority.sealed_key(request.box_key, request.name)
            AuditStore(connection).append(record)
        return protocol.ReplicaJoinReply(
            federation=self._federation,
            mom=self._cluster,
            ca_certificate=self._authority.certificate_pem.decode(),
            certificate=certificate.decode(),
            sealed_authority=sealed,
        )

    def _certify(
        self, request: protocol.ReplicaJoinRequest, hosts: tuple[str, ...], now: datetime
    ) -> bytes:
        return self._authority.sign_request(
            request.certificate_request.encode(),
            common_name=self._cluster,
            hosts=(*hosts, *LOOPBACK),
            now=now,
            days=CERTIFICATE_DAYS,
        )


def _row(
    name: str, peer: Peer | None, added: StoredReplica | None, *, is_periodic: bool
) -> protocol.ReplicaRow:
    is_started = peer is not None and bool(peer.uri)
    if peer is None:
        state = "expected"
    elif not is_started:
        state = "joined"
    else:
        state = "alive" if is_alive(peer.silence_s) else "silent"
    return protocol.ReplicaRow(
        name=name,
        state=state,
        uri="" if peer is None else peer.uri,
        hosts=() if added is None else added.hosts,
        heard_s=peer.silence_s if peer is not None and is_started else None,
        is_periodic=is_periodic and state == "alive",
    )


def answers_at_named_host(peer: Peer, added: Mapping[str, StoredReplica], cluster: str) -> bool:
    """Whether others may be told where a replica answers: at a host that was named for it.

    The first MoM, which has the cluster's name, says so itself: members joined it there.
    """
    if peer.name == cluster:
        return True
    replica = added.get(peer.name)
    if replica is None:
        return False
    try:
        host = read_location(peer.uri)[1]
    except BadRequestError:
        return False
    return host in {fold_host(named) for named in replica.hosts}


def _read_name(text: str) -> str:
    try:
        return fold_name(text)
    except InvalidNameError as error:
        fault = str(error)
    raise BadRequestError(fault)
