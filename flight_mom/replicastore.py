"""The replicas of the MoM as administrators named them, and the tokens that they join with.

The functions take the caller's connection. Times are seconds since the epoch, UTC.
"""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Column, Connection, Float, MetaData, String, Table, delete, insert, select
from sqlalchemy import update as sql_update

metadata = MetaData()

_replicas = Table(
    "replicas",
    metadata,
    Column("name", String(64), primary_key=True),
    Column("hosts", String, nullable=False),
    Column("token_digest", String(64)),
    Column("token_expires_at", Float, nullable=False),
    Column("joined_at", Float),
)


@dataclass(frozen=True, slots=True)
class StoredReplica:
    """One replica that was added; the first MoM, which made the federation, is none of them."""

    name: str
    hosts: tuple[str, ...]
    has_joined: bool


class ReplicaStore:
    """Reads and changes the replicas inside the caller's transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def all(self) -> dict[str, StoredReplica]:
        """Return every replica that was added, by name; it may be empty."""
        rows = self._connection.execute(select(_replicas).order_by(_replicas.c.name))
        return {
            row.name: StoredReplica(row.name, tuple(row.hosts.split()), row.joined_at is not None)
            for row in rows
        }

    def add(
        self, name: str, hosts: tuple[str, ...], token_digest: str, expires_at: datetime
    ) -> None:
        """Name a replica, or give one another token; an older unused one is void."""
        values = {
            "hosts": " ".join(hosts),
            "token_digest": token_digest,
            "token_expires_at": expires_at.timestamp(),
        }
        changed = self._connection.execute(
            sql_update(_replicas).where(_replicas.c.name == name).values(**values)
        )
        if changed.rowcount == 0:
            self._connection.execute(insert(_replicas).values(name=name, **values))

    def use_token(self, name: str, token_digest: str, now: datetime) -> bool:
        """Use up a replica's join token; returns whether it counted."""
        used = self._connection.execute(
            sql_update(_replicas)
            .where(
                _replicas.c.name == name,
                _replicas.c.token_digest == token_digest,
                _replicas.c.token_expires_at >= now.timestamp(),
            )
            .values(token_digest=None, joined_at=now.timestamp())
        )
        return used.rowcount == 1

    def remove(self, name: str) -> bool:
        """Forget a replica; returns whether there was one of that name."""
        removed = self._connection.execute(delete(_replicas).where(_replicas.c.name == name))
        return removed.rowcount == 1
