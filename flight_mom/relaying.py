"""Relays what a ticket allows: a job with a place of its own, from a node that can be reached.

The rows end when the right to them is taken back. A ticket that has become stale before its first
row is made anew, so that its caller notices nothing.
"""

from dataclasses import replace

from auth import Identity, RevokedTicketError, Ticket
from flight_member.admission import Admission, Place
from flight_member.errors import ForwardedError, StaleTicketError, WrongCallerError
from flight_member.gatekeeper import Gatekeeper
from flight_member.jobrows import JobKind
from flight_member.jobs import Job, Jobs
from flight_member.querytickets import QueryTickets
from flight_member.resultparts import part_of
from flight_mom.membernodes import controller_of
from flight_mom.members import Member
from flight_mom.relay import Relay
from flight_mom.replanning import Replanner
from flight_mom.serving import Serving
from flight_mom.topology import Topology
from flight_sql import Call, ResultStream, WireTypes

# Of a table that is written and vacuumed all the time, what was just planned may be gone as well.
_REPLANS = 3


class TicketRelay:
    """Opens the MoM's own tickets at the members that they are for."""

    def __init__(
        self,
        serving: Serving,
        topology: Topology,
        gatekeeper: Gatekeeper,
        relay: Relay,
        replanner: Replanner,
        tickets: QueryTickets,
        admission: Admission,
        jobs: Jobs,
    ) -> None:
        """Keep what it takes.

        Args:
            serving: Says of members whether they may be asked.
            topology: The members and their nodes.
            gatekeeper: Says what was revoked.
            relay: Reads from members.
            replanner: Makes stale tickets anew.
            tickets: Seals them.
            admission: Gives out places.
            jobs: Where each relayed statement is known as a job.
        """
        self._serving = serving
        self._topology = topology
        self._gatekeeper = gatekeeper
        self._relay = relay
        self._replanner = replanner
        self._tickets = tickets
        self._admission = admission
        self._jobs = jobs

    def stop_reason(self, ticket: Ticket) -> Exception | None:
        """Return why a ticket's rows must not be relayed, or not any further; None if they may."""
        own = self._topology.federation.own.cluster
        member = self._topology.federation.members.get(ticket.member)
        if member is None and ticket.member != own:
            return WrongCallerError("the cluster of this ticket has left the federation")
        # What was revoked since the ticket was made is not relayed any more.
        refused = self._gatekeeper.refused(ticket.identity, [one.name for one in ticket.tables])
        if refused is not None:
            return RevokedTicketError(f"you may not read {refused} any more")
        return None if member is None else self._serving.suspension(member)

    def open(
        self, call: Call, caller: Identity, member: Member, handle: bytes, ticket: Ticket
    ) -> ResultStream:
        """Open a ticket at its member, as a job of that member.

        Args:
            call: The call that fetches.
            caller: Who fetches: whose ticket it is.
            member: The ticket's.
            handle: The ticket as it is sealed.
            ticket: The same, opened.

        Raises:
            OverloadedError: When there is no place for it.
            ClusterUnavailableError: When no node of the member can be reached.
            ForwardedError: What the member refuses.
        """
        job = self._jobs.start(
            call,
            ticket.caller,
            ticket.sql,
            kind=JobKind.EXPLAIN if ticket.explain else JobKind.QUERY,
            job_id=ticket.query_id,
            received_at=ticket.issued_at,
            cluster=member.name,
        )
        call = replace(call, is_cancelled=job.is_cancelled)
        with job.opening():
            place = self._admission.enter(job.user, job.is_cancelled)
            try:
                return self._tried(call, caller, member, handle, ticket, job, place)
            except BaseException:
                place.leave()
                raise

    def _tried(
        self,
        call: Call,
        caller: Identity,
        member: Member,
        handle: bytes,
        ticket: Ticket,
        job: Job,
        place: Place,
    ) -> ResultStream:
        """Open a ticket at its member, and a fresh one as often as it says that a table changed."""
        for _ in range(_REPLANS):
            try:
                return self._opened(call, member, handle, ticket, job, place)
            except ForwardedError as error:
                refusal = error
            fresh = (
                self._replanner.replan(call, caller, ticket)
                if refusal.code == StaleTicketError.code
                else None
            )
            if fresh is None:
                raise refusal
            ticket = fresh
            handle = self._tickets.endpoint(ticket, ()).handle
        return self._opened(call, member, handle, ticket, job, place)

    def _opened(
        self, call: Call, member: Member, handle: bytes, ticket: Ticket, job: Job, place: Place
    ) -> ResultStream:
        # What reads no table is the controller's alone.
        nodes = self._topology.nodes
        addresses = nodes.order(member) if ticket.tables else [controller_of(member)]
        if ticket.shard is not None:
            # Each part at its own node, so that they are read at once here too.
            addresses.sort(key=lambda address: address.name != part_of(ticket))
        return self._relay.open(
            call,
            addresses,
            handle,
            lambda: self.stop_reason(ticket),
            unreached=nodes.avoid,
            is_lost=nodes.is_lost,
            wire=WireTypes(ticket.wire),
            job=job,
            place=place,
        )
