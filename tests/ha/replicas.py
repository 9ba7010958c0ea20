"""Two replicas of the MoM over one PostgreSQL, two members, and HAProxy before the replicas."""

import contextlib
import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from flight_member.protocol import REPLICAS, ReplicasReply, ReplicasRequest
from flight_mom.demo.federation import MOM, DemoFederation
from flight_sql import Client
from tests.e2e.commands import run_mom, served
from tests.e2e.federation import ADMIN, environment, make_federation
from tests.waiting import wait_until

SECOND = "second"
TIMEOUT_S = 5.0
PATIENCE_S = 30.0
_CONFIGURATION = Path(__file__).parents[2] / "deploy" / "haproxy.cfg"


@dataclass
class Replicas:
    """The federation, whose own MoM is the first replica, and where else the MoM answers."""

    federation: DemoFederation
    second: str
    balanced: str
    """Where HAProxy answers for both."""

    @property
    def first(self) -> str:
        return self.federation.uri(MOM)

    def client(self, user: str, cluster: str, at: str) -> Client:
        """Return a client that has signed in at an address."""
        client = Client(at)
        client.sign_in(f"{user}@{cluster}", self.federation.password(user))
        return client

    def admin(self, at: str) -> Client:
        return self.client(ADMIN, MOM, at)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return int(listening.getsockname()[1])


@contextlib.contextmanager
def balancing(directory: Path, first: str, second: str) -> Iterator[str]:
    """Run HAProxy with the configuration that deploy/ offers."""
    program = shutil.which("haproxy") or shutil.which("haproxy", path="/usr/sbin")
    assert program, "haproxy is not installed; install Debian's package haproxy"
    port = free_port()
    places = {"MOM_BIND": f"grpc://127.0.0.1:{port}", "MOM_FIRST": first, "MOM_SECOND": second}
    variables = {name: uri.removeprefix("grpc://") for name, uri in places.items()}
    with (directory / "haproxy.log").open("ab") as log:
        process = subprocess.Popen(  # noqa: S603  Debian's
            [program, "-db", "-f", str(_CONFIGURATION)],
            stdout=log,
            stderr=log,
            env={**os.environ, **variables},
        )
    try:
        wait_until(partial(_listens, port), PATIENCE_S)
        yield f"grpc://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(20)


def _listens(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False


@contextlib.contextmanager
def running_replicas(directory: Path, database: str) -> Iterator[Replicas]:
    """Make a federation whose MoM has two replicas, and run all of it."""
    federation = make_federation(directory, {MOM: database})
    settings = {
        "FLIGHT_MOM_HEARTBEAT__TIMEOUT_S": str(TIMEOUT_S),
        "FLIGHT_MOM_TABLES__DIRECTORY": str(directory / "tables"),
    }
    second = {"FLIGHT_MOM_HEARTBEAT__INTERVAL_S": "1", "FLIGHT_MOM_HEARTBEAT__COMMIT_S": "2"}
    with contextlib.ExitStack() as stack:
        stack.enter_context(environment(settings))
        stack.enter_context(federation.running())
        with federation.client(ADMIN, MOM, at=MOM) as admin:
            token = add_replica(admin, SECOND)
        join_replica(directory / SECOND, token, database)
        other = stack.enter_context(served("flight_mom", directory / SECOND, second))
        balanced = stack.enter_context(balancing(directory, federation.uri(MOM), other))
        yield Replicas(federation, other, balanced)


def add_replica(admin: Client, name: str) -> str:
    """Name a replica; returns its join token."""
    request = ReplicasRequest(action=ReplicasRequest.ADD, name=name)
    return str(ReplicasReply.read(admin.action(REPLICAS, request.write())).join_token)


def join_replica(directory: Path, token: str, database: str) -> None:
    """Have a replica join, by the command."""
    file = directory.with_suffix(".token")
    file.write_text(token)
    joined = run_mom(
        *("replica", "join", "--dir", str(directory), "--name", MOM, "--port", "0"),
        *("--token-file", str(file), "--database", database),
    )
    assert joined.returncode == 0, joined.stderr
