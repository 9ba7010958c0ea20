"""What a member knows, as one immutable snapshot that handlers read without a lock.

The durable state is the database, which command-line tools change while the server runs; a
refresh notices that by the versions that every change bumps and replaces the snapshot by one
assignment.
"""

import base64
import hashlib
import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from auth import Grant, GrantSet, HomeRules, Identity, Principal
from auth.grantstore import GrantStore
from auth.homegroupstore import HomeGroupStore
from auth.userstore import User, UserStore
from flight_member.clock import Moment, utc_now
from flight_member.errors import ConfigurationError
from flight_member.protocol import DepartedPlace, Report, ReportedGrant, ReportedUser
from flight_member.statestore import Database
from storage.metastore import Metastore, Table
from storage.names import ObjectName
from storage.placestore import PlaceStore
from storage.replica import write_replica
from storage.tablestore import TableStore

# The MoM hears of each with the next report; a member that is away keeps as many for it.
_MAX_DROPPED = 10_000


@dataclass(frozen=True, slots=True)
class MemberSnapshot:
    """One state of a member: its tables, its users, its home rules, its vetoes on visitors."""

    metastore: Metastore
    users: Mapping[str, User]
    rules: HomeRules
    vetoes: GrantSet = GrantSet()  # noqa: RUF009  immutable
    dropped: tuple[str, ...] = ()
    """Ids of tables that were dropped."""
    departed: tuple[DepartedPlace, ...] = ()
    """Schemas and catalogs that were dropped or renamed."""
    groups: frozenset[str] = frozenset()
    """The groups that were made here, with members or without."""

    @property
    def epoch(self) -> int:
        """The number of the state of the home rules."""
        return self.rules.epoch

    def table(self, name: ObjectName) -> Table | None:
        """Return a table, or None when there is none of that name."""
        return self.metastore.table(name)

    def rules_for(self, caller_cluster: str, name: ObjectName) -> HomeRules:
        """Return the home rules: nothing else decides at home."""
        del caller_cluster, name
        return self.rules

    def mom_groups_of(self, caller: str) -> frozenset[str]:
        """Return nothing: the federation's groups count for nobody at home."""
        del caller
        return frozenset()

    def namesakes(self, name: ObjectName) -> tuple[ObjectName, ...]:
        """Return nothing: other clusters' tables are the MoM's to know."""
        del name
        return ()

    def is_principal(self, principal: Principal) -> bool:
        """Whether there is such a user or group of this cluster."""
        if principal.kind == "user":
            return principal.name in self.users
        return principal.name in self.groups or any(
            principal.name in user.groups for user in self.users.values()
        )

    def is_current(self, identity: Identity, issued_at: float) -> bool:
        """Whether a token issued then still speaks for its user as they are now."""
        user = self.users.get(identity.user)
        return user is not None and not user.is_locked and user.changed_at.timestamp() <= issued_at

    def reported_users(self) -> tuple[ReportedUser, ...]:
        """Return the users as other servers know them: without their passwords' hashes."""
        return tuple(
            ReportedUser(
                id=user.id,
                name=user.name,
                groups=tuple(sorted(user.groups)),
                is_admin=user.is_admin,
                is_locked=user.is_locked,
                changed_at=user.changed_at.timestamp(),
            )
            for user in self.users.values()
        )

    def report(self) -> Report:
        """Return what the MoM replicates; equal states give equal versions."""
        report = Report(
            version="",
            metastore=base64.b64encode(write_replica(self.metastore)).decode(),
            users=self.reported_users(),
            # What is written is decided here alone.
            grants=tuple(reported(one) for one in self.rules if one.privilege.is_federated),
            vetoes=tuple(map(reported, self.vetoes)),
            dropped=self.dropped,
            departed=self.departed,
        )
        version = hashlib.sha256(report.write()).hexdigest()[:32]
        return report.model_copy(update={"version": version})


class MemberState:
    """The current snapshot of one member, and how it is renewed."""

    def __init__(self, cluster: str, database: Database, now: Moment = utc_now) -> None:
        self._cluster = cluster
        self._database = database
        self._now = now
        self._refreshing = threading.Lock()
        self._snapshot, self._report = self._read()

    @property
    def snapshot(self) -> MemberSnapshot:
        """The newest state that was read."""
        return self._snapshot

    @property
    def report(self) -> Report:
        """The newest state as the MoM replicates it."""
        return self._report

    def metastore(self) -> Metastore:
        """Return the newest metastore."""
        return self._snapshot.metastore

    def refresh(self) -> bool:
        """Read the database again; returns whether anything had changed."""
        with self._refreshing:
            fresh, report = self._read()
            known = self._snapshot
            # Not all that counts here is the MoM's business.
            is_same = (fresh.epoch, fresh.groups) == (known.epoch, known.groups)
            if is_same and report.version == self._report.version:
                # Only when it was read is new; the MoM is told with the next heartbeat.
                self._report = report
                return False
            self._snapshot, self._report = fresh, report
            return True

    def is_current(self, identity: Identity, issued_at: float) -> bool:
        """Whether a token issued then still speaks for its user as they are now."""
        return self._snapshot.is_current(identity, issued_at)

    def _read(self) -> tuple[MemberSnapshot, Report]:
        read_at = self._now().timestamp()
        snapshot = self._read_snapshot()
        return snapshot, snapshot.report().model_copy(update={"read_at": read_at})

    def _read_snapshot(self) -> MemberSnapshot:
        with self._database.read() as connection:
            tables = TableStore(connection)
            found, grants = tables.all(), GrantStore(connection)
            epoch, kept = grants.epoch(), grants.all()
            self._require_own(one.name for one in found)
            self._require_own(one.securable for one in kept)
            places = PlaceStore(connection).all()
            metastore = Metastore(self._cluster, tables.version(), found, places)
            return MemberSnapshot(
                metastore=metastore,
                users=MappingProxyType({u.name: u for u in UserStore(connection).all()}),
                rules=HomeRules(
                    GrantSet([one for one in kept if self._is_home(one)], epoch),
                    metastore.owners(),
                ),
                vetoes=GrantSet([one for one in kept if not self._is_home(one)], epoch),
                dropped=tuple(tables.dropped(_MAX_DROPPED)),
                departed=tuple(
                    DepartedPlace(id=one.id, name=one.name, new_name=one.new_name)
                    for one in tables.departed(_MAX_DROPPED)
                ),
                groups=HomeGroupStore(connection).all(),
            )

    def _require_own(self, names: Iterable[ObjectName]) -> None:
        """Refuse the state of a cluster of another name.

        Raises:
            ConfigurationError: When the name in the settings was changed.
        """
        owners = {name.cluster for name in names} - {self._cluster}
        if owners:
            fault = (
                f"cluster.name: this directory is that of {min(owners)}, and a cluster keeps its "
                f"name; write {min(owners)} again, or make a cluster with flight-member init"
            )
            raise ConfigurationError([fault])

    def _is_home(self, grant: Grant) -> bool:
        return grant.principal.cluster == self._cluster


def reported(grant: Grant) -> ReportedGrant:
    """Return a home rule, or a veto, as it travels."""
    return ReportedGrant(
        principal=str(grant.principal),
        effect=str(grant.effect),
        privilege=str(grant.privilege),
        securable=str(grant.securable),
        until=None if grant.until is None else grant.until.timestamp(),
    )
