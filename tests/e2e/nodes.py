"""Data nodes as processes, beside a federation that runs."""

import contextlib
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from flight_member.nodeadding import add_node, remove_node
from flight_member.nodeprotocol import NODES, NodesReply, NodesRequest, ShownNode
from flight_mom.demo.federation import DemoFederation
from flight_sql import Client
from tests.waiting import wait_until

# Three heartbeats, on a machine that does much else.
SOON_S = 20.0


@dataclass
class NodeProcess:
    """One data node of a cluster. It ends when its standard input does, so never outlives us."""

    federation: DemoFederation
    cluster: str
    name: str
    process: "subprocess.Popen[str] | None" = None
    uri: str = ""

    @property
    def directory(self) -> Path:
        return self.federation.directory / f"{self.cluster}-{self.name}"

    @property
    def token_file(self) -> Path:
        return self.directory.with_suffix(".join")

    def add(self) -> None:
        token, _ = add_node(self.federation.member_home(self.cluster), self.name, "127.0.0.1")
        self.token_file.write_text(token.text)

    def start(self) -> None:
        with self.directory.with_suffix(".log").open("ab") as log:
            self.process = subprocess.Popen(  # noqa: S603  our own module
                [
                    *(sys.executable, "-m", "flight_member", "node", "serve", "--with-parent"),
                    *("--dir", str(self.directory), "--port", "0"),
                    *("--controller", self.federation.uri(self.cluster)),
                    *("--token-file", str(self.token_file)),
                ],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line.startswith("serving "), self.directory.with_suffix(".log").read_text("utf-8")
        self.uri = line.removeprefix("serving ").strip()

    def kill(self) -> None:
        """End it as a power cut does."""
        assert self.process is not None
        self.process.send_signal(signal.SIGKILL)
        self.wait()

    def stop(self) -> int:
        assert self.process is not None
        self.process.terminate()
        return self.wait()

    def wait(self, seconds: float = 30) -> int:
        """Return the exit code of a process that ends in time."""
        assert self.process is not None
        code = self.process.wait(seconds)
        for stream in (self.process.stdin, self.process.stdout):
            if stream is not None:
                stream.close()
        self.process = None
        return code


def shown(client: Client) -> dict[str, ShownNode]:
    """Return the nodes of a home cluster as its controller sees them, by name."""
    reply = NodesReply.read(client.action(NODES, NodesRequest().write()))
    return {one.node: one for one in reply.nodes}


def wait_for(client: Client, name: str, state: str) -> None:
    wait_until(lambda: name in shown(client) and shown(client)[name].state == state, SOON_S)


@contextlib.contextmanager
def nodes_of(
    federation: DemoFederation, cluster: str, user: str, *names: str
) -> Iterator[list[NodeProcess]]:
    """Run data nodes of a cluster; nothing of them is left afterwards."""
    nodes = [NodeProcess(federation, cluster, name) for name in names]
    with federation.client(user, cluster, at=cluster) as client:
        try:
            for node in nodes:
                node.add()
                node.start()
            for node in nodes:
                wait_for(client, node.name, "alive")
            yield nodes
        finally:
            for node in nodes:
                if node.process is not None:
                    node.stop()
                remove_node(federation.member_home(cluster), node.name)
            wait_until(lambda: not shown(client).keys() & set(names), SOON_S)
