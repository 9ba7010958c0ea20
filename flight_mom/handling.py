"""Hands the rows of heartbeats to their handlers: in order, and none of them in another's way.

Once a second all rows that came since are offered to each handler, the first one first; the next
is offered them when the one before has returned, or after a second. Each handler has a thread of
its own, so that one that blocks delays no heartbeat and, but for that second, no other handler.
What waits for it meanwhile is handed to it in one table; of more than fits, the oldest is dropped.
"""

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from datetime import datetime

import pyarrow as pa

from flight_member.clock import Moment
from flight_member.logs import get_logger
from flight_member.noderow import perf_table
from flight_mom.handlerloading import Handler
from flight_mom.pulse import Beat

_log = get_logger(__name__)
_EVERY_S = 1.0
_PATIENCE_S = 1.0
_SAID_EVERY_S = 60.0


class HandlerThread:
    """One handler, what waits for it, and what came of its calls."""

    def __init__(self, name: str, handler: Handler, now: Moment, *, max_row_count: int) -> None:
        """Keep what it takes; `max_row_count` is how many rows may wait, beside the last table."""
        self.name = name
        self._handler = handler
        self._now = now
        self._max_row_count = max_row_count
        self._changed = threading.Condition()
        self._waiting: deque[pa.Table] = deque()
        self._is_stopping = False
        self._said_at = -_SAID_EVERY_S
        self.call_count = self.failed_count = self.row_count = self.dropped_row_count = 0
        self.busy_since: datetime | None = None
        self._thread = threading.Thread(target=self._run, name=f"handler {name}", daemon=True)

    def start(self) -> None:
        """Begin to handle."""
        self._thread.start()

    def offer(self, rows: pa.Table, patience_s: float) -> None:
        """Hand over rows; wait until they were handled if nothing else is before them.

        Args:
            rows: What came.
            patience_s: How long to wait at most.
        """
        with self._changed:
            is_free = self.busy_since is None and not self._waiting
            self._waiting.append(rows)
            dropped = 0
            while len(self._waiting) > 1 and self.waiting_row_count > self._max_row_count:
                dropped += self._waiting.popleft().num_rows
            self.dropped_row_count += dropped
            self._changed.notify_all()
            if is_free:
                self._changed.wait_for(self._is_idle, patience_s)
        if dropped and time.monotonic() - self._said_at >= _SAID_EVERY_S:
            self._said_at = time.monotonic()
            _log.warning(
                "heartbeat_rows_dropped", handler=self.name, dropped_rows=self.dropped_row_count
            )

    @property
    def waiting_row_count(self) -> int:
        """How many rows wait for it."""
        return sum(table.num_rows for table in list(self._waiting))

    def stop(self, patience_s: float) -> None:
        """Let it handle what waits, as long as there is patience."""
        with self._changed:
            self._is_stopping = True
            self._changed.notify_all()
        if self._thread.ident is not None:
            self._thread.join(patience_s)

    def _is_idle(self) -> bool:
        return self.busy_since is None and not self._waiting

    def _run(self) -> None:
        while True:
            with self._changed:
                self.busy_since = None
                self._changed.notify_all()
                self._changed.wait_for(lambda: self._waiting or self._is_stopping)
                if not self._waiting:
                    return
                tables = list(self._waiting)
                self._waiting.clear()
                self.busy_since = self._now()
            self._handle(pa.concat_tables(tables))

    def _handle(self, rows: pa.Table) -> None:
        self.call_count += 1
        self.row_count += rows.num_rows
        try:
            self._handler(rows)
        except BaseException as error:  # noqa: BLE001  whatever it was, the next rows come
            self.failed_count += 1
            _log.exception(
                "heartbeat_handler_failed",
                handler=self.name,
                error=type(error).__name__,
                failed_calls=self.failed_count,
            )


class Handling:
    """The thread that makes one table of the rows of each second, and offers it around."""

    def __init__(
        self, take: Callable[[], tuple[list[Beat], int]], handlers: Sequence[HandlerThread]
    ) -> None:
        """Keep what it takes; `take` returns the heartbeats since the last call."""
        self._take = take
        self.handlers = tuple(handlers)
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="heartbeats", daemon=True)

    def start(self) -> None:
        """Begin to hand over."""
        for handler in self.handlers:
            handler.start()
        self._thread.start()

    def stop(self, patience_s: float = 5.0) -> None:
        """Hand over what came last, and let the handlers come to their end."""
        self._stopping.set()
        if self._thread.ident is not None:
            self._thread.join(patience_s)
        until = time.monotonic() + patience_s
        for handler in self.handlers:
            handler.stop(max(until - time.monotonic(), 0.1))

    def _run(self) -> None:
        while not self._stopping.wait(_EVERY_S):
            self._hand_over()
        self._hand_over()

    def _hand_over(self) -> None:
        beats, left_out = self._take()
        if left_out:
            _log.warning("heartbeats_left_out", heartbeats=left_out)
        if not beats:
            return
        rows = perf_table(beats)
        for handler in self.handlers:
            handler.offer(rows, _PATIENCE_S)
