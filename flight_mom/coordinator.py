"""The MoM's front door: decides on every statement and sends it to the member with the data."""

import base64
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping

import pyarrow as pa

from auth import SigningKey, TokenKind, kind_of, open_ticket
from auth.auditstore import Viewer
from flight_member import protocol
from flight_member.admission import Admission
from flight_member.clock import Moment
from flight_member.errors import (
    BadRequestError,
    NotSupportedError,
    WrongCallerError,
)
from flight_member.frontdoor import Described
from flight_member.gatekeeper import Gatekeeper
from flight_member.jobs import Jobs
from flight_member.listing import ListedPlace, ListedTable, write_listing
from flight_member.livetables import LiveTable
from flight_member.locations import ENCRYPTED
from flight_member.resultparts import is_shared, part_locations, part_of, parts_of
from flight_member.routing import AskedRoute, asked_route
from flight_member.runner import text_limits
from flight_member.ticketdoor import TicketDoor
from flight_mom.administration import Administration
from flight_mom.clusterlisting import ClusterListing
from flight_mom.colleagues import Colleagues
from flight_mom.federationtables import AnswerTable, TablesTable
from flight_mom.jobrouting import JobRouting
from flight_mom.jobsdesk import JobsDesk
from flight_mom.jobstable import JobsTable
from flight_mom.members import Member, Route
from flight_mom.membershipdesk import MembershipDesk
from flight_mom.owncluster import OwnCluster
from flight_mom.relay import Relay
from flight_mom.relaying import TicketRelay
from flight_mom.replanning import Replanner
from flight_mom.replicadesk import ReplicaDesk
from flight_mom.serving import Serving
from flight_mom.settings import MomSettings
from flight_mom.topology import Topology
from flight_sql import (
    REUSE_CONNECTION,
    Call,
    CancelStatus,
    Endpoint,
    ResultStream,
    StatementInfo,
    has_agent,
    summary_of,
)
from planner import (
    CancelJob,
    Definition,
    Describe,
    LiveQuery,
    Query,
    ShowCatalogs,
    ShowClusters,
    ShowGrants,
    ShowJobs,
    ShowSchemas,
    ShowTables,
    Statement,
    Use,
    Write,
)
from storage.names import SYSTEM_CATALOG, InvalidNameError, ObjectName


class MomBackend(TicketDoor):
    """Answers everybody who is signed in, with what they may read on any member."""

    server_name = "flight-mom"
    # Who joins has no identity yet: its join token is the credential. Who has the wrong time has
    # none that counts.
    open_actions = frozenset(
        {protocol.AUTHORITY, protocol.CLOCK, protocol.JOIN, protocol.REPLICA_JOIN}
    )

    def __init__(
        self,
        settings: MomSettings,
        key: SigningKey,
        topology: Topology,
        administration: Administration,
        desk: MembershipDesk,
        replicas: ReplicaDesk,
        relay: Relay,
        own: OwnCluster,
        admission: Admission,
        gatekeeper: Gatekeeper,
        jobs: Jobs,
        jobs_desk: JobsDesk,
        routing: JobRouting,
        colleagues: Colleagues,
        newest_nodes: Callable[[Mapping[str, float]], pa.Table],
        now: Moment,
        *tables: LiveTable,
    ) -> None:
        """Keep what it takes; `tables` are those of `system.federation` beside the usual ones."""
        federation = (
            *tables,
            JobsTable(settings.cluster.name, jobs_desk, now),
            AnswerTable("clusters", ShowClusters(), self.answer),
            AnswerTable("grants", ShowGrants(), self.answer),
            TablesTable(),
        )
        super().__init__(
            settings, key, gatekeeper, home=None, jobs=jobs, now=now, federation=federation
        )
        self._serving = Serving(settings.cluster.name, topology)
        self._relaying = TicketRelay(
            self._serving,
            topology,
            gatekeeper,
            relay,
            Replanner(topology, gatekeeper, self.query_tickets, text_limits(settings.limits)),
            self.query_tickets,
            admission,
            jobs,
        )
        self._clusters = ClusterListing(settings.cluster.name, topology, now)
        self._binds_sessions = settings.auth.bind_address
        self._relayed_agents = settings.auth.relayed_agents
        self._uses_tls = settings.server.uses_tls
        self._topology = topology
        self._administration = administration
        self._desk = desk
        self._replicas = replicas
        self._relay = relay
        self._jobs_desk = jobs_desk
        self._routing = routing
        self._colleagues = colleagues
        self._newest_nodes = newest_nodes
        self._own = own

    # Queries.

    def execute_query(self, call: Call, query: Query) -> StatementInfo:
        """Decide, plan, route and seal a ticket for the member that holds the tables."""
        authorised = self.authorise(call, query)
        plan = self.plan_readable(call, query, authorised)
        member = self._serving.member_for(query, self.caller(call).cluster)
        name = self.cluster if member is None else member.name
        ticket = self.query_tickets.make(call, self.caller(call), query, plan, authorised, name)
        if member is not None:
            self._routing.note(call, ticket)
        # Who reads no table has no business with the member that happens to answer.
        places = self._places(call, member) if member and query.tables else {}
        if len(places) > 1 and is_shared(call, plan, authorised.tables):
            return self.query_tickets.shared_info(ticket, plan, parts_of(places))
        return self.query_tickets.info(ticket, plan, _locations(places, None))

    def _places(self, call: Call, member: Member) -> dict[str, str]:
        """Return by name where a member's rows can be read without the MoM, the best place first.

        The stricter of member and header wins.

        Clients send their token there: with bound sessions, one that counts everywhere is not sent
        to a member, and none of an encrypted connection is sent to a plaintext address. Those that
        would send their password are told no address at all.
        """
        is_bound = kind_of(call.bearer or "") is TokenKind.SESSION
        if has_agent(call.headers, self._relayed_agents):
            return {}
        if (
            member.route is Route.DIRECT
            and asked_route(call) is not AskedRoute.RELAY
            and (is_bound or not self._binds_sessions)
        ):
            return {
                address.name: address.uri
                for address in self._topology.nodes.order(member)
                if not self._uses_tls or address.uri.startswith(ENCRYPTED)
            }
        return {}

    def describe_query(self, call: Call, query: Query) -> Described:
        """Decide and plan, without a ticket."""
        return self.plan(call, query)

    def open_query(self, call: Call, handle: bytes) -> ResultStream:
        """Relay the rows of a ticket to the caller it was made for."""
        ticket = open_ticket(handle, self._key.ring(self.cluster), member=None, now=self._now())
        if self.caller(call).name != ticket.caller:
            raise WrongCallerError("this ticket was made for somebody else; execute it yourself")
        reason = self._relaying.stop_reason(ticket)
        if reason is not None:
            raise reason
        if ticket.member == self.cluster:
            return self.cancelling.run(handle, call, lambda call: self._own.run(call, ticket))
        member = self._topology.federation.members[ticket.member]
        self._serving.require(member)
        return self.cancelling.run(
            handle,
            call,
            lambda call: self._relaying.open(call, self.caller(call), member, handle, ticket),
        )

    def cancel_query(self, call: Call, handle: bytes) -> CancelStatus:
        """Stop what is relayed here, and have the member stop what it streams itself."""
        ticket = open_ticket(
            handle, self._key.ring(self.cluster), member=None, now=self._now(), may_be_over=True
        )
        self.require_canceller(call, ticket.caller)
        told = [self.cancelling.cancel(handle, ticket.expires_at)]
        member = self._topology.federation.members.get(ticket.member)
        if member is not None:
            told.append(self._relay.cancel(member, handle))
        # Nothing runs on it any more at other replicas either, also if it is brought there later.
        passed_on = protocol.ReplicaCancelRequest(ticket=base64.b64encode(handle).decode())
        told += [_status_of(reply) for reply in self._colleagues.cancel(passed_on)]
        return summary_of(told)

    def _cancel_for_replica(self, call: Call, body: bytes) -> bytes:
        """Cancel here what somebody cancelled at another replica, which has judged them."""
        self._colleagues.require(call)
        request = protocol.ReplicaCancelRequest.read(body)
        if not request.ticket:
            viewer = Viewer(request.viewer, request.administers, request.sees_all)
            done = self._jobs_desk.cancel_here(viewer, request.job_id)
            return protocol.CancelJobReply(count=done.count, has_ended=done.has_ended).write()
        handle = base64.b64decode(request.ticket)
        ticket = open_ticket(
            handle, self._key.ring(self.cluster), member=None, now=self._now(), may_be_over=True
        )
        status = self.cancelling.cancel(handle, ticket.expires_at)
        return protocol.CancelJobReply(
            count=int(status is not CancelStatus.NOT_CANCELLABLE),
            has_ended=status is not CancelStatus.CANCELLING,
        ).write()

    def _nodes_for_replica(self, call: Call, body: bytes) -> bytes:
        """Tell another replica the newest rows of nodes that were heard here."""
        self._colleagues.require(call)
        rows = self._newest_nodes(protocol.ReplicaNodesRequest.read(body).clusters)
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, rows.schema) as writer:
            writer.write_table(rows)
        told: bytes = sink.getvalue().to_pybytes()
        return told

    def renew_query(self, call: Call, handle: bytes) -> Endpoint:
        """Decide anew on a ticket of the MoM's making, and on its route."""
        ticket = open_ticket(handle, self._key.ring(self.cluster), member=None, now=self._now())
        self.require_own(call, ticket.caller)
        if ticket.member == self.cluster:
            return self.renewed(call, ticket, ())
        member = self._topology.federation.members.get(ticket.member)
        if member is None:
            raise WrongCallerError("the cluster of this ticket has left the federation")
        self._serving.require(member)
        places = self._places(call, member) if ticket.tables else {}
        return self.renewed(call, ticket, _locations(places, part_of(ticket)))

    # Statements that the MoM answers itself.

    def is_answered_here(self, statement: Statement) -> bool:
        """The MoM answers everything."""
        del statement
        return True

    def forward(self, call: Call, statement: Statement, sql: str) -> StatementInfo:
        """Never needed: the MoM answers everything."""
        del call, sql
        raise NotSupportedError(f"{type(statement).__name__} cannot be passed on")

    def answer(self, call: Call, statement: Statement) -> pa.Table:
        """Answer SHOW, DESCRIBE and the statements on grants."""
        caller = self.caller(call)
        match statement:
            case ShowCatalogs() | ShowSchemas() | ShowTables():
                return self.answer_listing(call, statement)
            case ShowJobs():
                return self._jobs_desk.show(caller, statement)
            case CancelJob():
                return self._jobs_desk.cancel(caller, call.peer, statement)
            case ShowClusters():
                readable = Counter(one.table.name.cluster for one in self._known_tables(call))
                return self._clusters.show(caller, readable, statement)
            case Describe():
                return self.describe_readable(call, statement)
            case Query() | LiveQuery() | Use():
                raise NotSupportedError(f"{type(statement).__name__} is not answered like this")
            case _ if isinstance(statement, Definition | Write):
                raise NotSupportedError("tables are made and written at home, where they lie")
            case _:
                return self._administration.answer(statement, caller, call.peer)

    def listed_tables(self, call: Call, parent: ObjectName | None = None) -> Iterable[ListedTable]:
        """Return every table of every member, at or below a place, that the caller may read.

        Those of `system.federation` everybody may read, each their own part.
        """
        federation = self._topology.federation
        if parent is None:
            metastores = list(federation.metastores())
        else:
            asked = federation.metastore(parent.cluster)
            metastores = [] if asked is None else [asked]
        for table in self.gatekeeper.readable(self.caller(call), metastores, parent):
            yield ListedTable(f"{table.name.catalog}@{table.name.cluster}", table)
        yield from self.live_tables.listed(self.cluster, parent)

    def listed_places(self, call: Call, parent: ObjectName | None = None) -> Iterator[ListedPlace]:
        """Yield the members' catalogs and schemas in which the caller may read, also empty ones."""
        members = self._topology.federation.members
        if parent is None:
            metastores = [member.metastore for member in members.values()]
        else:
            asked = members.get(parent.cluster)
            metastores = [] if asked is None else [asked.metastore]
        for name in self.gatekeeper.known_places(self.caller(call), metastores, parent):
            yield ListedPlace(f"{name.catalog}@{name.cluster}", name)

    @property
    def mom(self) -> str:
        """This cluster."""
        return self.cluster

    def knows_cluster(self, call: Call, cluster: str) -> bool:
        """Whether it is the caller's own, or the caller administers the federation."""
        caller = self.caller(call)
        if caller.administers(self.cluster):
            return cluster in {*self._topology.federation.members, self.cluster}
        return cluster == caller.cluster

    def _known_tables(self, call: Call) -> Iterator[ListedTable]:
        """Yield what a caller knows clusters by: not what everybody may read."""
        return (one for one in self.listed_tables(call) if one.catalog != SYSTEM_CATALOG)

    # The federation's own messages.

    def actions(self) -> Mapping[str, Callable[[Call, bytes], bytes]]:
        """Return what members and administrators ask beside Flight SQL."""
        own = {
            protocol.LISTING: self._listing,
            protocol.REPLICA_CANCEL: self._cancel_for_replica,
            protocol.REPLICA_NODES: self._nodes_for_replica,
            protocol.JOBS: lambda call, body: self._jobs_desk.tell(self.caller(call), body),
        }
        return {
            **self._desk.actions(),
            **self._replicas.actions(),
            **self._administration.actions(),
            **own,
        }

    def _listing(self, call: Call, body: bytes) -> bytes:
        """Tell a member what its user, whose token it presents, may read elsewhere."""
        request = protocol.ListingRequest.read(body)
        try:
            parent = ObjectName.parse(request.parent) if request.parent is not None else None
        except InvalidNameError:
            raise BadRequestError("not well formed: parent") from None
        return write_listing(
            one
            for one in self.listed_tables(call, parent)
            if one.table.name.cluster != request.without
        )


def _locations(places: Mapping[str, str], part: str | None) -> tuple[str, ...]:
    """Return where a ticket's rows can be read, of all of them or of one part."""
    if not places:
        return ()
    if part is not None:
        return part_locations(part, places)
    return (*places.values(), REUSE_CONNECTION)


def _status_of(reply: protocol.CancelJobReply) -> CancelStatus:
    if not reply.count:
        return CancelStatus.NOT_CANCELLABLE
    return CancelStatus.CANCELLED if reply.has_ended else CancelStatus.CANCELLING
