"""Jobs as they are kept: what has ended, and what runs for longer than a moment.

Every function takes the caller's connection. Each job is written under the server that runs it
and its number there. A server says again and again of what runs that it still does; what nobody
has said that of for a while ended with its server, and is lost.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    ColumnElement,
    Connection,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    and_,
    bindparam,
    delete,
    func,
    insert,
    not_,
    or_,
    select,
    update,
)

from auth.auditstore import Viewer
from auth.times import from_micros, to_micros
from flight_member.jobrows import LIVE_STATES, JobKind, JobRow, JobState, Parts

metadata = MetaData()

_jobs = Table(
    "jobs",
    metadata,
    # Not a plain primary key: SQLite counts only INTEGER ones by itself.
    Column("number", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
    Column("server", String(128), nullable=False),
    Column("serial", BigInteger, nullable=False),
    Column("seen_at", BigInteger, nullable=False),
    Column("id", String(64), nullable=False),
    Column("user_name", String(128), nullable=False),
    Column("home", String(63), nullable=False),
    Column("cluster", String(63), nullable=False),
    Column("node", String(128), nullable=False),
    Column("kind", String(16), nullable=False),
    Column("state", String(16), nullable=False),
    Column("digest", String(64), nullable=False),
    Column("client", String(200), nullable=False),
    Column("received_at", BigInteger, nullable=False),
    Column("started_at", BigInteger),
    Column("ended_at", BigInteger),
    Column("row_count", BigInteger, nullable=False),
    Column("byte_count", BigInteger, nullable=False),
    Column("parts_done", BigInteger),
    Column("parts_total", BigInteger),
    Column("error_code", String(64)),
    Index("jobs_server", "server", "serial", unique=True),
    Index("jobs_received", "received_at"),
    Index("jobs_user", "user_name", "received_at"),
    Index("jobs_home", "home", "received_at"),
    Index("jobs_state", "state", "seen_at"),
)
_LIVE = sorted(LIVE_STATES)


@dataclass(frozen=True, slots=True)
class JobsWanted:
    """Which jobs somebody wants to see.

    Attributes:
        viewer: Who; everybody sees their own part.
        limit: How many at most: the newest.
        user: Whose; None for all.
        job_id: With which id; None for all.
        states: In which states; all when empty.
        since: Received then or later; None for all.
        before: Received before; None for all.
        live_first: Whether what runs or is queued comes before what is newer and has ended.
    """

    viewer: Viewer
    limit: int
    user: str | None = None
    job_id: str | None = None
    states: frozenset[JobState] = field(default_factory=frozenset)
    since: datetime | None = None
    before: datetime | None = None
    live_first: bool = False

    def newest(self, rows: Iterable[JobRow]) -> list[JobRow]:
        """Return as many jobs as are wanted, the newest first, or those that run."""
        found = sorted(rows, key=lambda row: row.received_at, reverse=True)
        if self.live_first:
            found.sort(key=lambda row: not row.is_live)
        return found[: self.limit]

    def takes(self, row: JobRow) -> bool:
        """Whether a job is one of these."""
        return (
            may_see(self.viewer, row.user, row.cluster)
            and self.user in {None, row.user}
            and self.job_id in {None, row.id}
            and (not self.states or row.state in self.states)
            and (self.since is None or row.received_at >= self.since)
            and (self.before is None or row.received_at < self.before)
        )


def may_see(viewer: Viewer, user: str, cluster: str) -> bool:
    """Whether a viewer may see, and cancel, the jobs of a user on a cluster."""
    if viewer.sees_all or user == viewer.name:
        return True
    own = viewer.administers
    return own is not None and own in {cluster, user.rpartition("@")[2]}


class JobStore:
    """The jobs of a server and its replicas, in the caller's transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def add(self, server: str, rows: Sequence[JobRow], seen_at: datetime) -> None:
        """Keep jobs that are not kept yet."""
        if rows:
            values = [_values(server, row, seen_at) for row in rows]
            self._connection.execute(insert(_jobs), values)

    def renew(self, server: str, rows: Sequence[JobRow], seen_at: datetime) -> None:
        """Keep the new state of jobs that are kept."""
        if not rows:
            return
        statement = (
            update(_jobs)
            .where(_jobs.c.server == bindparam("of_server"))
            .where(_jobs.c.serial == bindparam("of_serial"))
        )
        values = []
        for row in rows:
            one = _values(server, row, seen_at)
            values.append({**one, "of_server": one.pop("server"), "of_serial": one.pop("serial")})
        names = values[0].keys() - {"of_server", "of_serial"}
        self._connection.execute(
            statement.values({name: bindparam(name) for name in names}), values
        )

    def running_elsewhere(self, server: str) -> dict[str, datetime]:
        """Return the other servers of which something runs, and when each last said so."""
        found = self._connection.execute(
            select(_jobs.c.server, func.max(_jobs.c.seen_at))
            .where(_jobs.c.state.in_(_LIVE), _jobs.c.server != server)
            .group_by(_jobs.c.server)
        )
        return {name: from_micros(seen_at) for name, seen_at in found}

    def lose(self, servers: Iterable[str]) -> int:
        """Say of what runs at some servers that it is lost; returns how many jobs that were."""
        done = self._connection.execute(
            update(_jobs)
            .where(_jobs.c.state.in_(_LIVE), _jobs.c.server.in_(list(servers)))
            .values(state=str(JobState.LOST), ended_at=_jobs.c.seen_at)
        )
        return done.rowcount

    def select(self, wanted: JobsWanted, *, server: str) -> list[JobRow]:
        """Return jobs, the newest first, but for what runs at a server: it knows better itself."""
        runs_there = and_(_jobs.c.server == server, _jobs.c.state.in_(_LIVE))
        found = self._connection.execute(
            select(_jobs)
            .where(not_(runs_there), *_conditions(wanted))
            .order_by(_jobs.c.received_at.desc(), _jobs.c.number.desc())
            .limit(wanted.limit)
        )
        return [_row(one) for one in found]

    def trim(self, before: datetime, most: int) -> int:
        """Forget jobs that ended before a moment, and the oldest of too many; returns how many."""
        newest = self._connection.execute(select(func.max(_jobs.c.number))).scalar() or 0
        done = self._connection.execute(
            delete(_jobs).where(
                or_(
                    and_(_jobs.c.state.not_in(_LIVE), _jobs.c.received_at < to_micros(before)),
                    _jobs.c.number <= newest - most,
                )
            )
        )
        return done.rowcount


def _conditions(wanted: JobsWanted) -> list[ColumnElement[bool]]:
    viewer, found = wanted.viewer, []
    if not viewer.sees_all:
        own = [_jobs.c.user_name == viewer.name]
        if viewer.administers is not None:
            own += [_jobs.c.home == viewer.administers, _jobs.c.cluster == viewer.administers]
        found.append(or_(*own))
    if wanted.user is not None:
        found.append(_jobs.c.user_name == wanted.user)
    if wanted.job_id is not None:
        found.append(_jobs.c.id == wanted.job_id)
    if wanted.states:
        found.append(_jobs.c.state.in_(sorted(wanted.states)))
    if wanted.since is not None:
        found.append(_jobs.c.received_at >= to_micros(wanted.since))
    if wanted.before is not None:
        found.append(_jobs.c.received_at < to_micros(wanted.before))
    return found


def _values(server: str, row: JobRow, seen_at: datetime) -> dict[str, Any]:
    parts = row.parts
    return {
        "server": server,
        "serial": row.serial,
        "seen_at": to_micros(seen_at),
        "id": row.id,
        "user_name": row.user,
        "home": row.user.rpartition("@")[2],
        "cluster": row.cluster,
        "node": row.node,
        "kind": str(row.kind),
        "state": str(row.state),
        "digest": row.digest,
        "client": row.client[:200],
        "received_at": to_micros(row.received_at),
        "started_at": None if row.started_at is None else to_micros(row.started_at),
        "ended_at": None if row.ended_at is None else to_micros(row.ended_at),
        "row_count": row.row_count,
        "byte_count": row.byte_count,
        "parts_done": parts.done if parts else None,
        "parts_total": parts.total if parts else None,
        "error_code": row.error_code,
    }


def _row(stored: Any) -> JobRow:
    has_parts = stored.parts_done is not None and stored.parts_total is not None
    return JobRow(
        id=stored.id,
        serial=stored.serial,
        user=stored.user_name,
        cluster=stored.cluster,
        node=stored.node,
        kind=JobKind(stored.kind),
        state=JobState(stored.state),
        digest=stored.digest,
        client=stored.client,
        received_at=from_micros(stored.received_at),
        started_at=None if stored.started_at is None else from_micros(stored.started_at),
        ended_at=None if stored.ended_at is None else from_micros(stored.ended_at),
        row_count=stored.row_count,
        byte_count=stored.byte_count,
        parts=Parts(stored.parts_done, stored.parts_total) if has_parts else None,
        error_code=stored.error_code,
    )
