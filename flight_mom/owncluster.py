"""What the MoM serves as a cluster: statements over its own tables, in an engine of its own."""

from auth import RevokedTicketError, Ticket
from flight_member.admission import Admission
from flight_member.gatekeeper import Gatekeeper
from flight_member.jobs import Jobs
from flight_member.runner import StatementRunner
from flight_mom.momhome import MomHome
from flight_mom.processfolder import ProcessFolder
from flight_mom.topology import Topology
from flight_sql import Call, ResultStream
from storage.datafusionengine import DataFusionEngine

_MIB = 1 << 20


class OwnCluster:
    """Runs the tickets that the MoM made for itself, by the same path as any member."""

    def __init__(
        self,
        home: MomHome,
        topology: Topology,
        gatekeeper: Gatekeeper,
        admission: Admission,
        jobs: Jobs,
    ) -> None:
        """Start the engine; the tables are those that the topology knows."""
        limits = home.settings.limits
        self._gatekeeper = gatekeeper
        # Replicas may share the directory, and an engine empties the one it is given.
        self._spill = ProcessFolder(home.spill_directory)
        self._spill.remove_left()
        self._engine = DataFusionEngine(
            memory_limit_bytes=limits.memory_limit_mib * _MIB,
            spill_directory=self._spill.path,
            snapshot_directory=home.snapshot_directory,
        )
        self._runner = StatementRunner(
            home.settings.cluster.name,
            self._engine,
            lambda: topology.federation.own,
            admission,
            limits,
            self._check,
            jobs,
        )

    def run(self, call: Call, ticket: Ticket) -> ResultStream:
        """Start what a verified ticket allows; see `StatementRunner.run`.

        Joins are refused to the MoM's own users too: nobody is at home at the MoM.
        """
        return self._runner.run(call, ticket, is_home=False)

    def close(self) -> None:
        """Stop the engine."""
        self._engine.close()
        self._spill.close()

    def _check(self, ticket: Ticket) -> None:
        refused = self._gatekeeper.refused(ticket.identity, [one.name for one in ticket.tables])
        if refused is not None:
            raise RevokedTicketError(f"you may not read {refused} any more")
