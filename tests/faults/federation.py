"""The federation under faults: a MoM and two members as processes, each with its line and disk.

hangzhou owns what is asked and written, and serves visitors directly; shanghai is where the reader
is at home, and is relayed. Times are short, so that a fault of a second is one.
"""

import secrets
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import pyarrow as pa

from flight_member import protocol
from flight_member.configuration import load_settings
from flight_member.joining import join_federation
from flight_member.memberhome import MemberHome
from flight_member.settings import MemberSettings
from flight_member.tables import TableDesk
from flight_member.users import UserDesk
from flight_mom.membercommands import change_member
from flight_mom.momhome import ADMIN, MomHome
from flight_mom.settings import MomSettings
from flight_sql import Client, RemoteError
from tests.faults.clocks import Clock, compile_library
from tests.faults.disks import LimitedDisk, LoopDisk
from tests.faults.network import Lines, Namespaces, Network
from tests.faults.servers import Server
from tests.waiting import wait_until

MOM, HANGZHOU, SHANGHAI = "headquarters", "hangzhou", "shanghai"
MEMBERS = (HANGZHOU, SHANGHAI)
NAMES = (MOM, *MEMBERS)
CHIEF, READER = "chief", "reader"
"""Who administers hangzhou, and who of shanghai reads there."""
BIG, SECRET = "bank.books.big", "vault.books.secret"
LEDGER, LOADED = "bank.books.ledger", "bank.books.loaded"
BIG_ROWS = 400_000

HEARTBEAT_S, TIMEOUT_S = 1.0, 3.0
TICKET_S = 8
DRAIN_S = 2.0
_CALL_S = 6.0


class Federation:
    """Its servers, and clients of them."""

    def __init__(self, directory: Path, *, is_isolated: bool) -> None:
        """Make everything; nothing runs yet.

        Args:
            directory: Where everything lies, logs too.
            is_isolated: Whether this process is alone in its namespaces.
        """
        self.directory = directory
        self._closing = ExitStack()
        self.network: Network = Namespaces(NAMES) if is_isolated else Lines(MOM, MEMBERS)
        self._closing.callback(self.network.close)
        self._passwords = {user: secrets.token_urlsafe(12) for user in (CHIEF, READER)}
        library = compile_library(directory)
        self.servers: dict[str, Server] = {}
        for name in NAMES:
            place = directory / name
            place.mkdir()
            disk = LoopDisk(place) if is_isolated else LimitedDisk(place)
            self._closing.callback(disk.close)
            self.servers[name] = Server(
                name,
                "flight_mom" if name == MOM else "flight_member",
                disk.path / "state",
                directory / f"{name}.log",
                disk,
                Clock(library, place / "clock"),
                self.network.prefix(name),
                self._settings(name),
            )
        self._make()

    def start(self) -> None:
        """Start every server, join the members, and wait until they are heard from."""
        self._closing.callback(self._stop)
        self.servers[MOM].start()
        with self.client(ADMIN, MOM) as admin:
            for name in MEMBERS:
                host = self.home(name).settings.server.advertised_host
                request = protocol.MembersRequest(action="add", cluster=name, hosts=(host,))
                join_federation(self.home(name), str(change_member(admin, request).join_token))
                self.servers[name].start()
            route = protocol.MembersRequest(action="set", cluster=HANGZHOU, route="direct")
            change_member(admin, route)
            wait_until(lambda: self.alive(admin) == set(MEMBERS), 60)
            with self.client(CHIEF, HANGZHOU) as chief:
                chief.update(f"CREATE TABLE {LEDGER} (batch BIGINT, part BIGINT)")
                chief.update(f"CREATE TABLE {LOADED} (n BIGINT)")
            admin.update(f"GRANT CATALOG_READ ON bank@{HANGZHOU} TO {READER}@{SHANGHAI}")
        with self.client(READER, SHANGHAI) as reader:
            wait_until(lambda: _is_known(reader), 60)

    def close(self) -> None:
        """End everything and remove disks and lines; logs stay."""
        self._closing.close()

    def home(self, name: str) -> MemberHome:
        """Return a member's state directory as its terminal sees it."""
        return MemberHome(load_settings(MemberSettings, None, self._flags(name)).settings)

    @property
    def mom_home(self) -> MomHome:
        """The MoM's state directory."""
        return MomHome(load_settings(MomSettings, None, self._flags(MOM)).settings)

    def connect(self, at: str, *, token: str | None = None) -> Client:
        """Return a client of one server; nobody has signed in."""
        uri = self.network.uri(at)
        return Client(
            uri,
            token=token,
            tls_root_certs=self.certificates if uri.startswith("grpc+tls") else None,
            connect_timeout_s=2.0,
            call_timeout_s=_CALL_S,
        )

    def client(self, user: str, at: str) -> Client:
        """Return a client that has signed in at one of the servers."""
        client = self.connect(at)
        self.sign_in(client, user)
        return client

    def sign_in(self, client: Client, user: str) -> None:
        """Sign a user in anew."""
        home = {ADMIN: MOM, CHIEF: HANGZHOU}.get(user, SHANGHAI)
        client.sign_in(f"{user}@{home}", self.password(user))

    def password(self, user: str) -> str:
        """Return a user's password."""
        if user == ADMIN:
            return self.mom_home.password_file.read_text("utf-8").strip()
        return self._passwords[user]

    @property
    def certificates(self) -> bytes:
        """What clients trust."""
        return self.mom_home.authority_files[1].read_bytes()

    def alive(self, admin: Client) -> set[str]:
        """Return the members that the MoM serves, and has heard from."""
        try:
            rows = admin.query("SHOW CLUSTERS").read_all().to_pylist()
        except RemoteError:
            return set()
        return {
            row["cluster_name"]
            for row in rows
            if row["cluster_name"] in MEMBERS
            and row["state"] == "alive"
            and row["last_heartbeat_at"]
            and row["table_count"]
        }

    def _make(self) -> None:
        MomHome.create(self.mom_home.settings)
        for name in MEMBERS:
            MemberHome.create(self.home(name).settings)
        numbers = pa.array(range(BIG_ROWS), pa.int64())
        # What does not repeat does not become small on its way.
        noise = pa.array([n * 2_654_435_761 % 2**61 for n in range(BIG_ROWS)], pa.int64())
        self._load(HANGZHOU, BIG, pa.table({"n": numbers, "noise": noise}))
        self._load(HANGZHOU, SECRET, pa.table({"n": pa.array(range(100), pa.int64())}))
        self._load(SHANGHAI, "shop.desk.orders", pa.table({"n": pa.array(range(500), pa.int64())}))
        UserDesk(self.home(HANGZHOU)).add(CHIEF, self.password(CHIEF), is_admin=True)
        UserDesk(self.home(SHANGHAI)).add(READER, self.password(READER), readable=("*",))

    def _load(self, cluster: str, name: str, rows: pa.Table) -> None:
        batches = iter(rows.to_batches(max_chunksize=65_536))
        TableDesk.open(self.home(cluster)).load_batches(
            name, batches, partition_by=(), progress=lambda _: None
        )

    def _stop(self) -> None:
        for server in self.servers.values():
            server.stop()

    def _flags(self, name: str) -> dict[str, object]:
        place = {f"server.{key}": value for key, value in self.network.place(name).items()}
        directory = str(self.directory / name / "disk" / "state")
        return {"cluster.name": name, "state.directory": directory, **place}

    def _settings(self, name: str) -> dict[str, str]:
        prefix = "FLIGHT_MOM" if name == MOM else "FLIGHT_MEMBER"
        place = self.network.place(name).items()
        settings = {f"SERVER__{key.upper()}": value for key, value in place} | {
            "SERVER__DRAIN_TIMEOUT_S": str(DRAIN_S),
            "HEARTBEAT__INTERVAL_S": str(HEARTBEAT_S),
            "HEARTBEAT__TIMEOUT_S": str(TIMEOUT_S),
            "AUTH__TICKET_TTL_S": str(TICKET_S),
            "LOG__FORMAT": "json",
        }
        if name == MOM:
            settings["HEARTBEAT__COMMIT_S"] = "2"
        else:
            settings["MOM__ADDRESS"] = self.network.uri(MOM, name)
        return {f"{prefix}_{key}": value for key, value in settings.items()}


def _is_known(reader: Client) -> bool:
    """Whether visitors see the last table that was made."""
    try:
        rows = reader.query(f"select n from {LOADED}@{HANGZHOU}").read_all()
    except RemoteError:
        return False
    return int(rows.num_rows) == 0


def settle(federation: Federation, names: Sequence[str] = NAMES) -> None:
    """Undo every fault: processes run, lines and disks work, clocks are right."""
    federation.network.mend()
    for name in names:
        server = federation.servers[name]
        server.disk.heal(server.pid)
        server.clock.jump(0)
        server.resume()
        if server.pid is None:
            server.start()
