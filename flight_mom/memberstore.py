"""The members of the federation as they are kept: who may join, who has, with which keys.

Every function takes the caller's connection, so that a change and its audit row share one
transaction. Times are seconds since the epoch, UTC.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ColumnElement,
    Connection,
    Float,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    bindparam,
    delete,
    insert,
    select,
    update,
)

from auth import PublicKey

metadata = MetaData()

_members = Table(
    "members",
    metadata,
    Column("name", String, primary_key=True),
    Column("hosts", String, nullable=False),
    Column("route", String, nullable=False),
    Column("is_suspended", Boolean, nullable=False, default=False),
    Column("uri", String, nullable=False, default=""),
    Column("added_at", Float, nullable=False),
    Column("joined_at", Float),
    Column("version", BigInteger, nullable=False, default=0),
)
_keys = Table(
    "member_keys",
    metadata,
    Column("member", String, primary_key=True),
    Column("kid", String, primary_key=True),
    Column("public_key", String, nullable=False),
    Column("added_at", Float, nullable=False),
)
# Apart from the members: reports are large, and members are looked through at every change. The
# digest stands before the report, so that a row is read no further than it.
_reports = Table(
    "member_reports",
    metadata,
    Column("member", String, primary_key=True),
    Column("digest", String, nullable=False),
    Column("report", LargeBinary, nullable=False),
)
# One row: how many changes of the membership there were. Each member holds that of its last.
_membership = Table(
    "membership",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("version", BigInteger, nullable=False),
)
_ONLY_ROW = 1
# As many names in one statement; of more, all keys are read.
_NAMED_KEYS = 100
# Apart from the members: beats change nothing of the membership.
_heard = Table(
    "member_heard",
    metadata,
    Column("member", String, primary_key=True),
    Column("heard_at", Float, nullable=False),
)
# Apart from the members, most of whom have one leader for ever.
_leaders = Table(
    "member_leaders",
    metadata,
    Column("member", String, primary_key=True),
    Column("number", BigInteger, nullable=False),
)
_join_tokens = Table(
    "join_tokens",
    metadata,
    Column("digest", String, primary_key=True),
    Column("member", String, nullable=False),
    Column("expires_at", Float, nullable=False),
    Column("used_at", Float),
)


@dataclass(frozen=True, slots=True)
class StoredMember:
    """One member as it is kept; `report_digest` is that of the last report it sent, if any."""

    name: str
    hosts: tuple[str, ...]
    route: str
    is_suspended: bool
    uri: str
    joined_at: datetime | None
    report_digest: str | None
    leader_number: int
    public_keys: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class StoredJoinToken:
    """A join token by its digest; the token itself is kept nowhere."""

    member: str
    expires_at: datetime
    used_at: datetime | None


class MemberStore:
    """Reads and changes the membership inside the caller's transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def find(self, name: str) -> StoredMember | None:
        """Return one member, or None."""
        return next(iter(self._read(_members.c.name == name)), None)

    def all(self) -> list[StoredMember]:
        """Return every member by name, those that have not joined yet too; it may be empty."""
        return self._read()

    def changed_since(self, version: int) -> list[StoredMember]:
        """Return the members that changed after a version of the membership, by name."""
        return self._read(_members.c.version > version)

    def names(self) -> frozenset[str]:
        """Return the names of all members."""
        return frozenset(self._connection.execute(select(_members.c.name)).scalars())

    def version(self) -> int:
        """Return the number of changes of the membership so far."""
        return self._connection.execute(select(_membership.c.version)).scalar() or 0

    def _read(self, *condition: ColumnElement[bool]) -> list[StoredMember]:
        rows = self._connection.execute(
            select(_members, _reports.c.digest, _leaders.c.number)
            .outerjoin(_reports, _reports.c.member == _members.c.name)
            .outerjoin(_leaders, _leaders.c.member == _members.c.name)
            .where(*condition)
            .order_by(_members.c.name)
        ).all()
        keys = self._keys_of([row.name for row in rows])
        return [
            StoredMember(
                name=row.name,
                hosts=tuple(row.hosts.split()),
                route=row.route,
                is_suspended=row.is_suspended,
                uri=row.uri,
                joined_at=None if row.joined_at is None else _moment(row.joined_at),
                report_digest=row.digest,
                leader_number=row.number or 0,
                public_keys=tuple(keys.get(row.name, ())),
            )
            for row in rows
        ]

    def _keys_of(self, names: Sequence[str]) -> dict[str, list[str]]:
        """Return the keys of members, oldest first; of very many, those of all."""
        asked = select(_keys).order_by(_keys.c.added_at)
        if len(names) <= _NAMED_KEYS:
            asked = asked.where(_keys.c.member.in_(names))
        keys: dict[str, list[str]] = {}
        for row in self._connection.execute(asked):
            keys.setdefault(row.member, []).append(row.public_key)
        return keys

    def add(self, name: str, hosts: tuple[str, ...], route: str, now: datetime) -> None:
        """Name a member that may join."""
        self._connection.execute(
            insert(_members).values(
                name=name,
                hosts=" ".join(hosts),
                route=route,
                added_at=now.timestamp(),
                uri="",
                version=self._bump(),
            )
        )

    def set_hosts(self, name: str, hosts: tuple[str, ...]) -> None:
        """Replace the hosts that a member's certificate and locations may name."""
        self._set(name, hosts=" ".join(hosts))

    def set_route(self, name: str, route: str) -> None:
        """Say how results of a member travel: `relay` or `direct`."""
        self._set(name, route=route)

    def set_suspended(self, name: str, *, suspended: bool) -> None:
        """Suspend a member or let it work again."""
        self._set(name, is_suspended=suspended)

    def set_joined(self, name: str, uri: str, public_key: PublicKey, now: datetime) -> None:
        """Record that a member has joined, with the key that it will sign with."""
        # Its leaders are numbered anew: it may have another database now.
        self._connection.execute(delete(_leaders).where(_leaders.c.member == name))
        self._set(name, uri=uri, joined_at=now.timestamp())
        self.set_keys(name, [public_key], now)

    def set_keys(self, name: str, public_keys: Iterable[PublicKey], now: datetime) -> None:
        """Replace the keys that a member signs with; at least one."""
        self._connection.execute(delete(_keys).where(_keys.c.member == name))
        rows = [
            {
                "member": name,
                "kid": key.kid,
                "public_key": key.to_text(),
                "added_at": now.timestamp(),
            }
            for key in public_keys
        ]
        self._connection.execute(insert(_keys), rows)
        self._set(name)

    def set_uri(self, name: str, uri: str) -> None:
        """Record where a member answers now."""
        self._set(name, uri=uri)

    def follow_leader(self, name: str, number: int) -> bool:
        """Record who speaks for a member now; returns whether no later leader did before."""
        last = self._connection.execute(
            select(_leaders.c.number).where(_leaders.c.member == name)
        ).scalar()
        if number <= (last or 0):
            return number == (last or 0)
        if last is None:
            self._connection.execute(insert(_leaders).values(member=name, number=number))
        else:
            changed = update(_leaders).where(_leaders.c.member == name)
            self._connection.execute(changed.values(number=number))
        self._set(name)
        return True

    def report(self, name: str) -> bytes | None:
        """Return a member's last report, if it has sent one."""
        return self._connection.execute(
            select(_reports.c.report).where(_reports.c.member == name)
        ).scalar()

    def set_report(self, name: str, report: bytes) -> str:
        """Keep a member's last report; returns its digest."""
        digest = hashlib.sha256(report).hexdigest()
        self._connection.execute(delete(_reports).where(_reports.c.member == name))
        self._connection.execute(insert(_reports).values(member=name, digest=digest, report=report))
        self._set(name)
        return digest

    def heard(self) -> dict[str, datetime]:
        """Return when each member was last heard from, by any replica; not all need be there."""
        return {
            row.member: _moment(row.heard_at) for row in self._connection.execute(select(_heard))
        }

    def keep_heard(self, heard: Mapping[str, datetime]) -> None:
        """Keep when members were last heard from, in place of what is kept of them."""
        rows = [{"member_": name, "at": at.timestamp()} for name, at in heard.items()]
        if not rows:
            return
        self._connection.execute(
            delete(_heard).where(_heard.c.member == bindparam("member_")), rows
        )
        self._connection.execute(
            insert(_heard), [{"member": row["member_"], "heard_at": row["at"]} for row in rows]
        )

    def remove(self, name: str) -> None:
        """Forget a member, its keys and its unused join tokens."""
        for table, column in (
            (_members, _members.c.name),
            (_keys, _keys.c.member),
            (_reports, _reports.c.member),
            (_join_tokens, _join_tokens.c.member),
            (_heard, _heard.c.member),
            (_leaders, _leaders.c.member),
        ):
            self._connection.execute(delete(table).where(column == name))
        self._bump()

    def add_join_token(self, digest: str, member: str, expires_at: datetime) -> None:
        """Keep the digest of a new join token; older unused ones of the member are void."""
        self._connection.execute(
            delete(_join_tokens).where(
                _join_tokens.c.member == member, _join_tokens.c.used_at.is_(None)
            )
        )
        self._connection.execute(
            insert(_join_tokens).values(
                digest=digest, member=member, expires_at=expires_at.timestamp()
            )
        )

    def find_join_token(self, digest: str) -> StoredJoinToken | None:
        """Return the join token with this digest, used or not."""
        row = self._connection.execute(
            select(_join_tokens).where(_join_tokens.c.digest == digest)
        ).one_or_none()
        if row is None:
            return None
        return StoredJoinToken(
            member=row.member,
            expires_at=_moment(row.expires_at),
            used_at=None if row.used_at is None else _moment(row.used_at),
        )

    def use_join_token(self, digest: str, now: datetime) -> bool:
        """Mark a join token as used, for good; returns False when somebody was faster."""
        used = self._connection.execute(
            update(_join_tokens)
            .where(_join_tokens.c.digest == digest, _join_tokens.c.used_at.is_(None))
            .values(used_at=now.timestamp())
        )
        return used.rowcount == 1

    def _set(self, name: str, **values: object) -> None:
        values["version"] = self._bump()
        self._connection.execute(update(_members).where(_members.c.name == name).values(**values))

    def _bump(self) -> int:
        bumped = self._connection.execute(
            update(_membership).values(version=_membership.c.version + 1)
        )
        if bumped.rowcount == 0:
            self._connection.execute(insert(_membership).values(id=_ONLY_ROW, version=1))
        return self.version()


def _moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
