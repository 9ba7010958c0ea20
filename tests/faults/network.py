"""Lines between the servers, that can be cut: namespaces with routes, or proxies.

Every server has an address of its own. A *link* is named by its two ends; `CLIENTS` are whoever
asks from outside, the run itself.
"""

import contextlib
import subprocess
from collections.abc import Iterator, Sequence
from itertools import permutations
from pathlib import Path
from typing import Protocol

from tests.proxy import Line, Proxy

CLIENTS = "clients"
_PORT = 32010
# Enough for heartbeats and statements, and no rows in time.
_SLOW = ("tbf", "rate", "512kbit", "burst", "16kb", "latency", "500ms")


class Network(Protocol):
    """Where servers listen, and how their lines fail."""

    def place(self, name: str) -> dict[str, str]:
        """Return the settings of section `server` that put a server at its address."""

    def uri(self, name: str, asker: str = CLIENTS) -> str:
        """Return where a server answers to somebody."""

    def prefix(self, name: str) -> Sequence[str]:
        """Return what a server's command begins with, so that it runs at its address."""

    def cut(self, one: str, other: str, *, both_ways: bool = True) -> None:
        """Lose what is sent from one to the other, silently."""

    def isolate(self, name: str) -> None:
        """Lose whatever is sent to a server and by it."""

    def slow(self, name: str) -> None:
        """Narrow the line of a server."""

    def mend(self) -> None:
        """Have every line work."""

    def close(self) -> None:
        """Leave nothing behind."""


class Namespaces:
    """Each server in a network namespace, all of them behind one router: this process's own."""

    def __init__(self, names: Sequence[str]) -> None:
        self._names = tuple(names)
        self._holders: dict[str, subprocess.Popen[bytes]] = {}
        _run("ip", "link", "set", "lo", "up")
        Path("/proc/sys/net/ipv4/ip_forward").write_text("1")
        for number, name in enumerate(names, 2):
            # It ends with its standard input, and the namespace with it.
            holder = subprocess.Popen(
                ["unshare", "--net", "sh", "-c", "echo; exec cat"],  # noqa: S607  where it lies differs
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
            )
            self._holders[name] = holder
            assert holder.stdout is not None
            assert holder.stdout.readline()
            hub, pid = f"line{number}", str(holder.pid)
            _run(*("ip", "link", "add", hub, "type", "veth", "peer", "name", "eth0", "netns", pid))
            _run("ip", "addr", "add", f"{self._gateway(name)}/30", "dev", hub)
            _run("ip", "link", "set", hub, "up")
            inside = (
                f"ip addr add {self._address(name)}/30 dev eth0; ip link set eth0 up; "
                f"ip link set lo up; ip route add default via {self._gateway(name)}"
            )
            _run(*self.prefix(name), "sh", "-c", inside)

    def place(self, name: str) -> dict[str, str]:
        return {"host": self._address(name), "port": str(_PORT)}

    def uri(self, name: str, asker: str = CLIENTS) -> str:
        assert asker
        return f"grpc+tls://{self._address(name)}:{_PORT}"

    def prefix(self, name: str) -> Sequence[str]:
        return ("nsenter", "--target", str(self._holders[name].pid), "--net")

    def cut(self, one: str, other: str, *, both_ways: bool = True) -> None:
        self._lose(one, other)
        if both_ways:
            self._lose(other, one)

    def isolate(self, name: str) -> None:
        _run("ip", "link", "set", self._line(name), "down")

    def slow(self, name: str) -> None:
        _run("tc", "qdisc", "replace", "dev", self._line(name), "root", *_SLOW)
        _run(*self.prefix(name), "tc", "qdisc", "replace", "dev", "eth0", "root", *_SLOW)

    def mend(self) -> None:
        for one, other in permutations(self._names, 2):
            with contextlib.suppress(subprocess.CalledProcessError):
                while True:
                    self._rule("del", one, other)
        for name in self._names:
            _run("ip", "link", "set", self._line(name), "up")
            for command in (("tc",), (*self.prefix(name), "tc")):
                device = "eth0" if len(command) > 1 else self._line(name)
                _try(*command, "qdisc", "del", "dev", device, "root")

    def close(self) -> None:
        for holder in self._holders.values():
            for stream in (holder.stdin, holder.stdout):
                assert stream is not None
                stream.close()
            holder.wait(20)

    @property
    def holders(self) -> Iterator[int]:
        """The processes that hold the namespaces open."""
        return (holder.pid for holder in self._holders.values())

    def _lose(self, sender: str, receiver: str) -> None:
        if CLIENTS not in {sender, receiver}:
            self._rule("add", sender, receiver)

    def _rule(self, action: str, sender: str, receiver: str) -> None:
        ends = ("from", self._address(sender), "to", self._address(receiver))
        _run("ip", "rule", action, *ends, "blackhole")

    def _address(self, name: str) -> str:
        return f"10.77.{self._names.index(name) + 2}.2"

    def _gateway(self, name: str) -> str:
        return f"10.77.{self._names.index(name) + 2}.1"

    def _line(self, name: str) -> str:
        return f"line{self._names.index(name) + 2}"


class Lines:
    """Each server on a loopback address of its own, and a proxy before it for whoever asks it.

    A member tells everybody one address, so the MoM and clients come to it by one line; each member
    comes to the MoM by a line of its own.
    """

    def __init__(self, mom: str, members: Sequence[str]) -> None:
        self._mom = mom
        self._names = (mom, *members)
        self._ports: dict[str, int] = {}
        self._proxies: dict[tuple[str, str], Proxy] = {}
        for name in self._names:
            # Whoever advertises 127.0.0.1 and listens beside it is met at the proxy of that port.
            proxy = Proxy((self._address(name), 0))
            proxy.target = (self._address(name), proxy.port)
            self._ports[name] = proxy.port
            self._proxies[CLIENTS, name] = proxy
        for name in members:
            self._proxies[name, mom] = Proxy((self._address(mom), self._ports[mom]))

    def place(self, name: str) -> dict[str, str]:
        host, port = self._address(name), str(self._ports[name])
        return {"host": host, "port": port, "advertise": "127.0.0.1"}

    def uri(self, name: str, asker: str = CLIENTS) -> str:
        proxy = self._proxies.get((asker, name)) or self._proxies[CLIENTS, name]
        return f"grpc://127.0.0.1:{proxy.port}"

    def prefix(self, name: str) -> Sequence[str]:
        assert name in self._names
        return ()

    def cut(self, one: str, other: str, *, both_ways: bool = True) -> None:
        line = Line.BLACKHOLE if both_ways else Line.HALF_OPEN
        asked = [ends for ends in ((one, other), (other, one)) if ends in self._proxies]
        for ends in asked:
            self._proxies[ends].set(line)
        for name in {one, other} - {self._mom, CLIENTS} if both_ways else ():
            self._proxies[CLIENTS, name].set(line)

    def isolate(self, name: str) -> None:
        for ends, proxy in self._proxies.items():
            if name in ends:
                proxy.set(Line.CUT)

    def slow(self, name: str) -> None:
        for ends, proxy in self._proxies.items():
            if name in ends:
                proxy.set(Line.DELAY, 0.1)

    def mend(self) -> None:
        for proxy in self._proxies.values():
            proxy.set(Line.PASS)

    def close(self) -> None:
        for proxy in self._proxies.values():
            proxy.close()

    def _address(self, name: str) -> str:
        return f"127.0.0.{self._names.index(name) + 2}"


def _run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True, timeout=20)  # noqa: S603  ours


def _try(*command: str) -> None:
    subprocess.run(command, check=False, capture_output=True, timeout=20)  # noqa: S603  ours
