"""`system.federation.nodes` and `cluster_states`: how the clusters do, and how they did.

Everybody sees their own cluster, administrators of the federation all of them; those alone see
`heartbeat_handlers`.
"""

from collections.abc import Callable, Sequence
from itertools import zip_longest

import pyarrow as pa

from auth import Identity
from flight_member.livetables import Wanted
from flight_member.noderow import PERF_SCHEMA
from flight_member.statestore import Database
from flight_mom.handling import HandlerThread
from flight_mom.memberstatestore import MemberStateStore
from flight_mom.pulse import Pulse
from flight_mom.topology import MemberStatus, Topology

_MOMENT = pa.timestamp("us", tz="UTC")


NodesElsewhere = Callable[[pa.Table, dict[str, float]], pa.Table]


class NodesTable:
    """`nodes`: the newest row of each node, with the state of its cluster now."""

    name = "nodes"
    arrow_schema = PERF_SCHEMA.append(pa.field("cluster_state", pa.utf8(), nullable=False))

    def __init__(
        self, mom: str, topology: Topology, pulse: Pulse, others: NodesElsewhere | None = None
    ) -> None:
        """Keep what it takes; `others` adds what other replicas heard."""
        self._mom = mom
        self._topology = topology
        self._pulse = pulse
        self._others = others

    def rows(self, wanted: Wanted) -> pa.Table:
        """Return the rows that the MoM heard, by cluster."""
        members = self._topology.federation.members
        joined = {
            name: member.joined_at.timestamp()
            for name, member in members.items()
            if member.joined_at is not None
        }
        seen = _seen(wanted.caller, self._mom, [*joined, self._mom])
        since = {name: joined.get(name, 0) for name in seen}
        rows = self._pulse.newest(since)
        if self._others is not None:
            rows = self._others(rows, since)
        states = {name: str(self._topology.status(one)) for name, one in members.items()}
        states[self._mom] = str(MemberStatus.ALIVE)
        of_rows = [states[name] for name in rows["cluster_name"].to_pylist()]
        return rows.append_column(
            self.arrow_schema.field("cluster_state"), pa.array(of_rows, pa.utf8())
        )


class ClusterStatesTable:
    """`cluster_states`: every state that a member was in, with its begin and its end."""

    name = "cluster_states"
    arrow_schema = pa.schema(
        [
            pa.field("cluster_name", pa.utf8(), nullable=False),
            pa.field("state", pa.utf8(), nullable=False),
            pa.field("since", _MOMENT, nullable=False),
            pa.field("until", _MOMENT),
        ]
    )

    def __init__(self, mom: str, database: Database, topology: Topology) -> None:
        self._mom = mom
        self._database = database
        self._topology = topology

    def rows(self, wanted: Wanted) -> pa.Table:
        """Return the states by cluster, oldest first; the one that lasts has no end."""
        seen = _seen(wanted.caller, self._mom, list(self._topology.federation.members))
        with self._database.read() as connection:
            kept = MemberStateStore(connection).all(seen)
        ends = [
            after.since if after is not None and after.member == one.member else None
            for one, after in zip_longest(kept, kept[1:])
        ]
        return pa.table(
            [
                pa.array([one.member for one in kept], pa.utf8()),
                pa.array([one.state for one in kept], pa.utf8()),
                pa.array([one.since for one in kept], _MOMENT),
                pa.array(ends, _MOMENT),
            ],
            schema=self.arrow_schema,
        )


class HandlersTable:
    """`heartbeat_handlers`: what came of the calls of each handler since this MoM started."""

    name = "heartbeat_handlers"
    arrow_schema = pa.schema(
        [
            pa.field("handler", pa.utf8(), nullable=False),
            pa.field("call_count", pa.int64(), nullable=False),
            pa.field("row_count", pa.int64(), nullable=False),
            pa.field("failed_count", pa.int64(), nullable=False),
            pa.field("waiting_row_count", pa.int64(), nullable=False),
            pa.field("dropped_row_count", pa.int64(), nullable=False),
            pa.field("busy_since", _MOMENT),
        ]
    )

    def __init__(self, mom: str, handlers: Sequence[HandlerThread]) -> None:
        self._mom = mom
        self._handlers = handlers

    def rows(self, wanted: Wanted) -> pa.Table:
        """Return one row per handler, in the order in which they are called."""
        handlers = self._handlers if wanted.caller.administers(self._mom) else ()
        return pa.table(
            [
                pa.array([one.name for one in handlers], pa.utf8()),
                pa.array([one.call_count for one in handlers], pa.int64()),
                pa.array([one.row_count for one in handlers], pa.int64()),
                pa.array([one.failed_count for one in handlers], pa.int64()),
                pa.array([one.waiting_row_count for one in handlers], pa.int64()),
                pa.array([one.dropped_row_count for one in handlers], pa.int64()),
                pa.array([one.busy_since for one in handlers], _MOMENT),
            ],
            schema=self.arrow_schema,
        )


def _seen(caller: Identity, mom: str, clusters: list[str]) -> list[str]:
    """Return those of some clusters that a caller sees, by name."""
    sees_all = caller.administers(mom)
    return sorted(name for name in clusters if sees_all or name == caller.cluster)
