"""Where users' statements were sent: which members to ask for their jobs, also after a restart.

Every function takes the caller's connection. Times are seconds since the epoch, UTC.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta

from sqlalchemy import (
    Column,
    Connection,
    Float,
    MetaData,
    String,
    Table,
    delete,
    insert,
    select,
)

metadata = MetaData()

_places = Table(
    "job_places",
    metadata,
    Column("user_name", String(128), primary_key=True),
    Column("cluster", String(63), primary_key=True),
    Column("home", String(63), nullable=False, index=True),
    Column("sent_at", Float, nullable=False),
)


class JobPlaceStore:
    """The clusters that users' statements were sent to, in the caller's transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def note(self, places: Iterable[tuple[str, str]], sent_at: datetime) -> None:
        """Keep that statements of users (`user1@shanghai`) were sent to clusters, by now."""
        for user, cluster in places:
            self._connection.execute(
                delete(_places).where(_places.c.user_name == user, _places.c.cluster == cluster)
            )
            self._connection.execute(
                insert(_places).values(
                    user_name=user,
                    cluster=cluster,
                    home=user.rpartition("@")[2],
                    sent_at=sent_at.timestamp(),
                )
            )

    def of_user(self, user: str) -> set[str]:
        """Return the clusters that a user's statements were sent to."""
        chosen = select(_places.c.cluster).where(_places.c.user_name == user)
        return set(self._connection.execute(chosen).scalars())

    def of_home(self, home: str) -> set[str]:
        """Return the clusters that the statements of all users of a cluster were sent to."""
        chosen = select(_places.c.cluster).where(_places.c.home == home).distinct()
        return set(self._connection.execute(chosen).scalars())

    def forget(self, now: datetime, keep_days: int) -> None:
        """Forget where nothing was sent for so many days."""
        oldest = (now - timedelta(days=keep_days)).timestamp()
        self._connection.execute(delete(_places).where(_places.c.sent_at < oldest))
