"""Statements that are running: their batches, and how they end, logged once.

Whatever a statement reads, files or rows in memory, it holds a place of admission and something
that works for it; both are given back exactly once, however it ends.
"""

import hashlib
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol, Self

import pyarrow as pa

from flight_member.admission import Place
from flight_member.logs import get_logger
from storage.errors import CancelledError

_log = get_logger(__name__)


class BatchSource(Protocol):
    """What a running statement gets its batches from."""

    def batches(self) -> Iterator[pa.RecordBatch]:
        """Yield the batches; called once."""

    def close(self) -> None:
        """Stop, from any thread; may be called again."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What the log tells of a statement: which call, whose it is, and its text's digest."""

    query_id: str
    caller: str
    sql: str


class RunningStatement:
    """The batches of one running statement, and all that it holds until it ends.

    Not a generator: one that was never advanced would not run its `finally`, and a client that
    leaves before the first row would keep its place for ever. Whoever has one closes it.
    """

    def __init__(
        self,
        source: BatchSource,
        place: Place,
        asked: Asked,
        stop_reason: Callable[[], Exception | None],
    ) -> None:
        """Take over what yields the batches, and its place.

        Args:
            source: What yields the batches.
            place: Given back when the statement ends.
            asked: What the log tells of it.
            stop_reason: Says why it must not go on, or None as long as it may.
        """
        self._source = source
        self._place = place
        self._asked = asked
        self._stop_reason = stop_reason
        self._batches = source.batches()
        self._started = time.monotonic()
        self._row_count = self._byte_count = 0
        self._ending = threading.Lock()

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> pa.RecordBatch:
        """Return the next batch.

        Raises:
            StatementTimeoutError: When the statement's time is over.
            RevokedTicketError: When what it rests on was taken back meanwhile.
            CancelledError: When its caller left.
            StorageError: When it fails at run time.
        """
        try:
            batch = next(self._batches)
        except CancelledError as error:
            # The engine is stopped alike for a caller who left and for a reason of ours.
            failure: Exception = self._stop_reason() or error
        except StopIteration:
            self._end("finished")
            raise
        except Exception as error:
            self._end(str(getattr(error, "code", "internal")))
            raise
        else:
            reason = self._stop_reason()
            if reason is None:
                self._row_count += batch.num_rows
                self._byte_count += batch.nbytes
                return batch
            failure = reason
        self._end(str(getattr(failure, "code", "cancelled")))
        raise failure

    def close(self) -> None:
        """Stop the engine and give the place back; fine from any thread, and more than once."""
        self._end("cancelled")

    def _end(self, outcome: str) -> None:
        # Whoever reads the rows and whoever cancels them may end it at the same moment.
        if not self._ending.acquire(blocking=False):
            return
        try:
            self._source.close()
        finally:
            self._place.leave()
            _log.info(
                "statement_ended",
                query_id=self._asked.query_id,
                user=self._asked.caller,
                digest=statement_digest(self._asked.sql),
                outcome=outcome,
                row_count=self._row_count,
                byte_count=self._byte_count,
                elapsed_s=round(time.monotonic() - self._started, 4),
            )


def statement_digest(sql: str) -> str:
    """Return what stands for a statement in logs and in the audit: 16 hex digits of SHA-256."""
    return hashlib.sha256(sql.encode()).hexdigest()[:16]
