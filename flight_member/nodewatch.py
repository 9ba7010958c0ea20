"""Notices at a controller what concerns its data nodes: who is gone, what they must know."""

from collections.abc import Callable

from flight_member.logs import get_logger
from flight_member.nodelinks import NodeLinks
from flight_member.nodeprotocol import NODE_NEWS
from flight_member.noderoster import NodeRoster
from flight_member.nodes import Nodes

_log = get_logger(__name__)


class NodeWatch:
    """Looked at several times a second; costs next to nothing where there are no nodes."""

    def __init__(
        self,
        roster: NodeRoster,
        nodes: Nodes,
        links: NodeLinks,
        present: Callable[[], tuple[object, ...]],
        news: Callable[[], None],
    ) -> None:
        """Keep what it takes.

        Args:
            roster: Which nodes there are.
            nodes: How they are.
            links: Told when they must ask.
            present: Returns what nodes know of the cluster, equal as long as nothing of it changes.
            news: Told when a node is lost or removed.
        """
        self._roster = roster
        self._nodes = nodes
        self._links = links
        self._present = present
        self._news = news
        self._told = present()
        self._lost: frozenset[str] = frozenset()

    def look(self) -> None:
        """Look once."""
        if self._roster.refresh():
            known = {one.name for one in self._roster.all}
            for row in self._nodes.rows():
                if row.node not in known:
                    self._nodes.forget(row.node)
                    self._news()
        lost = self._nodes.lost()
        if lost != self._lost:
            for name in sorted(lost - self._lost):
                _log.warning("node_lost", node=name)
            self._lost = lost
            self._news()
        present = self._present()
        if present != self._told:
            self._told = present
            self._links.tell(NODE_NEWS)
