"""Leases over one database: who holds each, under which number, and until when.

Every function takes the caller's connection. Times are seconds since the epoch by the database's
clock, which is the same for all who ask. A number is given once and never again: it rises whenever
a lease is taken, also by who held it before but let it lapse.
"""

from dataclasses import dataclass

from sqlalchemy import (
    BigInteger,
    Column,
    ColumnElement,
    Connection,
    Float,
    MetaData,
    String,
    Table,
    insert,
    literal_column,
    or_,
    select,
    update,
)

metadata = MetaData()

_leases = Table(
    "leases",
    metadata,
    Column("name", String(128), primary_key=True),
    Column("holder", String(128), nullable=False),
    Column("number", BigInteger, nullable=False),
    Column("taken_at", Float, nullable=False),
    Column("expires_at", Float, nullable=False),
)


@dataclass(frozen=True, slots=True)
class LeaseRow:
    """How a lease stands."""

    holder: str
    number: int
    left_s: float
    """Until it lapses; not above zero when it has."""
    held_s: float
    """Since it was taken."""


class LeaseStore:
    """Reads and writes the rows inside the caller's transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._now = database_clock(connection)

    def find(self, name: str) -> LeaseRow | None:
        """Return how a lease stands; None when nobody ever held it."""
        row = self._connection.execute(
            select(
                _leases.c.holder,
                _leases.c.number,
                (_leases.c.expires_at - self._now).label("left_s"),
                (self._now - _leases.c.taken_at).label("held_s"),
            ).where(_leases.c.name == name)
        ).first()
        return None if row is None else LeaseRow(row.holder, row.number, row.left_s, row.held_s)

    def renew(self, name: str, holder: str, number: int, ttl_s: float) -> bool:
        """Hold a lease on, by one statement; returns whether it was held still."""
        renewed = self._connection.execute(
            update(_leases)
            .where(
                _leases.c.name == name,
                _leases.c.holder == holder,
                _leases.c.number == number,
                _leases.c.expires_at > self._now,
            )
            .values(expires_at=self._now + ttl_s)
        )
        return renewed.rowcount == 1

    def take(self, name: str, holder: str, ttl_s: float, *, is_restart: bool) -> int | None:
        """Take a lease that has lapsed, or that nobody held; returns its number.

        Made in the transaction of a change, so that all that was begun under the number before is
        either durable by then, or will find that the number is another's.

        Args:
            name: The lease.
            holder: Who takes it.
            ttl_s: For how many seconds it is held, unless it is renewed.
            is_restart: Whether the holder is a process that has just started: it takes from who
                had its name before, without waiting.
        """
        now = self._now
        is_free = _leases.c.expires_at <= now
        if is_restart:
            is_free = or_(is_free, _leases.c.holder == holder)
        told = {"holder": holder, "taken_at": now, "expires_at": now + ttl_s}
        taken = self._connection.execute(
            update(_leases)
            .where(_leases.c.name == name, is_free)
            .values(number=_leases.c.number + 1, **told)
            .returning(_leases.c.number)
        ).scalar()
        if taken is None and self.find(name) is None:
            taken = 1
            self._connection.execute(insert(_leases).values(name=name, number=taken, **told))
        return taken

    def give_up(self, name: str, holder: str, number: int) -> None:
        """Let a lease lapse now, so that another need not wait for it."""
        self._connection.execute(
            update(_leases)
            .where(
                _leases.c.name == name,
                _leases.c.holder == holder,
                _leases.c.number == number,
                _leases.c.expires_at > self._now,
            )
            .values(expires_at=self._now)
        )


def database_clock(connection: Connection) -> ColumnElement[float]:
    """Return the database's clock as an expression: seconds since the epoch."""
    if connection.dialect.name == "sqlite":
        return literal_column("((julianday('now') - 2440587.5) * 86400.0)", Float)
    # Not that of the transaction's start: it may have waited since.
    return literal_column("cast(extract(epoch from clock_timestamp()) as double precision)", Float)
