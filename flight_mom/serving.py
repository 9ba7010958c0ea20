"""Which member runs a statement, and whether it is to be asked at all."""

from flight_member.errors import ClusterSuspendedError, ClusterUnavailableError, NotFoundError
from flight_mom.members import Member
from flight_mom.topology import Topology
from planner import Query


class Serving:
    """Chooses among the members as they are now."""

    def __init__(self, cluster: str, topology: Topology) -> None:
        """Keep the MoM's own name and where its members are known."""
        self._cluster = cluster
        self._topology = topology

    def member_for(self, query: Query, home: str) -> Member | None:
        """Return the member that runs a query; None when the MoM itself does.

        Args:
            query: Its tables have been authorised.
            home: The caller's cluster.

        Raises:
            NotFoundError: When its cluster has left the federation meanwhile.
            ClusterSuspendedError: When its cluster is suspended.
            ClusterUnavailableError: When its cluster does not answer.
        """
        if not query.tables:
            return self._answering(home)
        if query.cluster == self._cluster:
            return None
        member = self._topology.federation.members.get(query.cluster)
        if member is None:
            raise NotFoundError.of(query.tables[0])
        self.require(member)
        return member

    def suspension(self, member: Member) -> ClusterSuspendedError | None:
        """Return why nothing may be asked of a member, or None if it may."""
        if not member.is_suspended:
            return None
        return ClusterSuspendedError(
            f"{member.name} is suspended; ask an administrator of {self._cluster}"
        )

    def require(self, member: Member) -> None:
        """Refuse to ask a member that is suspended, or that has not been heard from.

        Raises:
            ClusterSuspendedError: When an administrator suspended it.
            ClusterUnavailableError: When it does not answer; since when is told.
        """
        suspension = self.suspension(member)
        if suspension is not None:
            raise suspension
        if not self._topology.status(member).is_served:
            heard_at = self._topology.heard_at(member.name)
            since = f" since {heard_at:%Y-%m-%d %H:%M:%S} UTC" if heard_at else ""
            raise ClusterUnavailableError(
                f"{member.name} has not answered{since}; try again in a moment"
            )

    def _answering(self, home: str) -> Member | None:
        """Return a member that answers, the caller's own first: what they ask reads no table.

        None for the MoM's own users: theirs is the MoM itself.

        Which cluster such a statement was addressed to does not count, so that it tells nothing of
        clusters that the caller may not know of.
        """
        if home == self._cluster:
            return None
        members = self._topology.federation.members
        for name in sorted(members, key=lambda name: (name != home, name)):
            if self._topology.status(members[name]).is_served:
                return members[name]
        raise ClusterUnavailableError("no member answers; try again in a moment")
