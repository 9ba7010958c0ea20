"""The members of a federation as the MoM knows them, in one immutable snapshot.

The snapshot is replaced by one assignment when the membership, a member's report or a grant
changes; handlers read it without a lock. When each member was last heard from is kept apart,
because it changes all the time.
"""

import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from types import MappingProxyType

from auth import (
    GrantSet,
    KeyRing,
    PublicKey,
    RevocationSet,
    Rules,
    VisitorRules,
)
from auth.grantstore import GrantStore
from auth.groupstore import GroupStore
from auth.revocationstore import RevocationStore
from flight_member.errors import BadRequestError
from flight_member.logs import get_logger
from flight_member.protocol import NodeRow, Report, ReportedUser
from flight_member.settings import HeartbeatSection
from flight_member.statestore import Database
from flight_mom.memberstore import MemberStore, StoredMember
from flight_mom.reports import ReadReport, nothing_reported, read_report
from storage.metastore import Metastore, Table
from storage.names import ObjectName

_log = get_logger(__name__)


class MemberStatus(StrEnum):
    """How a member is doing, as the MoM sees it."""

    JOINING = "joining"
    ALIVE = "alive"
    SUSPECT = "suspect"
    DEAD = "dead"
    SUSPENDED = "suspended"

    @property
    def is_served(self) -> bool:
        """Whether tickets are made for the member."""
        return self in {MemberStatus.ALIVE, MemberStatus.SUSPECT}


class Route(StrEnum):
    """How a member's results reach visitors: widest trust last."""

    RELAY = "relay"
    DIRECT = "direct"


@dataclass(frozen=True, slots=True)
class Member:
    """One member, with what it last reported."""

    name: str
    hosts: tuple[str, ...]
    route: Route
    is_suspended: bool
    uri: str
    joined_at: datetime | None
    keys: tuple[PublicKey, ...]
    report_version: str
    metastore: Metastore
    users: Mapping[str, ReportedUser]
    rules: GrantSet
    """For the member's own users."""
    vetoes: GrantSet
    """For visitors: what the owner denies them."""


@dataclass(frozen=True, slots=True)
class Federation:
    """Everything that a decision and a route depend on."""

    members: Mapping[str, Member]
    grants: GrantSet
    keys: KeyRing
    revocations: RevocationSet

    @property
    def epoch(self) -> int:
        """The policy epoch: the number of the state of the grants."""
        return self.grants.epoch

    def table(self, name: ObjectName) -> Table | None:
        """Return a table, or None when it or its cluster does not exist."""
        member = self.members.get(name.cluster)
        return None if member is None else member.metastore.table(name)

    def mom_groups_of(self, caller: str) -> frozenset[str]:
        """Return the federation's groups that `user1@shanghai` is in."""
        return self.grants.mom_groups_of(caller)

    def namesakes(self, name: ObjectName) -> Iterator[ObjectName]:
        """Yield the same name on every cluster, ordered by cluster."""
        for cluster in sorted(self.members):
            yield ObjectName(cluster, name.catalog, name.schema, name.table)

    def rules_for(self, caller_cluster: str, table: ObjectName) -> Rules:
        """Return what decides: home rules at home, grants and the owner's vetoes elsewhere."""
        owner = self.members.get(table.cluster)
        if owner is None:
            return self.grants
        if caller_cluster == table.cluster:
            return owner.rules
        return self.visitor_rules(owner) if owner.vetoes else self.grants

    def visitor_rules(self, owner: Member) -> VisitorRules:
        """Return what decides on visitors of a member."""
        return VisitorRules(self.grants, owner.vetoes)


class Topology:
    """The current snapshot, who was last heard from when, and how both are renewed."""

    def __init__(
        self,
        cluster: str,
        database: Database,
        settings: HeartbeatSection,
        now: Callable[[], datetime],
    ) -> None:
        self._cluster = cluster
        self._database = database
        self._settings = settings
        self._now = now
        self._started_at = now()
        self._heard_at: dict[str, datetime] = {}
        self._nodes: dict[str, tuple[NodeRow, ...]] = {}
        self._refreshing = threading.Lock()
        self._own_keys: tuple[PublicKey, ...] = ()
        # The last report of each member as it is kept, and what it was read as.
        self._reports: dict[str, tuple[bytes, ReadReport]] = {}
        self.federation = self._read()

    def trust(self, *keys: PublicKey) -> None:
        """Count signatures of the MoM's own keys."""
        self._own_keys = keys
        self.refresh()

    def refresh(self) -> None:
        """Read the durable state again; called after every change of it."""
        with self._refreshing:
            self.federation = self._read()

    def notice(self) -> bool:
        """Read the durable state again if a command changed it; returns whether one had."""
        with self._database.read() as connection:
            epoch = GrantStore(connection).epoch()
        if epoch == self.federation.epoch:
            return False
        self.refresh()
        return True

    def hear(self, name: str, nodes: tuple[NodeRow, ...]) -> None:
        """Note a heartbeat."""
        self._heard_at[name] = self._now()
        self._nodes[name] = nodes

    def heard_at(self, name: str) -> datetime | None:
        """Return when a member was last heard from since this process started."""
        return self._heard_at.get(name)

    def status(self, member: Member) -> MemberStatus:
        """Return how a member is doing now.

        After a restart a member counts as heard from at the start, until the timeout passes.
        """
        if member.is_suspended:
            return MemberStatus.SUSPENDED
        if member.joined_at is None or not member.uri:
            return MemberStatus.JOINING
        silence = self._now() - self._heard_at.get(member.name, self._started_at)
        if silence > timedelta(seconds=self._settings.timeout_s):
            return MemberStatus.DEAD
        # Half an interval of grace keeps a beat that is merely late from looking missed.
        if silence > timedelta(seconds=self._settings.interval_s * 1.5):
            return MemberStatus.SUSPECT
        return MemberStatus.ALIVE

    def _read(self) -> Federation:
        with self._database.read() as connection:
            stored = MemberStore(connection).all()
            grants = GrantStore(connection)
            grant_set = GrantSet(grants.all(), grants.epoch(), GroupStore(connection).all())
            revocations = RevocationStore(connection).all()
        members = {one.name: self._member(one) for one in stored}
        ring = KeyRing()
        for key in self._own_keys:
            ring = ring.with_key(self._cluster, key)
        for member in members.values():
            for key in member.keys:
                ring = ring.with_key(member.name, key)
        return Federation(MappingProxyType(members), grant_set, ring, revocations)

    def _member(self, stored: StoredMember) -> Member:
        read = self._read_report(stored)
        return Member(
            name=stored.name,
            hosts=stored.hosts,
            route=Route(stored.route),
            is_suspended=stored.is_suspended,
            uri=stored.uri,
            joined_at=stored.joined_at,
            keys=tuple(PublicKey.from_text(text) for text in stored.public_keys),
            report_version=read.version,
            metastore=read.metastore,
            users=read.users,
            rules=read.rules,
            vetoes=read.vetoes,
        )

    def _read_report(self, stored: StoredMember) -> ReadReport:
        if stored.report is None:
            return nothing_reported(stored.name)
        kept, read = self._reports.get(stored.name, (b"", nothing_reported(stored.name)))
        if kept != stored.report:
            try:
                read = read_report(stored.name, Report.read(stored.report))
            except BadRequestError as error:
                # One member's report must not take the federation down; it is asked for another.
                _log.warning("report_unusable", member=stored.name, fault=error.text)
                read = nothing_reported(stored.name)
            self._reports[stored.name] = (stored.report, read)
        return read
