"""Values that the tests of this package start from: a MoM without a server, and its members."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pyarrow as pa

from auth import (
    AuditRecord,
    Effect,
    Grant,
    GrantSet,
    HomeRules,
    Identity,
    Principal,
    Privilege,
    SigningKey,
    TlsKey,
    make_request,
)
from auth.auditstore import AuditStore
from auth.userstore import User
from flight_member import protocol
from flight_member.authority import ServiceCaller
from flight_member.configuration import load_settings
from flight_member.memberstate import MemberSnapshot
from flight_mom.administration import Administration
from flight_mom.members import Member
from flight_mom.membershipdesk import MembershipDesk
from flight_mom.momhome import MomHome
from flight_mom.office import Office
from flight_mom.pulse import Pulse
from flight_mom.settings import MomSettings
from flight_mom.topology import Topology
from flight_sql import Call
from planner import Administrative, Defaults, parse_statement
from storage.metastore import Metastore, Table
from storage.names import ObjectName
from tests.databases import configured_url
from tests.flight_member.factories import HANGZHOU, NOW, SHANGHAI, Clock, make_identity

MOM = "headquarters"
PEER = "ipv4:127.0.0.1:4000"
URI = "grpc://127.0.0.1:32011"
FLIGHTS = "aviation.nyc.flights@hangzhou"


def make_mom_settings(directory: Path, **flags: Any) -> MomSettings:
    """Return settings; flags are written with `__` for the dot."""
    given = {"cluster.name": MOM, "server.port": 0, "state.directory": str(directory)}
    given["state.database"] = configured_url(directory)
    given |= {name.replace("__", "."): value for name, value in flags.items()}
    return load_settings(MomSettings, None, given).settings


def make_table(text: str = FLIGHTS) -> Table:
    return Table(
        id=uuid4().hex,
        name=ObjectName.parse(text),
        arrow_schema=pa.schema([pa.field("carrier", pa.utf8()), pa.field("month", pa.int64())]),
        partition_columns=("month",),
        schema_version=1,
        snapshot="s1",
        row_count=3,
        byte_count=2,
        file_count=1,
        location=None,
    )


def make_user(name: str, **changes: Any) -> User:
    values: dict[str, Any] = {
        "id": f"id of {name}",
        "name": name,
        "password_hash": "",
        "is_admin": False,
        "is_locked": False,
        "groups": frozenset(),
        "changed_at": NOW - timedelta(days=1),
    }
    return User(**(values | changes))


def make_rule(to: str, on: str, effect: Effect = Effect.ALLOW) -> Grant:
    securable = ObjectName.parse(on)
    return Grant(
        id=1,
        principal=Principal.parse(to),
        effect=effect,
        privilege=Privilege.for_level(securable.level),
        securable=securable,
        granted_by="home",
        granted_at=NOW,
    )


def make_report(
    cluster: str,
    tables: Sequence[Table] = (),
    users: Iterable[User] = (),
    rules: Iterable[Grant] = (),
    vetoes: Iterable[Grant] = (),
) -> protocol.Report:
    return MemberSnapshot(
        Metastore(cluster, 1, tables),
        {user.name: user for user in users},
        HomeRules(GrantSet(rules, 1)),
        GrantSet(vetoes, 1),
    ).report()


@dataclass
class JoiningMember:
    """A member that has not joined yet: its key, and what it asks with."""

    cluster: str
    key: SigningKey
    uri: str = URI
    hosts: tuple[str, ...] = ("127.0.0.1",)

    def request(self, token: str, **changes: Any) -> protocol.JoinRequest:
        certificate_request = make_request(TlsKey.generate(), self.cluster, self.hosts)
        values: Mapping[str, Any] = {
            "token": token,
            "cluster": self.cluster,
            "public_key": self.key.public_key.to_text(),
            "certificate_request": certificate_request.decode(),
            "uri": self.uri,
        }
        return protocol.JoinRequest(**{**values, **changes})


class Mom:
    """A MoM with everything but a server; its clock stands still until it is moved."""

    def __init__(self, directory: Path, **flags: Any) -> None:
        self.settings = make_mom_settings(directory, **flags)
        self.home = MomHome.create(self.settings)
        self.clock = Clock()
        self.key = self.home.load_key()
        self.database = self.home.open_database()
        self.topology = Topology(
            MOM, self.database, self.settings.heartbeat, self.clock, self.clock.ticks
        )
        self.topology.trust(self.key.public_key)
        self.pulse = Pulse(self.clock)
        office = Office.of(MOM, self.database, self.topology, self.clock)
        self.administration = Administration(office)
        self.desk = MembershipDesk(
            self.settings,
            self.home.federation,
            self.key,
            self.home.load_authority(),
            office,
            self.pulse,
        )
        self.desk.uri = "grpc://127.0.0.1:32010"
        self.admin = make_identity(f"admin@{MOM}", is_admin=True)

    # What members do.

    def act(self, kind: str, message: protocol.Message, identity: object = None) -> bytes:
        call = Call(identity=identity, peer=PEER)
        return self.desk.actions()[kind](call, message.write())

    def change_members(self, action: str, cluster: str, **options: Any) -> protocol.MembersReply:
        request = protocol.MembersRequest(action=action, cluster=cluster, **options)
        return protocol.MembersReply.read(self.act(protocol.MEMBERS, request, self.admin))

    def add(self, cluster: str, **options: Any) -> str:
        return str(self.change_members("add", cluster, **options).join_token)

    def join(self, cluster: str, report: protocol.Report | None = None, **options: Any) -> Member:
        """Add a member, have it join, beat once and report."""
        joining = JoiningMember(cluster, SigningKey.generate())
        self.act(protocol.JOIN, joining.request(self.add(cluster, **options)))
        self.beat(cluster)
        if report is not None:
            self.act(protocol.REPORT, report, ServiceCaller(cluster))
        return self.member(cluster)

    def beat(
        self, cluster: str, *, uri: str = URI, version: str = "", epoch: int = 0
    ) -> protocol.HeartbeatReply:
        beat = protocol.Heartbeat(uri=uri, nodes=(), report_version=version, policy_epoch=epoch)
        return protocol.HeartbeatReply.read(
            self.act(protocol.HEARTBEAT, beat, ServiceCaller(cluster))
        )

    def member(self, cluster: str) -> Member:
        return self.topology.federation.members[cluster]

    def join_two(self) -> None:
        """Have hangzhou join with its flights, and shanghai with user1 of the group analysts."""
        self.join(
            HANGZHOU,
            make_report(
                HANGZHOU,
                [make_table()],
                [make_user("user2"), make_user("chief", is_admin=True)],
                [make_rule("user2@hangzhou", "*@hangzhou")],
            ),
        )
        users = [make_user("user1", groups=frozenset({"analysts"})), make_user("user3")]
        self.join(SHANGHAI, make_report(SHANGHAI, [make_table("a.b.c@shanghai")], users))

    # What administrators do.

    def ask(self, sql: str, caller: Identity | None = None) -> list[dict[str, Any]]:
        """Carry out a statement on grants and return its rows."""
        caller = caller or self.admin
        statement = parse_statement(sql, Defaults(caller.cluster, mom="headquarters"))
        assert isinstance(statement, Administrative), sql
        table = self.administration.answer(statement, caller, PEER)
        rows: list[dict[str, Any]] = table.to_pylist()
        return rows

    def audited(self) -> list[AuditRecord]:
        """Return the newest audit records, oldest first."""
        with self.database.read() as connection:
            return AuditStore(connection).tail(100)
