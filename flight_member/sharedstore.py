"""What the controllers of one member leave for each other in its database.

That is the federation that it joined, what the MoM last said to the leader, and the join tokens of
further controllers. Every function takes the caller's connection; times are by the database's
clock.
"""

from dataclasses import dataclass

from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    Float,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    delete,
    insert,
    select,
    update,
)

from flight_member.leasestore import database_clock

metadata = MetaData()

_membership = Table(
    "shared_membership",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("body", Text, nullable=False),
)
_word = Table(
    "mom_word",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("heard_at", Float),
    Column("disowned_at", Float),
    Column("epoch", BigInteger, nullable=False),
    Column("kids", Text, nullable=False),
)
_tokens = Table(
    "controller_tokens",
    metadata,
    Column("digest", String(64), primary_key=True),
    Column("name", String(64), nullable=False),
    Column("expires_at", Float, nullable=False),
)
_ONLY_ROW = 1


@dataclass(frozen=True, slots=True)
class MomWord:
    """What the MoM last said to this member's leader."""

    heard_s: float | None
    """How long ago; None before it said anything."""
    disowned_s: float | None
    """How long ago it was found not to know this member any more."""
    epoch: int
    """Its policy epoch: what it took back until then is kept with the revocations."""
    kids: frozenset[str]
    """The keys of this member that it knows."""


class SharedStore:
    """Reads and changes all this inside the caller's transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._now = database_clock(connection)

    def membership(self) -> str | None:
        """Return the membership as it was kept; None before the member has joined."""
        return self._connection.execute(select(_membership.c.body)).scalar()

    def keep_membership(self, body: str) -> None:
        """Keep the membership in place of the one before."""
        self._connection.execute(delete(_membership))
        self._connection.execute(insert(_membership).values(id=_ONLY_ROW, body=body))

    def word(self) -> MomWord | None:
        """Return what the MoM last said; None before it said anything."""
        row = self._connection.execute(
            select(
                (self._now - _word.c.heard_at).label("heard_s"),
                (self._now - _word.c.disowned_at).label("disowned_s"),
                _word.c.epoch,
                _word.c.kids,
            )
        ).first()
        if row is None:
            return None
        return MomWord(row.heard_s, row.disowned_s, row.epoch, frozenset(row.kids.split()))

    def hear(self, epoch: int, kids: frozenset[str]) -> None:
        """Keep that the MoM answered a heartbeat just now."""
        told = {"heard_at": self._now, "epoch": epoch, "kids": " ".join(sorted(kids))}
        changed = self._connection.execute(update(_word).values(**told))
        if changed.rowcount == 0:
            self._connection.execute(insert(_word).values(id=_ONLY_ROW, **told))

    def disown(self) -> None:
        """Keep that the MoM did not know this member any more just now."""
        changed = self._connection.execute(update(_word).values(disowned_at=self._now))
        if changed.rowcount == 0:
            values = {"disowned_at": self._now, "epoch": 0, "kids": ""}
            self._connection.execute(insert(_word).values(id=_ONLY_ROW, **values))

    def forget_word(self) -> None:
        """Forget what the MoM said: the member joins again, perhaps another federation."""
        self._connection.execute(delete(_word))

    def add_token(self, digest: str, name: str, life_s: float) -> None:
        """Keep the digest of a controller's join token; older ones for the name are void."""
        self._connection.execute(delete(_tokens).where(_tokens.c.name == name))
        self._connection.execute(
            insert(_tokens).values(digest=digest, name=name, expires_at=self._now + life_s)
        )

    def use_token(self, digest: str, name: str) -> bool:
        """Use a join token up; returns whether it counted."""
        used = self._connection.execute(
            delete(_tokens).where(
                _tokens.c.digest == digest,
                _tokens.c.name == name,
                _tokens.c.expires_at > self._now,
            )
        )
        return used.rowcount == 1
