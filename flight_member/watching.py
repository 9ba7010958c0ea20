"""Notices what commands change while the server runs."""

import threading
from collections.abc import Callable, Sequence

from flight_member.logs import get_logger

_log = get_logger(__name__)
_EVERY_S = 0.5


class Watch:
    """A thread that looks again and again, whatever else hangs.

    It is not the heart's: a MoM that does not answer must not delay that a user is locked.
    """

    def __init__(self, *looks: Callable[[], object]) -> None:
        """Keep what to call; each compares the durable state with what it read last."""
        self._looks: Sequence[Callable[[], object]] = looks
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="watch", daemon=True)

    def start(self) -> None:
        """Begin to look."""
        self._thread.start()

    def stop(self) -> None:
        """Stop looking; returns when the last look is over."""
        self._stopping.set()
        self._thread.join(timeout=5)

    def _run(self) -> None:
        while not self._stopping.wait(_EVERY_S):
            for look in self._looks:
                try:
                    look()
                except Exception as error:  # noqa: BLE001  the next look may succeed
                    _log.warning("watch_failed", code=getattr(error, "code", type(error).__name__))
