"""A data node's process: everything put together, started and stopped."""

import os
import signal
import threading
from contextlib import ExitStack
from pathlib import Path

from auth import KeyRing, PublicKey, Ticket
from flight_member.admission import Admission
from flight_member.cancelling import Cancelling
from flight_member.certificatekeeper import CertificateKeeper
from flight_member.clock import utc_now
from flight_member.errors import ClusterUnavailableError, ConfigurationError
from flight_member.jobrows import JobRow
from flight_member.jobs import Jobs
from flight_member.logs import get_logger
from flight_member.nodebackend import NodeAuthority, NodeBackend
from flight_member.nodeheart import NodeHeart
from flight_member.nodehome import NodeHome, NodePlace
from flight_member.noderow import NodeRow
from flight_member.nodes import ALIVE, DRAINING, NODE_MODE, WAITING
from flight_member.nodestate import NodeState, Told
from flight_member.objectstores import read_object_stores
from flight_member.process import require_free_port
from flight_member.redeeming import Redeeming, TicketCheck
from flight_member.runner import StatementRunner, text_limits
from flight_member.sampling import NodeFacts, NodeSampler
from flight_member.settings import LimitsSection, NodeSettings
from flight_member.views import Views
from flight_member.visitors import VisitorDoor
from flight_sql import FlightSqlServer, ReplaceableServer, TlsFiles
from storage.datafusionengine import DataFusionEngine

_log = get_logger(__name__)
_MIB = 1 << 20
_LOOK_S = 0.1


class NodeServer:
    """One data node of a member cluster."""

    def __init__(self, directory: Path, settings: NodeSettings) -> None:
        """Open the state of a node that has joined its cluster.

        Raises:
            ConfigurationError: When the state directory is not a node's.
            StartupError: When the port is taken.
        """
        require_free_port(settings.server.host, settings.server.port)
        self._home = home = NodeHome(directory)
        place = NodePlace.load(directory)
        if place is None:
            raise ConfigurationError([f"{directory}: this node has joined no cluster"])
        home.require_certificate(settings)
        self._settings = settings
        self._place = place
        self._cluster = cluster = place.cluster
        keys = KeyRing({cluster: map(PublicKey.from_text, place.cluster_keys)})
        self._state = NodeState(cluster, keys, utc_now)
        self._jobs = Jobs(cluster, place.node, utc_now)
        self._admission = Admission(settings.limits, cluster)
        self._stores = read_object_stores(settings.tables)
        self._visitors = VisitorDoor(cluster, self._state, self._state.revoked, utc_now)
        self._ticket_check = TicketCheck(cluster, self._state, self._visitors)
        self._working = threading.Lock()
        self._engine: DataFusionEngine | None = None
        self._runner: tuple[LimitsSection, StatementRunner] | None = None
        self._is_stopping = threading.Event()
        self._leaving: threading.Thread | None = None
        self._flight = self._make_flight()
        self._heart = self._make_heart()
        self._keeper = CertificateKeeper(
            name=cluster,
            hosts=(settings.server.advertised_host,),
            files=home.tls_files,
            authority=place.ca_certificate.encode,
            sign=self._heart.certify,
            renewed=self._flight.replace,
            now=utc_now,
        )

    def _make_flight(self) -> ReplaceableServer:
        cancelling = Cancelling(utc_now)
        redeeming = Redeeming(
            self._cluster,
            self._state.keys,
            self._state,
            self._visitors,
            self._ticket_check,
            self._present_runner,
            cancelling,
            utc_now,
        )
        authority = NodeAuthority(self._cluster, self._place.node, self._state, utc_now)
        backend = NodeBackend(
            self._cluster,
            self._state,
            authority,
            self._jobs,
            cancelling,
            redeeming,
            self._refusal,
            self._look,
            self._hurry_heart,
            self._untold_jobs,
            utc_now,
        )
        server = self._settings.server
        tls = TlsFiles(*self._home.tls_files) if server.uses_tls else None
        return ReplaceableServer(
            lambda port: FlightSqlServer(backend, authority, host=server.host, port=port, tls=tls),
            server.port,
        )

    def _make_heart(self) -> NodeHeart:
        server, limits = self._settings.server, self._settings.limits
        facts = NodeFacts(
            node=self._place.node,
            mode=NODE_MODE,
            host=server.advertised_host,
            port=self._flight.port,
            uri=server.uri(self._flight.port),
            memory_limit_bytes=limits.memory_limit_mib * _MIB,
            max_running_statements=limits.max_running,
            roots=(self._home.directory,),
            is_leader=False,
        )
        sampler = NodeSampler(facts, self._jobs, utc_now)

        def sample() -> NodeRow:
            return sampler.sample().model_copy(update={"state": self._how()})

        return NodeHeart(
            self._place,
            self._home.load_key(),
            self._state,
            self._jobs,
            sample,
            self._learned,
            utc_now,
        )

    def start(self) -> str:
        """Serve, as soon as a controller has said what counts."""
        self._flight.start()
        self._heart.start()
        if self._settings.server.uses_tls:
            self._keeper.start()
        return self._settings.server.uri(self._flight.port)

    def stop(self, deadline_s: float) -> None:
        """Take no new work, let running streams go on until the deadline, and leave."""
        self._is_stopping.set()
        self._heart.hurry()
        with ExitStack() as stack:
            if self._engine is not None:
                stack.callback(self._engine.close)
            stack.callback(self._heart.stop)
            stack.callback(self._flight.drain_and_stop, deadline_s)
            if self._settings.server.uses_tls:
                stack.callback(self._keeper.stop)

    def hurry(self) -> None:
        """Have a `stop` that is under way end the streams now."""
        self._flight.hurry()

    # The server is made before the heart, which must know its port.

    def _look(self, version: str) -> bool:
        return self._heart.look(version)

    def _hurry_heart(self) -> None:
        self._heart.hurry()

    def _untold_jobs(self) -> list[JobRow]:
        return self._heart.untold_jobs()

    # What the node is doing.

    @property
    def _is_draining(self) -> bool:
        told = self._state.told
        return self._is_stopping.is_set() or (told is not None and told.is_draining)

    def _how(self) -> str:
        if self._is_draining:
            return DRAINING
        return ALIVE if self._runner is not None and self._state.is_ready else WAITING

    def _refusal(self) -> str:
        """Return why no new work is taken; empty when it is."""
        if self._is_draining:
            return "this node is about to leave; try again, another one answers"
        if not self._state.is_ready:
            return (
                "this node was started and has not heard from its controller yet; try again in a "
                "moment"
            )
        if self._runner is None:
            return "this node cannot read the cluster's tables now; try again, another one answers"
        return ""

    def _learned(self) -> None:
        """Put together what runs statements once it is known what that takes, and change it."""
        told = self._state.told
        if told is None or not self._state.is_ready:
            return
        limits = self._settings.limits.model_copy(update=told.limits.model_dump())
        with self._working:
            if self._runner is None or self._runner[0] != limits:
                runner = self._make_runner(told, limits)
                if runner is None:
                    return
                self._runner = (limits, runner)
                # What this node said of itself is not so any more.
                self._heart.hurry()
            if told.is_draining and self._leaving is None:
                self._leaving = threading.Thread(target=self._leave, name="leaving", daemon=True)
                self._leaving.start()

    def _make_runner(self, told: Told, limits: LimitsSection) -> StatementRunner | None:
        tables = Path(told.tables_directory)
        if not tables.is_dir():
            _log.error("tables_not_there", advice="mount the cluster's tables at the same place")
            return None
        if self._engine is None:
            views = Views(self._cluster, lambda: self._state.snapshot, text_limits(limits), utc_now)
            self._engine = DataFusionEngine(
                memory_limit_bytes=limits.memory_limit_mib * _MIB,
                spill_directory=self._home.spill_directory,
                snapshot_directory=tables / ".snapshots",
                open_view=views.open,
                stores=self._stores,
            )
        return StatementRunner(
            self._cluster,
            self._engine,
            lambda: self._state.snapshot.metastore,
            self._admission,
            limits,
            self._check_ticket,
            self._jobs,
        )

    def _present_runner(self) -> StatementRunner:
        if self._runner is None:
            raise ClusterUnavailableError(self._refusal() or "try again in a moment")
        return self._runner[1]

    def _check_ticket(self, ticket: Ticket) -> None:
        self._state.require_heard(ticket)
        self._ticket_check(ticket)

    def _leave(self) -> None:
        """End the process once nothing runs any more, as whoever drains a node wants it."""
        _log.info("draining")
        while self._jobs.live():
            if self._is_stopping.wait(_LOOK_S):
                return
        os.kill(os.getpid(), signal.SIGTERM)
