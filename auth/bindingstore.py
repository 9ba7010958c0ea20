"""From which address each session counts, as it is kept for every replica of the MoM.

Every function uses the caller's connection and commits nothing. The first address that is kept for
a session stays; times are microseconds since the epoch, UTC.
"""

from datetime import datetime

from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    MetaData,
    String,
    Table,
    delete,
    insert,
    select,
)

from auth.times import to_micros

metadata = MetaData()

_bindings = Table(
    "session_bindings",
    metadata,
    Column("token_id", String(256), primary_key=True),
    Column("address", String(128), nullable=False),
    Column("expires_at", BigInteger, nullable=False, index=True),
)


class BindingStore:
    """The addresses of sessions, in the caller's transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def find(self, token_id: str) -> str | None:
        """Return the address of a session; None when it has none yet."""
        query = select(_bindings.c.address).where(_bindings.c.token_id == token_id)
        address: str | None = self._connection.execute(query).scalar()
        return address

    def bind(self, token_id: str, address: str, expires_at: datetime) -> str:
        """Keep an address for a session, unless it has one; returns the one that it has."""
        found = self.find(token_id)
        if found is not None:
            return found
        row = {"token_id": token_id, "address": address, "expires_at": to_micros(expires_at)}
        self._connection.execute(insert(_bindings).values(row))
        return address

    def forget_before(self, moment: datetime) -> int:
        """Drop the addresses of sessions that have expired; returns how many there were."""
        old = delete(_bindings).where(_bindings.c.expires_at < to_micros(moment))
        return self._connection.execute(old).rowcount
