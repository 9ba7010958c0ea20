"""The controller's side of its data nodes: joining, heartbeats, the state they hold, draining."""

import base64
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from auth import AuditRecord, InvalidTokenError, JoinToken, KeyRing, PublicKey
from auth.auditstore import AuditStore
from flight_member import nodeprotocol, protocol
from flight_member.administrators import Administrators, signed_in
from flight_member.authority import NodeCaller
from flight_member.clock import Moment
from flight_member.errors import BadRequestError, NotFoundError, PermissionDeniedError
from flight_member.joblisting import read_jobs
from flight_member.jobs import Jobs
from flight_member.locations import ENCRYPTED, fold_host, read_location
from flight_member.logs import get_logger
from flight_member.membership import Membership
from flight_member.memberstate import MemberSnapshot
from flight_member.nodereplica import node_replica
from flight_member.noderoster import NodeRoster
from flight_member.nodes import DRAINING, LOST, Nodes
from flight_member.nodestore import NodeStore, StoredNode
from flight_member.revocationlog import Revocations, written
from flight_member.settings import MemberSettings, is_loopback
from flight_member.statestore import Database
from flight_sql import Call

_log = get_logger(__name__)
_MAX_SHOWN, _MAX_RULE = 48, 200
_NEVER_HEARD = "joining"


@dataclass(frozen=True, slots=True)
class NodeOffice:
    """What a controller knows that its nodes are told."""

    settings: MemberSettings
    database: Database
    roster: NodeRoster
    nodes: Nodes
    jobs: Jobs
    revoked: Revocations
    snapshot: Callable[[], MemberSnapshot]
    keys: Callable[[], KeyRing]
    membership: Callable[[], Membership | None]
    tables_directory: str
    peers: Callable[[], tuple[str, ...]]
    """Returns where the other controllers of the cluster answer."""
    sign: Callable[[bytes, str], bytes]
    """Has the federation's CA sign a certificate request for one host; both in PEM."""
    news: Callable[[], None]
    """Told when a node came, went, or changed its state."""
    tell_nodes: Callable[[], None]
    """Has all nodes ask for news at once."""
    now: Moment


class NodeDesk:
    """Answers what nodes and their administrators ask of a controller."""

    def __init__(self, office: NodeOffice) -> None:
        self._office = office
        self._cluster = office.settings.cluster.name
        self._administrators = Administrators(self._cluster, office.database)
        self._held: tuple[MemberSnapshot | None, str, bytes] = (None, "", b"")

    def actions(self) -> Mapping[str, Callable[[Call, bytes], bytes]]:
        """Return the actions by name."""
        return {
            protocol.AUTHORITY: self._authority,
            nodeprotocol.NODE_JOIN: self._join,
            nodeprotocol.NODE_HEARTBEAT: self._heartbeat,
            nodeprotocol.NODE_REPLICA: self._replica,
            nodeprotocol.NODE_CERTIFICATE: self._certificate,
            nodeprotocol.NODES: self._nodes,
        }

    # Joining.

    def _authority(self, _call: Call, _body: bytes) -> bytes:
        membership = self._office.membership()
        return b"" if membership is None else membership.ca_certificate.encode()

    def _join(self, call: Call, body: bytes) -> bytes:
        request = nodeprotocol.NodeJoinRequest.read(body)
        request.check_protocol(request.node[:_MAX_SHOWN])
        token, office = JoinToken.parse(request.token), self._office
        name, now = request.node, office.now()
        record = _record(call, now, "join node", name[:_MAX_SHOWN], rule="join token")
        certificate, stored = b"", office.roster.find(name)
        refusal: Exception | None = None
        try:
            _read_key(request.public_key)
            if stored is not None and token.member == name:
                self._require_own_host(request.uri, stored)
                if request.uri.startswith(ENCRYPTED):
                    # Before the token is used up: the MoM may be away.
                    certificate = self._signed(request.certificate_request, stored)
            with office.database.change() as connection:
                nodes = NodeStore(connection)
                # Marking is looking: of two that bring one token at a time, one finds it used.
                if not nodes.use_join_token(token.digest, name, now) or stored is None:
                    raise _unknown_token()
                nodes.set_joined(name, request.public_key, now)
                AuditStore(connection).append(record)
        except (BadRequestError, PermissionDeniedError, InvalidTokenError) as error:
            refusal = error
        if refusal is not None:
            self._note_refused(record, refusal)
            raise refusal
        office.roster.refresh()
        _log.info("node_joined", node=name)
        membership = office.membership()
        return nodeprotocol.NodeJoinReply(
            cluster=self._cluster,
            cluster_keys=self._keys()[self._cluster],
            ca_certificate="" if membership is None else membership.ca_certificate,
            certificate=certificate.decode(),
        ).write()

    def _certificate(self, call: Call, body: bytes) -> bytes:
        stored = self._calling_node(call)
        request = nodeprotocol.NodeCertificateRequest.read(body)
        signed = self._signed(request.certificate_request, stored)
        return protocol.RenewReply(certificate=signed.decode()).write()

    def _signed(self, request: str, stored: StoredNode) -> bytes:
        if self._office.membership() is None:
            raise PermissionDeniedError(
                f"{self._cluster} has joined no federation whose CA could sign a certificate; "
                "have it join, or have the node listen on loopback"
            )
        return self._office.sign(request.encode(), stored.host)

    # What nodes send.

    def _heartbeat(self, call: Call, body: bytes) -> bytes:
        stored, office = self._calling_node(call), self._office
        beat = nodeprotocol.NodeHeartbeat.read(body)
        beat.check_protocol(stored.name)
        if beat.row.node != stored.name:
            raise PermissionDeniedError(f"{stored.name} speaks for itself alone")
        self._require_own_host(beat.row.uri, stored)
        self._keep_jobs(stored, beat.ended_jobs)
        if beat.is_leaving:
            self._let_go(call, stored)
        else:
            changes = {"mode": "node", "is_leader": False}
            if stored.is_draining:
                changes["state"] = DRAINING
            if office.nodes.hear(beat.row.model_copy(update=changes)):
                _log.info("node_heard", node=stored.name, state=beat.row.state)
                office.news()
        return self._reply(beat, stored).write()

    def _reply(
        self, beat: nodeprotocol.NodeHeartbeat, stored: StoredNode
    ) -> nodeprotocol.NodeHeartbeatReply:
        office, membership = self._office, self._office.membership()
        settings, revoked = office.settings, office.revoked
        limits, heard_at, disowned_at = settings.limits, revoked.heard_at, revoked.disowned_at
        return nodeprotocol.NodeHeartbeatReply(
            interval_s=settings.heartbeat.interval_s,
            silence_s=settings.heartbeat.timeout_s,
            is_draining=stored.is_draining,
            keys=self._keys(),
            mom=None if membership is None else membership.mom,
            tables_directory=office.tables_directory,
            limits=nodeprotocol.NodeLimits.model_validate(limits.model_dump()),
            replica_version=self._current()[0],
            policy_epoch=revoked.epoch,
            revocations=written(revoked.known, beat.policy_epoch),
            mom_heard_s=None
            if heard_at is None
            else max((office.now() - heard_at).total_seconds(), 0.0),
            disowned_at=None if disowned_at is None else disowned_at.timestamp(),
            controllers=(office.nodes.uri, *office.peers()),
        )

    def _replica(self, call: Call, _body: bytes) -> bytes:
        self._calling_node(call)
        return self._current()[1]

    def _current(self) -> tuple[str, bytes]:
        """Return the version of the present state, and it as nodes read it."""
        snapshot = self._office.snapshot()
        known, version, data = self._held
        if known is not snapshot:
            replica = node_replica(snapshot)
            version, data = replica.version, replica.write()
            self._held = (snapshot, version, data)
        return version, data

    def _keys(self) -> dict[str, tuple[str, ...]]:
        ring = self._office.keys()
        return {
            issuer: tuple(key.to_text() for key in ring.keys_of(issuer))
            for issuer in sorted(ring.issuers)
        }

    def _keep_jobs(self, stored: StoredNode, encoded: str) -> None:
        if not encoded:
            return
        try:
            data = base64.b64decode(encoded, validate=True)
        except ValueError:
            raise BadRequestError("not well formed: ended_jobs") from None
        self._office.jobs.adopt(
            replace(row, cluster=self._cluster, node=stored.name)
            for row in read_jobs(data, is_shown=lambda row: not row.is_live)
        )

    def _let_go(self, call: Call, stored: StoredNode) -> None:
        """Take in that a node's process ends; one that was drained may be started again."""
        office = self._office
        office.nodes.forget(stored.name)
        if stored.is_draining:
            with office.database.change() as connection:
                NodeStore(connection).set_draining(stored.name, is_draining=False)
                AuditStore(connection).append(
                    _record(call, office.now(), "node drained", stored.name, actor=stored.name)
                )
            office.roster.refresh()
        _log.info("node_left", node=stored.name)
        office.news()

    # What people ask.

    def _nodes(self, call: Call, body: bytes) -> bytes:
        request, caller = nodeprotocol.NodesRequest.read(body), signed_in(call)
        if request.action == request.DRAIN:
            self._drain(call, request.node)
        elif request.action != request.SHOW:
            raise BadRequestError("action must be show or drain")
        if caller.cluster != self._cluster:
            raise PermissionDeniedError(f"only users of {self._cluster} see its nodes")
        return nodeprotocol.NodesReply(nodes=tuple(self.shown())).write()

    def shown(self) -> list[nodeprotocol.ShownNode]:
        """Return every node but the controller as it is seen here, by name."""
        office = self._office
        rows = {row.node: row for row in office.nodes.rows()}
        now = office.now().timestamp()
        shown: list[nodeprotocol.ShownNode] = []
        for stored in office.roster.all:
            row = rows.get(stored.name)
            silence_s = office.nodes.silence_s(stored.name)
            shown.append(
                nodeprotocol.ShownNode(
                    node=stored.name,
                    mode="node",
                    state=_NEVER_HEARD if row is None else row.state,
                    uri="" if row is None else row.uri,
                    running_statements=0 if row is None else row.running_statements,
                    queued_statements=0 if row is None else row.queued_statements,
                    heard_at=None if silence_s is None else now - silence_s,
                )
            )
        return shown

    def _drain(self, call: Call, name: str) -> None:
        office, caller = self._office, signed_in(call)
        record = _record(call, office.now(), "drain node", name[:_MAX_SHOWN], actor=caller.name)
        self._administrators.admit(caller, record)
        states = {row.node: row.state for row in office.nodes.rows()}
        with office.database.change() as connection:
            nodes = NodeStore(connection)
            if nodes.find(name) is None or states.get(name) in {None, LOST}:
                raise NotFoundError(
                    f"no node {name[:_MAX_SHOWN]} of {self._cluster} runs; "
                    "flight-member nodes lists them"
                )
            nodes.set_draining(name, is_draining=True)
            AuditStore(connection).append(record)
        office.roster.refresh()
        for row in office.nodes.rows():
            if row.node == name:
                office.nodes.hear(row.model_copy(update={"state": DRAINING}))
        office.news()
        office.tell_nodes()

    # Who speaks.

    def _calling_node(self, call: Call) -> StoredNode:
        if isinstance(call.identity, NodeCaller):
            stored = self._office.roster.find(call.identity.node)
            if stored is not None:
                return stored
        raise PermissionDeniedError(f"only nodes of {self._cluster} may send this")

    def _require_own_host(self, uri: str, stored: StoredNode) -> None:
        """Refuse an address that the administrator did not name, or that travels readable."""
        scheme, host = read_location(uri)
        if host != fold_host(stored.host):
            raise PermissionDeniedError(
                f"{stored.name} may not answer at that host; an administrator names it with "
                f"flight-member node add {stored.name} --host HOST"
            )
        is_safe = scheme == ENCRYPTED or is_loopback(host)
        if not (is_safe or self._office.settings.server.insecure_plaintext):
            raise PermissionDeniedError(
                f"{stored.name} must answer with TLS beyond loopback: tokens are sent there"
            )

    def _note_refused(self, record: AuditRecord, refusal: Exception) -> None:
        with self._office.database.change() as connection:
            rule = str(refusal)[:_MAX_RULE]
            AuditStore(connection).append(replace(record, allowed=False, rule=rule))


def _record(
    call: Call, at: datetime, action: str, name: str, *, actor: str = "", rule: str = ""
) -> AuditRecord:
    return AuditRecord(
        at=at,
        actor=actor or name,
        source=call.peer,
        action=action,
        object=name,
        allowed=True,
        rule=rule,
    )


def _unknown_token() -> InvalidTokenError:
    return InvalidTokenError(
        "the join token does not count: it is unknown, used, expired or another node's; ask an "
        "administrator for a new one"
    )


def _read_key(text: str) -> None:
    try:
        PublicKey.from_text(text)
    except InvalidTokenError:
        pass
    else:
        return
    raise BadRequestError("the public key is not one")
