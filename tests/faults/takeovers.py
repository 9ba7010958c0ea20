"""Faults in the middle of takeovers: a member with two controllers over one PostgreSQL.

What is written at either is checked as in every run: confirmed rows are there and there once,
whoever leads and whoever was killed, paused, or cut off from the database meanwhile.
"""

import random
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from threading import Event, Thread

from flight_sql import Client, RemoteError
from tests.databases import PostgresServer
from tests.faults.oracle import PARTS, Oracle
from tests.faults.running import Recovery, say
from tests.ha.members import FIRST, MOM, SECOND, Cluster, make_cluster
from tests.proxy import Line, Proxy

LEDGER = "trading.stock.ledger"
_COUNT = f"select count(*) as n, count(distinct batch) as batches, sum(part) as parts from {LEDGER}"
_CALL_S = 10.0
_RECOVERY_S = 120.0
LEADER, STANDBY = "leader", "standby"


def _kill(cluster: Cluster, name: str) -> None:
    cluster.servers[name].signal(signal.SIGKILL)


def _stop(cluster: Cluster, name: str) -> None:
    cluster.servers[name].signal(signal.SIGSTOP)


def _line(line: Line) -> Callable[[Cluster, str], None]:
    return lambda cluster, name: cluster.lines[name].set(line, 0.2)


_BREAKS: Mapping[str, Callable[[Cluster, str], None]] = {
    "kill": _kill,
    "stop": _stop,
    "database cut": _line(Line.CUT),
    "database lost": _line(Line.BLACKHOLE),
    "database half lost": _line(Line.HALF_OPEN),
    "database slow": _line(Line.DELAY),
}


@dataclass(frozen=True)
class Strike:
    """One fault of one controller, or of the MoM; another may follow while it lasts."""

    fault: str
    victim: str
    lasts_s: float

    def __str__(self) -> str:
        return f"{self.fault} {self.victim} for {self.lasts_s:.2f} s"


def draw(seed: int) -> tuple[Strike, ...]:
    """Draw what strikes: a second fault comes in the middle of the takeover from the first."""
    chance = random.Random(seed)  # noqa: S311  to be drawn again
    return tuple(_draw_strike(chance) for _ in range(chance.choice((1, 2))))


def _draw_strike(chance: random.Random) -> Strike:
    victim = chance.choice((LEADER, LEADER, LEADER, STANDBY, MOM))
    fault = chance.choice(("kill", "stop") if victim == MOM else tuple(_BREAKS))
    return Strike(fault, victim, round(chance.uniform(0.5, 5), 2))


class TakeoverRun:
    """The member, who writes and reads at it, and schedule after schedule."""

    def __init__(self, directory: Path) -> None:
        self.oracle = Oracle()
        self.recoveries: list[Recovery] = []
        self.failed: list[int] = []
        self.played = 0
        self._directory = directory
        self._stopping = Event()

    def play(self, seeds: range) -> None:
        """Play the schedules of seeds."""
        with ExitStack() as stack:
            home = self._directory / "postgresql"
            home.mkdir()
            self._directory.chmod(0o755)
            server = PostgresServer(home)
            stack.callback(server.stop)
            server.wait()
            lines = {name: stack.enter_context(Proxy(server.socket)) for name in (FIRST, SECOND)}
            cluster = make_cluster(self._directory, server, lines)
            stack.callback(cluster.stop_all)
            cluster.mend()
            with cluster.client(cluster.leader) as user:
                user.update(f"CREATE TABLE {LEDGER} (batch BIGINT, part BIGINT)")
            with self._working(cluster):
                for seed in seeds:
                    self._play_one(seed, cluster)

    def _play_one(self, seed: int, cluster: Cluster) -> None:
        strikes, known = draw(seed), len(self.oracle.findings)
        self.played += 1
        struck_at = time.monotonic()
        for strike in strikes:
            _BREAKS[strike.fault](cluster, self._named(cluster, strike.victim))
            time.sleep(strike.lasts_s)
        confirmed = len(self.oracle.confirmed())
        mended_at = time.monotonic()
        cluster.mend()
        self._wait(lambda: len(self.oracle.confirmed()) > confirmed + 1, "writes")
        whole_s = time.monotonic() - mended_at
        for name in (FIRST, SECOND):
            self._wait(partial(self._is_right, cluster, name), f"reading at {name}")
        is_well = len(self.oracle.findings) == known
        took_s = time.monotonic() - struck_at
        steps = "; ".join(map(str, strikes))
        outcome = "ok  " if is_well else "FAIL"
        say(f"{outcome} {seed} {took_s:5.1f} s, whole after {whole_s:4.1f} s: {steps}")
        if len(strikes) == 1:
            (strike,) = strikes
            self.recoveries.append(
                Recovery(strike.fault, strike.victim, "takeover", round(whole_s, 2))
            )
        if not is_well:
            self.failed.append(seed)

    def _is_right(self, cluster: Cluster, at: str) -> bool:
        """Check all that is there, as one controller sees it."""
        confirmed = self.oracle.confirmed()
        try:
            with cluster.client(at) as user:
                sql = f"select batch, count(*) as n from {LEDGER} group by batch"
                rows = user.query(sql).read_all().to_pylist()
        except RemoteError as error:
            self.oracle.refused(f"at {at}", error)
            return False
        # A standby may be a moment behind; what it shows is whole, and comes.
        if confirmed - {row["batch"] for row in rows} and at != cluster.leader:
            return False
        self.oracle.check_ledger(rows, confirmed)
        return True

    def _wait(self, is_so: Callable[[], bool], what: str) -> None:
        deadline = time.monotonic() + _RECOVERY_S
        while not is_so():
            if time.monotonic() > deadline:
                self.oracle.find(f"{what} does not work {_RECOVERY_S:.0f} s after all was mended")
                return
            time.sleep(0.1)

    @staticmethod
    def _named(cluster: Cluster, victim: str) -> str:
        return {LEADER: cluster.leader, STANDBY: cluster.other}.get(victim, victim)

    @contextmanager
    def _working(self, cluster: Cluster) -> Iterator[None]:
        """Write and read at both controllers for the time of a `with` block."""
        threads = [Thread(target=self._write, args=(cluster,), daemon=True)]
        threads += [
            Thread(target=self._read, args=(cluster, name), daemon=True) for name in (FIRST, SECOND)
        ]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self._stopping.set()
            for thread in threads:
                thread.join(60)
                if thread.is_alive():
                    self.oracle.find("a client hangs for a minute")

    def _write(self, cluster: Cluster) -> None:
        """Write batch after batch, at the other controller after each refusal."""
        at, other = FIRST, SECOND
        while not self._stopping.is_set():
            try:
                with self._client(cluster, at) as user:
                    while not self._stopping.wait(0.1):
                        batch = self.oracle.issue()
                        values = ", ".join(f"({batch}, {part})" for part in range(PARTS))
                        user.update(f"INSERT INTO {LEDGER} VALUES {values}")
                        self.oracle.acknowledge(batch)
                        self.oracle.answered("writer")
            except RemoteError as error:
                self.oracle.refused("writer", error)
                self._stopping.wait(0.1)
            at, other = other, at

    def _read(self, cluster: Cluster, at: str) -> None:
        while not self._stopping.wait(0.1):
            try:
                with self._client(cluster, at) as user:
                    (counted,) = user.query(_COUNT).read_all().to_pylist()
                self.oracle.check_counted(at, counted, 0)
                self.oracle.answered(f"reader at {at}")
            except RemoteError as error:
                self.oracle.refused(f"reader at {at}", error)

    @staticmethod
    @contextmanager
    def _client(cluster: Cluster, at: str) -> Iterator[Client]:
        uri = f"grpc://127.0.0.1:{cluster.ports[at]}"
        with closing(Client(uri, call_timeout_s=_CALL_S, connect_timeout_s=2)) as client:
            client.sign_in("user1@shanghai", cluster.password("user1"))
            yield client
