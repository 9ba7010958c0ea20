"""Grants as they are kept, with the policy epoch that every change bumps.

Every function uses the caller's connection and commits nothing: a change and its audit row share
one transaction. Times are microseconds since the epoch, UTC.
"""

from datetime import datetime
from functools import cache

from sqlalchemy import (
    BigInteger,
    Column,
    ColumnElement,
    Connection,
    Integer,
    MetaData,
    String,
    Table,
    UniqueConstraint,
    and_,
    delete,
    insert,
    or_,
    select,
    update,
)

from auth.grants import Grant
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
    UniqueConstraint("principal", "securable", "privilege", "effect"),
    # Ids appear in the audit log: a new grant never gets an old one's.
    sqlite_autoincrement=True,
)
_policy = Table(
    "policy",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("epoch", BigInteger, nullable=False),
)
_ONLY_ROW = 1


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
        self.bump()
        is_named = [_grants.c[name] == value for name, value in named.items()]
        found = self._connection.execute(select(_grants.c.id).where(*is_named)).scalar()
        if found is None:
            inserted = insert(_grants).values(**named, **changed).returning(_grants.c.id)
            found = self._connection.execute(inserted).scalar_one()
        else:
            self._connection.execute(update(_grants).where(_grants.c.id == found).values(**changed))
        return Grant(found, principal, effect, privilege, securable, granted_by, granted_at, until)

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
        return self._delete(*condition)

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

    def all(self) -> list[Grant]:
        """Return all grants in the order of their ids."""
        return self._read()

    def _remove_allows(self, condition: ColumnElement[bool]) -> list[Grant]:
        doomed = (condition, _grants.c.effect == Effect.ALLOW.value)
        found = self._read(*doomed)
        self._delete(*doomed)
        return found

    def _read(self, *condition: ColumnElement[bool]) -> list[Grant]:
        # Few names stand in many grants: each is read once.
        read_principal, read_securable = cache(Principal.parse), cache(ObjectName.parse)
        return [
            Grant(
                id=row.id,
                principal=read_principal(row.principal),
                effect=Effect(row.effect),
                privilege=Privilege(row.privilege),
                securable=read_securable(row.securable),
                granted_by=row.granted_by,
                granted_at=from_micros(row.granted_at),
                until=None if row.until is None else from_micros(row.until),
            )
            for row in self._connection.execute(
                select(_grants).where(*condition).order_by(_grants.c.id)
            )
        ]

    def epoch(self) -> int:
        """Return the policy epoch; 0 before the first change."""
        return self._connection.execute(select(_policy.c.epoch)).scalar() or 0

    def bump(self) -> int:
        """Raise the policy epoch by one, as every change of policy does, and return it."""
        bumped = self._connection.execute(
            update(_policy).where(_policy.c.id == _ONLY_ROW).values(epoch=_policy.c.epoch + 1)
        )
        if bumped.rowcount == 0:
            self._connection.execute(insert(_policy).values(id=_ONLY_ROW, epoch=1))
        return self.epoch()

    def _delete(self, *condition: ColumnElement[bool]) -> int:
        removed = self._connection.execute(delete(_grants).where(*condition)).rowcount
        if removed:
            self.bump()
        return removed


def _covered(securable: ObjectName) -> ColumnElement[bool]:
    """Return what holds for the names of an object and of all below it."""
    name, cluster = _grants.c.securable, f"@{securable.cluster}"
    if securable.level is Level.CLUSTER:
        return name.endswith(cluster, autoescape=True)
    below = name.startswith(f"{securable.local}.", autoescape=True)
    return or_(name == str(securable), and_(below, name.endswith(cluster, autoescape=True)))
