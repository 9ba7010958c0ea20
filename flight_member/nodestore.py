"""The data nodes of a member as they are kept: who may join, who has, with which key.

Every function takes the caller's connection, so that a change and its audit row share one
transaction. Times are seconds since the epoch, UTC.
"""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import (
    Boolean,
    Column,
    Connection,
    Float,
    MetaData,
    String,
    Table,
    delete,
    insert,
    select,
    update,
)

metadata = MetaData()

_nodes = Table(
    "nodes",
    metadata,
    Column("name", String(63), primary_key=True),
    Column("host", String(253), nullable=False),
    Column("public_key", String, nullable=False, default=""),
    Column("is_draining", Boolean, nullable=False, default=False),
    Column("added_at", Float, nullable=False),
    Column("joined_at", Float),
)
_join_tokens = Table(
    "node_join_tokens",
    metadata,
    Column("digest", String(64), primary_key=True),
    Column("node", String(63), nullable=False),
    Column("expires_at", Float, nullable=False),
    Column("used_at", Float),
)


@dataclass(frozen=True, slots=True)
class StoredNode:
    """One node as it is kept.

    Attributes:
        name: Its name in the cluster.
        host: The one host that it may answer at.
        public_key: Of its own key, as text; empty before it has joined.
        is_draining: Whether it is to take no new work and to leave.
    """

    name: str
    host: str
    public_key: str
    is_draining: bool


class NodeStore:
    """Reads and changes the nodes inside the caller's transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def all(self) -> list[StoredNode]:
        """Return every node by name, those that have not joined yet too; it may be empty."""
        found = self._connection.execute(select(_nodes).order_by(_nodes.c.name))
        return [
            StoredNode(row.name, row.host, row.public_key, bool(row.is_draining)) for row in found
        ]

    def find(self, name: str) -> StoredNode | None:
        """Return one node, or None."""
        return next((one for one in self.all() if one.name == name), None)

    def add(self, name: str, host: str, now: datetime) -> None:
        """Name a node, or move one to another host; what it joined with counts on."""
        if self.find(name) is None:
            values = {"name": name, "host": host, "public_key": "", "is_draining": False}
            self._connection.execute(insert(_nodes).values(added_at=now.timestamp(), **values))
        else:
            self._set(name, host=host)

    def remove(self, name: str) -> bool:
        """Forget a node and its join tokens; returns whether there was one."""
        self._connection.execute(delete(_join_tokens).where(_join_tokens.c.node == name))
        return self._connection.execute(delete(_nodes).where(_nodes.c.name == name)).rowcount == 1

    def set_joined(self, name: str, public_key: str, now: datetime) -> None:
        """Keep the key that a node joined with; one that joins again begins anew."""
        self._set(name, public_key=public_key, joined_at=now.timestamp(), is_draining=False)

    def set_draining(self, name: str, *, is_draining: bool) -> None:
        """Keep whether a node is to leave."""
        self._set(name, is_draining=is_draining)

    def add_join_token(self, digest: str, node: str, expires_at: datetime) -> None:
        """Keep the digest of a new join token; older unused ones of the node are void."""
        unused = _join_tokens.c.node == node, _join_tokens.c.used_at.is_(None)
        self._connection.execute(delete(_join_tokens).where(*unused))
        values = {"digest": digest, "node": node, "expires_at": expires_at.timestamp()}
        self._connection.execute(insert(_join_tokens).values(**values))

    def use_join_token(self, digest: str, node: str, now: datetime) -> bool:
        """Mark a join token as used, for good; returns whether it counted until now."""
        used = self._connection.execute(
            update(_join_tokens)
            .where(
                _join_tokens.c.digest == digest,
                _join_tokens.c.node == node,
                _join_tokens.c.used_at.is_(None),
                _join_tokens.c.expires_at >= now.timestamp(),
            )
            .values(used_at=now.timestamp())
        )
        return used.rowcount == 1

    def _set(self, name: str, **values: object) -> None:
        self._connection.execute(update(_nodes).where(_nodes.c.name == name).values(**values))
