"""Grants as they are kept, with the policy epoch that every change bumps.

Every function uses the caller's connection and commits nothing: a change and its audit row share
one transaction. Times are microseconds since the epoch, UTC.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from operator import attrgetter
from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    ColumnElement,
    Connection,
    Index,
    Integer,
    MetaData,
    Select,
    String,
    Table,
    UniqueConstraint,
    and_,
    bindparam,
    delete,
    insert,
    or_,
    select,
    update,
)

from auth.decisions import Grant
from auth.principals import Principal
from auth.privileges import Effect, Privilege, check_level
from auth.times import from_micros, to_micros
from storage.names import Level, ObjectName

metadata = MetaData()

_grants = Table(
    "grants",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("principal", String(200), nullable=False),
    Column("effect", String(8), nullable=False),
    Column("privilege", String(32), nullable=False),
    Column("securable", String(300), nullable=False),
    Column("granted_by", String(200), nullable=False),
    Column("granted_at", BigInteger, nullable=False),
    Column("until", BigInteger),
    Column("epoch", BigInteger, nullable=False),
    UniqueConstraint("principal", "securable", "privilege", "effect"),
    Index("grants_epoch", "epoch"),
    Index("grants_securable", "securable"),
    # Ids appear in the audit log: a new grant never gets an old one's.
    sqlite_autoincrement=True,
)
# What was taken away, so that a snapshot can follow without reading everything again.
_removed = Table(
    "removed_grants",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("principal", String(200), nullable=False),
    Column("effect", String(8), nullable=False),
    Column("privilege", String(32), nullable=False),
    Column("securable", String(300), nullable=False),
    Column("epoch", BigInteger, nullable=False),
    Index("removed_grants_epoch", "epoch"),
)
_policy = Table(
    "policy",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("epoch", BigInteger, nullable=False),
    Column("groups_epoch", BigInteger, nullable=False),
)
_ONLY_ROW = 1
_KEPT_EPOCHS = 10_000
_CHUNK, _FETCHED = 500, 10_000
_EFFECTS = {effect.value: effect for effect in Effect}
_PRIVILEGES = {privilege.value: privilege for privilege in Privilege}


@dataclass(frozen=True, slots=True)
class GrantChanges:
    """What happened to grants since an epoch; what was removed may be among the added again."""

    added: list[Grant]
    removed: list[Grant]


_SHOWN_COLUMNS = (
    _grants.c.id,
    _grants.c.principal,
    _grants.c.effect,
    _grants.c.privilege,
    _grants.c.securable,
    _grants.c.granted_by,
    _grants.c.granted_at,
    _grants.c.until,
)


class GrantStore:
    """The grants of one kind, cross-cluster or home, in the caller's transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def add(
        self,
        principal: Principal,
        effect: Effect,
        privilege: Privilege,
        securable: ObjectName,
        *,
        granted_by: str,
        granted_at: datetime,
        until: datetime | None = None,
    ) -> Grant:
        """Keep a grant and bump the epoch.

        The same principal, privilege, securable and effect are the same grant: it gets the new
        `until`, giver and time, and keeps its id. An ALLOW and a DENY stand side by side.

        Raises:
            UnsupportedGrantError: When the privilege does not fit the securable.
        """
        check_level(privilege, securable)
        changed = {
            "granted_by": granted_by,
            "granted_at": to_micros(granted_at),
            "until": to_micros(until) if until else None,
        }
        named = {
            "principal": str(principal),
            "effect": effect.value,
            "privilege": privilege.value,
            "securable": str(securable),
        }
        # Bumping first takes the write lock, so that two such changes wait for each other.
        changed["epoch"] = self.bump()
        is_named = [_grants.c[name] == value for name, value in named.items()]
        found = self._connection.execute(select(_grants.c.id).where(*is_named)).scalar()
        if found is None:
            inserted = insert(_grants).values(**named, **changed).returning(_grants.c.id)
            found = self._connection.execute(inserted).scalar_one()
        else:
            self._connection.execute(update(_grants).where(_grants.c.id == found).values(**changed))
        return Grant(found, principal, effect, privilege, securable, granted_by, granted_at, until)

    def add_all(self, grants: Iterable[Grant]) -> None:
        """Keep grants none of which is there yet, in one step of the epoch; ids are given anew."""
        epoch = self.bump()
        rows = [
            {
                "principal": str(grant.principal),
                "effect": grant.effect.value,
                "privilege": grant.privilege.value,
                "securable": str(grant.securable),
                **_given(grant, epoch),
            }
            for grant in grants
        ]
        if rows:
            self._connection.execute(insert(_grants), rows)

    def change_all(self, grants: Iterable[Grant]) -> None:
        """Give grants that are there, known by their ids, another end, giver and time.

        In one step of the epoch, however many they are.
        """
        epoch = self.bump()
        rows = [
            {
                "known_id": grant.id,
                **_given(grant, epoch),
            }
            for grant in grants
        ]
        if rows:
            changed: dict[str, Any] = {
                name: bindparam(name) for name in rows[0] if name != "known_id"
            }
            is_known = _grants.c.id == bindparam("known_id")
            self._connection.execute(update(_grants).where(is_known).values(**changed), rows)

    def remove_all(self, grants: Sequence[Grant]) -> None:
        """Take away grants that are there, known by their ids, in one step of the epoch."""
        if not grants:
            return
        epoch = self.bump()
        for first in range(0, len(grants), _CHUNK):
            ids = [grant.id for grant in grants[first : first + _CHUNK]]
            self._connection.execute(delete(_grants).where(_grants.c.id.in_(ids)))
        rows = [
            {
                "id": grant.id,
                "principal": str(grant.principal),
                "effect": grant.effect.value,
                "privilege": grant.privilege.value,
                "securable": str(grant.securable),
                "epoch": epoch,
            }
            for grant in grants
        ]
        self._connection.execute(insert(_removed), rows)
        self._connection.execute(delete(_removed).where(_removed.c.epoch <= epoch - _KEPT_EPOCHS))

    def remove(
        self,
        principal: Principal,
        privilege: Privilege,
        securable: ObjectName,
        effect: Effect | None = None,
    ) -> int:
        """Take grants away, ALLOW and DENY alike unless `effect` says which.

        Returns:
            How many there were; the epoch is bumped unless there were none.
        """
        condition = [
            _grants.c.principal == str(principal),
            _grants.c.privilege == privilege.value,
            _grants.c.securable == str(securable),
        ]
        if effect is not None:
            condition.append(_grants.c.effect == effect.value)
        return len(self._delete(*condition))

    def remove_allows_on(self, securable: ObjectName) -> list[Grant]:
        """Take away the ALLOWs on a dropped object and all below it; DENYs stay by name.

        Returns:
            What they were; the epoch is bumped unless there were none.
        """
        return self._remove_allows(_covered(securable))

    def remove_allows_to(self, principal: Principal) -> list[Grant]:
        """Take away the ALLOWs of a removed user or group; DENYs stay by name.

        Returns:
            What they were; the epoch is bumped unless there were none.
        """
        return self._remove_allows(_grants.c.principal == str(principal))

    def remove_allows_of(self, cluster: str) -> list[Grant]:
        """Take away the ALLOWs on a cluster's objects and to its users; DENYs stay by name.

        Returns:
            What they were; the epoch is bumped unless there were none.
        """
        to_its_users = _grants.c.principal.endswith(f"@{cluster}", autoescape=True)
        return self._remove_allows(or_(_covered(ObjectName(cluster)), to_its_users))

    def to(self, principal: Principal) -> list[Grant]:
        """Return the grants to exactly this principal."""
        return self._read(_grants.c.principal == str(principal))

    def on(self, securables: Iterable[ObjectName]) -> list[Grant]:
        """Return the grants on exactly these objects."""
        named = [str(name) for name in securables]
        chunks = (named[first : first + _CHUNK] for first in range(0, len(named), _CHUNK))
        return [one for chunk in chunks for one in self._read(_grants.c.securable.in_(chunk))]

    def below(self, securable: ObjectName) -> list[Grant]:
        """Return the grants on an object and on all below it."""
        return self._read(_covered(securable))

    def all(self) -> list[Grant]:
        """Return all grants in the order of their ids."""
        return self._read()

    def changed_since(self, epoch: int) -> GrantChanges | None:
        """Return what changed after an epoch; None when that is no longer known."""
        if not 0 <= self.epoch() - epoch < _KEPT_EPOCHS:
            return None
        removed = self._connection.execute(
            select(_removed).where(_removed.c.epoch > epoch).order_by(_removed.c.epoch)
        )
        return GrantChanges(
            added=self._read(_grants.c.epoch > epoch),
            removed=[
                Grant(
                    row.id,
                    Principal.parse(row.principal),
                    _EFFECTS[row.effect],
                    _PRIVILEGES[row.privilege],
                    ObjectName.parse(row.securable),
                    granted_by="",
                    granted_at=from_micros(0),
                )
                for row in removed
            ],
        )

    def _remove_allows(self, condition: ColumnElement[bool]) -> list[Grant]:
        return self._delete(condition, _grants.c.effect == Effect.ALLOW.value)

    def _read(self, *condition: ColumnElement[bool]) -> list[Grant]:
        # Few names and times stand in many grants: each is read once.
        read_principal, read_securable = cache(Principal.parse), cache(_read_name)
        read_time, shared = cache(from_micros), cache(str)
        # Ordering here, SQLite would walk through all grants by their ids to find a few.
        query = select(*_SHOWN_COLUMNS).where(*condition)
        rows: Iterable[Any] = self._connection.execute(query) if condition else self._all(query)
        found = [
            Grant(
                grant_id,
                read_principal(principal),
                _EFFECTS[effect],
                _PRIVILEGES[privilege],
                read_securable(securable),
                shared(granted_by),
                read_time(granted_at),
                None if until is None else read_time(until),
            )
            for (
                grant_id,
                principal,
                effect,
                privilege,
                securable,
                granted_by,
                granted_at,
                until,
            ) in rows
        ]
        found.sort(key=attrgetter("id"))
        return found

    def _all(self, query: Select[Any]) -> Iterator[tuple[Any, ...]]:
        """Yield rows as the driver has them: of a million, wrapping each takes half the time."""
        cursor = self._connection.connection.cursor()
        try:
            cursor.execute(str(query.compile(self._connection)))
            while rows := cursor.fetchmany(_FETCHED):
                yield from rows
        finally:
            cursor.close()

    def epoch(self) -> int:
        """Return the policy epoch; 0 before the first change."""
        return self._connection.execute(select(_policy.c.epoch)).scalar() or 0

    def groups_epoch(self) -> int:
        """Return the policy epoch of the last change of a group; 0 before the first."""
        return self._connection.execute(select(_policy.c.groups_epoch)).scalar() or 0

    def bump(self, *, groups: bool = False) -> int:
        """Raise the policy epoch by one, as every change of policy does, and return it.

        Args:
            groups: Whether a group was changed.
        """
        changed = {"epoch": _policy.c.epoch + 1}
        if groups:
            changed["groups_epoch"] = _policy.c.epoch + 1
        bumped = self._connection.execute(
            update(_policy).where(_policy.c.id == _ONLY_ROW).values(**changed)
        )
        if bumped.rowcount == 0:
            first = {"id": _ONLY_ROW, "epoch": 1, "groups_epoch": int(groups)}
            self._connection.execute(insert(_policy).values(**first))
        return self.epoch()

    def _delete(self, *condition: ColumnElement[bool]) -> list[Grant]:
        doomed = self._read(*condition)
        self.remove_all(doomed)
        return doomed


def _read_name(written: str) -> ObjectName:
    """Read what `str` wrote; of the forms that people write it knows only this one."""
    local, _, cluster = written.rpartition("@")
    return ObjectName(cluster) if local == "*" else ObjectName(cluster, *local.split("."))


def _covered(securable: ObjectName) -> ColumnElement[bool]:
    """Return what holds for the names of an object and of all below it."""
    name, cluster = _grants.c.securable, f"@{securable.cluster}"
    if securable.level is Level.CLUSTER:
        return name.endswith(cluster, autoescape=True)
    below = name.startswith(f"{securable.local}.", autoescape=True)
    return or_(name == str(securable), and_(below, name.endswith(cluster, autoescape=True)))


def _given(grant: Grant, epoch: int) -> dict[str, Any]:
    """Return what is kept of how a grant was given last."""
    return {
        "granted_by": grant.granted_by,
        "granted_at": to_micros(grant.granted_at),
        "until": to_micros(grant.until) if grant.until else None,
        "epoch": epoch,
    }
