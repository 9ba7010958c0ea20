"""The MoM's side of membership: joining, heartbeats, reports, certificates and keys."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from auth import (
    AuditRecord,
    CertificateAuthority,
    InvalidTokenError,
    JoinToken,
    PublicKey,
    SigningKey,
)
from auth import PermissionDeniedError as UnnamedHostError
from flight_member import protocol
from flight_member.authority import ServiceCaller
from flight_member.errors import BadRequestError, FencedError, PermissionDeniedError
from flight_member.locations import ENCRYPTED, fold_host, read_location
from flight_member.logs import get_logger
from flight_member.noderow import NodeRow
from flight_member.nodes import NODE_MODE
from flight_member.revocationlog import written
from flight_member.settings import is_loopback
from flight_mom.carrying import CarryThrough
from flight_mom.memberchanges import MemberChanges
from flight_mom.members import Member
from flight_mom.memberstore import MemberStore, StoredMember
from flight_mom.momhome import CERTIFICATE_DAYS
from flight_mom.office import Office
from flight_mom.pulse import Pulse
from flight_mom.reports import read_report
from flight_mom.settings import MomSettings
from flight_sql import Call

_log = get_logger(__name__)
_MAX_SHOWN, _MAX_RULE = 48, 200
# Of each server over a member's database, the one that signs, the next, and those that end.
_MAX_KEYS = 32


class _UnknownJoinTokenError(Exception):
    """A join token does not count; which reason it is stands in the audit alone."""


# What a join can be refused with; a refusal undoes everything but its audit record.
_REFUSALS = (
    _UnknownJoinTokenError,
    BadRequestError,
    PermissionDeniedError,
    InvalidTokenError,
    UnnamedHostError,
)


class MembershipDesk:
    """Answers the federation's own actions at the MoM."""

    def __init__(
        self,
        settings: MomSettings,
        federation: str,
        key: SigningKey,
        authority: CertificateAuthority,
        office: Office,
        pulse: Pulse,
        addresses: Callable[[], tuple[str, ...]] = tuple,
    ) -> None:
        """Keep what it takes; `addresses` returns where the MoM answers."""
        self._addresses = addresses
        self._settings = settings
        self._cluster = office.cluster
        self._federation = federation
        self._key = key
        self._authority = authority
        self._office = office
        self._pulse = pulse
        self.uri = ""
        self._changes = MemberChanges(
            office, lambda member: JoinToken.make(member, self.uri, authority.fingerprint)
        )

    def actions(self) -> Mapping[str, Callable[[Call, bytes], bytes]]:
        """Return the actions by name."""
        return {
            protocol.AUTHORITY: self._certificate,
            protocol.CLOCK: self._clock,
            protocol.JOIN: self._join,
            protocol.HEARTBEAT: self._heartbeat,
            protocol.REPORT: self._report,
            protocol.RENEW: self._renew,
            protocol.MEMBERS: self._changes.carry_out,
        }

    # What members send.

    def _certificate(self, _call: Call, _body: bytes) -> bytes:
        return self._authority.certificate_pem

    def _clock(self, _call: Call, _body: bytes) -> bytes:
        return protocol.ClockReply(now=self._office.now().timestamp()).write()

    def _join(self, call: Call, body: bytes) -> bytes:
        request = protocol.JoinRequest.read(body)
        request.check_protocol(request.cluster[:_MAX_SHOWN])
        token = JoinToken.parse(request.token)
        now = self._office.now()
        try:
            with self._office.change() as stores:
                certificate = self._admit(stores.members, token, request, now)
                stores.audit.append(_join_record(call, request, now, refusal=None))
        except _REFUSALS as error:
            refusal = error
        else:
            self._office.topology.refresh()
            _log.info("member_joined", member=request.cluster)
            return protocol.JoinReply(
                federation=self._federation,
                mom=self._cluster,
                mom_keys=self._own_keys(),
                ca_certificate=self._authority.certificate_pem.decode(),
                certificate=certificate.decode(),
            ).write()
        with self._office.change() as stores:
            stores.audit.append(_join_record(call, request, now, refusal=refusal))
        if isinstance(refusal, _UnknownJoinTokenError):
            raise InvalidTokenError(
                "the join token does not count: it is unknown, used, expired or another "
                "cluster's; ask an administrator for a new one"
            )
        raise refusal

    def _admit(
        self, members: MemberStore, token: JoinToken, request: protocol.JoinRequest, now: datetime
    ) -> bytes:
        """Use up a join token and return the certificate that it is worth; all or nothing.

        Raises:
            _UnknownJoinTokenError: When the token does not count, for whatever reason.
            BadRequestError: When the key or the address cannot be read.
            PermissionDeniedError: When the member may not answer at that address.
            InvalidTokenError: When the certificate request is damaged.
        """
        found, stored = members.find_join_token(token.digest), members.find(request.cluster)
        if found is None or found.member != request.cluster or stored is None:
            raise _UnknownJoinTokenError("join token unknown")
        # Marking comes before looking: of two that bring one token at a time, one finds it used.
        if not members.use_join_token(token.digest, now):
            raise _UnknownJoinTokenError("join token already used")
        if found.expires_at < now:
            raise _UnknownJoinTokenError("join token expired")
        public_key = _read_key(request.public_key)
        self._require_named_host(request.uri, stored)
        members.set_joined(stored.name, request.uri, public_key, now)
        if request.other_keys:
            others = map(_read_key, _within_limit(request.other_keys))
            members.set_keys(stored.name, {k.kid: k for k in (public_key, *others)}.values(), now)
        return self._certify(request.certificate_request, stored.name, stored.hosts)

    def _heartbeat(self, call: Call, body: bytes) -> bytes:
        member = self._calling_member(call)
        beat = protocol.Heartbeat.read(body)
        beat.check_protocol(member.name)
        self._require_named_host(beat.uri, member)
        if (beat.uri, beat.leader_number) != (member.uri, member.leader_number):
            with self._office.change() as stores:
                _require_leader(stores.members, member.name, beat.leader_number)
                if beat.uri != member.uri:
                    stores.members.set_uri(member.name, beat.uri)
            self._office.topology.refresh()
            _log.info("member_moved", member=member.name, leader_number=beat.leader_number)
        self._learn_keys(call, member, beat.public_keys)
        is_current = beat.report_version == member.report_version
        self._office.topology.hear(member.name, beat.read_at if is_current else 0)
        self._pulse.note(member.name, beat.nodes)
        controller = next((row for row in beat.nodes if row.mode != NODE_MODE), None)
        self._office.topology.nodes.note(
            member.name, controller, self._named_nodes(member, beat.nodes)
        )
        member = self._calling_member(call)
        # One state: an epoch that is newer than its revocations would hide one for good.
        federation = self._office.federation
        return protocol.HeartbeatReply(
            state=str(self._office.topology.status(member)),
            policy_epoch=federation.epoch,
            mom_keys=self._own_keys(),
            wants_report=beat.report_version != member.report_version,
            revocations=written(federation.revocations, beat.policy_epoch),
            mom_addresses=self._addresses(),
        ).write()

    def _named_nodes(self, member: Member, rows: Iterable[NodeRow]) -> Iterator[NodeRow]:
        """Yield the data nodes that answer where the administrator said that the member may."""
        for row in rows:
            if row.mode != NODE_MODE:
                continue
            try:
                self._require_named_host(row.uri, member)
            except (BadRequestError, PermissionDeniedError) as error:
                _log.warning("node_not_named", member=member.name, node=row.node, code=error.code)
            else:
                yield row

    def _report(self, call: Call, body: bytes) -> bytes:
        member = self._calling_member(call)
        report = protocol.Report.read(body)
        read = read_report(member.name, report)
        with self._office.change() as stores:
            _require_leader(stores.members, member.name, report.leader_number)
            digest = stores.members.set_report(member.name, report.write())
            self._office.topology.expect_report(member.name, digest, read)
            carry = CarryThrough(stores, self._office.now())
            carry.users(member.name, member.users, read.users)
            carry.places(member.name, member.departed, read.departed)
            carry.tables(read.metastore, report.dropped)
        self._office.topology.refresh()
        _log.info("report_received", member=member.name, version=report.version)
        return protocol.Acknowledgement().write()

    def _renew(self, call: Call, body: bytes) -> bytes:
        member = self._calling_member(call)
        request = protocol.RenewRequest.read(body)
        record = AuditRecord(
            at=self._office.now(),
            actor=member.name,
            source=call.peer,
            action="renew certificate",
            object=" ".join(request.hosts or member.hosts)[:_MAX_RULE],
            allowed=True,
        )
        try:
            hosts = _named_hosts(request.hosts, member)
            certificate = self._certify(request.certificate_request, member.name, hosts)
        except (InvalidTokenError, UnnamedHostError) as error:
            refusal = error
        else:
            with self._office.change() as stores:
                stores.audit.append(record)
            return protocol.RenewReply(certificate=certificate.decode()).write()
        with self._office.change() as stores:
            stores.audit.append(replace(record, allowed=False, rule=refusal.text))
        raise refusal

    def _certify(self, request: str, name: str, hosts: Sequence[str]) -> bytes:
        """Return a certificate for the hosts that an administrator named, and no others."""
        return self._authority.sign_request(
            request.encode(),
            common_name=name,
            hosts=hosts,
            now=self._office.now(),
            days=CERTIFICATE_DAYS,
        )

    def _own_keys(self) -> tuple[str, ...]:
        ring = self._key.ring(self._cluster)
        return tuple(key.to_text() for key in ring.keys_of(self._cluster))

    def _learn_keys(self, call: Call, member: Member, texts: tuple[str, ...]) -> None:
        """Take over a member's keys: that it knows the old one proves the new one."""
        if not texts or set(texts) == {key.to_text() for key in member.keys}:
            return
        keys = [_read_key(text) for text in _within_limit(texts)]
        now = self._office.now()
        with self._office.change() as stores:
            stores.members.set_keys(member.name, keys, now)
            stores.audit.append(
                AuditRecord(
                    at=now,
                    actor=member.name,
                    source=call.peer,
                    action="member keys",
                    object=member.name,
                    allowed=True,
                    rule=" ".join(key.kid for key in keys)[:_MAX_RULE],
                )
            )
        self._office.topology.refresh()
        _log.info("member_keys_changed", member=member.name)

    def _calling_member(self, call: Call) -> Member:
        if isinstance(call.identity, ServiceCaller):
            member = self._office.federation.members.get(call.identity.cluster)
            if member is not None:
                return member
        raise PermissionDeniedError("only members of the federation may send this")

    def _require_named_host(self, uri: str, member: StoredMember | Member) -> None:
        """Refuse a location that the administrator did not name, or that travels readable.

        Raises:
            BadRequestError: When it is no `grpc://host:port` or `grpc+tls://host:port`.
            PermissionDeniedError: When the host was not named for the member, or the scheme is
                plaintext beyond loopback.
        """
        scheme, host = read_location(uri)
        if host not in {fold_host(named) for named in member.hosts}:
            raise PermissionDeniedError(
                f"{member.name} may not answer at that host; an administrator names its hosts with "
                f"flight-mom member set {member.name} --host HOST"
            )
        is_safe = scheme == ENCRYPTED or is_loopback(host)
        if not (is_safe or self._settings.server.insecure_plaintext):
            raise PermissionDeniedError(
                f"{member.name} must answer with TLS beyond loopback: tokens and passwords are "
                "sent there"
            )


def _require_leader(members: MemberStore, name: str, number: int) -> None:
    """Refuse one who led a member before another does now, whatever it has not noticed yet."""
    if not members.follow_leader(name, number):
        raise FencedError(f"another controller leads {name} by now; nothing of this was kept")


def _join_record(
    call: Call, request: protocol.JoinRequest, now: datetime, *, refusal: Exception | None
) -> AuditRecord:
    name = request.cluster[:_MAX_SHOWN]
    return AuditRecord(
        at=now,
        actor=name,
        source=call.peer,
        action="join",
        object=name,
        allowed=refusal is None,
        rule="join token" if refusal is None else str(refusal)[:_MAX_RULE],
    )


def _within_limit(texts: tuple[str, ...]) -> tuple[str, ...]:
    if len(texts) > _MAX_KEYS:
        raise BadRequestError(f"a member has at most {_MAX_KEYS} keys at a time")
    return texts


def _named_hosts(asked: Sequence[str], member: Member) -> Sequence[str]:
    """Return the hosts that a certificate is asked for; all of the member's where none is."""
    named = {fold_host(host) for host in member.hosts}
    strangers = [host for host in asked if fold_host(host) not in named]
    if strangers:
        raise UnnamedHostError(
            f"{strangers[0][:_MAX_SHOWN]} was not named by an administrator; name it with "
            f"flight-mom member set {member.name} --host HOST"
        )
    return asked or member.hosts


def _read_key(text: str) -> PublicKey:
    try:
        return PublicKey.from_text(text)
    except InvalidTokenError:
        pass
    raise BadRequestError("the public key is not one")
