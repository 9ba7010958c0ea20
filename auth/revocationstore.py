"""Revocations as they are kept, so that a restart forgets none that still matters.

Every function uses the caller's connection and commits nothing: a revocation shares the
transaction of the change that it tells of. Times are microseconds since the epoch, UTC.
"""

from datetime import datetime

from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    delete,
    insert,
    select,
)

from auth.principals import Principal
from auth.revocations import Revocation, RevocationSet
from auth.times import from_micros, to_micros
from storage.names import ObjectName

metadata = MetaData()

_revocations = Table(
    "revocations",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("epoch", BigInteger, nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("principal", String(200)),
    Column("securable", String(300)),
    Index("revocations_at", "at"),
    # A number is never used again: whoever has read up to one misses nothing.
    sqlite_autoincrement=True,
)


class RevocationStore:
    """What was taken back, in the caller's transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def append(self, revocation: Revocation) -> None:
        """Keep a revocation."""
        self._connection.execute(
            insert(_revocations).values(
                epoch=revocation.epoch,
                at=to_micros(revocation.at),
                principal=_written(revocation.principal),
                securable=_written(revocation.securable),
            )
        )

    def forget_before(self, moment: datetime) -> int:
        """Drop revocations from before a time; returns how many there were."""
        old = delete(_revocations).where(_revocations.c.at < to_micros(moment))
        return self._connection.execute(old).rowcount

    def all(self) -> RevocationSet:
        """Return the revocations that are kept."""
        return RevocationSet(self.after(0).values())

    def after(self, number: int) -> dict[int, Revocation]:
        """Return the revocations that were kept after one, by their numbers, which only grow."""
        rows = self._connection.execute(
            select(_revocations).where(_revocations.c.id > number).order_by(_revocations.c.id)
        )
        return {
            row.id: Revocation(
                epoch=row.epoch,
                at=from_micros(row.at),
                principal=None if row.principal is None else Principal.parse(row.principal),
                securable=None if row.securable is None else ObjectName.parse(row.securable),
            )
            for row in rows
        }


def _written(value: Principal | ObjectName | None) -> str | None:
    return None if value is None else str(value)
