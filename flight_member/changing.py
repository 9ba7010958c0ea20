"""A change of a cluster's state: one transaction with its audit rows.

At a cluster's own terminal, of a member and of the MoM alike, whoever may write the state directory
administers the cluster; a server that runs notices what was changed. By a statement, the server
changes its state itself.
"""

import getpass
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from auth import AuditRecord
from auth.auditstore import AuditStore
from auth.grantstore import GrantStore
from auth.homegroupstore import HomeGroupStore
from auth.revocationstore import RevocationStore
from auth.userstore import UserStore
from flight_member.clock import Moment, utc_now
from flight_member.nodestore import NodeStore
from flight_member.settings import ServerSettings
from flight_member.statestore import Database
from storage.ownerstore import OwnerStore

_TERMINAL = "terminal"


class Home(Protocol):
    """A state directory: a member's or the MoM's."""

    @property
    def settings(self) -> ServerSettings:
        """The settings of the cluster."""

    def open_database(self) -> Database:
        """Open the durable state."""


@dataclass(frozen=True)
class Change:
    """One transaction: when, by whom, what is kept, and its audit rows."""

    at: datetime
    actor: str
    users: UserStore
    grants: GrantStore
    revocations: RevocationStore
    audit: AuditStore
    groups: HomeGroupStore
    owners: OwnerStore
    nodes: NodeStore
    source: str = _TERMINAL

    def record(self, action: str, changed: object, *, rule: str = "", epoch: int = 0) -> None:
        """Write an audit row about what was changed."""
        self.audit.append(
            AuditRecord(
                at=self.at,
                actor=self.actor,
                source=self.source,
                action=action,
                object=str(changed),
                allowed=True,
                rule=rule,
                epoch=epoch,
            )
        )


@contextmanager
def changing(home: Home, now: Moment = utc_now) -> Iterator[Change]:
    """Open a transaction for the time of a `with` block; it commits unless the block raises."""
    actor = f"{getpass.getuser()} at the terminal"
    with closing(home.open_database()) as database, changing_by(database, actor, now) as change:
        yield change


@contextmanager
def changing_by(
    database: Database, actor: str, now: Moment, source: str = _TERMINAL
) -> Iterator[Change]:
    """Open a transaction for the time of a `with` block; it commits unless the block raises.

    Args:
        database: What is changed.
        actor: Who changes it.
        now: The clock.
        source: Where the change comes from.
    """
    with database.change() as connection:
        yield Change(
            # Only now, behind the lock: what was proved before is older than the change.
            at=now(),
            actor=actor,
            users=UserStore(connection),
            grants=GrantStore(connection),
            revocations=RevocationStore(connection),
            audit=AuditStore(connection),
            groups=HomeGroupStore(connection),
            owners=OwnerStore(connection),
            nodes=NodeStore(connection),
            source=source,
        )
