"""A member's front door: its own tables by home rules, other clusters' through the MoM."""

from collections.abc import Callable, Iterable, Mapping
from datetime import timedelta
from uuid import uuid4

import pyarrow as pa

from auth import AuditRecord, Identity, SigningKey, Ticket, TicketTable, open_ticket, seal_ticket
from flight_member import protocol
from flight_member.answers import ListedTable, describe_table, explain_query
from flight_member.audit import AuditTrail
from flight_member.authority import MemberAuthority, ServiceCaller
from flight_member.errors import NotFoundError, PermissionDeniedError, WrongCallerError
from flight_member.frontdoor import FrontDoor, Moment
from flight_member.memberstate import MemberState
from flight_member.momlink import MomLink
from flight_member.runner import StatementRunner, statement_digest, text_limits
from flight_member.settings import MemberSettings
from flight_sql import Call, Endpoint, ResultStream, StatementInfo
from planner import (
    Describe,
    Query,
    ShowCatalogs,
    ShowSchemas,
    ShowTables,
    Statement,
    plan_query,
)
from storage.metastore import Table
from storage.names import ObjectName


class MemberBackend(FrontDoor):
    """Answers a member's own users, and whoever brings a ticket for it."""

    server_name = "flight-member"

    def __init__(
        self,
        settings: MemberSettings,
        key: SigningKey,
        state: MemberState,
        authority: MemberAuthority,
        runner: StatementRunner,
        mom: MomLink,
        audit: AuditTrail,
        now: Moment,
    ) -> None:
        super().__init__(
            settings.cluster.name,
            key,
            text_limits(settings.limits),
            home=settings.cluster.name,
            now=now,
        )
        self._settings = settings
        self._state = state
        self._authority = authority
        self._runner = runner
        self._mom = mom
        self._audit = audit

    # Queries.

    def execute_query(self, call: Call, query: Query) -> StatementInfo:
        """Seal a ticket for a query over home tables; have the MoM decide on all others."""
        if query.cluster != self.cluster:
            return self.forward(call, query, query.sql)
        caller = self.caller(call)
        tables = self._authorise(call, caller, query)
        plan = plan_query(query, {table.name: table.arrow_schema for table in tables})
        now = self._now()
        ticket = Ticket(
            id=uuid4().hex,
            member=self.cluster,
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
            epoch=self._state.snapshot.rules.epoch,
            issued_at=now,
            expires_at=now + timedelta(seconds=self._settings.auth.ticket_ttl_s),
            query_id=call.query_id,
        )
        handle = seal_ticket(ticket, self._key, issuer=self.cluster)
        return StatementInfo(plan.arrow_schema, [Endpoint(handle, (), ticket.expires_at)])

    def describe_query(self, call: Call, query: Query) -> pa.Schema:
        """Plan a query over home tables; ask the MoM for the schema of all others."""
        if query.cluster != self.cluster:
            return self._mom.execute(call, query.sql, self.defaults(call)).arrow_schema
        tables = self._authorise(call, self.caller(call), query)
        return plan_query(query, {table.name: table.arrow_schema for table in tables}).arrow_schema

    def open_query(self, call: Call, handle: bytes) -> ResultStream:
        """Verify a ticket, offline, and run what it allows.

        A ticket of this member's own making counts only for the user it was made for; one of the
        MoM's is itself the credential.
        """
        now = self._now()
        ticket = open_ticket(handle, self._mom.keys(), member=self.cluster, now=now)
        is_home = ticket.issuer == self.cluster
        if is_home and self.caller(call).name != ticket.caller:
            raise WrongCallerError("this ticket was made for somebody else; execute it yourself")
        if ticket.cluster == self.cluster:
            self._decide_again(ticket)
        return self._runner.run(call, ticket, is_home=is_home)

    def _decide_again(self, ticket: Ticket) -> None:
        """Apply today's home rules to a home user, however they came: home has the last word."""
        rules, now = self._state.snapshot.rules, self._now()
        for table in ticket.tables:
            if not rules.decide(ticket.identity, table.name, now).is_allowed:
                raise NotFoundError.of(table.name)

    def _authorise(self, call: Call, caller: Identity, query: Query) -> list[Table]:
        """Return the query's tables, all of which the caller may read by home rules.

        Raises:
            NotFoundError: For the first table that is not there or may not be read, alike.
        """
        snapshot, now = self._state.snapshot, self._now()
        tables: list[Table] = []
        for name in query.tables:
            table = snapshot.metastore.table(name)
            decision = snapshot.rules.decide(caller, name, now)
            record = AuditRecord(
                at=now,
                actor=caller.name,
                source=call.peer,
                action="read",
                object=str(name),
                allowed=decision.is_allowed and table is not None,
                rule=decision.rule,
                epoch=snapshot.rules.epoch,
                statement_digest=statement_digest(query.sql),
            )
            if table is None or not decision.is_allowed:
                self._audit.refuse(record)
                raise NotFoundError.of(name)
            self._audit.allow(record)
            tables.append(table)
        return tables

    # Statements without rows of their own.

    def is_answered_here(self, statement: Statement) -> bool:
        """Listings, and what concerns home tables; the MoM answers everything else."""
        match statement:
            case ShowCatalogs() | ShowSchemas() | ShowTables():
                return True
            case Describe():
                return statement.table.cluster == self.cluster
            case Query():
                return statement.cluster == self.cluster
            case _:
                return False

    def answer(self, call: Call, statement: Statement) -> pa.Table:
        """Answer a listing, DESCRIBE or EXPLAIN over home tables."""
        match statement:
            case ShowCatalogs() | ShowSchemas() | ShowTables():
                return self.answer_listing(call, statement)
            case Describe():
                return describe_table(self._readable(call, statement.table))
            case Query():
                caller = self.caller(call)
                tables = self._authorise(call, caller, statement)
                plan_query(statement, {table.name: table.arrow_schema for table in tables})
                rules, now = self._state.snapshot.rules, self._now()
                reasons = [rules.decide(caller, table.name, now).rule for table in tables]
                return explain_query(statement, tables, self.cluster, reasons)
            case _:
                raise PermissionDeniedError("ask the MoM: this statement is the federation's")

    def forward(self, call: Call, statement: Statement, sql: str) -> StatementInfo:
        """Have the MoM execute a statement with the caller's own token."""
        del statement
        self.caller(call)
        return self._mom.execute(call, sql, self.defaults(call))

    def listed_tables(self, call: Call) -> Iterable[ListedTable]:
        """Return home tables by home rules, then what the MoM lets the caller read elsewhere."""
        caller = self.caller(call)
        snapshot, now = self._state.snapshot, self._now()
        for table in snapshot.metastore.all_tables():
            if snapshot.rules.decide(caller, table.name, now).is_allowed:
                yield ListedTable(str(table.name.catalog), table)
        yield from self._mom.listed_tables(call)

    def _readable(self, call: Call, name: ObjectName) -> Table:
        snapshot = self._state.snapshot
        table = snapshot.metastore.table(name)
        decision = snapshot.rules.decide(self.caller(call), name, self._now())
        if table is None or not decision.is_allowed:
            raise NotFoundError.of(name)
        return table

    # The MoM's calls.

    def actions(self) -> Mapping[str, Callable[[Call, bytes], bytes]]:
        """Return what the MoM asks of a member beside Flight SQL."""
        return {protocol.SIGN_IN: self._sign_in}

    def _sign_in(self, call: Call, body: bytes) -> bytes:
        if not isinstance(call.identity, ServiceCaller):
            raise PermissionDeniedError("only the MoM passes passwords on")
        request = protocol.SignInRequest.read(body)
        token = self._authority.sign_in(request.user, request.password, request.source)
        return protocol.SignInReply(token=token).write()
