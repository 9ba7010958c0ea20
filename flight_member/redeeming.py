"""Redeems tickets of one cluster: at a controller and at its data nodes, by the same steps.

A ticket is verified offline and decided on again by today's home rules and the owner's vetoes, and
once more while its statement runs. Nothing is asked of anybody.
"""

from collections.abc import Callable

from auth import KeyRing, RevokedTicketError, Ticket, open_ticket
from flight_member.cancelling import Cancelling
from flight_member.clock import Moment
from flight_member.errors import NotFoundError
from flight_member.runner import StatementRunner
from flight_member.visitors import Known, VisitorDoor
from flight_sql import Call, ResultStream
from storage.names import ObjectName


class TicketCheck:
    """Says whether what a ticket rests on still stands; asked again while its statement runs."""

    def __init__(self, cluster: str, state: Known, visitors: VisitorDoor) -> None:
        self._cluster = cluster
        self._state = state
        self._visitors = visitors

    def __call__(self, ticket: Ticket) -> None:
        """Refuse a ticket whose user changed at home, or which the MoM took back.

        Raises:
            RevokedTicketError: When that is so.
            ClusterUnavailableError: When it cannot be known yet.
        """
        self.require_current(ticket)
        if ticket.issuer != self._cluster:
            self._visitors.check(ticket)

    def require_current(self, ticket: Ticket) -> None:
        """Refuse a ticket of a home user who was changed since it was made.

        Raises:
            RevokedTicketError: When they were.
        """
        issued_at = ticket.issued_at.timestamp()
        if ticket.cluster == self._cluster and not self._state.snapshot.is_current(
            ticket.identity, issued_at
        ):
            raise RevokedTicketError("the user was changed since this ticket; sign in again")


class Redeeming:
    """Opens tickets of one cluster."""

    def __init__(
        self,
        cluster: str,
        keys: Callable[[], KeyRing],
        state: Known,
        visitors: VisitorDoor,
        check: TicketCheck,
        runner: Callable[[], StatementRunner],
        cancelling: Cancelling,
        now: Moment,
    ) -> None:
        """Keep what it takes.

        Args:
            cluster: This cluster.
            keys: Returns whose signatures count.
            state: What is known of the cluster.
            visitors: Says what the owner denies.
            check: Says whether what a ticket rests on still stands.
            runner: Returns what runs statements.
            cancelling: Knows what runs on which ticket.
            now: The clock.
        """
        self._cluster = cluster
        self._keys = keys
        self._state = state
        self._visitors = visitors
        self._check = check
        self._runner = runner
        self._cancelling = cancelling
        self._now = now

    def verified(self, handle: bytes) -> Ticket:
        """Return a ticket that is for this cluster.

        Raises:
            InvalidTicketError: When it is none.
            ExpiredTicketError: When its time is over.
        """
        return open_ticket(handle, self._keys(), member=self._cluster, now=self._now())

    def is_home(self, ticket: Ticket) -> bool:
        """Whether this cluster itself made a ticket, for one of its own users."""
        return ticket.issuer == self._cluster

    def run(self, call: Call, handle: bytes, ticket: Ticket) -> ResultStream:
        """Run what a verified ticket allows, after deciding on it again.

        Raises:
            NotFoundError: When a table of it may not be read any more.
            RevokedTicketError: When what it rests on was taken back.
            StaleTicketError: When a table is gone or no longer the one that was decided on.
        """
        if ticket.cluster == self._cluster:
            # Today's home rules decide on a home user, however they came: home has the last word.
            self._check.require_current(ticket)
            refused = self._refused(ticket)
        else:
            # Of visitors the owner has it, whatever the MoM granted.
            refused = self._visitors.vetoed(ticket)
        if refused is not None:
            raise NotFoundError.of(refused)
        is_home = self.is_home(ticket)
        return self._cancelling.run(
            handle, call, lambda call: self._runner().run(call, ticket, is_home=is_home)
        )

    def _refused(self, ticket: Ticket) -> ObjectName | None:
        """Return the first table that a home user may not read by today's rules, if any."""
        rules, now, identity = self._state.snapshot.rules, self._now(), ticket.identity
        names = (table.name for table in ticket.tables)
        return next((one for one in names if not rules.decide(identity, one, now).is_allowed), None)
