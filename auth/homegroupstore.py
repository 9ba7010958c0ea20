"""The groups that one cluster made for its own users, as they are kept.

A group is there because somebody made it, or because a user is in it (`auth.userstore` keeps who
is). Every function uses the caller's connection and commits nothing.
"""

from sqlalchemy import Column, Connection, MetaData, String, Table, delete, insert, select

from auth.principals import fold_principal

metadata = MetaData()

_groups = Table("home_groups", metadata, Column("name", String(63), primary_key=True))


class HomeGroupStore:
    """The groups that were made, with members or without, in the caller's transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def all(self) -> frozenset[str]:
        """Return their names."""
        return frozenset(self._connection.execute(select(_groups.c.name)).scalars())

    def add(self, name: str) -> None:
        """Keep a group that is not there yet.

        Raises:
            NotFoundError: When no group can be called so.
        """
        self._connection.execute(insert(_groups).values(name=fold_principal(name)))

    def remove(self, name: str) -> None:
        """Forget a group, if it was made."""
        self._connection.execute(delete(_groups).where(_groups.c.name == name.lower()))
