"""Writes audit records of allowed reads in batches, at most a second behind.

A read pays for an append to a list. Refusals and administrative acts do not come this way: they
are written in the transaction that they belong to, before the answer.

When writing fails the records are kept and tried again; as long as the audit is required, reads
are refused meanwhile rather than left unrecorded.
"""

import logging
import threading
from collections.abc import Callable

from auth.audit import AuditRecord
from auth.errors import AuditUnavailableError

_log = logging.getLogger(__name__)

_INTERVAL_S = 0.5
_MAX_BATCH = 5_000
_MAX_PENDING = 100_000
_CLOSE_TIMEOUT_S = 10.0


class AuditWriter:
    """A thread that hands records to `write`, in the order in which they were appended."""

    def __init__(
        self,
        write: Callable[[list[AuditRecord]], None],
        *,
        is_required: bool = True,
        interval_s: float = _INTERVAL_S,
        max_pending: int = _MAX_PENDING,
    ) -> None:
        """Start the thread.

        Args:
            write: Makes a batch durable, or raises and has written none of it.
            is_required: Whether `append` refuses while records cannot be written; otherwise the
                newest are dropped, and counted, when too many wait.
            interval_s: Seconds between batches.
            max_pending: How many records may wait.
        """
        self._write = write
        self._is_required = is_required
        self._interval_s = interval_s
        self._max_pending = max_pending
        self._pending: list[AuditRecord] = []
        self._changed = threading.Condition()
        self._writing = threading.Lock()
        self._wants_flush = False
        self._is_failing = False
        self._is_closed = False
        self._dropped_count = 0
        self._thread = threading.Thread(target=self._run, name="audit-writer", daemon=True)
        self._thread.start()

    @property
    def is_failing(self) -> bool:
        """Whether the last attempt to write failed."""
        return self._is_failing

    @property
    def dropped_count(self) -> int:
        """How many records were lost because the audit is not required and could not be written."""
        return self._dropped_count

    def append(self, record: AuditRecord) -> None:
        """Take a record; it is durable within a second.

        Raises:
            AuditUnavailableError: When the audit is required and cannot be written, or the writer
                is closed: what the record allows must not happen.
        """
        with self._changed:
            if self._is_closed or (self._is_required and self._is_failing):
                raise _unavailable()
            if len(self._pending) < self._max_pending:
                self._pending.append(record)
                if len(self._pending) >= _MAX_BATCH:
                    self._wants_flush = True
                    self._changed.notify()
                return
            if self._is_required:
                raise _unavailable()
            self._dropped_count += 1

    def flush(self) -> None:
        """Write what is waiting before returning.

        Raises:
            AuditUnavailableError: When it cannot be written; it keeps waiting.
        """
        while self._pending:
            if not self._write_batch():
                raise _unavailable()

    def close(self) -> None:
        """Write what is waiting and stop. Closing twice is fine.

        Raises:
            AuditUnavailableError: When it cannot be written; it is lost with the process.
        """
        with self._changed:
            self._is_closed = True
            self._changed.notify()
        self._thread.join(_CLOSE_TIMEOUT_S)
        self.flush()

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(
                    lambda: self._is_closed or (self._wants_flush and not self._is_failing),
                    self._interval_s,
                )
                self._wants_flush = False
                is_closed = self._is_closed
            while self._pending and self._write_batch():
                pass
            if is_closed:
                return

    def _write_batch(self) -> bool:
        """Write the oldest records; on failure they stay where they are."""
        with self._writing:
            batch = self._pending[:_MAX_BATCH]
            try:
                if batch:
                    self._write(batch)
            except Exception:  # noqa: BLE001  whatever failed, the records are kept
                if not self._is_failing:
                    _log.exception("audit_write_failed")
                self._is_failing = True
                return False
            with self._changed:
                del self._pending[: len(batch)]
            self._is_failing = False
            return True


def _unavailable() -> AuditUnavailableError:
    return AuditUnavailableError(
        "the audit log cannot be written, and nothing is read without it; try again later"
    )
