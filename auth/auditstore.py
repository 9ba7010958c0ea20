"""The audit log as it is kept: only ever appended to.

Every function uses the caller's connection and commits nothing: an administrative act and its
record share one transaction.
"""

from collections.abc import Iterable
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
    insert,
    select,
)

from auth.audit import AuditRecord
from auth.times import from_micros, to_micros

__all__ = ["AuditRecord", "AuditStore", "metadata"]

metadata = MetaData()

_audit = Table(
    "audit",
    metadata,
    # Not a plain primary key: SQLite counts only INTEGER ones by itself.
    Column(
        "id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True
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
    Index("audit_at", "at"),
    sqlite_autoincrement=True,
)


class AuditStore:
    """The audit log, in the caller's transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def append(self, record: AuditRecord) -> None:
        """Write a record down."""
        self.append_all([record])

    def append_all(self, records: Iterable[AuditRecord]) -> None:
        """Write records down, in their order, in one statement."""
        rows = [_row(record) for record in records]
        if rows:
            self._connection.execute(insert(_audit), rows)

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
        query = select(_audit).order_by(_audit.c.id.desc()).limit(limit)
        if since is not None:
            query = query.where(_audit.c.at >= to_micros(since))
        if actor is not None:
            query = query.where(_audit.c.actor == actor)
        if allowed is not None:
            query = query.where(_audit.c.allowed == allowed)
        rows = self._connection.execute(query).mappings().all()
        return [_record(dict(row)) for row in reversed(rows)]


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


def _record(row: dict[str, Any]) -> AuditRecord:
    del row["id"]
    return AuditRecord(**{**row, "at": from_micros(row["at"])})
