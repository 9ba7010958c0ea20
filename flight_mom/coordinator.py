"""The MoM's front door: decides on every statement and sends it to the member with the data."""

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta
from uuid import uuid4

import pyarrow as pa

from auth import (
    Allowed,
    AuditRecord,
    Denied,
    Identity,
    KeyRing,
    RevokedTicketError,
    SigningKey,
    Ticket,
    TicketTable,
    open_ticket,
    seal_ticket,
)
from flight_member import protocol
from flight_member.answers import (
    ListedTable,
    answer,
    describe_table,
    explain_query,
)
from flight_member.audit import AuditTrail
from flight_member.errors import (
    ClusterSuspendedError,
    ClusterUnavailableError,
    NotFoundError,
    NotSupportedError,
    WrongCallerError,
)
from flight_member.frontdoor import FrontDoor, Moment
from flight_member.runner import statement_digest, text_limits
from flight_mom.administration import Administration
from flight_mom.membershipdesk import MembershipDesk
from flight_mom.relay import Relay
from flight_mom.settings import MomSettings
from flight_mom.topology import Federation, Member, MemberStatus, Route, Topology
from flight_sql import REUSE_CONNECTION, Call, Endpoint, ResultStream, StatementInfo
from planner import (
    Describe,
    ExplainAccess,
    GrantStatement,
    Query,
    ShowCatalogs,
    ShowClusters,
    ShowGrants,
    ShowSchemas,
    ShowTables,
    Statement,
    plan_query,
)
from storage.metastore import Table
from storage.names import ObjectName


class MomBackend(FrontDoor):
    """Answers everybody who is signed in, with what they may read on any member."""

    server_name = "flight-mom"
    # Who joins has no identity yet: its join token is the credential.
    open_actions = frozenset({protocol.AUTHORITY, protocol.JOIN})

    def __init__(
        self,
        settings: MomSettings,
        key: SigningKey,
        topology: Topology,
        administration: Administration,
        desk: MembershipDesk,
        relay: Relay,
        audit: AuditTrail,
        now: Moment,
    ) -> None:
        super().__init__(
            settings.cluster.name, key, text_limits(settings.limits), home=None, now=now
        )
        self._settings = settings
        self._topology = topology
        self._administration = administration
        self._desk = desk
        self._relay = relay
        self._audit = audit
        self._signing_keys = KeyRing().with_key(self.cluster, key.public_key)

    # Queries.

    def execute_query(self, call: Call, query: Query) -> StatementInfo:
        """Decide, plan, route and seal a ticket for the member that holds the tables."""
        caller = self.caller(call)
        federation = self._topology.federation
        tables = [table for table, _ in self._authorise(call, caller, federation, query)]
        plan = plan_query(query, {table.name: table.arrow_schema for table in tables})
        member = self._serving(federation, query)
        now = self._now()
        ticket = Ticket(
            id=uuid4().hex,
            member=member.name,
            user=caller.user,
            cluster=caller.cluster,
            groups=caller.groups,
            sql=plan.text,
            catalog=query.catalog,
            schema=query.schema,
            tables=tuple(
                TicketTable(table.name, table.id, table.schema_version, table.snapshot)
                for table in tables
            ),
            epoch=federation.grants.epoch,
            issued_at=now,
            expires_at=now + timedelta(seconds=self._settings.auth.ticket_ttl_s),
            query_id=call.query_id,
        )
        handle = seal_ticket(ticket, self._key, issuer=self.cluster)
        endpoint = Endpoint(handle, _locations(call, member), ticket.expires_at)
        return StatementInfo(plan.arrow_schema, [endpoint])

    def describe_query(self, call: Call, query: Query) -> pa.Schema:
        """Decide and plan, without a ticket."""
        federation = self._topology.federation
        caller = self.caller(call)
        tables = [table for table, _ in self._authorise(call, caller, federation, query)]
        return plan_query(query, {table.name: table.arrow_schema for table in tables}).arrow_schema

    def open_query(self, call: Call, handle: bytes) -> ResultStream:
        """Relay the rows of a ticket to the caller it was made for."""
        ticket = open_ticket(handle, self._signing_keys, member=None, now=self._now())
        if self.caller(call).name != ticket.caller:
            raise WrongCallerError("this ticket was made for somebody else; execute it yourself")
        federation, now = self._topology.federation, self._now()
        member = federation.members.get(ticket.member)
        if member is None:
            raise WrongCallerError("the cluster of this ticket has left the federation")
        # What was revoked since the ticket was made is not relayed any more.
        for table in ticket.tables:
            rules = federation.rules_for(ticket.cluster, table.name)
            if not rules.decide(ticket.identity, table.name, now).is_allowed:
                raise RevokedTicketError(f"you may not read {table.name} any more")
        self._require_served(member)
        return self._relay.open(call, member, handle)

    def _authorise(
        self, call: Call, caller: Identity, federation: Federation, query: Query
    ) -> list[tuple[Table, str]]:
        """Return the query's tables with the rule that allows each.

        Raises:
            NotFoundError: For the first table that is not there or may not be read, alike.
        """
        now = self._now()
        allowed: list[tuple[Table, str]] = []
        for name in query.tables:
            found = federation.find(name)
            rules = federation.rules_for(caller.cluster, name)
            decision: Allowed | Denied = rules.decide(caller, name, now)
            is_allowed = found is not None and decision.is_allowed
            record = AuditRecord(
                at=now,
                actor=caller.name,
                source=call.peer,
                action="read",
                object=str(name),
                allowed=is_allowed,
                rule=decision.rule,
                epoch=federation.grants.epoch,
                statement_digest=statement_digest(query.sql),
            )
            if found is None or not is_allowed:
                self._audit.refuse(record)
                raise NotFoundError.of(name, elsewhere=self._elsewhere(caller, federation, name))
            self._audit.allow(record)
            allowed.append((found[1], decision.rule))
        return allowed

    def _elsewhere(
        self, caller: Identity, federation: Federation, name: ObjectName
    ) -> list[ObjectName]:
        """Return the tables of the same name on other clusters that the caller may read."""
        now = self._now()
        named = [
            ObjectName(member, name.catalog, name.schema, name.table)
            for member in sorted(federation.members)
        ]
        return [
            other
            for other in named
            if federation.find(other) is not None
            and federation.rules_for(caller.cluster, other).decide(caller, other, now).is_allowed
        ]

    def _serving(self, federation: Federation, query: Query) -> Member:
        """Return the member that runs a query; one without tables runs wherever there is one."""
        member = federation.members.get(query.cluster)
        if member is None and not query.tables:
            member = next(
                (
                    one
                    for one in federation.members.values()
                    if self._topology.status(one).is_served
                ),
                None,
            )
            if member is None:
                raise ClusterUnavailableError("no member answers; try again in a moment")
        if member is None:
            raise NotFoundError.of(query.cluster)
        self._require_served(member)
        return member

    def _require_served(self, member: Member) -> None:
        status = self._topology.status(member)
        if status is MemberStatus.SUSPENDED:
            raise ClusterSuspendedError(
                f"{member.name} is suspended; ask an administrator of {self.cluster}"
            )
        if not status.is_served:
            heard_at = self._topology.heard_at(member.name)
            since = f" since {heard_at:%Y-%m-%d %H:%M:%S} UTC" if heard_at else ""
            raise ClusterUnavailableError(
                f"{member.name} has not answered{since}; try again in a moment"
            )

    # Statements that the MoM answers itself.

    def is_answered_here(self, statement: Statement) -> bool:
        """The MoM answers everything."""
        del statement
        return True

    def forward(self, call: Call, statement: Statement, sql: str) -> StatementInfo:
        """Never needed: the MoM answers everything."""
        del call, sql
        raise NotSupportedError(f"{type(statement).__name__} cannot be passed on")

    def answer(  # noqa: PLR0911  one line per statement is the table that it looks like
        self, call: Call, statement: Statement
    ) -> pa.Table:
        """Answer SHOW, DESCRIBE, EXPLAIN and the statements on grants."""
        caller = self.caller(call)
        match statement:
            case ShowCatalogs() | ShowSchemas() | ShowTables():
                return self.answer_listing(call, statement)
            case ShowClusters():
                return self._show_clusters(call)
            case Describe():
                return self._describe(caller, statement)
            case Query():
                return self._explain(call, caller, statement)
            case GrantStatement():
                return self._administration.change_grants(statement, caller, call.peer)
            case ShowGrants():
                return self._administration.show_grants(statement, caller)
            case ExplainAccess():
                return self._administration.explain_access(statement, caller)

    def listed_tables(self, call: Call) -> Iterable[ListedTable]:
        """Return every table of every member that the caller may read."""
        caller, now = self.caller(call), self._now()
        federation = self._topology.federation
        for member in federation.members.values():
            rules = federation.rules_for(caller.cluster, _any_table(member))
            for table in member.metastore.all_tables():
                if rules.decide(caller, table.name, now).is_allowed:
                    yield ListedTable(f"{table.name.catalog}@{member.name}", table)

    def _show_clusters(self, call: Call) -> pa.Table:
        caller = self.caller(call)
        readable: dict[str, int] = {}
        for one in self.listed_tables(call):
            readable[one.table.name.cluster] = readable.get(one.table.name.cluster, 0) + 1
        sees_all = caller.is_admin and caller.cluster == self.cluster
        rows: list[tuple[str, str, str, int, datetime | None]] = [
            (
                member.name,
                str(self._topology.status(member)),
                str(member.route),
                len(member.metastore.all_tables()) if sees_all else readable.get(member.name, 0),
                self._topology.heard_at(member.name),
            )
            for _, member in sorted(self._topology.federation.members.items())
            if sees_all or member.name in {caller.cluster, *readable}
        ]
        return answer(ShowClusters, rows)

    def _describe(self, caller: Identity, statement: Describe) -> pa.Table:
        federation = self._topology.federation
        found = federation.find(statement.table)
        rules = federation.rules_for(caller.cluster, statement.table)
        decision = rules.decide(caller, statement.table, self._now())
        if found is None or not decision.is_allowed:
            raise NotFoundError.of(statement.table)
        return describe_table(found[1])

    def _explain(self, call: Call, caller: Identity, query: Query) -> pa.Table:
        federation = self._topology.federation
        allowed = self._authorise(call, caller, federation, query)
        tables = [table for table, _ in allowed]
        plan_query(query, {table.name: table.arrow_schema for table in tables})
        member = self._serving(federation, query)
        return explain_query(query, tables, member.name, [rule for _, rule in allowed])

    # The federation's own messages.

    def actions(self) -> Mapping[str, Callable[[Call, bytes], bytes]]:
        """Return what members and administrators ask beside Flight SQL."""
        return self._desk.actions()


def _locations(call: Call, member: Member) -> tuple[str, ...]:
    """Return where a ticket's rows can be read; the stricter of member and header wins."""
    asked = call.headers.get("x-route")
    if member.route is Route.DIRECT and asked != Route.RELAY:
        return (member.uri, REUSE_CONNECTION)
    return ()


def _any_table(member: Member) -> ObjectName:
    return ObjectName(member.name)
