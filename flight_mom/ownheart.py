"""The MoM's own heartbeat: a row of this node every interval, beside those of the members."""

import threading
from collections.abc import Callable

from flight_member.logs import get_logger
from flight_member.noderow import NodeRow

_log = get_logger(__name__)


class OwnHeart:
    """A thread that measures this node and tells the pulse of it."""

    def __init__(
        self,
        interval_s: float,
        sample: Callable[[], NodeRow],
        beat: Callable[[tuple[NodeRow, ...]], None],
    ) -> None:
        """Keep what measures, and what is told."""
        self._interval_s = interval_s
        self._sample = sample
        self._beat = beat
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="heart", daemon=True)

    def start(self) -> None:
        """Begin to beat."""
        self._thread.start()

    def stop(self) -> None:
        """Stop beating."""
        self._stopping.set()
        self._thread.join(timeout=5)

    def _run(self) -> None:
        while True:
            try:
                self._beat((self._sample(),))
            except Exception as error:  # noqa: BLE001  the next beat may succeed
                _log.warning("heartbeat_failed", code=type(error).__name__)
            if self._stopping.wait(self._interval_s):
                return
