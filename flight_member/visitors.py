"""Whether the MoM's tickets are honoured here: what they rest on, and what the owner says."""

from typing import Protocol

from auth import RevokedTicketError, Ticket
from flight_member.clock import Moment
from flight_member.memberstate import MemberSnapshot
from flight_member.revocationlog import Revocations
from storage.names import ObjectName


class Known(Protocol):
    """What is known of the cluster, by whoever answers for it."""

    @property
    def snapshot(self) -> MemberSnapshot:
        """The newest state."""


class VisitorDoor:
    """Applied when a ticket arrives, and again while its statement runs."""

    def __init__(
        self,
        cluster: str,
        state: Known,
        revoked: Revocations,
        now: Moment,
    ) -> None:
        self._cluster = cluster
        self._state = state
        self._revoked = revoked
        self._now = now

    def check(self, ticket: Ticket) -> None:
        """Refuse a ticket of the MoM that must not be honoured any more.

        Raises:
            RevokedTicketError: When the MoM took back what it rests on, or that has ended by
                itself, or the owner denies it.
            ClusterUnavailableError: Before the MoM has answered this member's first heartbeat.
        """
        if ticket.until is not None and ticket.until <= self._now():
            raise RevokedTicketError("the grant that this ticket rests on has ended")
        self._revoked.check(ticket)
        vetoed = self.vetoed(ticket)
        if vetoed is not None:
            raise RevokedTicketError(f"you may not read {vetoed} any more")

    def vetoed(self, ticket: Ticket) -> ObjectName | None:
        """Return the first table of a visitor's ticket that the owner denies them, if any."""
        vetoes = self._state.snapshot.vetoes
        if ticket.cluster == self._cluster or not vetoes:
            return None
        identity, now = ticket.identity, self._now()
        decided = ((one.name, vetoes.decide(identity, one.name, now)) for one in ticket.tables)
        return next((name for name, decision in decided if decision.grant is not None), None)
