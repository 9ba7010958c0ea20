"""A lease: at most one of the servers over a database holds it, and who lost it can do no harm.

It is taken and renewed by the database's clock. Its holder counts it as held only as long as it
must be so by the holder's own clock too: from before it asked. So who cannot renew it steps down
before another can take it. Whoever was paused need not have noticed anything: what it does under
the lease is checked by the lease's number, in the transaction that writes. The number rises
whenever the lease is taken; a change that was begun under an older one is refused and nothing of
it is written. Work on files looks likewise, right before what cannot be undone.

Over a database that only one process uses there is nothing to take: the lease is held always, and
costs nothing.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

from flight_member.errors import FencedError
from flight_member.leasestore import LeaseRow, LeaseStore
from flight_member.logs import get_logger
from flight_member.statestore import Database
from storage.lastlook import guarded_steps

_log = get_logger(__name__)
_RENEWALS = 3
_LONGEST_PAUSE_S = 0.5
# By how much clocks may differ in pace.
_MARGIN = 0.05


def boot_ticks() -> float:
    """Return a clock that only goes forward, also while the machine sleeps."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


@dataclass(frozen=True, slots=True)
class _Held:
    """Under which number a lease is held, and until when by this process's own clock."""

    number: int = 0
    until: float = 0.0


class Lease:
    """One lease as one server sees it. One thread tends it; everybody reads."""

    def __init__(
        self,
        database: Database,
        name: str,
        holder: str,
        ttl_s: float,
        ticks: Callable[[], float] = boot_ticks,
        *,
        taken: Callable[[], object] = lambda: None,
    ) -> None:
        """Keep what it takes; nothing is taken before the first `tend`.

        Args:
            database: Where the lease is.
            name: What it is called there.
            holder: This server's name among those over the database.
            ttl_s: For how long it is held unless it is renewed.
            ticks: A clock that only goes forward.
            taken: Called whenever it was taken, before it counts as held: who knows what others
                did meanwhile may act.
        """
        self._database = database
        self._taken = taken
        self._name = name
        self._holder = holder
        self._ttl_s = ttl_s
        self._ticks = ticks
        self._held = _Held()
        self._seen: LeaseRow | None = None

    @property
    def is_held(self) -> bool:
        """Whether this server holds it for sure: nobody else can have taken it."""
        return not self._database.is_shared or self._ticks() < self._held.until

    @property
    def number(self) -> int:
        """The number that it was last taken under here; 0 where it need not be taken."""
        return self._held.number

    @property
    def seen(self) -> LeaseRow | None:
        """How it stood when it was last looked at; None before, and where it need not be taken."""
        return self._seen

    def tend(self) -> float:
        """Renew the lease, or take it if it is free; returns when to do so again, in seconds.

        Raises:
            StateUnavailableError: When the database does not answer. A lease that was held is held
                on, until its time is over.
        """
        if not self._database.is_shared:
            return self._ttl_s
        if self._held.until and self._renew():
            return self._ttl_s / _RENEWALS
        left_s = self._look()
        if left_s <= 0 and self._take():
            # An answer that took long leaves nothing of the lease.
            return self._ttl_s / _RENEWALS if self.is_held else 0.0
        return min(max(left_s, 0.01), _LONGEST_PAUSE_S)

    def check(self, store: LeaseStore, number: int | None = None) -> None:
        """Refuse to go on under a lease that is not held any more, in the transaction that writes.

        Args:
            store: In that transaction, in which changes wait for each other.
            number: Under which the work was begun; by default the last one.

        Raises:
            FencedError: When it lapsed since, even if it was taken again.
        """
        if not self._database.is_shared:
            return
        row = store.find(self._name)
        begun = self.number if number is None else number
        if row is None or (row.holder, row.number) != (self._holder, begun) or row.left_s <= 0:
            raise FencedError.of_lapse()

    def require(self, number: int | None = None) -> None:
        """Refuse as `check` does, right before a step that no transaction undoes.

        Raises:
            FencedError: When the lease lapsed since, even if it was taken again.
            StateUnavailableError: When that cannot be known.
        """
        if self._database.is_shared:
            with self._database.aside() as connection:
                self.check(LeaseStore(connection), number)

    def give_up(self) -> None:
        """Let it lapse, at an orderly stop, so that nobody waits for it."""
        held, self._held = self._held, _Held()
        if self._database.is_shared and held.number:
            with self._database.aside() as connection:
                LeaseStore(connection).give_up(self._name, self._holder, held.number)

    def _renew(self) -> bool:
        asked_at, number = self._ticks(), self._held.number
        with self._database.aside() as connection:
            is_renewed = LeaseStore(connection).renew(self._name, self._holder, number, self._ttl_s)
        if is_renewed:
            self._hold(number, asked_at)
        else:
            self._held = _Held(number)
            _log.warning("lease_lost", lease=self._name, number=number)
        return is_renewed

    def _look(self) -> float:
        """Return for how long it is held by somebody else."""
        with self._database.aside() as connection:
            self._seen = LeaseStore(connection).find(self._name)
        is_own = self._seen is not None and self._seen.holder == self._holder
        return 0.0 if self._seen is None or (is_own and self._is_fresh) else self._seen.left_s

    @property
    def _is_fresh(self) -> bool:
        """Whether this process never held it: then who has its name is gone."""
        return not self._held.number

    def _take(self) -> bool:
        asked_at = self._ticks()
        with self._database.aside(waits_for_changes=True) as connection:
            number = LeaseStore(connection).take(
                self._name, self._holder, self._ttl_s, is_restart=self._is_fresh
            )
        if number is None:
            return False
        self._taken()
        self._hold(number, asked_at)
        _log.info("lease_taken", lease=self._name, number=number)
        return True

    def _hold(self, number: int, asked_at: float) -> None:
        self._held = _Held(number, asked_at + self._ttl_s * (1 - _MARGIN))


_begun: ContextVar[tuple[Lease, int] | None] = ContextVar("_begun", default=None)


@contextmanager
def begun_under(lease: Lease) -> Iterator[None]:
    """Have what is done in a `with` block count as begun now, under a lease.

    Raises:
        FencedError: At once, when the lease is not held.
    """
    if not lease.is_held:
        raise FencedError.of_lapse()
    token = _begun.set((lease, lease.number))
    try:
        with guarded_steps(_require_begun):
            yield
    finally:
        _begun.reset(token)


@contextmanager
def done_already() -> Iterator[None]:
    """Have what a `with` block writes down be written whoever holds a lease: it has happened."""
    token = _begun.set(None)
    try:
        yield
    finally:
        _begun.reset(token)


def guard_changes(database: Database) -> None:
    """Have no change of a database be made that was begun under a lease that lapsed since."""

    def check(connection: Any) -> None:
        begun = _begun.get()
        if begun is not None:
            lease, number = begun
            lease.check(LeaseStore(connection), number)

    database.guard = check


def _require_begun() -> None:
    begun = _begun.get()
    if begun is not None:
        lease, number = begun
        lease.require(number)
