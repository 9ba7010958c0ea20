"""A member's process: everything put together, started and stopped."""

import threading
from collections.abc import Container
from contextlib import ExitStack

from auth import InvalidTokenError, KeyRing, PublicKey, RotatingKey
from flight_member import protocol
from flight_member.admission import Admission
from flight_member.attaching import Attacher
from flight_member.audit import AuditTrail
from flight_member.authaudit import AuditedAuthenticator, AuthTrail
from flight_member.authority import MemberAuthority
from flight_member.cancelling import Cancelling
from flight_member.certificatekeeper import CertificateKeeper
from flight_member.clock import utc_now
from flight_member.clusterjobs import ClusterJobDesk
from flight_member.clusternodes import ClusterNodes
from flight_member.controller import MemberBackend
from flight_member.controllerdesk import ControllerDesk
from flight_member.definingdesk import DefiningDesk
from flight_member.errors import ConfigurationError
from flight_member.gatekeeper import Gatekeeper
from flight_member.homeadministration import HomeAdministration
from flight_member.homegate import HomeGate
from flight_member.homewrites import HomeWrites
from flight_member.ingestdesk import IngestDesk
from flight_member.jobhistory import JobHistory
from flight_member.jobs import Jobs
from flight_member.leadership import Leadership
from flight_member.logs import get_logger
from flight_member.managedtables import ManagedTables
from flight_member.memberhome import MemberHome
from flight_member.membership import Heart, Membership
from flight_member.memberstate import MemberState
from flight_member.momlink import MomLink
from flight_member.nodedesk import NodeDesk, NodeOffice
from flight_member.nodelinks import NodeLinks
from flight_member.nodeprotocol import NODE_NEWS
from flight_member.noderoster import NodeRoster
from flight_member.nodes import CONTROLLER_MODE, Nodes
from flight_member.nodewatch import NodeWatch
from flight_member.peers import Peers
from flight_member.process import require_free_port
from flight_member.redeeming import Redeeming, TicketCheck
from flight_member.revocationlog import RevocationLog
from flight_member.runner import StatementRunner, text_limits
from flight_member.sampling import NodeFacts, NodeSampler
from flight_member.serving import make_flight_server
from flight_member.settings import MemberSettings
from flight_member.sharing import Sharing, adopt_membership, keep_membership
from flight_member.tablemaking import TableMaker
from flight_member.tables import TableDesk
from flight_member.viewdesk import ViewDesk
from flight_member.views import Views
from flight_member.visitors import VisitorDoor
from flight_member.watching import Watch
from flight_member.writedesk import WriteDesk
from storage.datafusionengine import DataFusionEngine

_log = get_logger(__name__)
_MIB = 1 << 20


class MemberServer:
    """One member cluster: controller and data node in one process."""

    def __init__(self, settings: MemberSettings) -> None:
        """Open the state of a member that `flight-member init` made.

        Raises:
            ConfigurationError: When the state directory is not a member's.
            StartupError: When the port is taken.
        """
        require_free_port(settings.server.host, settings.server.port)
        home = MemberHome(settings)
        self._cluster = cluster = settings.cluster.name
        home.load_key()
        self._key = key = RotatingKey(home.directory, utc_now)
        home.require_certificate()
        self._settings = settings
        self._home = home
        self._database = home.open_database()
        self._roster = NodeRoster(self._database)
        self._renewing = threading.Lock()
        adopt_membership(self._database, home.directory)
        self._membership = self._read_membership()
        self._state = MemberState(cluster, self._database)
        self._leadership = Leadership(
            self._database,
            settings.server_name,
            settings.ha.lease_s,
            look_again=self._state.refresh,
            took_over=self._take_over,
        )
        self._peers = Peers(
            self._database,
            settings.server_name,
            "controller",
            key,
            is_shared=self._database.is_shared,
        )
        self._revoked = RevocationLog(
            self._database, utc_now, silence_s=settings.heartbeat.timeout_s
        )
        self._sharing = Sharing(
            self._database,
            home.directory,
            key,
            self._revoked,
            self._leadership.leading,
            utc_now,
        )
        self._visitors = VisitorDoor(cluster, self._state, self._revoked, utc_now)
        self._audit = AuditTrail(
            cluster,
            self._database,
            settings.audit,
            utc_now,
            is_keeper=lambda: self._leadership.is_leader,
        )
        self._mom = MomLink(
            cluster,
            key,
            self._joined,
            utc_now,
            settings.auth.relayed_agents,
            uses_tls=settings.server.uses_tls,
        )
        self._proofs = AuthTrail(self._audit, utc_now)
        authority = MemberAuthority(
            cluster,
            key,
            self._database,
            self._state,
            self._mom.keys,
            self._proofs,
            settings.auth,
            utc_now,
            self._roster.keys,
        )
        self._views = Views(
            cluster, lambda: self._state.snapshot, text_limits(settings.limits), utc_now
        )
        self._engine = DataFusionEngine(
            memory_limit_bytes=settings.limits.memory_limit_mib * _MIB,
            spill_directory=home.spill_directory,
            snapshot_directory=home.snapshot_directory,
            open_view=self._views.open,
            stores=home.object_stores,
        )
        self._admission = admission = Admission(settings.limits, cluster)
        self.nodes = Nodes(
            cluster,
            settings.heartbeat.interval_s,
            lambda: admission.running + admission.queued,
        )
        self._links = NodeLinks(cluster, key, self.nodes, self._tls_root_certs, utc_now)
        self._jobs = Jobs(cluster, cluster, utc_now)
        self._history = JobHistory(
            self._jobs,
            self._database,
            settings.jobs,
            utc_now,
            is_keeper=lambda: self._leadership.is_leader,
        )
        self._desk = TableDesk(cluster, self._database, home)
        authenticator = AuditedAuthenticator(authority, self._proofs, utc_now)
        backend = self._make_backend(authority)
        self._flight = make_flight_server(
            settings, home.tls_files, backend, authenticator, joins=True
        )
        self._keeper = CertificateKeeper(
            name=cluster,
            hosts=(settings.server.advertised_host,),
            files=home.tls_files,
            authority=self._ca_certificate,
            sign=self._certify,
            renewed=self._flight.replace,
            now=utc_now,
        )
        self._heart: Heart | None = None
        self._watch = Watch(
            self._state.refresh,
            self._notice_keys,
            self._proofs.tell_left_out,
            self._sharing.look,
            self._notice_membership,
            NodeWatch(self._roster, self.nodes, self._links, self._present, self._hurry_heart).look,
        )

    def _make_backend(self, authority: MemberAuthority) -> MemberBackend:
        check = TicketCheck(self._cluster, self._state, self._visitors)
        runner = StatementRunner(
            self._cluster,
            self._engine,
            self._state.metastore,
            self._admission,
            self._settings.limits,
            check,
            self._jobs,
        )

        def redeem(cancelling: Cancelling) -> Redeeming:
            return Redeeming(
                self._cluster,
                self._mom.keys,
                self._state,
                self._visitors,
                check,
                lambda: runner,
                cancelling,
                utc_now,
            )

        gatekeeper = Gatekeeper(lambda: self._state.snapshot, self._audit, utc_now)
        gate = HomeGate(self._cluster, self._state, self._audit, utc_now)
        administration = HomeAdministration(
            self._cluster, self._database, self._state, gate, self._mom, utc_now
        )
        return MemberBackend(
            self._settings,
            self._key,
            self._state,
            authority,
            redeem,
            self._mom,
            gatekeeper,
            administration,
            gate,
            self._make_writes(gate, gatekeeper),
            self._tell_mom,
            self._look_again,
            self._leadership.changing,
            self._jobs,
            ClusterJobDesk(
                self._cluster, self._jobs, self._history, self._audit, self._links, utc_now
            ),
            ControllerDesk(
                self._home,
                self._database,
                self._joined,
                self._certify,
                self._notice_keys,
                utc_now,
            ),
            self._make_nodes(),
            utc_now,
        )

    def _make_nodes(self) -> ClusterNodes:
        settings = self._settings
        office = NodeOffice(
            settings=settings,
            database=self._database,
            roster=self._roster,
            nodes=self.nodes,
            jobs=self._jobs,
            revoked=self._revoked,
            snapshot=lambda: self._state.snapshot,
            keys=self._mom.keys,
            membership=self._joined,
            tables_directory=str(self._home.tables_directory.resolve()),
            peers=lambda: tuple(peer.uri for peer in self._peers.live),
            sign=self._certify,
            news=self._hurry_heart,
            tell_nodes=lambda: self._links.tell(NODE_NEWS),
            now=utc_now,
        )
        return ClusterNodes(
            self._roster,
            self.nodes,
            self._links,
            NodeDesk(office),
            settings.auth.relayed_agents,
            uses_tls=settings.server.uses_tls,
        )

    def _make_writes(self, gate: HomeGate, gatekeeper: Gatekeeper) -> HomeWrites:
        """Put together what carries out the statements that change tables."""
        state = self._state
        managed = ManagedTables(self._database, self._home.tables_directory)
        shared = (gate, gatekeeper, self._engine, managed, self._admission, self._settings.limits)
        making = TableMaker(state, *shared, state.refresh)
        writing = WriteDesk(*shared, state.refresh)
        return HomeWrites(
            DefiningDesk(self._database, state, gate, managed, state.refresh),
            making,
            writing,
            IngestDesk(state, making, writing, self._admission, self._settings.limits),
            Attacher(self._home, state, gatekeeper, making, self._desk, state.refresh),
            ViewDesk(self._database, gate, gatekeeper, self._views, state.refresh),
        )

    @property
    def keys(self) -> KeyRing:
        """Whose signatures count here."""
        return self._mom.keys()

    def start(self) -> str:
        """Serve, and begin to report if the member has joined a federation."""
        self._history.start()
        self._flight.start()
        self.nodes.uri = uri = self._settings.server.uri(self._flight.port)
        self._heart = Heart(
            leadership=self._leadership,
            uri=uri,
            key=self._key,
            interval_s=self._settings.heartbeat.interval_s,
            state=self._state,
            revoked=self._revoked,
            sampler=self._make_sampler(uri),
            send=self._mom.action,
            is_joined=lambda: self._joined() is not None,
            learned=self._learn_of_mom,
            rescan=self._desk.rescan,
            nodes=self.nodes.rows,
            heard=self._sharing.hear,
            disowned=self._sharing.disown,
        )
        self._peers.start(uri)
        self._leadership.start()
        self._heart.start()
        self._watch.start()
        if self._settings.server.uses_tls:
            self._keeper.start()
        return uri

    def stop(self, deadline_s: float) -> None:
        """Stop serving and reporting; running streams get until the deadline."""
        if self._peers.live:
            # Streams may take a while to end; whoever asks meanwhile is answered by another.
            self._leadership.resign()
        with ExitStack() as stack:
            # Last in, first out; one that fails does not keep the others from being closed.
            stack.callback(self._database.close)
            stack.callback(self._engine.close)
            stack.callback(self._history.close)
            stack.callback(self._audit.close)
            stack.callback(self._proofs.close)
            stack.callback(self._mom.close)
            stack.callback(self._links.close)
            # What was revoked ends streams to the last of them.
            if self._heart is not None:
                stack.callback(self._leadership.stop)
                stack.callback(self._watch.stop)
                stack.callback(self._heart.stop)
            stack.callback(self._flight.drain_and_stop, deadline_s)
            if self._settings.server.uses_tls:
                stack.callback(self._keeper.stop)

    def _make_sampler(self, uri: str) -> NodeSampler:
        limits = self._settings.limits
        facts = NodeFacts(
            node=self._cluster,
            mode=CONTROLLER_MODE,
            host=self._settings.server.advertised_host,
            port=self._flight.port,
            uri=uri,
            memory_limit_bytes=limits.memory_limit_mib * _MIB,
            max_running_statements=limits.max_running,
            roots=self._home.roots,
        )
        return NodeSampler(facts, self._jobs, utc_now)

    def hurry(self) -> None:
        """Have a `stop` that is under way end the streams now."""
        self._flight.hurry()

    def _present(self) -> tuple[object, ...]:
        """Return what data nodes know of this cluster; equal as long as nothing of it changes."""
        revoked = self._revoked
        return (self._state.snapshot, self._mom.keys(), revoked.epoch, revoked.disowned_at)

    def _tls_root_certs(self) -> bytes | None:
        membership = self._joined()
        return None if membership is None else membership.ca_certificate.encode()

    def _hurry_heart(self) -> None:
        if self._heart is not None:
            self._heart.hurry()

    def _tell_mom(self) -> None:
        if self._heart is not None:
            self._heart.tell_news()

    def _look_again(self, ids: Container[str]) -> None:
        if self._desk.rescan(ids):
            self._state.refresh()
        self._desk.require_readable(ids)

    def _take_over(self) -> None:
        """Speak for the member from now on."""
        if self._heart is not None:
            self._heart.hurry()

    def _notice_keys(self) -> None:
        # Both: a rotation is told to the others by the same look.
        has_rotated = self._key.notice()
        if (self._peers.look() or has_rotated) and self._heart is not None:
            self._heart.hurry()

    def _joined(self) -> Membership | None:
        return self._membership

    def _read_membership(self) -> Membership | None:
        found, mom = Membership.load(self._home.directory), self._settings.mom
        if found is None:
            return None
        named = {"uri": mom.address or found.uri, "named": mom.addresses}
        return found.model_copy(update=named)

    def _notice_membership(self) -> None:
        """Take over what `flight-member join` left behind, for the first time or again."""
        with self._renewing:
            known, found = self._membership, self._read_membership()
            if found is None or found == known:
                return
            self._membership = found
            if self._database.is_shared and known is not None and known.is_of_one_join(found):
                # What another controller has heard of the MoM since.
                return
        self._key.notice()
        self._revoked.start_anew()
        if self._settings.server.uses_tls:
            # Joining brings a certificate along, of another CA perhaps.
            self._flight.replace()
        if self._heart is not None:
            self._heart.hurry()
        _log.info("joined", mom=found.mom)

    def _certify(self, request: bytes, *hosts: str) -> bytes:
        asked = protocol.RenewRequest(certificate_request=request.decode(), hosts=hosts)
        reply = protocol.RenewReply.read(self._mom.action(protocol.RENEW, asked.write()))
        return reply.certificate.encode()

    def _ca_certificate(self) -> bytes:
        membership = self._joined()
        if membership is None:
            raise ConfigurationError([f"{self._home.directory}: this member has joined nothing"])
        return membership.ca_certificate.encode()

    def _learn_of_mom(self, reply: protocol.HeartbeatReply) -> None:
        mom_keys = reply.mom_keys
        # What cannot be read as keys would take everybody's sign-in down, home users' too.
        if not mom_keys or not all(map(_is_key, mom_keys)):
            return
        told: dict[str, object] = {"mom_keys": mom_keys, "learned": reply.mom_addresses}
        with self._renewing:
            membership = self._membership
            if membership is None or membership != self._read_membership():
                # Joined again meanwhile: that is noticed, and must not be overwritten.
                return
            kept = Membership.load(self._home.directory)
            fresh = membership.model_copy(update=told)
            if membership != fresh and kept is not None:
                self._membership = fresh
                # The address is what joining said: one that the settings name is theirs alone.
                known = kept.model_copy(update=told)
                keep_membership(self._database, self._home.directory, known)


def _is_key(text: str) -> bool:
    try:
        PublicKey.from_text(text)
    except InvalidTokenError:
        return False
    return True
