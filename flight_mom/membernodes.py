"""The nodes of each member as its heartbeats tell: where its tickets can be redeemed.

A member is asked at its controller, and its rows are read from whichever of its nodes has the least
to do. Nodes that the member calls lost or leaving get nothing; a node that the MoM itself did not
reach gets nothing for as long as a lost one may go unnoticed.
"""

import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from flight_member.authority import node_audience
from flight_member.choosing import Choosing
from flight_member.noderow import NodeRow
from flight_member.nodes import ALIVE, LOST
from flight_mom.members import Member

_AVOIDED_INTERVALS = 3.0


@dataclass(frozen=True, slots=True)
class Address:
    """Where a member's tickets can be redeemed: its controller, or a node."""

    name: str
    uri: str
    audience: str
    """Whom the MoM's tokens are made for there."""
    member: str
    running: int = 0
    is_node: bool = False
    """Whether it is a data node's, of which there are others."""


def controller_of(member: Member, running: int = 0) -> Address:
    """Return a member's front door as a place."""
    return Address(member.name, member.uri, member.name, member.name, running)


class MemberNodes:
    """Which nodes there are; read from many threads without waiting."""

    def __init__(self, interval_s: float, ticks: Callable[[], float] = time.monotonic) -> None:
        """Begin with the members' controllers alone."""
        self._interval_s = interval_s
        self._ticks = ticks
        self._changing = threading.Lock()
        self._rows: dict[str, tuple[NodeRow, ...]] = {}
        self._lost: dict[str, frozenset[str]] = {}
        self._running: dict[str, int] = {}
        self._choosing: dict[str, Choosing] = {}
        self._avoided: dict[tuple[str, str], float] = {}

    def note(self, member: str, controller: NodeRow | None, nodes: Iterable[NodeRow]) -> None:
        """Take in what a member's heartbeat tells of its nodes.

        Args:
            member: Whose they are.
            controller: The row of its front door, if there is one.
            nodes: The rows of its data nodes, whose addresses count.
        """
        rows = tuple(nodes)
        told = tuple(row for row in rows if row.state == ALIVE)
        with self._changing:
            self._lost[member] = frozenset(row.node for row in rows if row.state == LOST)
            if told or member in self._rows:
                self._rows[member] = told
            if controller is not None:
                self._running[member] = controller.running_statements + controller.queued_statements
            choosing = self._choosing.get(member)
        if choosing is not None:
            for name in (member, *(row.node for row in told)):
                # Its member heard it up to an interval ago.
                choosing.hear(name, self._interval_s)

    def avoid(self, place: Address) -> None:
        """Take note that a node was not reached."""
        with self._changing:
            self._avoided[place.member, place.name] = (
                self._ticks() + self._interval_s * _AVOIDED_INTERVALS
            )

    def is_lost(self, address: Address) -> bool:
        """Whether a member misses one of its nodes."""
        return address.name in self._lost.get(address.member, frozenset())

    def order(self, member: Member) -> list[Address]:
        """Return where a member's tickets can be redeemed, the best place first.

        Its controller is always among them.
        """
        rows = self._rows.get(member.name, ())
        own = controller_of(member, self._running.get(member.name, 0))
        now = self._ticks()
        places = [
            Address(
                row.node,
                row.uri,
                node_audience(member.name, row.node),
                member.name,
                row.running_statements + row.queued_statements,
                is_node=True,
            )
            for row in rows
            if self._avoided.get((member.name, row.node), now) <= now
        ]
        if not places:
            return [own]
        with self._changing:
            choosing = self._choosing.setdefault(
                member.name, Choosing(self._interval_s * _AVOIDED_INTERVALS, self._ticks)
            )
        return choosing.order([own, *places])
