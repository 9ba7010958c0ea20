"""One simulated member: a name, a key, tables and a way of its own to the MoM, and no server.

What it says is what a member says, written and sent by the members' own code: it joins with its
token, beats with a row for each of its nodes, and reports its tables when the MoM asks for them.
What it lacks is everything that a member does besides.
"""

import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from hashlib import sha256
from pathlib import Path

import pyarrow as pa

from auth import HomeRules, JoinToken, SigningKey, TlsKey, make_request
from auth.userstore import User
from flight_member import protocol
from flight_member.clock import utc_now
from flight_member.jobs import Jobs
from flight_member.membership import Membership
from flight_member.memberstate import MemberSnapshot
from flight_member.momlink import MomLink
from flight_member.noderow import NodeRow
from flight_member.sampling import NodeFacts, NodeSampler
from flight_sql import Client
from storage.metastore import Metastore, Table
from storage.names import ObjectName

CATALOG = "lake"
HOST = "127.0.0.1"
_PER_SCHEMA = 100
_PER_KIND = 10
_USERS = 10
_URI = f"grpc://{HOST}:1"
_MADE_AT = datetime(2026, 1, 1, tzinfo=UTC)
_TYPES = (pa.int64(), pa.float64(), pa.string(), pa.timestamp("us", "UTC"), pa.decimal128(18, 4))
_COLUMN_COUNT = 12
_SAMPLED_S = 0.2


def member_name(number: int) -> str:
    """Return the name of a simulated member."""
    return f"sim{number:04}"


def table_name(member: str, number: int) -> ObjectName:
    """Return one table of a member: a hundred in each schema."""
    schema, table = divmod(number, _PER_SCHEMA)
    return ObjectName(member, CATALOG, f"schema_{schema:02}", f"table_{table:02}")


@dataclass(slots=True)
class SimulatedMember:
    """What one of them is; `joined` must come before the rest."""

    name: str
    nodes: int
    tables: int
    key: SigningKey = field(default_factory=SigningKey.generate)
    changes: int = 0
    """How often its tables have changed."""
    _membership: Membership | None = None
    _link: MomLink | None = None
    _version: str = ""
    _epoch: int = 0

    def join(self, token_text: str) -> None:
        """Join the federation that the token names."""
        token = JoinToken.parse(token_text)
        request = protocol.JoinRequest(
            token=token_text,
            cluster=self.name,
            public_key=self.key.public_key.to_text(),
            certificate_request=make_request(TlsKey.generate(), self.name, [HOST]).decode(),
            uri=_URI,
        )
        with Client(token.address) as client:
            reply = protocol.JoinReply.read(client.action(protocol.JOIN, request.write()))
        self._membership = Membership(
            federation=reply.federation,
            mom=reply.mom,
            uri=token.address,
            mom_keys=reply.mom_keys,
            ca_certificate=reply.ca_certificate,
        )
        self._link = MomLink(self.name, self.key, lambda: self._membership, utc_now, uses_tls=False)
        self._version = self._report().version

    def change_table(self) -> None:
        """Have one table be another snapshot, as after a load; the next beat tells of it."""
        self.changes += 1
        self._version = self._report().version

    def beat(self) -> bool:
        """Send a heartbeat, and the report if it is asked for; returns whether it was."""
        if self._link is None:
            raise TypeError("a member joins before it beats")
        heartbeat = protocol.Heartbeat(
            uri=_URI,
            nodes=tuple(self._node_row(number) for number in range(self.nodes)),
            report_version=self._version,
            read_at=utc_now().timestamp(),
            policy_epoch=self._epoch,
            public_keys=(self.key.public_key.to_text(),),
        )
        answer = self._link.action(protocol.HEARTBEAT, heartbeat.write())
        reply = protocol.HeartbeatReply.read(answer)
        self._epoch = reply.policy_epoch
        if reply.wants_report:
            self._link.action(protocol.REPORT, self._report().write())
        return reply.wants_report

    def close(self) -> None:
        """Close the connection."""
        if self._link is not None:
            self._link.close()

    def _node_row(self, number: int) -> NodeRow:
        now = utc_now().timestamp()
        return sampled_row().model_copy(
            update={
                "node": f"{self.name}_node{number}",
                "is_leader": number == 0,
                "cpu_percent": now * (number + 1) % 100,
                "sampled_at": now,
            }
        )

    def _report(self) -> protocol.Report:
        """Return what it reports now; nobody keeps a gigabyte of them."""
        kinds = [_kind(self.name, number) for number in range(-(-self.tables // _PER_KIND))]
        tables = [self._table(number, kinds[number // _PER_KIND]) for number in range(self.tables)]
        metastore = Metastore(self.name, 1 + self.changes, tables)
        report = MemberSnapshot(metastore, _users(self.name), HomeRules()).report()
        return report.model_copy(update={"read_at": utc_now().timestamp()})

    def _table(self, number: int, arrow_schema: pa.Schema) -> Table:
        name = table_name(self.name, number)
        # Every change is one of another table.
        changes = (self.changes + self.tables - 1 - number) // self.tables
        return Table(
            id=_digest(str(name)),
            name=name,
            arrow_schema=arrow_schema,
            partition_columns=("year",),
            schema_version=1,
            snapshot=_digest(f"{name} {changes}"),
            row_count=1_000_000 * (1 + changes),
            byte_count=64_000_000 * (1 + changes),
            file_count=16 * (1 + changes),
        )


@cache
def sampled_row() -> NodeRow:
    """Return what a member's own sampler measured here once, with every column that has a value."""
    facts = NodeFacts("node", "single", HOST, 1, _URI, 1 << 32, 8, (Path.cwd(),))
    sampler = NodeSampler(facts, Jobs("member", "node", utc_now), utc_now)
    sampler.note_latency(0.001)
    time.sleep(_SAMPLED_S)
    row = sampler.sample()
    unknown = [name for name, value in row.model_dump().items() if value is None]
    return row.model_copy(update=dict.fromkeys(unknown, 1))


def _kind(member: str, number: int) -> pa.Schema:
    """Return the columns that ten tables of a member share, and no table of another has."""
    columns = [
        pa.field(f"column_{position}", _TYPES[position % len(_TYPES)])
        for position in range(_COLUMN_COUNT - 2)
    ]
    own = pa.field(f"measure_{member}_{number}", pa.float64())
    return pa.schema([*columns, own, pa.field("year", pa.int64())])


def _users(member: str) -> dict[str, User]:
    users = [
        User(
            id=_digest(f"{member} {number}"),
            name=f"user{number}",
            password_hash="",
            is_admin=False,
            is_locked=False,
            groups=frozenset({"everyone"}),
            changed_at=_MADE_AT,
        )
        for number in range(_USERS)
    ]
    return {user.name: user for user in users}


def _digest(text: str) -> str:
    return sha256(text.encode()).hexdigest()[:32]
