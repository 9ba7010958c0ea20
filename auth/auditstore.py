"""The audit log as it is kept: only ever appended to, and trimmed from its old end.

Every function uses the caller's connection and commits nothing: an administrative act and its
record share one transaction. Rows are numbered without gaps and chained (`auth.auditchain`).
"""

from collections.abc import Iterable, Iterator
from dataclasses import asdict
from datetime import datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Connection,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    delete,
    func,
    insert,
    select,
    update,
)

from auth.audit import AuditRecord
from auth.auditchain import Anchor, ChainedRow, ChainHead, Verification, link, verify_chain
from auth.times import from_micros, to_micros

__all__ = ["AuditRecord", "AuditStore", "metadata"]

metadata = MetaData()

_audit = Table(
    "audit",
    metadata,
    # Not a plain primary key: SQLite counts only INTEGER ones by itself.
    Column(
        "id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=False
    ),
    Column("at", BigInteger, nullable=False),
    Column("actor", String(320), nullable=False),
    Column("source", String(200), nullable=False),
    Column("action", String(64), nullable=False),
    Column("object", Text, nullable=False),
    Column("allowed", Boolean, nullable=False),
    Column("rule", Text, nullable=False),
    Column("epoch", BigInteger, nullable=False),
    Column("ticket_id", String(256), nullable=False),
    Column("statement_digest", String(128), nullable=False),
    Column("detail", Text, nullable=False),
    Column("digest", String(64), nullable=False),
    Index("audit_at", "at"),
)
_head = Table(
    "audit_head",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("first_id", BigInteger, nullable=False),
    Column("base_digest", String(64), nullable=False),
    Column("last_id", BigInteger, nullable=False),
    Column("digest", String(64), nullable=False),
)
_THE_HEAD = 1
_AT_ONCE = 10_000
_VALUES = tuple(column for column in _audit.c if column.name not in {"id", "digest"})


class AuditStore:
    """The audit log, in the caller's transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def append(self, record: AuditRecord) -> None:
        """Write a record down."""
        self.append_all([record])

    def append_all(self, records: Iterable[AuditRecord]) -> None:
        """Write records down, in their order, at the end of the chain."""
        rows = [_row(record) for record in records]
        if not rows:
            return
        head = self._locked_head()
        last_id, digest = head.last_id, head.digest
        for row in rows:
            last_id += 1
            digest = link(digest, last_id, [row[column.name] for column in _VALUES])
            row |= {"id": last_id, "digest": digest}
        self._connection.execute(insert(_audit), rows)
        self._connection.execute(update(_head).values(last_id=last_id, digest=digest))

    def head(self) -> ChainHead:
        """Return where the chain begins and ends."""
        row = self._connection.execute(select(_head)).mappings().one_or_none()
        return ChainHead() if row is None else _read_head(dict(row))

    def verify(self, anchor: Anchor | None = None) -> Verification:
        """Walk along the whole chain; see `auth.auditchain`."""
        return verify_chain(self._chained(), self.head(), anchor)

    def trim(self, before: datetime) -> int:
        """Forget the oldest records, up to the first that is not older; returns how many.

        The newest record always stays.
        """
        head = self._locked_head()
        first_kept = self._connection.execute(
            select(func.min(_audit.c.id)).where(_audit.c.at >= to_micros(before))
        ).scalar()
        first_kept = head.last_id if first_kept is None else first_kept
        base = self._connection.execute(
            select(_audit.c.digest).where(_audit.c.id == first_kept - 1)
        ).scalar()
        if base is None:
            return 0
        self._connection.execute(update(_head).values(first_id=first_kept, base_digest=base))
        return self._connection.execute(delete(_audit).where(_audit.c.id < first_kept)).rowcount

    def all(self, *, since: datetime | None = None) -> Iterator[AuditRecord]:
        """Yield every record, oldest first, without holding all of them."""
        query = select(*_VALUES).order_by(_audit.c.id)
        if since is not None:
            query = query.where(_audit.c.at >= to_micros(since))
        for row in self._connection.execute(query).mappings().yield_per(_AT_ONCE):
            yield _record(dict(row))

    def tail(
        self,
        limit: int = 100,
        *,
        since: datetime | None = None,
        actor: str | None = None,
        allowed: bool | None = None,
    ) -> list[AuditRecord]:
        """Return the newest records that fit, oldest of them first; possibly none.

        Args:
            limit: At most how many.
            since: Only those from this time on.
            actor: Only those of this actor.
            allowed: Only what was allowed, or only what was refused.
        """
        query = select(*_VALUES).order_by(_audit.c.id.desc()).limit(limit)
        if since is not None:
            query = query.where(_audit.c.at >= to_micros(since))
        if actor is not None:
            query = query.where(_audit.c.actor == actor)
        if allowed is not None:
            query = query.where(_audit.c.allowed == allowed)
        rows = self._connection.execute(query).mappings().all()
        return [_record(dict(row)) for row in reversed(rows)]

    def _locked_head(self) -> ChainHead:
        """Return the head, which nobody else moves until the transaction ends."""
        row = self._connection.execute(select(_head).with_for_update()).mappings().one_or_none()
        if row is not None:
            return _read_head(dict(row))
        fresh = ChainHead()
        self._connection.execute(insert(_head).values(id=_THE_HEAD, **asdict(fresh)))
        return fresh

    def _chained(self) -> Iterator[ChainedRow]:
        query = select(_audit.c.id, *_VALUES, _audit.c.digest).order_by(_audit.c.id)
        for row in self._connection.execute(query).yield_per(_AT_ONCE):
            yield ChainedRow(row[0], row[1:-1], row[-1])


def _row(record: AuditRecord) -> dict[str, Any]:
    # What strangers typed as a name is stored too: PostgreSQL holds no NUL, nor endless columns.
    row = {
        name: _storable(value, _audit.c[name]) if isinstance(value, str) else value
        for name, value in asdict(record).items()
    }
    return row | {"at": to_micros(record.at)}


def _storable(text: str, column: Column[Any]) -> str:
    cleaned = text.replace("\0", "\N{REPLACEMENT CHARACTER}").encode("utf-8", "replace").decode()
    length = getattr(column.type, "length", None)
    return cleaned[:length]


def _read_head(row: dict[str, Any]) -> ChainHead:
    del row["id"]
    return ChainHead(**row)


def _record(row: dict[str, Any]) -> AuditRecord:
    return AuditRecord(**{**row, "at": from_micros(row["at"])})
