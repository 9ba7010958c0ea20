"""A MoM whose members have very many tables, of which one caller may read a few and one all."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final
from uuid import uuid4

import pyarrow as pa

from auth import Effect, Grant, HomeRules, Principal, Privilege, SigningKey, seal_identity_token
from auth.grantstore import GrantStore
from auth.userstore import User
from bench.children import running_child
from bench.grantstate import CLUSTER
from flight_member.configuration import load_settings
from flight_member.memberstate import MemberSnapshot
from flight_mom.memberstore import MemberStore
from flight_mom.momhome import MomHome
from flight_mom.settings import MomSettings
from storage.metastore import Metastore, Table
from storage.names import ObjectName

MEMBERS: Final = 10
FEW: Final = 50
READER, OWNER = "reader", "owner"
"""Who may read a few tables, and who may read all."""
_HOME = "visitors"
_PER_SCHEMA = 100
_COLUMNS = pa.schema(
    [
        *((f"number_{n}", pa.int64()) for n in range(8)),
        *((f"text_{n}", pa.string()) for n in range(8)),
        ("price", pa.decimal128(18, 4)),
        ("day", pa.date32()),
        ("moment", pa.timestamp("us", "UTC")),
        ("year", pa.int64()),
    ]
)


@dataclass(frozen=True, slots=True)
class MetadataState:
    """How many tables there are in all, spread over ten members; and who asks."""

    tables: int
    key: SigningKey

    @classmethod
    def of(cls, tables: int) -> "MetadataState":
        """Return the state with so many tables; the visitors' cluster gets a new key."""
        return cls(tables, SigningKey.generate())

    def table(self, number: int) -> ObjectName:
        """Return one of the tables: a hundred in each schema."""
        member, place = number % MEMBERS, number // MEMBERS
        schema, table = divmod(place, _PER_SCHEMA)
        return ObjectName(f"c{member}", "lake", f"s{schema}", f"t_{table}")

    @property
    def few(self) -> list[ObjectName]:
        """The tables that the reader may read, far from each other."""
        return [self.table(number * self.tables // FEW + number % MEMBERS) for number in range(FEW)]

    def token(self, user: str) -> str:
        """Return a token of the visitors' cluster for a user."""
        now = datetime.now(UTC)
        return seal_identity_token(user, (), self.key, issuer=_HOME, now=now, ttl_s=3600)

    def make(self, directory: Path, progress: Callable[[str], None]) -> None:
        """Write the state of the MoM into a directory; reports progress once for each member."""
        flags = {
            "cluster.name": CLUSTER,
            "server.port": 0,
            "state.directory": str(directory),
        }
        database = MomHome.create(load_settings(MomSettings, None, flags).settings).open_database()
        now = datetime.now(UTC)
        with database.change() as connection:
            members = MemberStore(connection)
            users = {name: _user(name, now) for name in (READER, OWNER)}
            self._join(members, _HOME, MemberSnapshot(Metastore(_HOME, 1, ()), users, HomeRules()))
            for number in range(MEMBERS):
                names = (self.table(table) for table in range(number, self.tables, MEMBERS))
                metastore = Metastore(f"c{number}", 1, map(_table, names))
                self._join(members, f"c{number}", MemberSnapshot(metastore, {}, HomeRules()))
                progress(f"member {number + 1} of {MEMBERS}")
            grants = [
                *((READER, name) for name in self.few),
                *((OWNER, ObjectName(f"c{number}", "lake")) for number in range(MEMBERS)),
            ]
            GrantStore(connection).add_all(_grant(user, place, now) for user, place in grants)
        database.close()

    def _join(self, members: MemberStore, name: str, snapshot: MemberSnapshot) -> None:
        now = datetime.now(UTC)
        members.add(name, ("127.0.0.1",), "relay", now)
        members.set_joined(name, "grpc://127.0.0.1:1", self.key.public_key, now)
        members.set_report(name, snapshot.report().write())


@contextmanager
def running_mom(directory: Path) -> Iterator[str]:
    """Run the MoM over a state for the time of a `with` block; yields its URI."""
    arguments = ["serve", "--with-parent", "--dir", str(directory), "--port", "0"]
    quiet = {"FLIGHT_MOM_LOG__LEVEL": "error"}
    with running_child("flight_mom", arguments, quiet) as child:
        yield child.greeting.removeprefix("serving ")


def _user(name: str, now: datetime) -> User:
    return User(
        id=uuid4().hex,
        name=name,
        password_hash="",
        is_admin=False,
        is_locked=False,
        groups=frozenset(),
        changed_at=now,
    )


def _table(name: ObjectName) -> Table:
    return Table(
        id=uuid4().hex,
        name=name,
        arrow_schema=_COLUMNS,
        partition_columns=("year",),
        schema_version=1,
        snapshot="s",
        row_count=0,
        byte_count=0,
        file_count=0,
    )


def _grant(user: str, securable: ObjectName, now: datetime) -> Grant:
    return Grant(
        id=0,
        principal=Principal("user", user, _HOME),
        effect=Effect.ALLOW,
        privilege=Privilege.for_level(securable.level),
        securable=securable,
        granted_by=f"admin@{CLUSTER}",
        granted_at=now,
    )
