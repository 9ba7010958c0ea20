"""All that a controller has to do with its data nodes, put together."""

from collections.abc import Callable, Mapping, Sequence
from urllib.parse import urlsplit

from flight_member.locations import ENCRYPTED
from flight_member.nodedesk import NodeDesk
from flight_member.nodelinks import NodeLinks
from flight_member.noderoster import NodeRoster
from flight_member.nodes import LiveNode, Nodes
from flight_member.resultparts import part_locations
from flight_member.routing import AskedRoute, asked_route
from flight_member.settings import is_loopback
from flight_sql import REUSE_CONNECTION, Call, CancelStatus, has_agent


class ClusterNodes:
    """The data nodes of one cluster: who they are, where statements are sent, what they ask."""

    def __init__(
        self,
        roster: NodeRoster,
        nodes: Nodes,
        links: NodeLinks,
        desk: NodeDesk,
        relayed_agents: Sequence[str],
        *,
        uses_tls: bool,
    ) -> None:
        """Keep what it takes.

        Args:
            roster: Which nodes were added.
            nodes: Which of them live.
            links: Reaches them.
            desk: Answers them.
            relayed_agents: Clients that would send their password to other addresses.
            uses_tls: Whether clients come encrypted.
        """
        self.roster = roster
        self.nodes = nodes
        self.links = links
        self._desk = desk
        self._relayed_agents = relayed_agents
        self._uses_tls = uses_tls

    def places(self, call: Call) -> dict[str, str]:
        """Return where the rows of a home ticket can be read by name, the best place first.

        Nothing for who asks for one connection alone, and where there is no choice: that is the
        connection over which was asked.
        """
        if asked_route(call) is AskedRoute.RELAY or has_agent(call.headers, self._relayed_agents):
            return {}
        chosen = self.nodes.choose(self._fits)
        places = {one.name: REUSE_CONNECTION if one.is_controller else one.uri for one in chosen}
        return places if len(places) > 1 else {}

    def locations(self, call: Call, part: str | None = None) -> tuple[str, ...]:
        """Return where the rows of a home ticket can be read, the best place first.

        Args:
            call: Who asks.
            part: The part of the rows that the ticket is for; None for all of them.
        """
        places = self.places(call)
        return _listed(places) if part is None or not places else part_locations(part, places)

    def cancel(self, handle: bytes) -> CancelStatus | None:
        """Have every node stop what runs on a ticket; None when there is none."""
        return self.links.cancel(handle)

    def actions(self) -> Mapping[str, Callable[[Call, bytes], bytes]]:
        """Return what nodes ask of a controller."""
        return self._desk.actions()

    def _fits(self, node: LiveNode) -> bool:
        """Whether clients of this controller can be sent to a node as safely as they came here."""
        if self._uses_tls and not node.uri.startswith(ENCRYPTED):
            return False
        return _is_local(self.nodes.uri) or not _is_local(node.uri)


def _listed(places: Mapping[str, str]) -> tuple[str, ...]:
    """Return places in their order, the connection that is there last; none when it comes first.

    Clients that know several places go to others before the connection that they have.
    """
    uris = list(places.values())
    if uris[:1] == [REUSE_CONNECTION]:
        return ()
    return tuple(sorted(uris, key=lambda uri: uri == REUSE_CONNECTION))


def _is_local(uri: str) -> bool:
    return is_loopback(urlsplit(uri).hostname or "")
