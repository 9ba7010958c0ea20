"""Which state each member was in, and since when: kept for as long as heartbeats are.

The functions take the caller's connection. Times are seconds since the epoch, UTC, by the clock of
the MoM that noticed the change.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    Column,
    Connection,
    Float,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    delete,
    func,
    insert,
    select,
)

metadata = MetaData()

_states = Table(
    "member_states",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("member", String, nullable=False),
    Column("state", String, nullable=False),
    Column("since", Float, nullable=False),
)
Index("member_states_of", _states.c.member, _states.c.id)


@dataclass(frozen=True, slots=True)
class KeptState:
    """One state of one member, and when it began."""

    member: str
    state: str
    since: datetime


class MemberStateStore:
    """Reads and writes the states inside the caller's transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def last(self) -> dict[str, KeptState]:
        """Return the newest state of each member; one that was never noted is not among them."""
        newest = select(func.max(_states.c.id)).group_by(_states.c.member)
        rows = self._connection.execute(select(_states).where(_states.c.id.in_(newest)))
        return {row.member: _kept(row) for row in rows}

    def all(self, members: Iterable[str]) -> list[KeptState]:
        """Return the states of some members, of each oldest first."""
        wanted = frozenset(members)
        rows = self._connection.execute(select(_states).order_by(_states.c.member, _states.c.id))
        return [_kept(row) for row in rows if row.member in wanted]

    def add(self, states: Mapping[str, str], since: datetime) -> None:
        """Note that members came into another state."""
        rows = [
            {"member": name, "state": state, "since": since.timestamp()}
            for name, state in states.items()
        ]
        if rows:
            self._connection.execute(insert(_states), rows)

    def forget(self, member: str) -> None:
        """Forget the states of a member that was removed."""
        self._connection.execute(delete(_states).where(_states.c.member == member))

    def forget_before(self, before: datetime) -> None:
        """Forget what ended before a time; each member's newest state stays."""
        newest = select(func.max(_states.c.id)).group_by(_states.c.member).scalar_subquery()
        self._connection.execute(
            delete(_states).where(_states.c.since < before.timestamp(), _states.c.id.not_in(newest))
        )


def _kept(row: Any) -> KeptState:
    return KeptState(row.member, row.state, datetime.fromtimestamp(row.since, UTC))
