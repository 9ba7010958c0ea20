"""Replacing a server while it serves, because pyarrow reads certificates once, at the start.

pyarrow does not let two servers share a port. But its shutdown closes the listening socket at once
and only then waits for running calls: the successor listens on the same port some 30 ms later, in
the same process, while streams of its predecessor run to their end. Clients that were connected
connect again by themselves.
"""

import logging
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
            try:
                return self._make(port)
            except pa.ArrowException:
                # The predecessor has not let go of the port yet.
                time.sleep(_RETRY_S)
        raise ServerStoppingError("the server could not be replaced; start it again")
