"""Notes when a member comes into another state, once for all replicas and over restarts."""

import threading
from collections.abc import Callable, Mapping
from datetime import datetime

from flight_member.clock import Moment
from flight_member.logs import get_logger
from flight_member.statestore import Database
from flight_mom.memberstatestore import KeptState, MemberStateStore

_log = get_logger(__name__)


class StateLog:
    """The states of the members as they were noted. Safe from several threads."""

    def __init__(
        self,
        database: Database,
        states: Callable[[], Mapping[str, str | None]],
        now: Moment,
    ) -> None:
        """Keep what it takes.

        Args:
            database: Where the states are kept.
            states: Returns the state of each member; None where it is not certain yet.
            now: The clock.
        """
        self.is_writer: Callable[[], bool] = lambda: True
        """Whether it is this replica that notes; the others read what it noted."""
        self._database = database
        self._states = states
        self._now = now
        self._noting = threading.Lock()
        self._last = self._read()

    def note(self) -> None:
        """Write down every state that is another than was noted last, by whichever replica."""
        with self._noting:
            found = self._states()
            # Whoever is added again under the name of one that was removed is somebody else.
            self._last = {name: kept for name, kept in self._last.items() if name in found}
            states = {name: state for name, state in found.items() if state is not None}
            if all(_is(self._last.get(name), state) for name, state in states.items()):
                return
            if not self.is_writer():
                self._last = self._read()
                return
            with self._database.change() as connection:
                store = MemberStateStore(connection)
                known = store.last()
                new = {
                    name: state for name, state in states.items() if not _is(known.get(name), state)
                }
                store.add(new, self._now())
            for name, state in new.items():
                before = known.get(name)
                _log.info("member_state", member=name, state=state, was=before and before.state)
            self._last = self._read()

    def since(self, name: str, state: str) -> datetime | None:
        """Return since when a member is in a state, or None when that was not noted."""
        last = self._last.get(name)
        return last.since if last is not None and last.state == state else None

    def forget_before(self, before: datetime) -> None:
        """Forget what ended before a time."""
        with self._database.change() as connection:
            MemberStateStore(connection).forget_before(before)

    def _read(self) -> Mapping[str, KeptState]:
        with self._database.read() as connection:
            return MemberStateStore(connection).last()


def _is(kept: KeptState | None, state: str) -> bool:
    return kept is not None and kept.state == state
