"""The MoM's process: everything put together, started and stopped."""

import gc
import os
import signal
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from auth import RotatingKey
from flight_member.admission import Admission
from flight_member.audit import AuditTrail
from flight_member.authaudit import AuditedAuthenticator, AuthTrail
from flight_member.certificatekeeper import CertificateKeeper
from flight_member.clock import utc_now
from flight_member.gatekeeper import Gatekeeper
from flight_member.jobdesk import JobDesk
from flight_member.jobhistory import JobHistory
from flight_member.jobs import Jobs
from flight_member.logs import get_logger
from flight_member.peers import Peers
from flight_member.process import require_free_port
from flight_member.serving import make_flight_server
from flight_member.watching import Watch
from flight_mom.administration import Administration
from flight_mom.colleagues import Colleagues
from flight_mom.coordinator import MomBackend
from flight_mom.federationtables import AuditTable
from flight_mom.jobrouting import JobRouting
from flight_mom.jobsdesk import JobsDesk
from flight_mom.membershipdesk import MembershipDesk
from flight_mom.momhome import MomHome
from flight_mom.monitor import Monitor
from flight_mom.office import Office
from flight_mom.owncluster import OwnCluster
from flight_mom.periodic import PeriodicWork
from flight_mom.relay import Relay
from flight_mom.replicadesk import ReplicaDesk
from flight_mom.settings import MomSettings
from flight_mom.signin import MomAuthority
from flight_mom.topology import Topology

_log = get_logger(__name__)
# New objects that hold others before a collection (700 by default), and how many of these before
# an older generation's.
_COLLECTED_AT = (10_000, 10, 10)


class MomServer:
    """The Master of Masters of one federation."""

    def __init__(self, settings: MomSettings) -> None:
        """Open the state of a federation that `flight-mom init` made.

        Raises:
            ConfigurationError: When the state directory is not a MoM's.
            StartupError: When the port is taken.
        """
        require_free_port(settings.server.host, settings.server.port)
        home = MomHome(settings)
        cluster = settings.cluster.name
        home.load_key()
        self._key = key = RotatingKey(home.directory, utc_now)
        certificates = home.load_authority()
        self._settings = settings
        self._database = home.open_database()
        home.require_named_replica(self._database)
        self._peers = Peers(
            self._database,
            settings.server_name,
            "replica",
            key,
            is_shared=self._database.is_shared,
        )
        with _uncollected():
            self._topology = Topology(cluster, self._database, settings.heartbeat, utc_now)
        self._trust()
        self._periodic = PeriodicWork(self._database, settings.server_name)
        self._topology.states.is_writer = self._periodic.is_ours
        self._audit = AuditTrail(
            cluster,
            self._database,
            settings.audit,
            utc_now,
            is_keeper=self._periodic.is_ours,
        )
        self._relay = Relay(cluster, key, lambda: certificates.certificate_pem, utc_now)
        self._jobs = Jobs(cluster, cluster, utc_now)
        self._history = JobHistory(
            self._jobs,
            self._database,
            settings.jobs,
            utc_now,
            is_keeper=self._periodic.is_ours,
        )
        self._routing = JobRouting(self._database, utc_now, keep_days=settings.jobs.keep_days)
        self._colleagues = Colleagues(
            cluster,
            key,
            lambda: tuple(peer.uri for peer in self._peers.live),
            lambda: certificates.certificate_pem,
            utc_now,
        )
        self._jobs_desk = JobsDesk(
            cluster,
            JobDesk(self._jobs, self._history, self._audit, utc_now),
            self._routing,
            self._topology,
            self._relay,
            utc_now,
            self._colleagues,
        )
        self._monitor = Monitor(
            home,
            self._database,
            self._topology,
            self._jobs,
            self._periodic.is_ours,
            self._colleagues.nodes,
        )
        self._proofs = AuthTrail(self._audit, utc_now)
        authority = MomAuthority(
            cluster,
            key,
            self._database,
            self._topology,
            self._relay,
            self._proofs,
            settings.auth,
            utc_now,
        )
        office = Office.of(cluster, self._database, self._topology, utc_now)
        administration = Administration(office)
        self._replicas = ReplicaDesk(
            settings,
            home.federation,
            certificates,
            office,
            self._peers,
            self._periodic.holder,
            self._trust,
        )
        self._desk = MembershipDesk(
            settings,
            home.federation,
            key,
            certificates,
            office,
            self._monitor.pulse,
            self._replicas.addresses,
        )
        gatekeeper = Gatekeeper(lambda: self._topology.federation, self._audit, utc_now)
        self._admission = admission = Admission(settings.limits, cluster)
        self._own = OwnCluster(home, self._topology, gatekeeper, admission, self._jobs)
        backend = MomBackend(
            settings,
            key,
            self._topology,
            administration,
            self._desk,
            self._replicas,
            self._relay,
            self._own,
            admission,
            gatekeeper,
            self._jobs,
            self._jobs_desk,
            self._routing,
            self._colleagues,
            self._monitor.pulse.newest,
            utc_now,
            AuditTable(
                cluster,
                self._database,
                self._audit,
                max_record_count=settings.audit.max_record_count,
            ),
            *self._monitor.tables,
        )
        self._watch = Watch(
            self._topology.notice,
            self._topology.hearing.share,
            self._topology.states.note,
            self._monitor.forget,
            self._notice_keys,
            self._proofs.tell_left_out,
            self._routing.keep,
        )
        authenticator = AuditedAuthenticator(authority, self._proofs, utc_now)
        self._flight = make_flight_server(
            settings, home.tls_files, backend, authenticator, joins=False
        )
        self._keeper = CertificateKeeper(
            name=cluster,
            hosts=home.hosts,
            files=home.tls_files,
            authority=lambda: certificates.certificate_pem,
            sign=lambda request: home.certify(certificates, request, utc_now()),
            renewed=self._flight.replace,
            now=utc_now,
        )

    def start(self) -> str:
        """Serve; returns the URI.

        A replica that has just joined waits until members have heard of its key.
        """
        self._peers.publish()
        wait_s = self._peers.unpublished_s(self._settings.heartbeat.timeout_s)
        if wait_s:
            _log.info("replica_waits", wait_s=round(wait_s, 1))
            time.sleep(wait_s)
        # What was read to start stays for good: no collection needs to walk through it again. What
        # comes with thousands of rows a second goes by itself: it is looked through less often.
        gc.freeze()
        gc.set_threshold(*_COLLECTED_AT)
        # Before the first call: join tokens carry it.
        self._desk.uri = self._settings.server.uri(self._flight.port)
        self._replicas.uri = self._desk.uri
        self._history.start()
        self._flight.start()
        self._peers.start(self._desk.uri)
        self._periodic.start()
        self._watch.start()
        self._monitor.start(self._desk.uri, self._flight.port)
        if self._settings.server.uses_tls:
            self._keeper.start()
        return self._desk.uri

    def stop(self, deadline_s: float) -> None:
        """Stop serving; running relays get until the deadline."""
        with ExitStack() as stack:
            # Last in, first out; one that fails does not keep the others from being closed.
            stack.callback(self._database.close)
            stack.callback(self._own.close)
            stack.callback(self._audit.close)
            stack.callback(self._proofs.close)
            stack.callback(self._relay.close)
            stack.callback(self._monitor.stop)
            stack.callback(self._history.close)
            stack.callback(self._jobs_desk.close)
            stack.callback(self._colleagues.close)
            stack.callback(self._routing.keep)
            # What was revoked ends streams to the last of them.
            stack.callback(self._watch.stop)
            stack.callback(self._periodic.stop)
            stack.callback(self._flight.drain_and_stop, deadline_s)
            if self._settings.server.uses_tls:
                stack.callback(self._keeper.stop)

    def hurry(self) -> None:
        """Have a `stop` that is under way end the relays now."""
        self._flight.hurry()

    def _trust(self) -> None:
        self._topology.trust(*self._key.published)

    def _notice_keys(self) -> None:
        # A rotation is told to the others by the look that follows.
        if self._key.notice():
            self._trust()
        self._replicas.look()
        if self._peers.is_removed:
            # What it signs counts nowhere: it had better not answer at all.
            os.kill(os.getpid(), signal.SIGTERM)


@contextmanager
def _uncollected() -> Iterator[None]:
    """Read what stays for good without looking for garbage in it again and again: it has none."""
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()
