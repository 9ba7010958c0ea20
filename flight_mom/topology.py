"""The members of a federation as the MoM knows them, in one immutable snapshot.

The snapshot is replaced by one assignment when the membership, a member's report or a grant
changes; handlers read it without a lock. When each member was last heard from is kept apart,
because it changes all the time.
"""

import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from auth import (
    GrantSet,
    KeyRing,
    PublicKey,
    RevocationSet,
    Rules,
    VisitorRules,
)
from auth.policystore import UNKNOWN_EPOCH, PolicyStore
from auth.revocationstore import RevocationStore
from auth.userstore import UserStore
from flight_member.clock import Moment
from flight_member.revocationlog import KEPT
from flight_member.settings import HeartbeatSection
from flight_member.statestore import Database
from flight_mom.hearing import Hearing, Ticks
from flight_mom.markstore import Mark, read_mark
from flight_mom.membernodes import MemberNodes
from flight_mom.members import Member, MemberReader
from flight_mom.memberstore import MemberStore
from flight_mom.ownrules import OwnRules
from flight_mom.reports import ReadReport
from flight_mom.statelog import StateLog
from storage.metastore import Metastore, Table
from storage.names import ObjectName
from storage.tablestore import TableStore


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


@dataclass(frozen=True, slots=True)
class Federation:
    """Everything that a decision and a route depend on."""

    members: Mapping[str, Member]
    grants: GrantSet
    keys: KeyRing
    revocations: RevocationSet
    own: Metastore
    """The MoM's own tables."""
    administrators: frozenset[str] = frozenset()
    """Those of the MoM's own users who administer the federation."""

    @property
    def epoch(self) -> int:
        """The policy epoch: the number of the state of the grants."""
        return self.grants.epoch

    def table(self, name: ObjectName) -> Table | None:
        """Return a table, or None when it or its cluster does not exist."""
        metastore = self.metastore(name.cluster)
        return None if metastore is None else metastore.table(name)

    def metastore(self, cluster: str) -> Metastore | None:
        """Return the tables of a cluster, the MoM itself included; None when there is no such."""
        if cluster == self.own.cluster:
            return self.own
        member = self.members.get(cluster)
        return None if member is None else member.metastore

    def metastores(self) -> Iterator[Metastore]:
        """Yield the tables of every cluster, ordered by cluster."""
        for cluster in sorted({self.own.cluster, *self.members}):
            metastore = self.metastore(cluster)
            if metastore is not None:
                yield metastore

    def mom_groups_of(self, caller: str) -> frozenset[str]:
        """Return the federation's groups that `user1@shanghai` is in."""
        return self.grants.mom_groups_of(caller)

    def namesakes(self, name: ObjectName) -> Iterator[ObjectName]:
        """Yield the same name on every cluster, ordered by cluster."""
        for cluster in sorted({self.own.cluster, *self.members}):
            yield ObjectName(cluster, name.catalog, name.schema, name.table)

    def rules_for(self, caller_cluster: str, table: ObjectName) -> Rules:
        """Return what decides: home rules at home, grants and the owner's vetoes elsewhere."""
        owner, mom = self.members.get(table.cluster), self.own.cluster
        if caller_cluster == mom == table.cluster:
            return OwnRules(mom, self.grants, self.administrators)
        if owner is None:
            return self.grants
        if caller_cluster == table.cluster:
            return owner.rules
        return self.visitor_rules(owner) if owner.vetoes else self.grants

    def visitor_rules(self, owner: Member) -> VisitorRules:
        """Return what decides on visitors of a member."""
        return VisitorRules(self.grants, owner.vetoes)


# Older than any state: what is there is read as a whole.
_NOTHING = GrantSet(epoch=UNKNOWN_EPOCH)


class Topology:
    """The current snapshot, who was last heard from when, and how both are renewed."""

    def __init__(
        self,
        cluster: str,
        database: Database,
        settings: HeartbeatSection,
        now: Moment,
        ticks: Ticks = time.monotonic,
    ) -> None:
        self._cluster = cluster
        self._database = database
        self._settings = settings
        self._now = now
        self.nodes = MemberNodes(settings.interval_s)
        self.hearing = Hearing(database, settings.interval_s, now, ticks)
        self._current_at: dict[str, float] = {}
        self._refreshing = threading.Lock()
        self._own_keys: tuple[PublicKey, ...] = ()
        self._held_keys: Mapping[str, tuple[PublicKey, ...]] = {}
        self._members = MemberReader()
        self._last_revocation = 0
        self._mark: Mark = ()
        own = Metastore(cluster, UNKNOWN_EPOCH, ())
        known = self._members.known
        self.federation = Federation(known, _NOTHING, KeyRing(), RevocationSet(), own)
        self.federation = self._read()
        self.states = StateLog(database, self._states, now)

    def trust(self, *keys: PublicKey) -> None:
        """Count signatures of the MoM's own keys."""
        self._own_keys = keys
        self.refresh()

    def refresh(self) -> None:
        """Read the durable state again; called after every change of it."""
        with self._refreshing:
            self.federation = self._read()

    def check(self) -> bool:
        """Make sure that no other replica has changed what decisions depend on.

        One tiny question where other replicas can be, and none where not: there, whatever changes
        the state while the server runs is noticed by `notice`.

        Returns:
            Whether something had changed.

        Raises:
            StateUnavailableError: When that cannot be known.
        """
        if not self._database.is_shared:
            return False
        mark = read_mark(self._database)
        if mark == self._mark:
            return False
        with self._refreshing:
            # Of many that see the change, one reads it.
            if mark != self._mark:
                self.federation = self._read()
                self._mark = mark
        return True

    def expect_report(self, name: str, digest: str, read: ReadReport) -> None:
        """Take over what a report was read as that is being kept; see `MemberReader.expect`."""
        self._members.expect(name, digest, read)

    def notice(self) -> bool:
        """Read the durable state again if a command changed it; returns whether one had."""
        before = self.federation
        self.refresh()
        return self.federation is not before

    def hear(self, name: str, current_at: float = 0) -> None:
        """Note a heartbeat.

        Args:
            name: Whose it is.
            current_at: Until when its last report was what it is, by its own clock; 0 when it is
                not any more.
        """
        self.hearing.note(name)
        self._current_at[name] = max(current_at, self._current_at.get(name, 0))

    def told_at(self, member: Member) -> float:
        """Return until when the MoM knows how a member is, by the member's own clock."""
        return max(member.reported_at, self._current_at.get(member.name, 0))

    def heard_at(self, name: str) -> datetime | None:
        """Return when a member was last heard from, at any replica, since this one started."""
        heard = self.hearing.last(name)
        return None if heard is None else heard.at

    def status(self, member: Member) -> MemberStatus:
        """Return how a member is doing now.

        After a restart a member counts as heard from at the start, until the timeout passes.
        """
        if member.is_suspended:
            return MemberStatus.SUSPENDED
        is_awaited = self.hearing.is_awaited(member.name)
        if is_awaited or member.joined_at is None or not member.uri:
            return MemberStatus.JOINING
        silence_s = self.hearing.silence_s(member.name)
        if silence_s > self._settings.timeout_s:
            return MemberStatus.DEAD
        # Half an interval of grace keeps a beat that is merely late from looking missed.
        if silence_s > self._settings.interval_s * 1.5:
            return MemberStatus.SUSPECT
        return MemberStatus.ALIVE

    def state_since(self, member: Member, status: MemberStatus) -> datetime:
        """Return since when a member is as it is, as far as that was noted."""
        return self.states.since(member.name, status) or self.hearing.started.at

    def _await_joined(self, known: Mapping[str, Member], members: Mapping[str, Member]) -> None:
        """Expect members that have joined since, for the first time or again."""
        for name in known.keys() & members.keys() if members is not known else ():
            if members[name].joined_at != known[name].joined_at:
                self.hearing.await_first(name)

    def _states(self) -> dict[str, str | None]:
        """Return how each member is; None of one that may still be heard from after a restart."""
        states: dict[str, str | None] = {}
        for name, member in self.federation.members.items():
            status = self.status(member)
            is_awaited = status.is_served and self.hearing.last(name) is None
            states[name] = None if is_awaited else str(status)
        return states

    def _read(self) -> Federation:
        """Return the state as it is; the one that is known when nothing has changed."""
        known = self.federation
        with self._database.read() as connection:
            grants = PolicyStore(connection).renew(known.grants)
            members = self._members.renew(MemberStore(connection))
            self._await_joined(known.members, members)
            revoked = RevocationStore(connection).after(self._last_revocation)
            own = self._read_own(known.own, TableStore(connection))
            administrators = UserStore(connection).administrators()
        keys = known.keys
        if members is not known.members or self._own_keys != self._held_keys.get(self._cluster):
            held = {member.name: member.keys for member in members.values()}
            held[self._cluster] = self._own_keys
            # One object for the same keys: what was checked with it need not be again.
            if held != self._held_keys:
                keys = KeyRing(held)
            self._held_keys = held
        elif (
            grants is known.grants
            and own is known.own
            and administrators == known.administrators
            and not revoked
        ):
            return known
        revocations = known.revocations
        if revoked:
            oldest = self._now() - KEPT
            revocations = revocations.with_more(revoked.values(), forget_before=oldest)
        self._last_revocation = max(revoked, default=self._last_revocation)
        return Federation(members, grants, keys, revocations, own, administrators)

    def _read_own(self, known: Metastore, tables: TableStore) -> Metastore:
        version = tables.version()
        return (
            known if version == known.version else Metastore(self._cluster, version, tables.all())
        )
