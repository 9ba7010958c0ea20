"""The federation's own groups as they are kept at the MoM; their members are of any cluster.

Every function uses the caller's connection and commits nothing: a change and its audit row share
one transaction. Membership decides what may be read, so every change bumps the policy epoch (kept
by `auth.grantstore`, whose tables must be there too).
"""

from sqlalchemy import (
    Column,
    Connection,
    ForeignKey,
    MetaData,
    String,
    Table,
    delete,
    insert,
    select,
)

from auth.decisions import Grant
from auth.errors import AlreadyExistsError, NotFoundError
from auth.grantstore import GrantStore
from auth.principals import Principal, fold_principal

metadata = MetaData()

_groups = Table("mom_groups", metadata, Column("name", String(63), primary_key=True))
_members = Table(
    "mom_group_members",
    metadata,
    Column("group_name", ForeignKey("mom_groups.name"), primary_key=True),
    Column("member", String(200), primary_key=True),
)


class GroupStore:
    """The groups that belong to no cluster, in the caller's transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._grants = GrantStore(connection)

    def create(self, name: str) -> None:
        """Make an empty group.

        Raises:
            NotFoundError: When no group can be called so.
            AlreadyExistsError: When there is a group of that name.
        """
        name = fold_principal(name)
        if self._is_known(name):
            raise AlreadyExistsError(f"there is a group {name} already")
        self._connection.execute(insert(_groups).values(name=name))
        self._grants.bump(groups=True)

    def drop(self, name: str) -> list[Grant]:
        """Forget a group, its members and its ALLOWs; DENYs to it stay by name.

        Returns:
            The ALLOWs that were taken away.

        Raises:
            NotFoundError: When there is no such group.
        """
        name = self._known(name)
        self._connection.execute(delete(_members).where(_members.c.group_name == name))
        self._connection.execute(delete(_groups).where(_groups.c.name == name))
        removed = self._grants.remove_allows_to(Principal("group", name))
        self._grants.bump(groups=True)
        return removed

    def add_member(self, name: str, user: Principal) -> bool:
        """Put a user into a group; returns False when they were in it.

        Raises:
            NotFoundError: When there is no such group, or `user` is a group.
        """
        name = self._known(name)
        if user.kind != "user":
            raise NotFoundError(f"{user} is not a user: groups hold users only")
        row = {"group_name": name, "member": str(user)}
        is_member = [_members.c[column] == value for column, value in row.items()]
        if self._connection.execute(select(_members).where(*is_member)).first() is not None:
            return False
        self._connection.execute(insert(_members).values(**row))
        self._grants.bump(groups=True)
        return True

    def remove_member(self, name: str, user: Principal) -> bool:
        """Take a user out of a group; returns False when they were not in it.

        Raises:
            NotFoundError: When there is no such group.
        """
        name = self._known(name)
        removed = self._connection.execute(
            delete(_members).where(_members.c.group_name == name, _members.c.member == str(user))
        )
        if removed.rowcount:
            self._grants.bump(groups=True)
        return removed.rowcount > 0

    def leave_all(self, user: Principal) -> list[str]:
        """Take a user out of every group; returns the names of those they were in."""
        is_member = _members.c.member == str(user)
        left = list(
            self._connection.execute(
                select(_members.c.group_name).where(is_member).order_by(_members.c.group_name)
            ).scalars()
        )
        if left:
            self._connection.execute(delete(_members).where(is_member))
            self._grants.bump(groups=True)
        return left

    def all(self) -> dict[str, frozenset[str]]:
        """Return every group with the names of its members, as `GrantSet` takes them."""
        names = self._connection.execute(select(_groups.c.name).order_by(_groups.c.name)).scalars()
        found: dict[str, set[str]] = {name: set() for name in names}
        for row in self._connection.execute(select(_members)):
            found[row.group_name].add(row.member)
        return {name: frozenset(members) for name, members in found.items()}

    def _is_known(self, name: str) -> bool:
        query = select(_groups.c.name).where(_groups.c.name == name)
        return self._connection.execute(query).first() is not None

    def _known(self, name: str) -> str:
        name = fold_principal(name)
        if not self._is_known(name):
            raise NotFoundError(f"GROUP {name} does not exist; SHOW GROUPS lists those there are")
        return name
