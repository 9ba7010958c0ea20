"""The federation that the benchmark of many members runs: a MoM, one real member, the others not.

The MoM and the real member are processes as anybody starts them, with their own settings but for
where they listen and keep their state. The simulated members live in a process of the benchmark.
"""

import json
import secrets
import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pyarrow as pa

from bench.adbc import Account
from bench.children import Child, running_child
from bench.simulatedmember import HOST, member_name, table_name
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
from flight_sql import Client
from storage.names import ObjectName

MOM: Final = "headquarters"
REAL: Final = "real"
READER: Final = "reader"
FEW: Final = 50
SMALL: Final = "lake.small.numbers"
SMALL_ROWS: Final = 10_000


@dataclass(frozen=True, slots=True)
class Sizes:
    """How much is simulated.

    Attributes:
        members: Members that only beat and report.
        nodes: Of each.
        tables: Of each.
        changes: How many members report a changed table in each interval.
        interval_s: Between two beats of a member.
    """

    members: int
    nodes: int
    tables: int
    changes: int
    interval_s: float

    @property
    def all_tables(self) -> int:
        """The tables of the whole federation, the real member's included."""
        return self.members * self.tables + 1

    @property
    def few(self) -> list[ObjectName]:
        """The tables that the reader may read besides their own, far apart from each other."""
        count = min(FEW - 1, self.members * self.tables)
        places = [number * (self.members * self.tables) // count for number in range(count)]
        return [
            table_name(member_name(place // self.tables), place % self.tables) for place in places
        ]


class ScaledFederation:
    """The directories and processes; made once, its processes run inside `with` blocks."""

    def __init__(self, directory: Path, sizes: Sizes) -> None:
        """Make the MoM's state and the real member's, with its table and its user."""
        self._directory = directory
        self.sizes = sizes
        self._mom_directory = directory / MOM
        flags = {"cluster.name": MOM, "server.port": 0, "state.directory": str(self._mom_directory)}
        self._mom_home = MomHome.create(load_settings(MomSettings, None, flags).settings)
        self._tokens = directory / "tokens.json"
        flags = {"cluster.name": REAL, "server.port": 0, "state.directory": str(directory / REAL)}
        self._home = MemberHome(load_settings(MemberSettings, None, flags).settings)
        MemberHome.create(self._home.settings)
        rows = pa.table({"n": pa.array(range(SMALL_ROWS), pa.int64())})
        TableDesk.open(self._home).load_batches(
            SMALL, rows.to_reader(), partition_by=(), progress=lambda _: None
        )
        self._password = secrets.token_urlsafe(12)
        UserDesk(self._home).add(READER, self._password, readable=("*",))
        self._environment = {
            f"FLIGHT_{server}_{name}": value
            for server in ("MOM", "MEMBER")
            for name, value in (
                ("LOG__LEVEL", "error"),
                ("HEARTBEAT__INTERVAL_S", str(sizes.interval_s)),
            )
        }
        self.port = 0

    @contextmanager
    def running_mom(self) -> Iterator[Child]:
        """Run the MoM for the time of a `with` block, at the port of the first time."""
        arguments = ["serve", "--with-parent", "--dir", str(self._mom_directory)]
        arguments += ["--port", str(self.port)]
        with running_child("flight_mom", arguments, self._environment) as child:
            self.port = int(child.greeting.rpartition(":")[2])
            yield child

    @contextmanager
    def running_members(self) -> Iterator[Child]:
        """Run the real member, and the process of the others; yields the latter.

        The first thing to do with it is `join`.
        """
        with ExitStack() as stack:
            directory = ["--dir", str(self._home.directory)]
            arguments = ["serve", "--with-parent", *directory, "--port", "0"]
            stack.enter_context(running_child("flight_member", arguments, self._environment))
            sizes = self.sizes
            numbers = {
                "first": 0,
                "members": sizes.members,
                "nodes": sizes.nodes,
                "tables": sizes.tables,
                "changes": sizes.changes,
                "interval": sizes.interval_s,
            }
            options = [text for name, n in numbers.items() for text in (f"--{name}", str(n))]
            options += ["--tokens", str(self._tokens)]
            yield stack.enter_context(running_child("bench.swarm", options))

    def admit(self, progress: Callable[[str], None]) -> None:
        """Name every member at the MoM, let the real one join, keep the others' join tokens."""
        with self.admin() as admin:
            tokens = {}
            for number in range(self.sizes.members):
                name = member_name(number)
                tokens[name] = self._add(admin, name)
                if number % 100 == 0:
                    progress(f"naming {name}")
            join_federation(self._home, self._add(admin, REAL))
        self._tokens.touch(mode=0o600)
        self._tokens.write_text(json.dumps(tokens), "utf-8")

    def grant(self) -> None:
        """Let the reader read a few tables of other members."""
        with self.admin() as admin:
            for name in self.sizes.few:
                admin.update(f"GRANT TABLE_READ ON {name} TO {READER}@{REAL}")

    def admin(self) -> Client:
        """Return a client of the federation's administrator; to be closed."""
        client = Client(self.uri)
        client.sign_in(f"{ADMIN}@{MOM}", self._mom_home.password_file.read_text("utf-8").strip())
        return client

    @property
    def uri(self) -> str:
        """Where the MoM answers, once it has run."""
        return f"grpc://{HOST}:{self.port}"

    @property
    def reader(self) -> Account:
        """The real member's user, who asks the MoM."""
        return Account(self.uri, f"{READER}@{REAL}", self._password)

    @property
    def state_bytes(self) -> int:
        """What the MoM keeps on the disk."""
        return sum(file.stat().st_size for file in self._mom_directory.glob("*") if file.is_file())

    def _add(self, admin: Client, name: str) -> str:
        request = protocol.MembersRequest(
            action=protocol.MembersRequest.ADD, cluster=name, hosts=(HOST,)
        )
        return str(change_member(admin, request).join_token)


def tell(swarm: Child, word: str) -> dict[str, Any]:
    """Tell the simulated members a word and return what they answer."""
    answer: dict[str, Any] = json.loads(swarm.ask(word))
    return answer


def kill(child: Child) -> None:
    """End a process as a power cut does."""
    child.process.send_signal(signal.SIGKILL)
    child.process.wait()
