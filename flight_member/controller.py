"""A member's front door: its own tables by home rules, other clusters' through the MoM."""

from collections.abc import Callable, Container, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext

import pyarrow as pa

from auth import InvalidTicketError, SigningKey, open_ticket
from auth.auditstore import Viewer
from flight_member import nodeprotocol, protocol
from flight_member.answers import answer
from flight_member.authority import MemberAuthority, ServiceCaller
from flight_member.boundvalues import query_of
from flight_member.cancelling import Cancelling
from flight_member.clock import Moment
from flight_member.clusternodes import ClusterNodes
from flight_member.controllerdesk import ControllerDesk
from flight_member.controllerprotocol import CONTROLLER_JOIN
from flight_member.errors import (
    FlightMemberError,
    PermissionDeniedError,
    StaleTicketError,
    WrongCallerError,
)
from flight_member.frontdoor import Described
from flight_member.gatekeeper import Gatekeeper
from flight_member.homeadministration import HomeAdministration
from flight_member.homegate import HomeGate
from flight_member.homewrites import HomeWrites
from flight_member.ingestdesk import ingested_table
from flight_member.jobdesk import JobDesk, show_jobs, viewer_of
from flight_member.joblisting import write_jobs
from flight_member.jobrequests import wanted_jobs
from flight_member.jobrows import JobKind
from flight_member.jobs import Job, Jobs
from flight_member.listing import ListedPlace, ListedTable
from flight_member.memberstate import MemberState
from flight_member.momlink import MomLink
from flight_member.redeeming import Redeeming
from flight_member.resultparts import is_shared, part_of, parts_of
from flight_member.settings import MemberSettings
from flight_member.ticketdoor import TicketDoor
from flight_sql import (
    Call,
    CancelStatus,
    Endpoint,
    Ingest,
    ResultStream,
    StatementInfo,
    summary_of,
)
from planner import (
    Administrative,
    CancelJob,
    Change,
    Defaults,
    Definition,
    Describe,
    LiveQuery,
    Query,
    ShowCatalogs,
    ShowJobs,
    ShowSchemas,
    ShowTables,
    SplittableError,
    Statement,
    Write,
)
from storage.errors import StaleMetastoreError
from storage.names import INFORMATION_SCHEMA, ObjectName


class MemberBackend(TicketDoor):
    """Answers a member's own users, and whoever brings a ticket for it."""

    server_name = "flight-member"
    # Who joins has no identity yet: its join token is the credential.
    open_actions = frozenset({protocol.AUTHORITY, CONTROLLER_JOIN, nodeprotocol.NODE_JOIN})

    def __init__(
        self,
        settings: MemberSettings,
        key: SigningKey,
        state: MemberState,
        authority: MemberAuthority,
        redeem: Callable[[Cancelling], Redeeming],
        mom: MomLink,
        gatekeeper: Gatekeeper,
        administration: HomeAdministration,
        gate: HomeGate,
        writes: HomeWrites,
        tell_mom: Callable[[], None],
        look_again: Callable[[Container[str]], None],
        changing: Callable[[], AbstractContextManager[None]],
        jobs: Jobs,
        desk: JobDesk,
        controllers: ControllerDesk,
        nodes: ClusterNodes,
        now: Moment,
    ) -> None:
        """Keep what it takes.

        `redeem` returns what redeems tickets, given what knows of those that were cancelled; `gate`
        decides on what is written here, `writes` carries it out, `tell_mom` has the MoM know the
        present state, and `look_again` looks for changes of the tables with these ids; it raises
        what is wrong with their files, if that will not pass by itself. What changes anything is
        done inside of `changing`. `controllers` lets further controllers join, and `nodes` are the
        data nodes.
        """
        super().__init__(settings, key, gatekeeper, home=settings.cluster.name, jobs=jobs, now=now)
        self._state = state
        self._authority = authority
        self._redeeming = redeem(self.cancelling)
        self._mom = mom
        self._administration = administration
        self.gate = gate
        self._writes = writes
        self._tell_mom = tell_mom
        self._look_again = look_again
        self._changing = changing
        self._desk = desk
        self._controllers = controllers
        self._nodes = nodes

    # Queries.

    def execute_query(self, call: Call, query: Query) -> StatementInfo:
        """Seal a ticket for a query over home tables; have the MoM decide on all others."""
        if query.cluster != self.cluster:
            return self.forward(call, query, query.sql)
        authorised = self.authorise(call, query)
        plan = self.plan_readable(call, query, authorised)
        ticket = self.query_tickets.make(
            call, self.caller(call), query, plan, authorised, self.cluster
        )
        # What reads no table is done sooner than somebody else is asked.
        if not query.tables:
            return self.query_tickets.info(ticket, plan, ())
        if is_shared(call, plan, authorised.tables):
            places = self._nodes.places(call)
            if places:
                return self.query_tickets.shared_info(ticket, plan, parts_of(places))
        return self.query_tickets.info(ticket, plan, self._nodes.locations(call))

    def describe_query(self, call: Call, query: Query) -> Described:
        """Plan a query over home tables; ask the MoM about all others."""
        if query.cluster == self.cluster:
            return self.plan(call, query)
        if query.values is not None:
            return Described(self.forward(call, query, query.sql).arrow_schema)
        prepared = self._mom.prepare(call, query.sql, self.defaults(call))
        return Described(prepared.arrow_schema or pa.schema([]), prepared.parameter_schema)

    def open_query(self, call: Call, handle: bytes) -> ResultStream:
        """Verify a ticket, offline, and run what it allows.

        A ticket of this member's own making counts only for the user it was made for; one of the
        MoM's is itself the credential.
        """
        ticket = self._redeeming.verified(handle)
        if self._redeeming.is_home(ticket) and self.caller(call).name != ticket.caller:
            raise WrongCallerError("this ticket was made for somebody else; execute it yourself")
        try:
            return self._redeeming.run(call, handle, ticket)
        except (StaleTicketError, StaleMetastoreError) as error:
            stale = error
        # Whoever executes the statement again shall find the tables as they are now.
        self._look_again({table.id for table in ticket.tables})
        raise stale

    # What was handed out.

    def cancel_query(self, call: Call, handle: bytes) -> CancelStatus:
        """Stop what runs on any node, also when the MoM asks; it stops what runs elsewhere."""
        ticket = open_ticket(
            handle, self._mom.keys(), member=None, now=self._now(), may_be_over=True
        )
        is_here = ticket.member == self.cluster
        if isinstance(call.identity, ServiceCaller):
            if not is_here or call.identity.cluster != ticket.issuer:
                raise WrongCallerError("only who made a ticket may pass on that it is cancelled")
        elif is_here:
            self.require_canceller(call, ticket.caller)
        else:
            return self._mom.cancel(call, handle)
        here = self.cancelling.cancel(handle, ticket.expires_at)
        elsewhere = self._nodes.cancel(handle)
        return here if elsewhere is None else summary_of((here, elsewhere))

    def cancel_answer(self, call: Call, handle: bytes) -> CancelStatus:
        """Stop an answer of this member's; the MoM stops its own."""
        try:
            return super().cancel_answer(call, handle)
        except InvalidTicketError:
            pass
        return self._mom.cancel(call, handle)

    def renew_query(self, call: Call, handle: bytes) -> Endpoint:
        """Decide anew on a ticket of this member's making; have the MoM decide on its own."""
        ticket = open_ticket(handle, self._mom.keys(), member=None, now=self._now())
        self.require_own(call, ticket.caller)
        if ticket.issuer != self.cluster:
            return self._mom.renew(call, handle)
        return self.renewed(
            call, ticket, self._nodes.locations(call, part_of(ticket)) if ticket.tables else ()
        )

    def renew_answer(self, call: Call, handle: bytes) -> Endpoint:
        """Renew an answer of this member's; the MoM renews its own."""
        try:
            return super().renew_answer(call, handle)
        except InvalidTicketError:
            pass
        return self._mom.renew(call, handle)

    def advise(
        self, call: Call, refusal: SplittableError, sql: str, defaults: Defaults
    ) -> Exception:
        """Return the MoM's refusal of the same statement: it knows all tables, and what is granted.

        Where it does not answer, or not with the same code, this member's own stands.
        """
        try:
            self._mom.execute(call, sql, defaults)
        except FlightMemberError as error:
            if error.code == refusal.code:
                return error
        return refusal

    # Statements without rows of their own.

    def is_answered_here(self, statement: Statement) -> bool:
        """Listings, and what concerns home tables; the MoM answers everything else."""
        match statement:
            case ShowCatalogs() | ShowSchemas() | ShowTables() | ShowJobs():
                return True
            case LiveQuery():
                return not statement.is_federations
            case Describe():
                is_own = statement.table.cluster == self.cluster
                return is_own or statement.table.schema == INFORMATION_SCHEMA
            case _:
                is_change = isinstance(statement, Definition | Write)
                return is_change or self._administration.is_answered_here(statement)

    def write(self, call: Call, statement: Definition | Write, sql: str, job: Job) -> pa.Table:
        """Carry out what defines or writes tables of this member."""
        with self._changing():
            return self._writes.carry_out(call, self.caller(call), statement, sql, job)

    def ingest(self, call: Call, ingest: Ingest, batches: Iterator[pa.RecordBatch]) -> int:
        """Write a client's rows into a table of this member, all of them or none.

        Raises:
            CrossClusterReadOnlyError: When the table is another cluster's.
        """
        caller = self.caller(call)
        table = ingested_table(ingest, self.defaults(call), self.cluster)
        text = f"INGEST {table}"
        with self.jobs.start(call, caller.name, text, kind=JobKind.WRITE) as job, self._changing():
            return self._writes.ingest(call, caller, table, ingest, batches, text, job)

    def write_parameters(
        self, call: Call, statement: Definition | Write, sql: str
    ) -> pa.Schema | None:
        """Return one column for each parameter of a write, which is decided on and planned."""
        if isinstance(statement, Definition):
            return None
        return self._writes.parameters(call, self.caller(call), statement, sql)

    def is_carried_out_here(self, call: Call, statement: Statement) -> bool:
        """As `is_answered_here`; and a job is cancelled where it runs, if it is one of here."""
        if not isinstance(statement, CancelJob):
            return self.is_answered_here(statement)
        viewer = viewer_of(self.caller(call), None)
        return self.mom is None or self._desk.runs(viewer, statement.job_id)

    def answer(self, call: Call, statement: Statement) -> pa.Table:
        """Answer a listing, or DESCRIBE of a home table; carry out what rules home."""
        match statement:
            case ShowCatalogs() | ShowSchemas() | ShowTables():
                return self.answer_listing(call, statement)
            case Describe():
                return self.describe_readable(call, statement)
            case ShowJobs():
                return self._show_jobs(call, statement)
            case CancelJob():
                return self._cancel_job(call, statement)
            case _ if isinstance(statement, Administrative):
                with self._changing() if isinstance(statement, Change) else nullcontext():
                    return self._administration.answer(call, statement, self.caller(call))
            case _:
                raise PermissionDeniedError("ask the MoM: this statement is the federation's")

    def forward(self, call: Call, statement: Statement, sql: str) -> StatementInfo:
        """Have the MoM execute a statement with the caller's own token."""
        self.caller(call)
        query = query_of(statement)
        values = query.values if query is not None else None
        rows = values.batch() if values is not None else None
        return self._mom.execute(call, sql, self.defaults(call), rows)

    def listed_tables(self, call: Call, parent: ObjectName | None = None) -> Iterable[ListedTable]:
        """Return home tables by home rules, then what the MoM lets the caller read elsewhere."""
        caller = self.caller(call)
        if parent is None or parent.cluster == self.cluster:
            metastores = [self._state.metastore()]
            for table in self.gatekeeper.readable(caller, metastores, parent):
                yield ListedTable(str(table.name.catalog), table)
        if parent is None or parent.cluster != self.cluster:
            yield from self._mom.listed_tables(call, parent)

    def listed_places(self, call: Call, parent: ObjectName | None = None) -> Iterator[ListedPlace]:
        """Yield the home catalogs and schemas in which the caller may read, also empty ones."""
        if parent is None or parent.cluster == self.cluster:
            metastores = [self._state.metastore()]
            for name in self.gatekeeper.known_places(self.caller(call), metastores, parent):
                yield ListedPlace(str(name.catalog), name)

    @property
    def mom(self) -> str | None:
        """The MoM of the federation that this member joined."""
        return self._mom.mom

    def knows_cluster(self, call: Call, cluster: str) -> bool:
        """Whether it is this one: of others one knows what one may read of them."""
        del call
        return cluster == self.cluster

    # Jobs.

    def _show_jobs(self, call: Call, statement: ShowJobs) -> pa.Table:
        """Show what runs and ran here, and what the MoM tells of the caller's jobs elsewhere."""
        viewer = viewer_of(self.caller(call), None)
        return show_jobs(
            statement,
            viewer,
            lambda wanted: (*self._desk.select(wanted), *self._mom.jobs(call, wanted)),
            self._now,
        )

    def _cancel_job(self, call: Call, statement: CancelJob) -> pa.Table:
        caller = self.caller(call)
        done = self._desk.cancel(viewer_of(caller, None), statement.job_id)
        status = self._desk.note(caller, call.peer, statement.job_id, done)
        return answer(CancelJob, [(statement.job_id, status)])

    def _tell_jobs(self, call: Call, body: bytes) -> bytes:
        """Tell the MoM of the jobs that somebody may see."""
        self._require_mom(call)
        request = protocol.JobsRequest.read(body)
        viewer = Viewer(request.viewer, request.administers, request.sees_all)
        return write_jobs(self._desk.select(wanted_jobs(request, viewer)), self._now())

    def _cancel_for_mom(self, call: Call, body: bytes) -> bytes:
        """Cancel what somebody cancelled at the MoM, who wrote it down there."""
        self._require_mom(call)
        request = protocol.CancelJobRequest.read(body)
        viewer = Viewer(request.viewer, request.administers, request.sees_all)
        done = self._desk.cancel(viewer, request.job_id)
        return protocol.CancelJobReply(count=done.count, has_ended=done.has_ended).write()

    def _require_mom(self, call: Call) -> None:
        if not isinstance(call.identity, ServiceCaller) or call.identity.cluster != self.mom:
            raise PermissionDeniedError("only the MoM asks this")

    # The MoM's calls.

    def actions(self) -> Mapping[str, Callable[[Call, bytes], bytes]]:
        """Return what the MoM and data nodes ask of a member beside Flight SQL."""
        return {
            CONTROLLER_JOIN: self._controllers.join,
            protocol.SIGN_IN: self._sign_in,
            protocol.MEMBER_JOBS: self._tell_jobs,
            protocol.CANCEL_JOB: self._cancel_for_mom,
            **self._nodes.actions(),
        }

    def _sign_in(self, call: Call, body: bytes) -> bytes:
        if not isinstance(call.identity, ServiceCaller):
            raise PermissionDeniedError("only the MoM passes passwords on")
        request = protocol.SignInRequest.read(body)
        token = self._authority.sign_in_for_mom(request)
        self._tell_mom()
        return protocol.SignInReply(token=token).write()
