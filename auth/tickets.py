"""Query tickets: what one member may stream to one caller, decided and signed by the MoM.

A ticket holds everything its execution needs, so that the member verifies it offline and any
replica of the MoM, or a restarted one, honours it. It names each table with the schema version and
snapshot that were decided on; nothing else may be touched.
"""

import base64
import binascii
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from auth.errors import InvalidTicketError, NotFoundError
from auth.keys import KeyRing, SigningKey
from auth.principals import Identity
from auth.sealing import DEFAULT_SKEW_S, TokenKind, expires_at, issued_at, open_sealed, seal
from auth.ticketshards import TicketShard, read_shard
from storage.names import Level, ObjectName

# The names of the types in which rows travel, by which clients choose them.
WIRES = ("safe", "signed", "native")


@dataclass(frozen=True, slots=True)
class TicketTable:
    """A table that the statement may read, as it was when the ticket was made."""

    name: ObjectName
    id: str
    schema_version: int
    snapshot: str
    """The state of its files: a digest of them, or a version of a Delta table."""


@dataclass(frozen=True, slots=True)
class TicketExplain:
    """That a statement is to be explained, not answered: what is streamed are no rows of tables.

    `rules` are what allowed each of the ticket's tables, in their order.
    """

    analyze: bool
    """Whether it is run and measured."""
    verbose: bool
    is_tree: bool
    rules: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Ticket:
    """Who may stream which statement over which tables from which member, until when."""

    id: str
    member: str
    user: str
    cluster: str
    """The caller's home cluster."""
    groups: frozenset[str]
    """The caller's groups at home that counted in the decision."""
    sql: str
    catalog: str | None
    schema: str | None
    tables: tuple[TicketTable, ...]
    epoch: int
    """The policy epoch of the decision."""
    issued_at: datetime
    expires_at: datetime
    query_id: str
    parameters: bytes | None = field(default=None, repr=False)
    """What is bound to the statement's parameters, an Arrow IPC stream of one row."""
    mom_groups: frozenset[str] = frozenset()
    """The federation's groups that the caller was in."""
    until: datetime | None = None
    """When the right it rests on ends; a stream that still runs then ends as well."""
    shard: TicketShard | None = None
    """Which part of the result's rows it is for; None for all of them."""
    explain: TicketExplain | None = None
    """How the statement is to be explained; None when its rows are to be streamed."""
    wire: str = "safe"
    """In which of `WIRES` its rows were promised."""
    shape: str = ""
    """A digest of the columns that were promised."""
    issuer: str = field(default="", compare=False)
    """The cluster that signed it; known when it is opened."""

    @property
    def caller(self) -> str:
        """`user1@shanghai`: who alone may redeem it where callers are known."""
        return f"{self.user}@{self.cluster}"

    @property
    def identity(self) -> Identity:
        """The caller as the ticket knows them: never an administrator."""
        return Identity(
            user=self.user,
            cluster=self.cluster,
            groups=self.groups,
            is_admin=False,
            token_id=self.id,
            expires_at=self.expires_at,
            issued_at=self.issued_at,
        )


def seal_ticket(ticket: Ticket, key: SigningKey, *, issuer: str) -> bytes:
    """Sign a ticket; its `issued_at`, `expires_at` and `id` are the sealed value's.

    Raises:
        InvalidTicketError: When it would be longer than is accepted: a statement of the greatest
            length leaves room for some thousand tables.
        ValueError: When it expires before it is issued.
    """
    claims = {
        "sub": ticket.user,
        "cluster": ticket.cluster,
        "groups": sorted(ticket.groups),
        "mom_groups": sorted(ticket.mom_groups),
        "until": ticket.until.timestamp() if ticket.until else None,
        "sql": ticket.sql,
        "catalog": ticket.catalog,
        "schema": ticket.schema,
        "tables": [
            [str(table.name), table.id, table.schema_version, table.snapshot]
            for table in ticket.tables
        ],
        "epoch": ticket.epoch,
        "query": ticket.query_id,
        "parameters": None
        if ticket.parameters is None
        else base64.b64encode(ticket.parameters).decode(),
        "shard": ticket.shard.claim if ticket.shard else None,
        "explain": _explain_claim(ticket.explain),
        "wire": ticket.wire,
        "shape": ticket.shape,
    }
    text = seal(
        TokenKind.TICKET,
        claims,
        key,
        issuer=issuer,
        audience=ticket.member,
        now=ticket.issued_at,
        ttl_s=(ticket.expires_at - ticket.issued_at).total_seconds(),
        token_id=ticket.id,
    )
    return text.encode("ascii")


def open_ticket(
    data: bytes,
    keyring: KeyRing,
    *,
    member: str | None,
    now: datetime,
    issuer: str | None = None,
    skew_s: float = DEFAULT_SKEW_S,
    may_be_over: bool = False,
) -> Ticket:
    """Return a genuine ticket; `issuer` of the result says who signed it.

    Args:
        data: The ticket as it travelled.
        keyring: Whose signatures count.
        member: The member that is asked to stream; None for an issuer that opens its own.
        now: The time.
        issuer: The only cluster whose tickets count; None: all of the ring.
        skew_s: Seconds by which `iat` may lie in the future.
        may_be_over: Accept one whose time is over: for cancelling what runs on it.

    Raises:
        InvalidTicketError: When it is no genuine ticket for this member.
        ExpiredTicketError: When its time is over.
    """
    claims = open_sealed(
        TokenKind.TICKET,
        data,
        keyring,
        audience=member,
        now=now,
        issuer=issuer,
        skew_s=skew_s,
        may_be_over=may_be_over,
    )
    try:
        tables = tuple(_table(table) for table in _items(claims["tables"]))
        return Ticket(
            id=claims["jti"],
            member=claims["aud"],
            user=_text(claims["sub"]),
            cluster=_text(claims["cluster"]),
            groups=frozenset(_text(group) for group in _items(claims["groups"])),
            mom_groups=frozenset(_text(group) for group in _items(claims["mom_groups"])),
            until=_end(claims["until"], claims["iat"]),
            sql=_text(claims["sql"]),
            catalog=_optional_text(claims["catalog"]),
            schema=_optional_text(claims["schema"]),
            tables=tables,
            epoch=_count(claims["epoch"]),
            issued_at=issued_at(claims),
            expires_at=expires_at(claims),
            query_id=_text(claims["query"]),
            parameters=_optional_bytes(claims["parameters"]),
            shard=read_shard(claims["shard"]),
            explain=_explain(claims["explain"], len(tables)),
            wire=_wire(claims["wire"]),
            shape=_text(claims["shape"]),
            issuer=claims["iss"],
        )
    except (KeyError, TypeError, ValueError, OverflowError, OSError, NotFoundError):
        pass
    raise InvalidTicketError("this ticket does not say what to stream; execute the statement again")


def _table(value: Any) -> TicketTable:
    written, table_id, schema_version, snapshot = _items(value, 4)
    name = ObjectName.parse(_text(written))
    if name.level is not Level.TABLE:
        raise TypeError
    return TicketTable(name, _text(table_id), _count(schema_version), _text(snapshot))


def _explain_claim(explain: TicketExplain | None) -> list[Any] | None:
    if explain is None:
        return None
    return [explain.analyze, explain.verbose, explain.is_tree, list(explain.rules)]


def _explain(value: Any, table_count: int) -> TicketExplain | None:
    if value is None:
        return None
    analyze, verbose, is_tree, rules = _items(value, 4)
    texts = tuple(_text(rule) for rule in _items(rules, table_count))
    return TicketExplain(_switch(analyze), _switch(verbose), _switch(is_tree), texts)


def _wire(value: Any) -> str:
    if value not in WIRES:
        raise TypeError
    return _text(value)


def _switch(value: Any) -> bool:
    if not isinstance(value, bool):
        raise TypeError
    return value


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError
    return value


def _optional_text(value: Any) -> str | None:
    return None if value is None else _text(value)


def _optional_bytes(value: Any) -> bytes | None:
    try:
        return None if value is None else base64.b64decode(_text(value), validate=True)
    except binascii.Error:
        pass
    raise TypeError


def _end(value: Any, issued: float) -> datetime | None:
    if value is None:
        return None
    # An exact type: JSON's true is an int to Python. What had ended by then allowed nothing.
    if type(value) not in {int, float} or value <= issued:
        raise TypeError
    return datetime.fromtimestamp(value, UTC)


def _count(value: Any) -> int:
    # An exact type: JSON's true is an int to Python.
    if type(value) is not int or value < 0:
        raise TypeError
    return value


def _items(value: Any, count: int | None = None) -> list[Any]:
    if not isinstance(value, list) or count not in (None, len(value)):
        raise TypeError
    return value
