"""Measures what a heartbeat says of this node: the host, this process, and its statements."""

import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from flight_member.clock import Moment
from flight_member.jobs import Jobs
from flight_member.metering import Meter
from flight_member.noderow import NodeRow

_MIB = 1 << 20
_WHOLE = 100.0
_CONNECTIONS = (Path("/proc/self/net/tcp"), Path("/proc/self/net/tcp6"))
_STATE, _ESTABLISHED = 3, b"01"


@dataclass(frozen=True, slots=True)
class NodeFacts:
    """What does not change while a node runs."""

    node: str
    mode: str
    host: str
    port: int
    uri: str
    memory_limit_bytes: int
    max_running_statements: int
    roots: tuple[Path, ...]
    """Where its tables lie."""
    is_leader: bool = True
    """Whether it reports for its cluster."""


class NodeSampler:
    """Makes the rows of one node; the first has no rates yet. Safe from several threads."""

    def __init__(
        self,
        facts: NodeFacts,
        jobs: Jobs,
        now: Moment,
        ticks: Callable[[], float] = time.monotonic,
    ) -> None:
        """Keep what is told, and begin to measure.

        Args:
            facts: What does not change.
            jobs: The statements of this node.
            now: The clock of `time_stamp`.
            ticks: A clock that only goes forward, in seconds.
        """
        self._facts = facts
        self._jobs = jobs
        self._now = now
        self._ticks = ticks
        self._process = psutil.Process()
        self._meter = Meter()
        self._cores = psutil.cpu_count() or 1
        self._latency_s: float | None = None
        self._latencies = (0, 0.0)
        self._sampling = threading.Lock()
        self._measure()

    def note_latency(self, seconds: float) -> None:
        """Take in how long a heartbeat took to be answered."""
        count, total = self._latencies
        self._latency_s, self._latencies = seconds, (count + 1, total + seconds)

    def sample(self) -> NodeRow:
        """Measure now."""
        with self._sampling:
            metered = self._measure()
        facts, memory, count = self._facts, psutil.virtual_memory(), self._latencies[0]
        total, free = _space(facts.roots)
        figures = self._jobs.figures()
        cpu, process_cpu = metered["busy_us"].per_s, metered["process_us"].per_s
        return NodeRow(
            node=facts.node,
            host=facts.host,
            port=facts.port,
            uri=facts.uri,
            mode=facts.mode,
            is_leader=facts.is_leader,
            core_count=self._cores,
            cpu_percent=_percent(cpu, self._cores) or 0.0,
            process_cpu_percent=_percent(process_cpu, self._cores),
            load_1m=psutil.getloadavg()[0],
            memory_used_bytes=memory.total - memory.available,
            memory_total_bytes=memory.total,
            process_memory_bytes=self._process.memory_info().rss,
            memory_limit_bytes=facts.memory_limit_bytes,
            disk_total_bytes=total,
            disk_free_bytes=free,
            disk_free_ratio=free / total if total else None,
            disk_read_bytes_per_s=metered["disk_read"].per_s,
            disk_write_bytes_per_s=metered["disk_write"].per_s,
            disk_read_last_minute_bytes=metered["disk_read"].last_minute,
            disk_write_last_minute_bytes=metered["disk_write"].last_minute,
            network_send_bytes_per_s=metered["network_send"].per_s,
            network_receive_bytes_per_s=metered["network_receive"].per_s,
            network_send_last_minute_bytes=metered["network_send"].last_minute,
            network_receive_last_minute_bytes=metered["network_receive"].last_minute,
            connection_count=self._connection_count(),
            running_statements=figures.running,
            queued_statements=figures.queued,
            max_running_statements=facts.max_running_statements,
            # Before the first has ended there is no time to tell.
            median_last_10_s=figures.last_10.median_s or None,
            max_last_10_s=figures.last_10.max_s or None,
            median_last_100_s=figures.last_100.median_s or None,
            max_last_100_s=figures.last_100.max_s or None,
            longest_running_s=figures.longest_running_s,
            heartbeat_latency_s=self._latency_s,
            heartbeat_latency_mean_s=self._latencies[1] / count if count else None,
            sampled_at=self._now().timestamp(),
        )

    def _measure(self) -> Any:
        host, own = psutil.cpu_times(), self._process.cpu_times()
        idle = host.idle + getattr(host, "iowait", 0.0)
        # A guest's time is counted in the host's own already.
        guests = getattr(host, "guest", 0.0) + getattr(host, "guest_nice", 0.0)
        disk, network = psutil.disk_io_counters(), psutil.net_io_counters()
        return self._meter.measure(
            self._ticks(),
            {
                "busy_us": round((sum(host) - guests - idle) * 1_000_000),
                "process_us": round((own.user + own.system) * 1_000_000),
                "disk_read": disk.read_bytes if disk else None,
                "disk_write": disk.write_bytes if disk else None,
                "network_send": network.bytes_sent if network else None,
                "network_receive": network.bytes_recv if network else None,
            },
        )

    def _connection_count(self) -> int | None:
        if _CONNECTIONS[0].exists():
            return sum(_established(file, self._facts.port) for file in _CONNECTIONS)
        try:
            found = self._process.net_connections("tcp")
        except (psutil.Error, OSError):
            # Not every system tells a process of its own connections.
            return None
        return sum(
            1
            for one in found
            if one.status == psutil.CONN_ESTABLISHED and one.laddr.port == self._facts.port
        )


def _established(file: Path, port: int) -> int:
    """Return how many connections to a port Linux lists in a file.

    A list of the process's own files as well would take a second where a thousand members are
    connected.

    Source: proc_net_tcp of the Linux kernel's documentation: address and port in hexadecimal.
    """
    try:
        with file.open("rb") as lines:
            listed = [line.split(maxsplit=4) for line in lines]
    except OSError:
        return 0
    ending = b":%04X" % port
    return sum(
        len(one) > _STATE and one[_STATE] == _ESTABLISHED and one[1].endswith(ending)
        for one in listed
    )


def _percent(busy_us_per_s: float | None, cores: int) -> float | None:
    """Return a use of processor time as a share of all cores."""
    if busy_us_per_s is None:
        return None
    return min(busy_us_per_s / 1_000_000 / cores * _WHOLE, _WHOLE)


def _space(roots: Iterable[Path]) -> tuple[int, int]:
    """Return capacity and free space of the file systems of some directories, each once."""
    total, free, seen = 0, 0, set[int]()
    for root in roots:
        try:
            device, usage = root.stat().st_dev, psutil.disk_usage(str(root))
        except OSError:
            continue  # not mounted, which is no reason to be taken for dead
        if device not in seen:
            seen.add(device)
            total, free = total + usage.total, free + usage.free
    return total, free
