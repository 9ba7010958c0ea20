"""Makes a ticket anew whose tables are not as it says any more, if its caller notices nothing.

A member refuses such a ticket before it streams a row. What changed is only which files there are,
or columns that the statement does not name: then the statement is decided on and planned again, as
if it had been asked a moment later.
"""

import time
from dataclasses import replace

from auth import Identity, Ticket
from flight_member.gatekeeper import Gatekeeper
from flight_member.jobs import statement_digest
from flight_member.querytickets import QueryTickets, sealed_table, shape_of
from flight_mom.topology import Topology
from flight_sql import Call
from planner import Defaults, Limits, Query, Values, parse_statement, plan_query

# Members report a change within a second.
_WAIT_S = 2.0
_POLL_S = 0.05


class Replanner:
    """Decides and plans again for tickets that became stale."""

    def __init__(
        self, topology: Topology, gatekeeper: Gatekeeper, tickets: QueryTickets, limits: Limits
    ) -> None:
        """Keep what deciding and planning take."""
        self._topology = topology
        self._gatekeeper = gatekeeper
        self._tickets = tickets
        self._limits = limits

    def replan(self, call: Call, caller: Identity, ticket: Ticket) -> Ticket | None:
        """Return a ticket for the same rows of the tables as they are now.

        Args:
            call: The call that fetches.
            caller: Who asks.
            ticket: One of this caller's that a member refused as stale.

        Returns:
            The ticket, or None when there is no such: a table is gone, the answer would have other
            columns than were promised, or nobody has told of a change. There is none either for a
            part of a result, whose other parts are of the snapshots that it was made for.

        Raises:
            NotFoundError: When the caller may not read a table any more.
            PlannerError: When the statement cannot be planned any more.
        """
        if ticket.shard is not None or not self._wait_for_change(call, ticket):
            return None
        digest = statement_digest(ticket.sql)
        names = [one.name for one in ticket.tables]
        authorised = self._gatekeeper.authorise(call, caller, names, digest)
        defaults = Defaults(ticket.member, ticket.catalog, ticket.schema)
        query = parse_statement(ticket.sql, defaults, home=None, limits=self._limits)
        if not isinstance(query, Query):
            return None
        if ticket.parameters is not None:
            query = replace(query, values=Values(ticket.parameters))
        plan = plan_query(query, authorised.schemas)
        if shape_of(plan.arrow_schema) != ticket.shape:
            return None
        return self._tickets.replan(ticket, caller, authorised)

    def _wait_for_change(self, call: Call, ticket: Ticket) -> bool:
        """Return whether a table of a ticket is another by now; all of them are there."""
        until = time.monotonic() + _WAIT_S
        while not call.is_cancelled():
            federation = self._topology.federation
            tables = [federation.table(one.name) for one in ticket.tables]
            if any(table is None for table in tables):
                return False
            if tuple(sealed_table(table) for table in tables if table) != ticket.tables:
                return True
            if time.monotonic() > until:
                return False
            time.sleep(_POLL_S)
        return False
