"""What the desks of the MoM work with: its state, who may change it, and the clock."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Self

from auth import AuditRecord, Identity
from auth.auditstore import AuditStore
from auth.grantstore import GrantStore
from auth.groupstore import GroupStore
from auth.revocationstore import RevocationStore
from flight_member.administrators import Administrators
from flight_member.clock import Moment
from flight_member.statestore import Database
from flight_mom.directory import Directory
from flight_mom.memberstatestore import MemberStateStore
from flight_mom.memberstore import MemberStore
from flight_mom.tableidstore import TableIdStore
from flight_mom.topology import Federation, Topology


@dataclass(frozen=True, slots=True)
class Stores:
    """What one transaction changes at the MoM, and where it writes that down."""

    members: MemberStore
    states: MemberStateStore
    table_ids: TableIdStore
    groups: GroupStore
    grants: GrantStore
    revocations: RevocationStore
    audit: AuditStore


@dataclass(frozen=True, slots=True)
class Office:
    """What every desk is given."""

    cluster: str
    database: Database
    topology: Topology
    administrators: Administrators
    directory: Directory
    now: Moment

    @classmethod
    def of(cls, cluster: str, database: Database, topology: Topology, now: Moment) -> Self:
        """Return the office of a MoM, with its own administrators and users."""
        administrators = Administrators(cluster, database)
        return cls(cluster, database, topology, administrators, Directory(cluster, database), now)

    @property
    def federation(self) -> Federation:
        """The newest state; whoever decides by it takes it once."""
        return self.topology.federation

    def admit(self, caller: Identity, source: str, action: str, named: str = "") -> AuditRecord:
        """Let administrators through; that anybody else asked is written down.

        Args:
            caller: Who asks.
            source: The address they ask from.
            action: What they ask for, as the audit names it.
            named: What it concerns.

        Returns:
            The audit record of what they are about to do.

        Raises:
            PermissionDeniedError: When the caller does not administer the federation.
        """
        record = AuditRecord(
            at=self.now(),
            actor=caller.name,
            source=source,
            action=action,
            object=named,
            allowed=True,
        )
        self.administrators.admit(caller, record)
        return record

    @contextmanager
    def change(self) -> Iterator[Stores]:
        """Open a transaction for the time of a `with` block; it commits unless the block raises."""
        with self.database.change() as connection:
            yield Stores(
                MemberStore(connection),
                MemberStateStore(connection),
                TableIdStore(connection),
                GroupStore(connection),
                GrantStore(connection),
                RevocationStore(connection),
                AuditStore(connection),
            )
