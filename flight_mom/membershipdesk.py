"""The MoM's side of membership: joining, heartbeats, reports, and what administrators change."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

from auth import (
    AuditRecord,
    CertificateAuthority,
    Identity,
    InvalidTokenError,
    JoinToken,
    PublicKey,
    SigningKey,
)
from auth.auditstore import AuditStore
from flight_member import protocol
from flight_member.authority import ServiceCaller
from flight_member.errors import BadRequestError, NotFoundError, PermissionDeniedError
from flight_member.logs import get_logger
from flight_member.statestore import Database
from flight_mom.memberstore import MemberStore, StoredMember
from flight_mom.settings import MomSettings
from flight_mom.topology import Member, Route, Topology
from flight_sql import Call
from storage.names import InvalidNameError, fold_name

_log = get_logger(__name__)
_CERTIFICATE_DAYS = 365
_JOIN_TOKEN_LIFE = timedelta(hours=24)


class MembershipDesk:
    """Answers the federation's own actions at the MoM."""

    def __init__(
        self,
        settings: MomSettings,
        federation: str,
        key: SigningKey,
        authority: CertificateAuthority,
        database: Database,
        topology: Topology,
        require_administrator: Callable[[Identity], None],
        now: Callable[[], datetime],
    ) -> None:
        self._settings = settings
        self._cluster = settings.cluster.name
        self._federation = federation
        self._key = key
        self._authority = authority
        self._database = database
        self._topology = topology
        self._require_administrator = require_administrator
        self._now = now
        self.uri = ""

    def actions(self) -> Mapping[str, Callable[[Call, bytes], bytes]]:
        """Return the actions by name."""
        return {
            protocol.AUTHORITY: self._certificate,
            protocol.JOIN: self._join,
            protocol.HEARTBEAT: self._heartbeat,
            protocol.REPORT: self._report,
            protocol.MEMBERS: self._members,
        }

    # What members send.

    def _certificate(self, _call: Call, _body: bytes) -> bytes:
        return self._authority.certificate_pem

    def _join(self, call: Call, body: bytes) -> bytes:
        request = protocol.JoinRequest.read(body)
        request.check_protocol(request.cluster)
        digest = JoinToken.parse(request.token).digest
        now = self._now()
        certificate, refusal = b"", ""
        with self._database.change() as connection:
            members, audit = MemberStore(connection), AuditStore(connection)
            found = members.find_join_token(digest)
            stored = {one.name: one for one in members.all()}.get(request.cluster)
            if found is None or found.member != request.cluster or stored is None:
                refusal = "join token unknown"
            elif found.used_at is not None:
                refusal = "join token already used"
            elif found.expires_at < now:
                refusal = "join token expired"
            else:
                public_key = _read_key(request.public_key)
                _require_named_host(request.uri, stored)
                certificate = self._authority.sign_request(
                    request.certificate_request.encode(),
                    common_name=stored.name,
                    hosts=stored.hosts,
                    now=now,
                    days=_CERTIFICATE_DAYS,
                )
                members.use_join_token(digest, now)
                members.set_joined(
                    stored.name, request.uri, public_key.kid, request.public_key, now
                )
            audit.append(
                AuditRecord(
                    at=now,
                    actor=request.cluster[:63],
                    source=call.peer,
                    action="join",
                    object=request.cluster[:63],
                    allowed=not refusal,
                    rule=refusal or "join token",
                )
            )
        if refusal:
            raise InvalidTokenError(
                "the join token does not count: it is unknown, used, expired or another "
                "cluster's; ask an administrator for a new one"
            )
        self._topology.refresh()
        _log.info("member_joined", member=request.cluster)
        return protocol.JoinReply(
            federation=self._federation,
            mom=self._cluster,
            mom_keys=(self._key.public_key.to_text(),),
            ca_certificate=self._authority.certificate_pem.decode(),
            certificate=certificate.decode(),
        ).write()

    def _heartbeat(self, call: Call, body: bytes) -> bytes:
        member = self._calling_member(call)
        beat = protocol.Heartbeat.read(body)
        beat.check_protocol(member.name)
        if beat.uri != member.uri:
            _require_named_host(beat.uri, member)
            with self._database.change() as connection:
                MemberStore(connection).set_uri(member.name, beat.uri)
            self._topology.refresh()
            _log.info("member_moved", member=member.name)
        self._topology.hear(member.name, beat.nodes)
        return protocol.HeartbeatReply(
            state=str(self._topology.status(member)),
            policy_epoch=self._topology.federation.grants.epoch,
            mom_keys=(self._key.public_key.to_text(),),
            wants_report=beat.report_version != member.report_version,
        ).write()

    def _report(self, call: Call, body: bytes) -> bytes:
        member = self._calling_member(call)
        report = protocol.Report.read(body)
        with self._database.change() as connection:
            MemberStore(connection).set_report(member.name, report.write())
        self._topology.refresh()
        _log.info("report_received", member=member.name, version=report.version)
        return protocol.Acknowledgement().write()

    def _calling_member(self, call: Call) -> Member:
        if isinstance(call.identity, ServiceCaller):
            member = self._topology.federation.members.get(call.identity.cluster)
            if member is not None:
                return member
        raise PermissionDeniedError("only members of the federation may send this")

    # What administrators change.

    def _members(self, call: Call, body: bytes) -> bytes:
        caller = call.identity
        if not isinstance(caller, Identity):
            raise PermissionDeniedError("sign in as an administrator")
        self._require_administrator(caller)
        request = protocol.MembersRequest.read(body)
        name = _read_name(request.cluster)
        now = self._now()
        reply = protocol.MembersReply(cluster=name, state="done")
        with self._database.change() as connection:
            members = MemberStore(connection)
            stored = {one.name: one for one in members.all()}.get(name)
            if request.action == protocol.MembersRequest.ADD:
                reply = self._add(members, stored, name, request, now)
            elif stored is None:
                raise NotFoundError(f"{name} is no member; flight-mom clusters lists them")
            else:
                _change(members, name, request)
            AuditStore(connection).append(
                AuditRecord(
                    at=now,
                    actor=caller.name,
                    source=call.peer,
                    action=f"member {request.action}",
                    object=name,
                    allowed=True,
                    rule=request.route or " ".join(request.hosts),
                )
            )
        self._topology.refresh()
        member = self._topology.federation.members.get(name)
        state = "removed" if member is None else str(self._topology.status(member))
        return reply.model_copy(update={"state": state}).write()

    def _add(
        self,
        members: MemberStore,
        stored: StoredMember | None,
        name: str,
        request: protocol.MembersRequest,
        now: datetime,
    ) -> protocol.MembersReply:
        """Name a member, or give one a new join token; one that has joined may join again."""
        if name == self._cluster:
            raise BadRequestError(f"{name} is the MoM itself; choose another name")
        hosts = request.hosts or (stored.hosts if stored else ("127.0.0.1",))
        if stored is None:
            members.add(name, hosts, str(_read_route(request.route)), now)
        else:
            members.set_hosts(name, hosts)
        token = JoinToken.make(name, self.uri, self._authority.fingerprint)
        expires_at = now + _JOIN_TOKEN_LIFE
        members.add_join_token(token.digest, name, expires_at)
        return protocol.MembersReply(
            cluster=name,
            state="joining",
            join_token=token.text,
            expires_at=expires_at.astimezone(UTC).isoformat(timespec="seconds"),
        )


def _change(members: MemberStore, name: str, request: protocol.MembersRequest) -> None:
    kinds = protocol.MembersRequest
    match request.action:
        case kinds.SET:
            if request.route is not None:
                members.set_route(name, str(_read_route(request.route)))
            if request.hosts:
                members.set_hosts(name, request.hosts)
        case kinds.SUSPEND | kinds.RESUME:
            members.set_suspended(name, suspended=request.action == kinds.SUSPEND)
        case kinds.REMOVE:
            members.remove(name)
        case _:
            raise BadRequestError("action must be add, set, suspend, resume or remove")


def _read_name(text: str) -> str:
    try:
        return fold_name(text)
    except InvalidNameError as error:
        fault = str(error)
    raise BadRequestError(fault)


def _read_route(text: str | None) -> Route:
    if text is None:
        return Route.RELAY
    if text not in set(Route):
        raise BadRequestError(f"route must be {' or '.join(Route)}")
    return Route(text)


def _read_key(text: str) -> PublicKey:
    try:
        return PublicKey.from_text(text)
    except ValueError:
        pass
    raise BadRequestError("the public key is not one")


def _require_named_host(uri: str, member: StoredMember | Member) -> None:
    """Refuse a location whose host the administrator did not name for the member."""
    host = urlsplit(uri).hostname
    if host not in member.hosts:
        raise PermissionDeniedError(
            f"{member.name} may not answer at that host; an administrator names its hosts with "
            f"flight-mom member set {member.name} --host HOST"
        )
