"""Stopping a server within a deadline, whatever its clients do.

pyarrow's `shutdown` waits for running streams for ever, and a client that does not read keeps its
stream running: what blocks then is gRPC's write, which no Python code can interrupt. So, when the
deadline has passed, the server's own ends of its connections are shut down; the write fails, the
stream ends, its generator is closed.
"""

import contextlib
import logging
import os
import socket
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

_log = logging.getLogger("flight_sql")

_DESCRIPTORS = Path("/proc/self/fd") if Path("/proc/self/fd").exists() else Path("/dev/fd")
# What a broken connection and a generator's `finally` need to be noticed.
_LAST_WORDS_S = 5.0
_LOOK_S = 0.1


class RunningCalls:
    """Counts the calls that are being answered."""

    def __init__(self) -> None:
        self._count = 0
        self._by_caller: Counter[int] = Counter()
        self._changed = threading.Condition()

    @property
    def count(self) -> int:
        """How many calls are being answered right now."""
        return self._count

    def enter(self, caller: int, max_count: int) -> bool:
        """Count a call, unless there are too many already; returns whether it counts.

        Args:
            caller: Whose it is, as a number; nobody's calls are more than half of all.
            max_count: How many there may be.
        """
        with self._changed:
            most = max(1, max_count // 2)
            if self._count >= max_count or self._by_caller[caller] >= most:
                return False
            self._count += 1
            self._by_caller[caller] += 1
            return True

    def leave(self, caller: int) -> None:
        """Count a call of this caller no longer."""
        with self._changed:
            self._count -= 1
            self._by_caller[caller] -= 1
            if not self._by_caller[caller]:
                del self._by_caller[caller]
            self._changed.notify_all()

    def wait_for_none(self, remaining_s: Callable[[], float]) -> bool:
        """Wait until no call is being answered and return whether that came about.

        Args:
            remaining_s: How many seconds are left; asked again and again, for it may change.
        """
        with self._changed:
            while self._count > 0 and (left_s := remaining_s()) > 0:
                self._changed.wait(min(left_s, _LOOK_S))
            return self._count <= 0


def shut_down_within(shutdown: Callable[[], None], port: int, deadline_s: float) -> bool:
    """Run `shutdown` and cut the connections of `port` when it has not ended in time.

    Returns:
        Whether it ended; if not, a handler hangs and only the process's end will end it.
    """
    stopping = threading.Thread(target=shutdown, name="flight-shutdown", daemon=True)
    stopping.start()
    stopping.join(max(0.0, deadline_s))
    if stopping.is_alive():
        cut = sum(_cut(connection) for connection in _connections(port))
        _log.warning("connections_cut", extra={"port": port, "connection_count": cut})
        stopping.join(_LAST_WORDS_S)
    return not stopping.is_alive()


def _connections(port: int) -> Iterator[socket.socket]:
    """Yield duplicates of this process's sockets whose own side is a connection of the port."""
    for entry in os.listdir(_DESCRIPTORS):  # noqa: PTH208  # names are numbers, not paths
        with contextlib.suppress(OSError), socket.socket(fileno=os.dup(int(entry))) as found:
            if found.family in (socket.AF_INET, socket.AF_INET6) and found.getsockname()[1] == port:
                found.getpeername()  # raises for the listening socket
                yield found


def _cut(connection: socket.socket) -> int:
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)
        return 1
    return 0
