"""A change made at a cluster's own terminal: one transaction with its audit rows.

For a member and for the MoM alike: whoever may write the state directory administers the cluster.
A server that runs notices what was changed.
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
from auth.revocationstore import RevocationStore
from auth.userstore import UserStore
from flight_member.clock import Moment, utc_now
from flight_member.settings import ServerSettings
from flight_member.statestore import Database


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

    def record(self, action: str, changed: object, *, rule: str = "", epoch: int = 0) -> None:
        """Write an audit row about what was changed."""
        self.audit.append(
            AuditRecord(
                at=self.at,
                actor=self.actor,
                source="terminal",
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
    with closing(home.open_database()) as database, database.change() as connection:
        yield Change(
            # Only now, behind the lock: what was proved before is older than the change.
            at=now(),
            actor=f"{getpass.getuser()} at the terminal",
            users=UserStore(connection),
            grants=GrantStore(connection),
            revocations=RevocationStore(connection),
            audit=AuditStore(connection),
        )
