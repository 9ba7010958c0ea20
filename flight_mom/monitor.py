"""Everything that heartbeats come through at the MoM, put together: pulse, handlers, the table."""

import time
from collections.abc import Callable
from contextlib import ExitStack
from datetime import timedelta

from flight_member.clock import utc_now
from flight_member.jobs import Jobs
from flight_member.livetables import LiveTable
from flight_member.sampling import NodeFacts, NodeSampler
from flight_member.statestore import Database
from flight_mom.handlerloading import KEEP, load_handlers
from flight_mom.handling import HandlerThread, Handling
from flight_mom.keeping import HeartbeatKeeper
from flight_mom.momhome import MomHome
from flight_mom.monitortables import (
    ClusterStatesTable,
    HandlersTable,
    NodesElsewhere,
    NodesTable,
)
from flight_mom.ownheart import OwnHeart
from flight_mom.pulse import Pulse
from flight_mom.topology import Topology
from storage.names import ObjectName

_MIB = 1 << 20
_FORGET_EVERY_S = 3_600.0
# Members beat early when they have news; who beats much more often wants to fill the disk.
_LEAST_GAP = 0.5


class Monitor:
    """Takes the rows of heartbeats in, hands them to the handlers, and shows the newest."""

    def __init__(
        self,
        home: MomHome,
        database: Database,
        topology: Topology,
        jobs: Jobs,
        is_keeper: Callable[[], bool],
        others: NodesElsewhere | None = None,
    ) -> None:
        """Find the handlers that the settings name.

        Args:
            home: The MoM's files.
            database: Shared with other replicas.
            topology: Who there is.
            jobs: What runs here.
            is_keeper: Whether it is this replica that does what is done for all of them.
            others: Adds the rows of nodes that other replicas heard.

        Raises:
            ConfigurationError: When one of them is none.
        """
        settings = self._settings = home.settings
        self._home = home
        self._jobs = jobs
        self._topology = topology
        self._is_keeper = is_keeper
        self._cluster = cluster = settings.cluster.name
        interval_s = settings.heartbeat.interval_s
        self.pulse = Pulse(utc_now, least_gap_s=interval_s * _LEAST_GAP)
        self._keeper: HeartbeatKeeper | None = None
        if KEEP in settings.heartbeat.handlers:
            self._keeper = HeartbeatKeeper(
                ObjectName.parse(settings.heartbeat.table, cluster=cluster),
                database,
                home.tables_directory,
                home.spool_directory,
                settings.heartbeat,
                utc_now,
                topology.refresh,
                is_keeper,
            )
        own = {KEEP: self._keeper.append} if self._keeper else {}
        self._handling = Handling(
            self.pulse.take,
            [
                HandlerThread(
                    name, handler, utc_now, max_row_count=settings.heartbeat.max_waiting_rows
                )
                for name, handler in load_handlers(settings.heartbeat.handlers, home.directory, own)
            ],
        )
        self.tables: tuple[LiveTable, ...] = (
            ClusterStatesTable(cluster, database, topology),
            HandlersTable(cluster, self._handling.handlers),
            NodesTable(cluster, topology, self.pulse, others),
        )
        self._heart: OwnHeart | None = None
        self._forget_at = time.monotonic()

    def start(self, uri: str, port: int) -> None:
        """Begin to report on the MoM itself, which answers there, and to call the handlers."""
        settings = self._settings
        facts = NodeFacts(
            node=settings.server_name,
            mode="mom",
            host=settings.server.advertised_host,
            port=port,
            uri=uri,
            memory_limit_bytes=settings.limits.memory_limit_mib * _MIB,
            max_running_statements=settings.limits.max_running,
            roots=(self._home.directory,),
        )
        self._heart = OwnHeart(
            settings.heartbeat.interval_s,
            NodeSampler(facts, self._jobs, utc_now).sample,
            lambda rows: self.pulse.note(self._cluster, rows),
        )
        self._heart.start()
        self._handling.start()
        if self._keeper is not None:
            self._keeper.start()

    def forget(self) -> None:
        """Forget states of members that ended longer ago than heartbeats are kept; now and then."""
        if time.monotonic() < self._forget_at or not self._is_keeper():
            return
        self._forget_at = time.monotonic() + _FORGET_EVERY_S
        keep = timedelta(days=self._settings.heartbeat.keep_days)
        self._topology.states.forget_before(utc_now() - keep)

    def stop(self) -> None:
        """Hand over what came last, and keep it."""
        with ExitStack() as stack:
            if self._keeper is not None:
                stack.callback(self._keeper.stop)
            stack.callback(self._handling.stop)
            if self._heart is not None:
                stack.callback(self._heart.stop)
