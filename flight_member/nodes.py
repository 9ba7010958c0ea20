"""The nodes of one cluster as a controller knows them: who lives, what each has to do.

The controller is a node itself, named after the cluster. The others are known by their heartbeats:
one that misses two of them is lost, gets no more work, and is shown as lost until it is heard again
or removed. Nothing here is durable: a controller that starts anew hears of all of them within one
interval.
"""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from flight_member.choosing import Choosing
from flight_member.noderow import NodeRow

ALIVE, DRAINING, LOST, WAITING = "alive", "draining", "lost", "waiting"
CONTROLLER_MODE, NODE_MODE = "single", "node"
# Two heartbeats and a half: what is merely late is not lost, and three are never waited for.
_LOST_AFTER = 2.5


@dataclass(frozen=True, slots=True)
class LiveNode:
    """A node that answers."""

    name: str
    uri: str
    running: int
    """Statements that it said to run, and to have waiting."""
    is_draining: bool = False
    """Whether it takes no new work."""
    is_controller: bool = False


@dataclass(frozen=True, slots=True)
class _Heard:
    row: NodeRow
    ticks: float


class Nodes:
    """Read from many threads without waiting; written by whoever answers a heartbeat."""

    def __init__(
        self,
        cluster: str,
        interval_s: float,
        busy: Callable[[], int],
        ticks: Callable[[], float] = time.monotonic,
    ) -> None:
        """Begin with the controller alone.

        Args:
            cluster: The cluster, after which the controller is named.
            interval_s: Seconds between two heartbeats of a node.
            busy: How many statements run and wait at this controller.
            ticks: A clock that only goes forward, in seconds.
        """
        self._cluster = cluster
        self._interval_s = interval_s
        self._busy = busy
        self._ticks = ticks
        self._changing = threading.Lock()
        self._heard: dict[str, _Heard] = {}
        self._choosing = Choosing(interval_s * _LOST_AFTER, ticks)
        self.uri = ""
        """Where this controller answers, once it does."""

    def hear(self, row: NodeRow) -> bool:
        """Take in a node's heartbeat; returns whether it is new, back, or in another state."""
        known = self._heard.get(row.node)
        was = None if known is None else self._state(known)
        with self._changing:
            self._heard = {**self._heard, row.node: _Heard(row, self._ticks())}
        self._choosing.hear(row.node)
        return was != row.state or (known is not None and known.row.uri != row.uri)

    def forget(self, name: str) -> None:
        """Take in that a node has left, or was removed."""
        with self._changing:
            self._heard = {other: one for other, one in self._heard.items() if other != name}
        self._choosing.hear(name)

    def live(self) -> tuple[LiveNode, ...]:
        """Return the nodes that answer, the controller first, then by name."""
        own = LiveNode(self._cluster, self.uri, self._busy(), is_controller=True)
        others = [
            LiveNode(
                name,
                one.row.uri,
                one.row.running_statements + one.row.queued_statements,
                is_draining=one.row.state == DRAINING,
            )
            for name, one in sorted(self._heard.items())
            if self._state(one) in {ALIVE, DRAINING}
        ]
        return (own, *others)

    def serving(self) -> tuple[LiveNode, ...]:
        """Return the nodes that take new work, the controller first, then by name."""
        return tuple(one for one in self.live() if not one.is_draining)

    def choose(self, fits: Callable[[LiveNode], bool] = lambda _: True) -> list[LiveNode]:
        """Return the nodes that take new work, the best one for the next statement first.

        Args:
            fits: Whether a node can be chosen; the controller always can.
        """
        serving = self.serving()
        if len(serving) == 1:
            return list(serving)
        return self._choosing.order(one for one in serving if one.is_controller or fits(one))

    def rows(self) -> tuple[NodeRow, ...]:
        """Return the last row of each node but the controller, with its state now, by name."""
        rows = []
        for _, one in sorted(self._heard.items()):
            state = self._state(one)
            idle = {"running_statements": 0, "queued_statements": 0} if state == LOST else {}
            rows.append(one.row.model_copy(update={"state": state, **idle}))
        return tuple(rows)

    def lost(self) -> frozenset[str]:
        """Return the names of those that were heard from and are not any more."""
        return frozenset(name for name, one in self._heard.items() if self._state(one) == LOST)

    def silence_s(self, name: str) -> float | None:
        """Return for how long a node has not been heard from; None when it never was."""
        one = self._heard.get(name)
        return None if one is None else self._ticks() - one.ticks

    def _state(self, one: _Heard) -> str:
        is_lost = self._ticks() - one.ticks > self._interval_s * _LOST_AFTER
        return LOST if is_lost else one.row.state
