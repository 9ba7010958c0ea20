"""The signed values that a front door hands out for statements, besides query tickets.

A *prepared handle* holds a statement's text, and the rows that are bound to it; it carries
no authority. An *answer ticket* stands for a small table that the server answers itself, for one
caller: it holds what was executed, and the rows too where executing changed something. Any replica
opens both.
"""

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa

from auth import SigningKey, TokenKind, open_sealed, seal
from flight_member.clock import Moment
from flight_member.errors import BadRequestError
from flight_sql import Endpoint, WireTypes
from planner import Defaults, Values

_UNKNOWN = datetime.min.replace(tzinfo=UTC)
_ANSWER_TTL_S = 300
# They travel inside handles and tickets, which are at most 1 MiB.
_MAX_VALUES_BYTES = 65_536
# A statement runs once for each, and is planned each time.
_MAX_VALUES_ROWS = 1_000


@dataclass(frozen=True, slots=True)
class Answering:
    """What an answer ticket holds.

    Attributes:
        sql: The statement as it was typed.
        caller: Whom it was made for, as `user1@shanghai`.
        names: What completed its names when it was executed.
        values: The rows that were bound to it.
        wire: The types in which its rows were promised.
        rows: The answer itself, where executing changed something; else it is made when fetched.
        query_id: Of the call that executed it.
        expires_at: When the ticket that holds it expires; known when it is opened.
        asked_at: When that ticket was made; likewise.
    """

    sql: str
    caller: str
    names: Defaults
    values: pa.RecordBatch | None = None
    wire: WireTypes = WireTypes.SAFE
    rows: pa.Table | None = None
    query_id: str = ""
    expires_at: datetime = _UNKNOWN
    asked_at: datetime = _UNKNOWN


class Handles:
    """Seals and opens the handles of one server and its replicas."""

    def __init__(
        self, cluster: str, key: SigningKey, now: Moment, *, prepared_ttl_s: float
    ) -> None:
        """Keep what it takes; a prepared handle lives for `prepared_ttl_s`, from each binding."""
        self._cluster = cluster
        self._key = key
        self._now = now
        self._prepared_ttl_s = prepared_ttl_s

    def seal_prepared(self, sql: str, values: pa.RecordBatch | None = None) -> bytes:
        """Return a prepared handle.

        Raises:
            BadRequestError: When the values are too large or too many.
        """
        claims: dict[str, Any] = {"sql": sql}
        if values is not None:
            if values.num_rows > _MAX_VALUES_ROWS:
                raise BadRequestError(
                    f"a query takes at most {_MAX_VALUES_ROWS:,} rows of values and "
                    f"{values.num_rows:,} were bound; execute it several times, or write one query "
                    "for all of them"
                )
            data = Values.of(values).data
            if len(data) > _MAX_VALUES_BYTES:
                raise BadRequestError(
                    f"the values of one statement take at most {_MAX_VALUES_BYTES:,} bytes and "
                    f"these take {len(data):,}; bind less, and read long lists in several "
                    "statements"
                )
            claims["values"] = _encoded(data)
        return self._seal(TokenKind.PREPARED, claims, self._prepared_ttl_s)

    def open_prepared(self, handle: bytes) -> tuple[str, pa.RecordBatch | None]:
        """Return the statement inside a prepared handle, and the rows that are bound to it.

        Raises:
            InvalidTicketError: When it is none of this server's, or was changed.
            ExpiredTicketError: When it is older than `auth.prepared_ttl_s`.
        """
        claims = self._open(TokenKind.PREPARED, handle)
        return str(claims["sql"]), _bound_rows(claims)

    def answer_endpoint(self, answering: Answering) -> Endpoint:
        """Return an answer as the one endpoint of a result, to be fetched where it was made."""
        expires_at = self._now() + timedelta(seconds=_ANSWER_TTL_S)
        return Endpoint(self.seal_answer(answering), (), expires_at)

    def seal_answer(self, answering: Answering) -> bytes:
        """Return an answer ticket."""
        names = answering.names
        claims: dict[str, Any] = {
            "sql": answering.sql,
            "sub": answering.caller,
            "names": [names.cluster, names.catalog, names.schema, names.mom],
            "wire": answering.wire,
            "query": answering.query_id,
        }
        if answering.values is not None:
            claims["values"] = _encoded(Values.of(answering.values).data)
        if answering.rows is not None:
            claims["rows"] = _encoded(_to_ipc(answering.rows))
        return self._seal(TokenKind.ANSWER, claims, _ANSWER_TTL_S)

    def open_answer(self, handle: bytes, *, may_be_over: bool = False) -> Answering:
        """Return what an answer ticket holds.

        Args:
            handle: The ticket.
            may_be_over: Open it although its time is over, to cancel what runs on it.

        Raises:
            InvalidTicketError: When it is none of this server's, or was changed.
            ExpiredTicketError: When it is older than five minutes.
        """
        claims = self._open(TokenKind.ANSWER, handle, may_be_over=may_be_over)
        rows = claims.get("rows")
        return Answering(
            sql=str(claims["sql"]),
            caller=str(claims["sub"]),
            names=Defaults(*claims["names"]),
            values=_bound_rows(claims),
            wire=WireTypes(claims["wire"]),
            rows=None if rows is None else _from_ipc(base64.b64decode(rows)),
            query_id=str(claims["query"]),
            asked_at=datetime.fromtimestamp(claims["iat"], UTC),
            expires_at=datetime.fromtimestamp(claims["exp"], UTC),
        )

    def _seal(self, kind: TokenKind, claims: Mapping[str, Any], ttl_s: float) -> bytes:
        sealed = seal(
            kind,
            claims,
            self._key,
            issuer=self._cluster,
            audience=self._cluster,
            now=self._now(),
            ttl_s=ttl_s,
        )
        return sealed.encode()

    def _open(self, kind: TokenKind, handle: bytes, *, may_be_over: bool = False) -> dict[str, Any]:
        return open_sealed(
            kind,
            handle,
            self._key.ring(self._cluster),
            audience=self._cluster,
            now=self._now(),
            may_be_over=may_be_over,
        )


def _encoded(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _bound_rows(claims: Mapping[str, Any]) -> pa.RecordBatch | None:
    values = claims.get("values")
    return None if values is None else Values(base64.b64decode(values)).batch()


def _to_ipc(table: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return bytes(sink.getvalue())


def _from_ipc(data: bytes) -> pa.Table:
    with pa.ipc.open_stream(data) as reader:
        return reader.read_all()
