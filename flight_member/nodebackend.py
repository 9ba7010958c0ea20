"""What a data node answers: the rows of tickets, and its controllers' questions. Nothing else."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from importlib.metadata import version
from typing import Never

import pyarrow as pa

from auth import (
    FEDERATION,
    AuthError,
    Identity,
    InvalidTokenError,
    TokenKind,
    kind_of,
    open_identity_token,
    open_sealed,
    open_ticket,
)
from auth.auditstore import Viewer
from flight_member import nodeprotocol, protocol
from flight_member.authority import ServiceCaller, node_audience
from flight_member.cancelling import Cancelling
from flight_member.clock import Moment
from flight_member.errors import (
    ClusterUnavailableError,
    FlightMemberError,
    NotSupportedError,
    PermissionDeniedError,
    RevokedTokenError,
    WrongCallerError,
)
from flight_member.joblisting import write_jobs
from flight_member.jobrequests import wanted_jobs
from flight_member.jobrows import JobRow
from flight_member.jobs import Jobs
from flight_member.jobstore import may_see
from flight_member.logs import get_logger
from flight_member.nodestate import NodeState
from flight_member.redeeming import Redeeming
from flight_sql import (
    Call,
    CancelStatus,
    Endpoint,
    Ingest,
    OptionError,
    OptionValue,
    Prepared,
    ResultStream,
    StatementInfo,
    TableEntry,
    TableFilter,
)

_log = get_logger(__name__)
# A ticket may be newer than what this node holds, however it shows.
_MAY_BE_BEHIND = frozenset(
    {"stale-metastore", "not-found", "revoked-ticket", "unusable-table", "invalid-ticket"}
)
_CANCEL_WAIT_S = 1.0


class NodeAuthority:
    """Recognises controllers, the MoM and home users; signs nobody in."""

    def __init__(self, cluster: str, node: str, state: NodeState, now: Moment) -> None:
        self._cluster = cluster
        self._audience = node_audience(cluster, node)
        self._state = state
        self._now = now

    def sign_in(self, user: str, password: str, call: Call) -> str:
        """Refuse: passwords are for the controller."""
        del user, password, call
        raise InvalidTokenError(
            f"this is a data node of {self._cluster}, which takes no password; sign in at "
            f"{self._cluster} itself, or at the MoM"
        )

    def authenticate(self, token: str, _peer: str) -> Identity | ServiceCaller:
        """Return who presents a token.

        Raises:
            InvalidTokenError: When it is neither a server's, for this node, nor a home user's.
            RevokedTokenError: When the user changed since it was issued.
        """
        now, keys = self._now(), self._state.keys()
        if kind_of(token) is TokenKind.SERVICE:
            claims = open_sealed(TokenKind.SERVICE, token, keys, audience=self._audience, now=now)
            return ServiceCaller(claims["iss"])
        identity = open_identity_token(token, keys, audience=FEDERATION, now=now)
        if identity.cluster != self._cluster:
            raise InvalidTokenError(f"{identity.name} is not a user of {self._cluster}")
        if not self._state.is_ready or not self._state.snapshot.is_current(
            identity, identity.issued_at.timestamp()
        ):
            raise RevokedTokenError("the user was changed since this token; sign in again")
        return identity

    def confirm(self, call: Call) -> None:
        """No judgement here depends on the caller's address."""

    def exchange(self, token: str, _call: Call) -> str:
        """Return the token of a Handshake itself."""
        return token

    def renew(self, _token: str, _identity: object) -> str | None:
        """Nothing is renewed here."""
        return None

    def refused(self, call: Call, error: Exception) -> None:
        """Leave a line in the log: a node keeps no audit."""
        _log.warning("refused", peer=call.peer, code=str(getattr(error, "code", "")))


class NodeBackend:
    """Redeems tickets of one cluster."""

    server_name = "flight-member-node"
    server_version = version("flight-mom")
    open_actions: frozenset[str] = frozenset()

    def __init__(
        self,
        cluster: str,
        state: NodeState,
        authority: NodeAuthority,
        jobs: Jobs,
        cancelling: Cancelling,
        redeeming: Redeeming,
        refusal: Callable[[], str],
        look: Callable[[str], bool],
        hurry: Callable[[], None],
        untold: Callable[[], list[JobRow]],
        now: Moment,
    ) -> None:
        """Keep what it takes.

        Args:
            cluster: Whose node this is.
            state: What the node was told.
            authority: Recognises callers.
            jobs: What runs here.
            cancelling: Knows what runs on which ticket.
            redeeming: Runs tickets.
            refusal: Says why no new work is taken, or nothing when it is.
            look: Learns what is new since a version of the state; returns whether there was any.
            hurry: Has the node ask its controllers for news. Never blocks.
            untold: Returns the jobs that ended and that no controller knows of yet.
            now: The clock.
        """
        self._cluster = cluster
        self._state = state
        self._authority = authority
        self._jobs = jobs
        self._untold = untold
        self._cancelling = cancelling
        self._redeeming = redeeming
        self._refusal = refusal
        self._look = look
        self._hurry = hurry
        self._now = now

    def open(self, call: Call, handle: bytes) -> ResultStream:
        """Verify a ticket, offline, and run what it allows.

        The ticket is the credential. Who brings a token beside a ticket that this cluster made for
        one of its own users must be that user.

        Raises:
            ClusterUnavailableError: While this node takes no new work: another one does.
        """
        refusal = self._refusal()
        if refusal:
            raise ClusterUnavailableError(refusal)
        held = self._state.replica_version
        try:
            return self._open(call, handle)
        except Exception as error:
            if getattr(error, "code", "") not in _MAY_BE_BEHIND or not self._look(held):
                raise
        return self._open(call, handle)

    def _open(self, call: Call, handle: bytes) -> ResultStream:
        ticket = self._redeeming.verified(handle)
        if self._redeeming.is_home(ticket) and call.bearer is not None:
            caller = self._identify(call)
            if caller is None or caller.name != ticket.caller:
                raise WrongCallerError(
                    "this ticket was made for somebody else; execute it yourself"
                )
        return self._redeeming.run(call, handle, ticket)

    def _identify(self, call: Call) -> Identity | None:
        """Return which home user calls; whoever is new was not known when the call began."""
        if isinstance(call.identity, Identity):
            return call.identity
        try:
            found = self._authority.authenticate(call.bearer or "", call.peer)
        except (AuthError, FlightMemberError):
            return None
        return found if isinstance(found, Identity) else None

    def cancel(self, call: Call, handle: bytes) -> CancelStatus:
        """Stop what runs on a ticket here, for its caller or whoever made it."""
        ticket = open_ticket(
            handle, self._state.keys(), member=self._cluster, now=self._now(), may_be_over=True
        )
        match call.identity:
            case ServiceCaller(cluster):
                is_theirs = cluster in {self._cluster, ticket.issuer}
            case Identity():
                is_theirs = call.identity.name == ticket.caller
            case _:
                is_theirs = False
        if not is_theirs:
            raise WrongCallerError("only who made a ticket may pass on that it is cancelled")
        return self._cancelling.cancel(handle, ticket.expires_at)

    def actions(self) -> Mapping[str, Callable[[Call, bytes], bytes]]:
        """Return what controllers ask of a node beside Flight SQL."""
        return {
            protocol.MEMBER_JOBS: self._tell_jobs,
            protocol.CANCEL_JOB: self._cancel_job,
            nodeprotocol.NODE_NEWS: self._take_news,
        }

    def _tell_jobs(self, call: Call, body: bytes) -> bytes:
        self._require_controller(call)
        request = protocol.JobsRequest.read(body)
        viewer = Viewer(request.viewer, request.administers, request.sees_all)
        wanted = wanted_jobs(request, viewer)
        # What ends in between is in both.
        rows = (*(job.row() for job in self._jobs.live()), *self._untold())
        return write_jobs(wanted.newest(row for row in rows if wanted.takes(row)), self._now())

    def _cancel_job(self, call: Call, body: bytes) -> bytes:
        self._require_controller(call)
        request = protocol.CancelJobRequest.read(body)
        viewer = Viewer(request.viewer, request.administers, request.sees_all)
        done = self._jobs.cancel(
            request.job_id,
            lambda one: may_see(viewer, one.user, self._cluster),
            _CANCEL_WAIT_S,
        )
        return protocol.CancelJobReply(count=done.count, has_ended=done.has_ended).write()

    def _take_news(self, call: Call, _body: bytes) -> bytes:
        self._require_controller(call)
        self._hurry()
        return protocol.Acknowledgement().write()

    def _require_controller(self, call: Call) -> None:
        if not isinstance(call.identity, ServiceCaller) or call.identity.cluster != self._cluster:
            raise PermissionDeniedError("only a controller asks this")

    # What is asked elsewhere.

    def _not_here(self) -> Never:
        raise NotSupportedError(
            f"this is a data node of {self._cluster}: it streams what tickets allow; ask "
            f"{self._cluster} itself, or the MoM"
        )

    def prepare(self, call: Call, sql: str) -> Prepared:
        """Refuse."""
        del call, sql
        self._not_here()

    def open_prepared(self, call: Call, handle: bytes) -> tuple[str, pa.RecordBatch | None]:
        """Refuse."""
        del call, handle
        self._not_here()

    def bind(self, call: Call, handle: bytes, values: pa.RecordBatch) -> bytes:
        """Refuse."""
        del call, handle, values
        self._not_here()

    def execute(self, call: Call, sql: str, values: pa.RecordBatch | None = None) -> StatementInfo:
        """Refuse."""
        del call, sql, values
        self._not_here()

    def describe(self, call: Call, sql: str, values: pa.RecordBatch | None = None) -> pa.Schema:
        """Refuse."""
        del call, sql, values
        self._not_here()

    def update(self, call: Call, sql: str, values: pa.RecordBatch | None = None) -> int:
        """Refuse."""
        del call, sql, values
        self._not_here()

    def ingest(self, call: Call, ingest: Ingest, batches: Iterator[pa.RecordBatch]) -> int:
        """Refuse."""
        del call, ingest, batches
        self._not_here()

    def renew(self, call: Call, handle: bytes) -> Endpoint:
        """Refuse."""
        del call, handle
        self._not_here()

    def session_options(self, call: Call) -> Mapping[str, str]:
        """Refuse."""
        del call
        self._not_here()

    def set_session_options(
        self, call: Call, options: Mapping[str, OptionValue]
    ) -> Mapping[str, OptionError]:
        """Refuse."""
        del call, options
        self._not_here()

    def catalogs(self, call: Call) -> Iterable[str]:
        """Refuse."""
        del call
        self._not_here()

    def schemas(self, call: Call, wanted: TableFilter) -> Iterable[tuple[str, str]]:
        """Refuse."""
        del call, wanted
        self._not_here()

    def list_tables(
        self, call: Call, wanted: TableFilter, *, include_schema: bool
    ) -> Iterable[TableEntry]:
        """Refuse."""
        del call, wanted, include_schema
        self._not_here()
