"""The users of one cluster as they are kept: password hashes, groups, who is locked.

Every function uses the caller's connection and commits nothing: a change and its audit row share
one transaction. Each change notes its time, because tokens from before it no longer count.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from uuid import uuid4

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Connection,
    MetaData,
    String,
    Table,
    delete,
    insert,
    select,
    update,
)

from auth.errors import AlreadyExistsError, NotFoundError
from auth.principals import fold_principal
from auth.times import from_micros, to_micros

metadata = MetaData()

_users = Table(
    "users",
    metadata,
    Column("name", String(63), primary_key=True),
    Column("id", String(32), nullable=False, unique=True),
    Column("password_hash", String(255), nullable=False),
    Column("is_admin", Boolean, nullable=False),
    Column("is_locked", Boolean, nullable=False),
    Column("changed_at", BigInteger, nullable=False),
)
_members = Table(
    "user_groups",
    metadata,
    Column("user_name", String(63), primary_key=True),
    Column("group_name", String(63), primary_key=True),
)


@dataclass(frozen=True, slots=True)
class User:
    """One user of the cluster."""

    id: str
    """32 hex digits, never used again: whoever is added under an old name is somebody else."""
    name: str
    password_hash: str = field(repr=False)
    is_admin: bool
    is_locked: bool
    groups: frozenset[str]
    changed_at: datetime
    """Tokens issued before this no longer count."""


class UserStore:
    """The cluster's own users, in the caller's transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def add(
        self,
        name: str,
        password_hash: str,
        is_admin: bool = False,
        groups: Iterable[str] = (),
        *,
        now: datetime | None = None,
    ) -> User:
        """Keep a new user.

        Args:
            name: The name at home; letters are folded.
            password_hash: What `hash_password` returned.
            is_admin: Whether they administer the cluster.
            groups: The groups that they are in.
            now: The time of the change; the clock's when None.

        Raises:
            NotFoundError: When nobody can be called so.
            AlreadyExistsError: When there is a user of that name.
        """
        name = fold_principal(name)
        if self.find(name) is not None:
            raise AlreadyExistsError(f"there is a user {name} already")
        user = User(
            id=uuid4().hex,
            name=name,
            password_hash=password_hash,
            is_admin=is_admin,
            is_locked=False,
            groups=_fold_groups(groups),
            changed_at=now or datetime.now(UTC),
        )
        self._connection.execute(
            insert(_users).values(
                id=user.id,
                name=name,
                password_hash=password_hash,
                is_admin=is_admin,
                is_locked=False,
                changed_at=to_micros(user.changed_at),
            )
        )
        self._insert_groups(name, user.groups)
        return user

    def remove(self, name: str) -> None:
        """Forget a user.

        Raises:
            NotFoundError: When there is no such user.
        """
        name = fold_principal(name)
        self._connection.execute(delete(_members).where(_members.c.user_name == name))
        if self._connection.execute(delete(_users).where(_users.c.name == name)).rowcount == 0:
            raise _unknown(name)

    def set_password(self, name: str, password_hash: str, *, now: datetime | None = None) -> None:
        """Give a user another password; older tokens no longer count.

        Raises:
            NotFoundError: When there is no such user.
        """
        self._change(name, now, password_hash=password_hash)

    def set_locked(
        self,
        name: str,
        is_locked: bool,
        *,
        now: datetime | None = None,
    ) -> None:
        """Lock or unlock a user; older tokens no longer count.

        Raises:
            NotFoundError: When there is no such user.
        """
        self._change(name, now, is_locked=is_locked)

    def set_admin(self, name: str, is_admin: bool, *, now: datetime | None = None) -> None:
        """Make a user an administrator, or not any more; older tokens no longer count.

        Raises:
            NotFoundError: When there is no such user.
        """
        self._change(name, now, is_admin=is_admin)

    def set_groups(self, name: str, groups: Iterable[str], *, now: datetime | None = None) -> None:
        """Put a user into exactly these groups; older tokens no longer count.

        Raises:
            NotFoundError: When there is no such user, or nothing can be called as a group is.
        """
        folded = _fold_groups(groups)
        self._change(name, now)
        name = fold_principal(name)
        self._connection.execute(delete(_members).where(_members.c.user_name == name))
        self._insert_groups(name, folded)

    def find(self, name: str) -> User | None:
        """Return the user of that name, in any case, or None."""
        found = self._read(name.lower())
        return found[0] if found else None

    def all(self) -> list[User]:
        """Return all users by name."""
        return self._read(None)

    def administrators(self) -> frozenset[str]:
        """Return the names of the users who administer the cluster and are not locked."""
        found = select(_users.c.name).where(_users.c.is_admin, ~_users.c.is_locked)
        return frozenset(self._connection.execute(found).scalars())

    def _read(self, name: str | None) -> list[User]:
        users, members = select(_users).order_by(_users.c.name), select(_members)
        if name is not None:
            users = users.where(_users.c.name == name)
            members = members.where(_members.c.user_name == name)
        groups: dict[str, set[str]] = {}
        for row in self._connection.execute(members):
            groups.setdefault(row.user_name, set()).add(row.group_name)
        return [
            User(
                id=row.id,
                name=row.name,
                password_hash=row.password_hash,
                is_admin=row.is_admin,
                is_locked=row.is_locked,
                groups=frozenset(groups.get(row.name, ())),
                changed_at=from_micros(row.changed_at),
            )
            for row in self._connection.execute(users)
        ]

    def _change(self, name: str, now: datetime | None, **values: str | bool) -> None:
        name = fold_principal(name)
        changed = self._connection.execute(
            update(_users)
            .where(_users.c.name == name)
            .values(changed_at=to_micros(now or datetime.now(UTC)), **values)
        )
        if changed.rowcount == 0:
            raise _unknown(name)

    def _insert_groups(self, name: str, groups: Iterable[str]) -> None:
        rows = [{"user_name": name, "group_name": group} for group in sorted(groups)]
        if rows:
            self._connection.execute(insert(_members), rows)


def _fold_groups(groups: Iterable[str]) -> frozenset[str]:
    return frozenset(fold_principal(group) for group in groups)


def _unknown(name: str) -> NotFoundError:
    return NotFoundError(f"there is no user {name}")
