"""Which replica runs what is done now and then for all of them: one, by a lease.

What it does is right also when two do it for a moment: days are removed, files joined and states
noted in one transaction each. The lease is there so that it is not done over and over.
"""

import threading

from flight_member.errors import StateUnavailableError
from flight_member.lease import Lease
from flight_member.logs import get_logger
from flight_member.statestore import Database

_log = get_logger(__name__)
_NAME = "periodic work of the MoM"
_TTL_S = 10.0
_AGAIN_S = 1.0


class PeriodicWork:
    """Tends the lease, in a thread of its own."""

    def __init__(self, database: Database, server: str) -> None:
        """Keep what it takes.

        Args:
            database: Shared with the other replicas.
            server: This replica's name.
        """
        self._server = server
        self._is_shared = database.is_shared
        self._lease = Lease(database, _NAME, server, _TTL_S)
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="periodic", daemon=True)

    def is_ours(self) -> bool:
        """Whether it is this replica that does it now."""
        return self._lease.is_held

    def holder(self) -> str | None:
        """Return which replica does it, as far as this one knows."""
        if self._lease.is_held:
            return self._server
        seen = self._lease.seen
        return None if seen is None else seen.holder

    def start(self) -> None:
        """Take the lease when it is free, and hold it."""
        if self._is_shared:
            self._thread.start()

    def stop(self) -> None:
        """Leave it to another."""
        self._stopping.set()
        if self._thread.ident is None:
            return
        self._thread.join(timeout=5)
        try:
            self._lease.give_up()
        except StateUnavailableError:
            _log.warning("lease_not_given_up")

    def _run(self) -> None:
        pause_s = 0.0
        while not self._stopping.wait(pause_s):
            try:
                pause_s = self._lease.tend()
            except Exception as error:  # noqa: BLE001  the next look may succeed
                pause_s = _AGAIN_S
                _log.warning("lease_not_tended", code=getattr(error, "code", type(error).__name__))
