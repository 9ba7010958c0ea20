"""Replacing a server while it serves, because pyarrow reads certificates once, at the start.

pyarrow does not let two servers share a port. But its shutdown closes the listening socket at once
and only then waits for running calls: the successor listens on the same port some 30 ms later, in
the same process, while streams of its predecessor run to their end. Clients that were connected
connect again by themselves.
"""

import errno
import logging
import socket
import threading
import time
from collections.abc import Callable

import pyarrow as pa

from flight_sql.errors import ServerStoppingError
from flight_sql.server import FlightSqlServer

_log = logging.getLogger("flight_sql")
_BIND_WITHIN_S = 30.0
_RETRY_S = 0.01


class ReplaceableServer:
    """A Flight SQL server on one port, of which there can be another at any time."""

    def __init__(self, make: Callable[[int], FlightSqlServer], port: int) -> None:
        """Make the first server; it does not answer yet.

        Args:
            make: Makes a server on a port, with whatever certificate there is by then.
            port: The port to listen on; 0 takes a free one.
        """
        self._make = make
        self._replacing = threading.Lock()
        self._current = make(port)
        self._retired: list[FlightSqlServer] = []

    @property
    def port(self) -> int:
        """Where the server listens, and every later one."""
        return int(self._current.port)

    @property
    def uri(self) -> str:
        """Where a client of this machine finds the server."""
        return self._current.uri

    def start(self) -> None:
        """Begin to answer. Returns at once."""
        self._current.start()

    def replace(self) -> None:
        """Put another server in the place of this one; its running streams go on.

        Raises:
            ServerStoppingError: When the port cannot be listened on again within half a minute:
                nobody answers any more, and the process should end.
        """
        with self._replacing:
            retiring = self._current
            port = self.port
            threading.Thread(target=retiring.shutdown, name="flight-retiring", daemon=True).start()
            successor = self._listen_again(port)
            successor.start()
            self._current = successor
            self._retired = [one for one in self._retired if one.running_count] + [retiring]
        _log.info("server_replaced", extra={"port": port})

    def drain_and_stop(self, deadline_s: float = 30.0) -> bool:
        """Refuse new calls, let streams of all servers run until the deadline, then stop.

        Returns:
            Whether everything ended; see `FlightSqlServer.drain_and_stop`.
        """
        with self._replacing:
            for one in self._retired:
                one.end_within(deadline_s)
            return self._current.drain_and_stop(deadline_s)

    def hurry(self) -> None:
        """End what still runs in a `drain_and_stop` that is under way. Never blocks."""
        for one in (*self._retired, self._current):
            one.end_within(0)

    def _listen_again(self, port: int) -> FlightSqlServer:
        give_up_at = time.monotonic() + _BIND_WITHIN_S
        while time.monotonic() < give_up_at:
            # gRPC is content with one address of a name that has several.
            if is_free(self._current.host, port):
                try:
                    return self._make(port)
                except pa.ArrowException:
                    pass
            # The predecessor has not let go of the port yet.
            time.sleep(_RETRY_S)
        raise ServerStoppingError("the server could not be replaced; start it again")


def is_free(host: str, port: int) -> bool:
    """Whether nobody listens on a port, at any address of a host."""
    for family, kind, protocol, _, address in socket.getaddrinfo(
        host, port, type=socket.SOCK_STREAM
    ):
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            try:
                probe.bind(address)
            except OSError as error:
                # An address that this machine does not have is in nobody's way.
                if error.errno == errno.EADDRINUSE:
                    return False
    return True
