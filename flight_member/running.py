"""Statements that are running: their batches, and how they end, once.

Whatever a statement reads, files or rows in memory, it holds a place of admission, something that
works for it, and its job; all are given back exactly once, however it ends.
"""

import threading
import time
from collections.abc import Callable, Iterator
from typing import Protocol, Self

import pyarrow as pa

from flight_member.admission import Admission, Place
from flight_member.errors import CancelledStatementError, StatementTimeoutError
from flight_member.jobs import Job, cancelled, code_of
from storage.errors import CancelledError


class BatchSource(Protocol):
    """What a running statement gets its batches from."""

    def batches(self) -> Iterator[pa.RecordBatch]:
        """Yield the batches; called once."""

    def close(self) -> None:
        """Stop, from any thread; may be called again."""


class RunningStatement:
    """The batches of one running statement, and all that it holds until it ends.

    Not a generator: one that was never advanced would not run its `finally`, and a client that
    leaves before the first row would keep its place for ever. Whoever has one closes it.
    """

    def __init__(
        self,
        source: BatchSource,
        place: Place,
        job: Job,
        stop_reason: Callable[[], Exception | None],
    ) -> None:
        """Take over what yields the batches, and its place.

        Args:
            source: What yields the batches.
            place: Given back when the statement ends.
            job: Told what comes of the statement.
            stop_reason: Says why it must not go on, or None as long as it may.
        """
        self._source = source
        self._place = place
        self._job = job
        self._stop_reason = stop_reason
        self._reason: Exception | None = None
        self._batches = source.batches()
        self._ending = threading.Lock()
        # A reader who takes nothing does not ask whether its time is over either.
        place.look = self._look
        place.rest()
        # Whoever cancels stops the engine, also while a slow client takes no rows.
        job.when_cancelled(self.close)

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> pa.RecordBatch:
        """Return the next batch.

        Raises:
            StatementTimeoutError: When the statement's time is over.
            RevokedTicketError: When what it rests on was taken back meanwhile.
            CancelledStatementError: When its job was cancelled.
            CancelledError: When its caller left.
            StorageError: When it fails at run time.
        """
        self._place.go_on(self._is_stopped)
        try:
            batch = next(self._batches)
        except CancelledError as error:
            # The engine is stopped alike for a caller who left and for a reason of ours.
            failure: Exception = self._reason or self._stop_reason() or error
        except StopIteration:
            self._end(None)
            raise
        except Exception as error:
            self._end(code_of(error))
            raise
        else:
            reason = self._stop_reason()
            if reason is None:
                self._job.add(batch.num_rows, batch.nbytes)
                self._place.rest()
                return batch
            failure = reason
        self._end(code_of(failure))
        raise failure

    def close(self) -> None:
        """Stop the engine and give the place back; fine from any thread, and more than once."""
        self._end(CancelledStatementError.code)

    def _look(self) -> None:
        """End it when it must not go on, also while nobody reads it."""
        reason = self._stop_reason()
        if reason is not None:
            self._reason = reason
            self._end(code_of(reason))

    def _is_stopped(self) -> bool:
        return self._job.is_cancelled() or self._stop_reason() is not None

    def _end(self, code: str | None) -> None:
        # Whoever reads the rows and whoever cancels them may end it at the same moment.
        if not self._ending.acquire(blocking=False):
            return
        try:
            self._source.close()
        finally:
            self._place.leave()
            self._job.end(code)


def admit(job: Job, admission: Admission) -> Place:
    """Return a job's place, waiting for one if need be; it runs from then on.

    Raises:
        OverloadedError: When there is none, or none came free in time.
        CancelledStatementError: When it was cancelled, or its caller left, while it waited.
    """
    try:
        place = admission.enter(job.user, job.is_cancelled)
    except CancelledStatementError:
        job.check()
        raise
    job.run()
    return place


def until(
    timeout_s: float, job: Job, advice: str, otherwise: Callable[[], Exception | None]
) -> Callable[[], Exception | None]:
    """Return what says why a statement must not go on, or None as long as it may.

    Args:
        timeout_s: How long it may take from now on.
        job: Whether it was cancelled.
        advice: What to do when the time was too short.
        otherwise: Says what else is against it.
    """
    deadline = time.monotonic() + timeout_s

    def reason() -> Exception | None:
        if job.is_stopped:
            return cancelled()
        if time.monotonic() > deadline:
            return StatementTimeoutError(f"stopped after {timeout_s:g} s; {advice}")
        return otherwise()

    return reason
