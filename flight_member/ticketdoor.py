"""Cancelling and renewing what a front door handed out.

Only who was given a ticket may do either; administrators of the cluster may cancel. A ticket of
somebody else is refused in the same words as one that nobody made. Renewing decides anew: a ticket
says what was decided, not what may be.
"""

from abc import abstractmethod
from collections.abc import Callable, Sequence
from typing import TypeVar

import pyarrow as pa

from auth import InvalidTicketError, Ticket, TokenKind, kind_of
from flight_member.errors import WrongCallerError
from flight_member.frontdoor import FrontDoor
from flight_member.handles import Answering
from flight_member.jobs import statement_digest
from flight_member.logs import get_logger
from flight_member.routing import asked_route
from flight_sql import Call, CancelStatus, Endpoint, StatementInfo

_log = get_logger(__name__)
T = TypeVar("T")


class TicketDoor(FrontDoor):
    """A front door whose tickets can be cancelled and renewed."""

    @abstractmethod
    def cancel_query(self, call: Call, handle: bytes) -> CancelStatus:
        """Stop what runs on a query ticket, for its caller or an administrator.

        Raises:
            WrongCallerError: When it is somebody else who asks.
        """

    @abstractmethod
    def renew_query(self, call: Call, handle: bytes) -> Endpoint:
        """Decide anew on a query ticket for its caller.

        Raises:
            WrongCallerError: When it was made for somebody else, or its cluster has left.
        """

    def execute(self, call: Call, sql: str, values: pa.RecordBatch | None = None) -> StatementInfo:
        """Execute a statement as far as its ticket; see `FrontDoor.execute`.

        Raises:
            BadRequestError: When the call asks for a route that there is not.
        """
        asked_route(call)
        return super().execute(call, sql, values)

    def cancel(self, call: Call, handle: bytes) -> CancelStatus:
        """Stop what runs on a handle, and let nothing run on it any more.

        Raises:
            InvalidTicketError: When it is nobody's ticket, or somebody else's.
            OverloadedError: When too many were cancelled lately.
        """
        is_answer = kind_of(handle) is TokenKind.ANSWER
        cancel = self.cancel_answer if is_answer else self.cancel_query
        status = _judged(lambda: cancel(call, handle), "cancel")
        _log.info("cancel_asked", query_id=call.query_id, status=status.name)
        return status

    def renew(self, call: Call, handle: bytes) -> Endpoint:
        """Return an endpoint for the same statement and snapshot that counts for longer.

        Raises:
            InvalidTicketError: When it is nobody's ticket, or somebody else's.
            ExpiredTicketError: When its time is over.
            CancelledStatementError: When it was cancelled.
            NotFoundError: When its caller may not read its tables any more.
            StaleTicketError: When a table has changed since.
        """
        self.cancelling.check(handle)
        is_answer = kind_of(handle) is TokenKind.ANSWER
        renew = self.renew_answer if is_answer else self.renew_query
        return _judged(lambda: renew(call, handle), "renew")

    # For the tickets of one's own answers.

    def cancel_answer(self, call: Call, handle: bytes) -> CancelStatus:
        """Stop an answer that is made when it is fetched; what was carried out stays so."""
        answering = self._handles.open_answer(handle, may_be_over=True)
        self.require_canceller(call, answering.caller)
        if answering.rows is not None:
            return CancelStatus.NOT_CANCELLABLE
        return self.cancelling.cancel(handle, answering.expires_at)

    def renew_answer(self, call: Call, handle: bytes) -> Endpoint:
        """Return the same answer's ticket anew: who may see what is decided when it is fetched."""
        answering: Answering = self._handles.open_answer(handle)
        self.require_own(call, answering.caller)
        return self._handles.answer_endpoint(answering)

    # For the tickets of queries.

    def require_own(self, call: Call, caller: str) -> None:
        """Refuse a ticket that was made for somebody else.

        Raises:
            WrongCallerError: When it was.
        """
        if self.caller(call).name != caller:
            raise WrongCallerError("this ticket was made for somebody else")

    def require_canceller(self, call: Call, caller: str) -> None:
        """Refuse whoever may not cancel what runs for a caller.

        Raises:
            WrongCallerError: When it is neither that caller nor an administrator of this cluster.
        """
        if not self.caller(call).administers(self.cluster):
            self.require_own(call, caller)

    def renewed(self, call: Call, ticket: Ticket, locations: Sequence[str]) -> Endpoint:
        """Decide anew on a ticket and return its endpoint, with the same snapshots.

        Raises:
            NotFoundError: When its caller may not read its tables any more.
            StaleTicketError: When one of them has changed since.
        """
        caller = self.caller(call)
        authorised = self.gatekeeper.authorise(
            call, caller, [one.name for one in ticket.tables], statement_digest(ticket.sql)
        )
        fresh = self.query_tickets.renew(ticket, caller, authorised)
        return self.query_tickets.endpoint(fresh, locations)


def _judged(judge: Callable[[], T], what: str) -> T:
    """Return what is answered; a forged ticket and somebody else's are refused alike."""
    try:
        return judge()
    except (InvalidTicketError, WrongCallerError):
        pass
    raise InvalidTicketError(
        f"there is no such ticket of yours to {what}; name a result that you asked for"
    )
