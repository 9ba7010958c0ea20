"""Which of a member's controllers leads it, and which of them may change anything.

Every controller holds a place of its own: it answers, and carries out changes, as long as it
renews that. One of them holds the leader's lease too: it alone reports to the MoM and looks after
the tables. Who was paused, or cut off from the database, for longer than the lease has neither any
more; what it had begun before is refused when it wakes (see `lease`).
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress

from flight_member.errors import FlightMemberError, StateUnavailableError
from flight_member.lease import Lease, begun_under, guard_changes
from flight_member.leasestore import LeaseRow
from flight_member.logs import get_logger
from flight_member.statestore import Database

_log = get_logger(__name__)
LEADER = "leader"
_AGAIN_S = 0.2
_STOP_TIMEOUT_S = 10.0


class Leadership:
    """The leases of one controller. One thread tends them; everybody reads."""

    def __init__(
        self,
        database: Database,
        name: str,
        ttl_s: float,
        *,
        look_again: Callable[[], object] = lambda: None,
        took_over: Callable[[], object] = lambda: None,
    ) -> None:
        """Keep what it takes; nothing is held before `start`.

        Args:
            database: That of the member.
            name: This controller's, among those over the database.
            ttl_s: How long a lease lasts unless it is renewed.
            look_again: Called before this controller may change anything, when others may have.
            took_over: Called when this controller begins to lead.
        """
        self._database = database
        self._look_again = look_again
        self._place = Lease(database, place_of(name), name, ttl_s, taken=look_again)
        self._leader = Lease(database, LEADER, name, ttl_s, taken=look_again)
        self._took_over = took_over
        self._led = 0
        self._has_resigned = False
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="leases", daemon=True)
        guard_changes(database)

    @property
    def is_leader(self) -> bool:
        """Whether this controller leads for sure: no other does."""
        return self._leader.is_held

    @property
    def may_change(self) -> bool:
        """Whether this controller reaches the database well enough to change anything."""
        return self._place.is_held

    @property
    def number(self) -> int:
        """The number of this leader's time, higher than that of any before; 0 without others."""
        return self._leader.number

    @property
    def seen(self) -> LeaseRow | None:
        """How the leader's lease stood when it was last looked at, if another holds it."""
        return self._leader.seen

    @contextmanager
    def changing(self) -> Iterator[None]:
        """Carry out a change in a `with` block: none of it is done if the place is lost meanwhile.

        What other controllers have changed until now is known when the block begins.

        Raises:
            FencedError: At once, when this controller has not its place; later, when it lost it.
            StateUnavailableError: When the database does not answer.
        """
        with begun_under(self._place):
            if self._database.is_shared:
                self._look_again()
            yield

    @contextmanager
    def leading(self) -> Iterator[None]:
        """Do the leader's work in a `with` block; see `changing`."""
        with begun_under(self._leader):
            yield

    def start(self) -> None:
        """Take what is free, and begin to tend it."""
        if not self._database.is_shared:
            return
        self._tend_all()
        self._thread.start()

    def resign(self) -> None:
        """Leave the lead to another now; the place stays, for what is under way."""
        self._has_resigned = True
        with suppress(StateUnavailableError):
            self._leader.give_up()

    def stop(self) -> None:
        """Give up what is held, so that another takes over at once."""
        self._stopping.set()
        if not self._thread.is_alive():
            return
        self._thread.join(_STOP_TIMEOUT_S)
        with ExitStack() as stack:
            stack.callback(self._place.give_up)
            stack.callback(self._leader.give_up)

    def _run(self) -> None:
        while not self._stopping.is_set():
            self._stopping.wait(self._tend_all())

    def _tend_all(self) -> float:
        """Tend both leases; returns when to do so again, in seconds."""
        pause_s = 60.0
        for lease in (self._place, self._leader):
            if self._has_resigned and lease is self._leader:
                continue
            try:
                pause_s = min(pause_s, lease.tend())
            except FlightMemberError as error:
                pause_s = _AGAIN_S
                _log.warning("lease_not_tended", code=error.code)
            except Exception:  # noqa: BLE001  whatever it was, it is tried again
                pause_s = _AGAIN_S
                _log.exception("lease_not_tended")
        if self.is_leader and self._led != self.number:
            self._led = self.number
            _log.info("leading", number=self.number)
            self._took_over()
        return pause_s


def place_of(name: str) -> str:
    """Return what the lease of a controller's place is called."""
    return f"controller {name}"
