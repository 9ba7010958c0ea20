"""What SHOW CLUSTERS tells: each caller of their own cluster and of those that they may read of."""

from collections.abc import Callable, Mapping, Sequence

import pyarrow as pa

from auth import Identity
from flight_member.answers import answer
from flight_member.clock import Moment
from flight_member.listing import name_filter
from flight_mom.members import Member, Route
from flight_mom.topology import MemberStatus, Topology
from planner import ShowClusters


class ClusterListing:
    """Lists the members and the MoM as they are now."""

    def __init__(self, cluster: str, topology: Topology, now: Moment) -> None:
        """Keep the MoM's own name, where its members are known, and the clock."""
        self._cluster = cluster
        self._topology = topology
        self._now = now

    def show(
        self, caller: Identity, readable: Mapping[str, int], statement: ShowClusters
    ) -> pa.Table:
        """Return the caller's part.

        Args:
            caller: Who asks; administrators of the federation see all.
            readable: Of each cluster how many tables the caller may read.
            statement: Says which names are meant.

        Returns:
            The rows of SHOW CLUSTERS, by name; it may be empty.
        """
        sees_all = caller.administers(self._cluster)
        fits = name_filter(statement.like)
        rows = [
            self._shown(member, table_count=None if sees_all else readable.get(member.name, 0))
            for _, member in sorted(self._topology.federation.members.items())
            if (sees_all or member.name in {caller.cluster, *readable}) and fits(member.name)
        ]
        rows += self._shown_own(caller, readable, fits)
        rows.sort(key=lambda row: str(row[0]))
        return answer(ShowClusters, rows)

    def _shown_own(
        self, caller: Identity, readable: Mapping[str, int], fits: Callable[[str], bool]
    ) -> list[Sequence[object]]:
        """Return the MoM's own row, for its users and for those who may read tables of it."""
        if not (self._cluster in {caller.cluster, *readable} and fits(self._cluster)):
            return []
        began = self._topology.hearing.started.at
        tables = readable.get(self._cluster, 0)
        alive, relayed = str(MemberStatus.ALIVE), str(Route.RELAY)
        return [(self._cluster, alive, began, relayed, tables, self._now())]

    def _shown(self, member: Member, table_count: int | None) -> Sequence[object]:
        status = self._topology.status(member)
        return (
            member.name,
            str(status),
            self._topology.state_since(member, status),
            str(member.route),
            len(member.metastore.all_tables()) if table_count is None else table_count,
            self._topology.heard_at(member.name),
        )
