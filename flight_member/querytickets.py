"""The tickets of queries that a front door hands out: what was decided, signed, for a while.

A ticket says for whom, which statement, which tables at which snapshots, and at which member it
may be fetched. Deciding is the front door's; a ticket that is renewed is decided on anew.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from uuid import uuid4

import pyarrow as pa

from auth import Identity, SigningKey, Ticket, TicketExplain, TicketShard, TicketTable, seal_ticket
from flight_member.clock import Moment
from flight_member.errors import StaleTicketError
from flight_member.explaining import EXPLANATION_SCHEMA
from flight_member.gatekeeper import Authorised
from flight_sql import Call, Endpoint, StatementInfo
from planner import Plan, Query
from storage.metastore import Table, TableKind


class QueryTickets:
    """Makes, renews and seals the tickets of one server and its replicas."""

    def __init__(self, cluster: str, key: SigningKey, now: Moment, *, ttl_s: float) -> None:
        """Keep what it takes; a ticket lives for `ttl_s`, or as long as what it rests on."""
        self._cluster = cluster
        self._key = key
        self._now = now
        self._life = timedelta(seconds=ttl_s)

    def make(
        self,
        call: Call,
        caller: Identity,
        query: Query,
        plan: Plan,
        authorised: Authorised,
        member: str,
    ) -> Ticket:
        """Return a ticket for one caller, one statement, its tables as they are, one member."""
        now = self._now()
        return Ticket(
            id=uuid4().hex,
            member=member,
            user=caller.user,
            cluster=caller.cluster,
            groups=caller.groups,
            mom_groups=authorised.mom_groups,
            until=authorised.until,
            sql=plan.text,
            catalog=query.catalog,
            schema=query.schema,
            tables=tuple(sealed_table(table) for table in authorised.tables),
            epoch=authorised.epoch,
            issued_at=now,
            expires_at=self._expires_at(now, authorised),
            query_id=call.query_id,
            parameters=query.values.data if query.values is not None else None,
            explain=_explain_of(query, authorised),
            wire=call.profile.wire,
            shape=shape_of(plan.arrow_schema),
        )

    def renew(self, ticket: Ticket, caller: Identity, authorised: Authorised) -> Ticket:
        """Return a ticket for the same statement and snapshots, after deciding on it anew.

        Raises:
            StaleTicketError: When one of its tables has changed since.
        """
        for table, sealed in zip(authorised.tables, ticket.tables, strict=True):
            require_sealed(table, sealed)
        return self._again(ticket, caller, authorised)

    def replan(self, ticket: Ticket, caller: Identity, authorised: Authorised) -> Ticket:
        """Return a ticket for the same statement over its tables as they are now."""
        tables = tuple(sealed_table(table) for table in authorised.tables)
        return self._again(replace(ticket, tables=tables), caller, authorised)

    def _again(self, ticket: Ticket, caller: Identity, authorised: Authorised) -> Ticket:
        now = self._now()
        explain = ticket.explain
        return replace(
            ticket,
            id=uuid4().hex,
            groups=caller.groups,
            mom_groups=authorised.mom_groups,
            until=authorised.until,
            epoch=authorised.epoch,
            issued_at=now,
            expires_at=self._expires_at(now, authorised),
            explain=None if explain is None else replace(explain, rules=authorised.rules),
        )

    def endpoint(self, ticket: Ticket, locations: Sequence[str]) -> Endpoint:
        """Seal a ticket, to be fetched at one of these locations."""
        handle = seal_ticket(ticket, self._key, issuer=self._cluster)
        return Endpoint(handle, locations, ticket.expires_at)

    def share(self, ticket: Ticket, names: Sequence[str]) -> list[Ticket]:
        """Return one ticket for each part of a ticket's rows, in the order of the parts' names."""
        result = uuid4().hex
        return [
            replace(ticket, id=uuid4().hex, shard=TicketShard(part, tuple(names), result))
            for part in range(len(names))
        ]

    def info(self, ticket: Ticket, plan: Plan, locations: Sequence[str]) -> StatementInfo:
        """Return a ticket as the one endpoint of a result."""
        arrow_schema = EXPLANATION_SCHEMA if ticket.explain else plan.arrow_schema
        return StatementInfo(arrow_schema, [self.endpoint(ticket, locations)])

    def shared_info(
        self, ticket: Ticket, plan: Plan, locations: Mapping[str, Sequence[str]]
    ) -> StatementInfo:
        """Return a ticket as one endpoint for each part of its result.

        Args:
            ticket: For the whole result.
            plan: The statement's.
            locations: Where each part can be fetched, by the parts' names.
        """
        names = sorted(locations)
        endpoints = [
            self.endpoint(part, locations[name])
            for name, part in zip(names, self.share(ticket, names), strict=True)
        ]
        return StatementInfo(plan.arrow_schema, endpoints)

    def _expires_at(self, now: datetime, authorised: Authorised) -> datetime:
        expires_at = now + self._life
        return min(expires_at, authorised.until or expires_at)


def can_be_shared(plan: Plan, tables: Iterable[Table]) -> bool:
    """Whether a statement's rows can be fetched in parts, by the files that they come of.

    A view's can not: what it is made of may look at several rows.
    """
    return plan.is_divisible and all(table.kind is not TableKind.VIEW for table in tables)


def sealed_table(table: Table) -> TicketTable:
    """Return what a ticket says of a table, by which it is known to be the one decided on."""
    return TicketTable(table.name, table.id, table.schema_version, table.snapshot)


def shape_of(arrow_schema: pa.Schema) -> str:
    """Return a digest of the columns of a result."""
    return hashlib.sha256(arrow_schema.serialize()).hexdigest()[:32]


def require_sealed(table: Table | None, sealed: TicketTable) -> Table:
    """Return a table at the snapshot that a ticket names, if that can be had.

    Of a managed table every version can be read until it is vacuumed; whatever was committed since
    changes nothing for the ticket, unless it changed the columns.

    Raises:
        StaleTicketError: When the table is gone or another, or has other columns or files by now.
    """
    if table is not None and table.kind is TableKind.MANAGED:
        table = replace(table, snapshot=sealed.snapshot)
    if table is None or sealed_table(table) != sealed:
        raise StaleTicketError.of(sealed.name)
    return table


def _explain_of(query: Query, authorised: Authorised) -> TicketExplain | None:
    """Return what a ticket says about EXPLAIN: only here is known which rules decided."""
    how = query.explain
    if how is None:
        return None
    return TicketExplain(how.analyze, how.verbose, how.is_tree, authorised.rules)
