"""A member with two controllers over one PostgreSQL, and its MoM: processes that tests may stop."""

import os
import secrets
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa

from flight_member import protocol
from flight_member.clock import utc_now
from flight_member.configuration import load_settings
from flight_member.controllerdesk import ListedController, list_controllers
from flight_member.joining import join_federation
from flight_member.memberhome import MemberHome
from flight_member.settings import MemberSettings
from flight_member.sharedstore import metadata as shared_tables
from flight_member.statestore import Database
from flight_member.tables import TableDesk
from flight_member.users import UserDesk
from flight_mom.membercommands import change_member
from flight_mom.momhome import ADMIN, MomHome
from flight_mom.settings import MomSettings
from flight_sql import Client
from tests.databases import PostgresServer
from tests.e2e.commands import try_member
from tests.ha.databases import url_through
from tests.ports import spare_port
from tests.proxy import Line, Proxy
from tests.waiting import wait_until

MOM, SHANGHAI = "headquarters", "shanghai"
FIRST, SECOND = "shanghai", "second"
LEASE_S = 2.0
START_S = 60.0
QUOTE = "trading.stock.quote"
ROWS = 1000


@dataclass
class Server:
    """One process. It ends when its standard input does, so it never outlives the tests."""

    name: str
    process: "subprocess.Popen[bytes]"
    uri: str

    def signal(self, number: int) -> None:
        os.kill(self.process.pid, number)

    @property
    def is_running(self) -> bool:
        return self.process.poll() is None


@dataclass
class Cluster:
    """The state directories, and what runs of it now."""

    directory: Path
    postgresql: PostgresServer
    lines: Mapping[str, Proxy]
    database: str
    leader: str = ""
    """Which controller led when everything was whole, and which stood by."""
    other: str = ""
    servers: dict[str, Server] = field(default_factory=dict)
    ports: dict[str, int] = field(default_factory=dict)

    def start(self, name: str) -> Server:
        """Start a server, at the port that it had before."""
        port = self.ports.setdefault(name, spare_port())
        module = "flight_mom" if name == MOM else "flight_member"
        environment = {
            "FLIGHT_MOM_HEARTBEAT__INTERVAL_S": "1",
            "FLIGHT_MEMBER_HEARTBEAT__INTERVAL_S": "1",
            "FLIGHT_MEMBER_HA__LEASE_S": str(LEASE_S),
        }
        with (self.directory / f"{name}.log").open("ab") as log:
            process = subprocess.Popen(  # noqa: S603  our own module
                [
                    *(sys.executable, "-m", module, "serve", "--with-parent"),
                    *("--dir", str(self.directory / name), "--port", str(port)),
                ],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                env={**os.environ, **environment},
            )
        assert process.stdout is not None
        said = process.stdout.readline().decode()
        assert said.startswith("serving "), (self.directory / f"{name}.log").read_text()[-4000:]
        server = Server(name, process, said.removeprefix("serving ").strip())
        self.servers[name] = server
        return server

    def stop(self, name: str) -> None:
        """End a server, however it is."""
        server = self.servers.pop(name, None)
        if server is None:
            return
        if server.is_running:
            server.signal(signal.SIGKILL)
        server.process.wait(20)
        for stream in (server.process.stdin, server.process.stdout):
            if stream is not None:
                stream.close()

    def stop_all(self) -> None:
        for name in list(self.servers):
            self.stop(name)

    def mend(self) -> None:
        """Have everything run, with every line whole and one controller leading."""
        for line in self.lines.values():
            line.set(Line.PASS)
        for server in list(self.servers.values()):
            if server.is_running:
                server.signal(signal.SIGCONT)
        for name in (MOM, FIRST, SECOND):
            if name not in self.servers or not self.servers[name].is_running:
                self.stop(name)
                self.start(name)
        with closing(self.open_direct()) as database:
            wait_until(lambda: is_whole(database), START_S)
            self.leader = leader_of(database)
        self.other = FIRST if self.leader == SECOND else SECOND

    def open_direct(self) -> Database:
        """Open the member's database by a way that nobody cuts."""
        url = self.postgresql.url(self.database)
        return Database(url, f"the member {SHANGHAI}", shared_tables)

    def home(self, name: str) -> MemberHome:
        file = self.directory / name / "flight-member.toml"
        flags = {"state.directory": str(self.directory / name)}
        return MemberHome(load_settings(MemberSettings, file, flags).settings)

    @property
    def mom(self) -> MomHome:
        file = self.directory / MOM / "flight-mom.toml"
        flags = {"state.directory": str(self.directory / MOM)}
        return MomHome(load_settings(MomSettings, file, flags).settings)

    def password(self, user: str) -> str:
        if user == ADMIN:
            return self.mom.password_file.read_text("utf-8").strip()
        file = self.directory / f"{user}.password"
        if not file.exists():
            file.write_text(secrets.token_urlsafe(12))
        return file.read_text()

    @contextmanager
    def client(self, at: str, user: str = "user1", cluster: str = SHANGHAI) -> Iterator[Client]:
        with Client(self.servers[at].uri, call_timeout_s=60) as client:
            client.sign_in(f"{user}@{cluster}", self.password(user))
            yield client


def make_cluster(
    directory: Path, postgresql: PostgresServer, lines: Mapping[str, Proxy]
) -> Cluster:
    """Make a MoM, and a member with two controllers that has joined.

    Args:
        directory: Of all their state.
        postgresql: Holds the member's state.
        lines: By controller, its way to the database.
    """
    database = f"ha_{secrets.token_hex(6)}"
    postgresql.url(database)
    cluster = Cluster(directory, postgresql, lines, database)
    mom = load_settings(
        MomSettings, None, {"cluster.name": MOM, "state.directory": str(directory / MOM)}
    )
    MomHome.create(mom.settings)
    flags = {
        "cluster.name": SHANGHAI,
        "state.directory": str(directory / FIRST),
        "state.database": url_through(lines[FIRST], database),
    }
    MemberHome.create(load_settings(MemberSettings, None, flags).settings)
    try:
        cluster.start(MOM)
        _join(cluster)
        _load(cluster)
        cluster.start(FIRST)
        _add_second(cluster, url_through(lines[SECOND], database))
    except BaseException:
        cluster.stop_all()
        raise
    return cluster


def _join(cluster: Cluster) -> None:
    home = cluster.home(FIRST)
    UserDesk(home).add("user1", cluster.password("user1"), readable=["*"], is_admin=True)
    with Client(cluster.servers[MOM].uri) as admin:
        admin.sign_in(f"{ADMIN}@{MOM}", cluster.password(ADMIN))
        request = protocol.MembersRequest(action="add", cluster=SHANGHAI, hosts=("127.0.0.1",))
        join_federation(home, str(change_member(admin, request).join_token))


def _load(cluster: Cluster) -> None:
    rows = pa.table({"n": range(ROWS)}).to_batches()
    desk = TableDesk.open(cluster.home(FIRST))
    desk.load_batches(QUOTE, rows, partition_by=(), progress=lambda _: None)


def _add_second(cluster: Cluster, url: str) -> None:
    token = cluster.directory / "second.join"
    added = try_member("controller", "add", SECOND, "--dir", str(cluster.directory / FIRST))
    token.write_text(added.stdout)
    joined = try_member(
        *("controller", "join", "--dir", str(cluster.directory / SECOND)),
        *("--database", url, "--controller", cluster.servers[FIRST].uri),
        *("--token-file", str(token)),
    )
    assert joined.returncode == 0, joined.stderr


def controllers_of(database: Database) -> list[ListedController]:
    return list_controllers(database, utc_now())


def is_whole(database: Database) -> bool:
    """Whether both controllers have their place, and one leads."""
    found = controllers_of(database)
    return all(one.lease_s for one in found) and any(one.is_leader for one in found)


def leader_of(database: Database) -> str:
    """Return who leads; nothing when nobody does."""
    return next((one.name for one in controllers_of(database) if one.is_leader), "")
