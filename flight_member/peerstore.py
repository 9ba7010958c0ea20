"""The servers that share one database: controllers of a member, replicas of the MoM.

Each writes one row about itself and reads the others'. The functions take the caller's connection.
Times are seconds since the epoch by the database's clock, which is the same for all of them.
"""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    Column,
    Connection,
    Float,
    MetaData,
    String,
    Table,
    case,
    delete,
    insert,
    select,
    update,
)

from auth import PublicKey
from flight_member.leasestore import database_clock

metadata = MetaData()

_peers = Table(
    "servers",
    metadata,
    Column("name", String, primary_key=True),
    Column("role", String, nullable=False),
    Column("uri", String, nullable=False, default=""),
    Column("public_keys", String, nullable=False),
    Column("published_at", Float, nullable=False),
    Column("heard_at", Float, nullable=False),
)


@dataclass(frozen=True, slots=True)
class Peer:
    """One server over the database, as it said of itself."""

    name: str
    role: str
    uri: str
    """Where it answers; empty before it was first started."""
    public_keys: tuple[PublicKey, ...]
    """Every key that it signs with, will sign with, or signed with until its date."""
    published_s: float
    """How many seconds ago these keys were written down."""
    silence_s: float
    """How many seconds ago it was last heard from."""


class PeerStore:
    """Reads and writes the rows inside the caller's transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def all(self) -> list[Peer]:
        """Return every server, by name; it may be empty."""
        now = database_clock(self._connection)
        rows = self._connection.execute(
            select(
                _peers,
                (now - _peers.c.published_at).label("published_s"),
                (now - _peers.c.heard_at).label("silence_s"),
            ).order_by(_peers.c.name)
        )
        return [
            Peer(
                name=row.name,
                role=row.role,
                uri=row.uri,
                public_keys=tuple(map(PublicKey.from_text, row.public_keys.split())),
                published_s=max(0.0, row.published_s),
                silence_s=max(0.0, row.silence_s),
            )
            for row in rows
        ]

    def write(self, name: str, role: str, uri: str, public_keys: tuple[PublicKey, ...]) -> None:
        """Say what there is to say of one server, which is heard from by that."""
        now = database_clock(self._connection)
        texts = " ".join(key.to_text() for key in public_keys)
        told: dict[str, Any] = {"role": role, "uri": uri, "public_keys": texts, "heard_at": now}
        is_same = _peers.c.public_keys == texts
        changed = self._connection.execute(
            update(_peers)
            .where(_peers.c.name == name)
            .values(**told, published_at=case((is_same, _peers.c.published_at), else_=now))
        )
        if changed.rowcount == 0:
            self._connection.execute(insert(_peers).values(name=name, published_at=now, **told))

    def remove(self, name: str) -> bool:
        """Forget a server and its keys; returns whether there was one of that name."""
        removed = self._connection.execute(delete(_peers).where(_peers.c.name == name))
        return removed.rowcount == 1

    def forget_silent(self, silence_s: float) -> None:
        """Forget servers that have not been heard from for so long."""
        oldest = database_clock(self._connection) - silence_s
        self._connection.execute(delete(_peers).where(_peers.c.heard_at < oldest))
