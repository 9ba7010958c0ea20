"""A MoM's state of any size: members with users, groups and tables, and grants among them.

Members and their reports go in as they would from members; the grants go in row by row, as `GRANT`
leaves them, but in few large transactions.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final
from uuid import uuid4

import pyarrow as pa

from auth import Effect, Grant, HomeRules, Principal, Privilege, SigningKey
from auth.grantstore import GrantStore
from auth.groupstore import GroupStore
from auth.userstore import User
from flight_member.configuration import load_settings
from flight_member.memberstate import MemberSnapshot
from flight_mom.memberstore import MemberStore
from flight_mom.momhome import MomHome
from flight_mom.settings import MomSettings
from storage.metastore import Metastore, Table
from storage.names import ObjectName

CLUSTER: Final = "headquarters"
USERS, GROUPS, TABLES = 50, 5, 100
"""Of each member."""
MOM_GROUPS: Final = 100
_MADE_AT = datetime(2026, 1, 1, tzinfo=UTC)
_CHUNK = 20_000
_DENIED_TURN = 7


@dataclass(frozen=True, slots=True)
class GrantState:
    """How much there is; everything else follows from it, the same every time."""

    clusters: int
    grants: int

    def member(self, number: int) -> str:
        """Return the name of a member."""
        return f"c{number % self.clusters}"

    def user(self, cluster: int, number: int) -> Principal:
        """Return a user of a member."""
        return Principal("user", f"u{number % USERS}", self.member(cluster))

    def table(self, cluster: int, number: int) -> ObjectName:
        """Return a table of a member: ten schemas of ten tables in one catalog."""
        number %= TABLES
        return ObjectName(self.member(cluster), "lake", f"s{number // 10}", f"t{number % 10}")

    def make(self, directory: Path, progress: Callable[[str], None]) -> MomHome:
        """Write the state of a MoM into a directory.

        Args:
            directory: Where; it must not be there yet.
            progress: Told what has just been done, once for each of `steps`.
        """
        flags = {"cluster.name": CLUSTER, "server.port": 0, "state.directory": str(directory)}
        home = MomHome.create(load_settings(MomSettings, None, flags).settings)
        database = home.open_database()
        with database.change() as connection:
            members = MemberStore(connection)
            for number in range(self.clusters):
                self._join(members, number)
            groups = GroupStore(connection)
            for number in range(MOM_GROUPS):
                groups.create(f"g{number}")
                for user in range(USERS):
                    groups.add_member(f"g{number}", self.user(number * USERS + user, user))
        progress("members")
        made = self._grants()
        for first in range(0, self.grants, _CHUNK):
            with database.change() as connection:
                count = min(_CHUNK, self.grants - first)
                GrantStore(connection).add_all(next(made) for _ in range(count))
            progress(f"{first + count:,} grants")
        database.close()
        return home

    @property
    def steps(self) -> int:
        """How often `make` reports progress."""
        return 1 + -(-self.grants // _CHUNK)

    def _join(self, members: MemberStore, number: int) -> None:
        name = self.member(number)
        key = SigningKey.generate().public_key
        members.add(name, ("127.0.0.1",), "relay", _MADE_AT)
        members.set_joined(name, "grpc://127.0.0.1:1", key, _MADE_AT)
        tables = [_table(self.table(number, table)) for table in range(TABLES)]
        snapshot = MemberSnapshot(Metastore(name, 1, tables), _users(), HomeRules())
        members.set_report(name, snapshot.report().write())

    def _grants(self) -> Iterator[Grant]:
        """Yield grants, no two alike, of every principal in turn on one cluster after the other.

        Of ten grants of one principal, seven are on tables, two on schemas and one on a catalog;
        every twentieth denies.
        """
        per_cluster = USERS + GROUPS
        for number in range(self.grants):
            holder, turn = (
                number % (self.clusters * per_cluster),
                number // (self.clusters * per_cluster),
            )
            home, place = divmod(holder, per_cluster)
            securable = self._securable(home + 1 + turn, place, turn)
            yield Grant(
                id=0,
                principal=self._principal(home, place, turn),
                effect=Effect.DENY if turn % 20 == _DENIED_TURN else Effect.ALLOW,
                privilege=Privilege.for_level(securable.level),
                securable=securable,
                granted_by=f"admin@{CLUSTER}",
                granted_at=_MADE_AT,
            )

    def _principal(self, home: int, place: int, turn: int) -> Principal:
        if place < USERS:
            return self.user(home, place)
        group = place - USERS
        # One grant of each group's ten is to a group of the MoM instead.
        if turn % 10 == 0:
            return Principal("group", f"g{(home * GROUPS + group) % MOM_GROUPS}")
        return Principal("group", f"g{group}", self.member(home))

    def _securable(self, cluster: int, place: int, turn: int) -> ObjectName:
        table = self.table(cluster, place * 7 + turn * 13)
        match turn % 10:
            case 1:
                return ObjectName(table.cluster, table.catalog)
            case 2 | 3:
                return ObjectName(table.cluster, table.catalog, table.schema)
            case _:
                return table


def _users() -> dict[str, User]:
    return {
        f"u{number}": User(
            id=f"{number:032x}",
            name=f"u{number}",
            password_hash="",
            is_admin=False,
            is_locked=False,
            groups=frozenset({f"g{number % GROUPS}"}),
            changed_at=_MADE_AT,
        )
        for number in range(USERS)
    }


def _table(name: ObjectName) -> Table:
    return Table(
        id=uuid4().hex,
        name=name,
        arrow_schema=pa.schema([("id", pa.int64()), ("value", pa.float64())]),
        partition_columns=(),
        schema_version=1,
        snapshot="s",
        row_count=0,
        byte_count=0,
        file_count=0,
    )
