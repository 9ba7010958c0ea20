"""The node rows of the last heartbeats: the newest of each cluster, and those not handled yet."""

import threading
from collections.abc import Mapping

import pyarrow as pa

from flight_member.clock import Moment
from flight_member.noderow import NodeRow, perf_table

Beat = tuple[str, float, tuple[NodeRow, ...]]
_MAX_PENDING = 100_000


class Pulse:
    """Taken in by whatever thread answers a heartbeat, at no more cost than remembering it."""

    def __init__(self, now: Moment, *, least_gap_s: float = 0) -> None:
        """Begin with nothing.

        Args:
            now: The clock.
            least_gap_s: How far apart two heartbeats of a cluster are at least for both to be
                handed to handlers: no member makes more of them than it was told to.
        """
        self._now = now
        self._least_gap_s = least_gap_s
        self._handed_s: dict[str, float] = {}
        self._newest: dict[str, Beat] = {}
        self._pending: list[Beat] = []
        self._left_out = 0
        self._taking = threading.Lock()

    def note(self, cluster: str, nodes: tuple[NodeRow, ...]) -> None:
        """Take in the rows of a heartbeat that arrived just now."""
        if not nodes:
            return
        now_s = self._now().timestamp()
        beat = (cluster, now_s, nodes)
        self._newest[cluster] = beat
        # A clock that was set back ends the gap.
        if 0 <= now_s - self._handed_s.get(cluster, -self._least_gap_s) < self._least_gap_s:
            return
        self._handed_s[cluster] = now_s
        with self._taking:
            if len(self._pending) < _MAX_PENDING:
                self._pending.append(beat)
            else:
                self._left_out += 1

    def newest(self, clusters: Mapping[str, float]) -> pa.Table:
        """Return the newest row of each node of some clusters; see `noderow.PERF_SCHEMA`.

        Args:
            clusters: Names, each with the time before which nothing is its own: whoever had the
                name before was somebody else.
        """
        beats = ((self._newest.get(name), since_s) for name, since_s in clusters.items())
        return perf_table(
            beat for beat, since_s in beats if beat is not None and beat[1] >= since_s
        )

    def take(self) -> tuple[list[Beat], int]:
        """Return what came since the last call, and how many heartbeats did not fit."""
        with self._taking:
            taken, left_out = self._pending, self._left_out
            self._pending, self._left_out = [], 0
        return taken, left_out
