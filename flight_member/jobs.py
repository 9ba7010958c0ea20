"""Jobs: every statement that a server runs, from when it is asked for until it has ended.

A job begins when a statement is carried out: when its rows are fetched, or a change is executed. A
ticket that nobody fetched has run nothing and is no job. Whoever runs a statement starts a job for
it, tells it what comes of the statement, and asks it whether to go on:

    with jobs.start(call, caller.name, sql, kind=JobKind.WRITE) as job:
        job.run()  # it waits for no place any more
        for batch in batches:
            job.check()
            write(batch)
            job.add(batch.num_rows, batch.nbytes)

What runs is kept here, in memory; what has ended is taken by `jobhistory`, which writes it down. A
job's id is the query id of the call that asked for the statement. Clients may choose it, so it
names the jobs of one user and no more: two may bear the same.

The text of a statement is not kept, only its digest: it may hold what is nobody else's business.
"""

import hashlib
import itertools
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from types import TracebackType
from typing import Self

from flight_member.clock import Moment
from flight_member.errors import CancelledStatementError
from flight_member.jobrows import JobKind, JobRow, JobState, Parts
from flight_member.logs import get_logger
from flight_member.statementtimes import StatementTimes, TimesOfLast
from flight_sql import Call

_log = get_logger(__name__)
# More wait to be written down only while the database cannot be written; some are dropped then.
_MAX_ENDED = 100_000
_TIMED = frozenset({JobKind.QUERY, JobKind.EXPLAIN, JobKind.WRITE})


@dataclass(frozen=True, slots=True)
class JobFigures:
    """What a server's jobs come to now; times in seconds."""

    running: int
    queued: int
    longest_running_s: float
    last_10: TimesOfLast
    last_100: TimesOfLast


@dataclass(frozen=True, slots=True)
class _Asked:
    """What does not change of a job."""

    id: str
    serial: int
    user: str
    cluster: str
    node: str
    kind: JobKind
    digest: str
    client: str
    received_at: datetime


class Job:
    """One statement while it is carried out. Its counts are told by one thread, read by any."""

    def __init__(
        self,
        asked: _Asked,
        is_left: Callable[[], bool],
        now: Moment,
        ended: Callable[["Job"], None],
    ) -> None:
        """Begin; `is_left` says whether the caller went away, `ended` is told of the end."""
        self._asked = asked
        self._is_left = is_left
        self._now = now
        self._ended = ended
        self._changing = threading.Lock()
        self._began = time.monotonic()
        self._ran: float | None = None
        self._state = JobState.QUEUED
        self._started_at: datetime | None = None
        self._ended_at: datetime | None = None
        self._row_count = self._byte_count = 0
        self._error_code: str | None = None
        self._stops: list[Callable[[], None]] = []
        self._parts: Callable[[], Parts | None] = lambda: None
        self._is_cancelled = self._has_looked = False
        self.elapsed_s = 0.0

    @property
    def id(self) -> str:
        """The query id of the call that asked for it."""
        return self._asked.id

    @property
    def user(self) -> str:
        """Whose it is, as `user1@shanghai`."""
        return self._asked.user

    @property
    def kind(self) -> JobKind:
        """What kind of statement it is."""
        return self._asked.kind

    @property
    def serial(self) -> int:
        """Which of its server's jobs it is."""
        return self._asked.serial

    @property
    def elapsed_so_far_s(self) -> float:
        """How long ago it began."""
        return time.monotonic() - self._began

    @property
    def running_s(self) -> float:
        """For how long it has been running; 0 while it is queued."""
        return 0.0 if self._ran is None else time.monotonic() - self._ran

    # What happens to the statement.

    def run(self) -> None:
        """Say that it has its place and runs."""
        with self._changing:
            if self._state is JobState.QUEUED:
                self._state, self._started_at = JobState.RUNNING, self._now()
                self._ran = time.monotonic()

    def add(self, row_count: int, byte_count: int) -> None:
        """Count rows and bytes that were sent, or written."""
        self._row_count += row_count
        self._byte_count += byte_count

    def watch_parts(self, parts: Callable[[], Parts | None]) -> None:
        """Have its parts told by this, from any thread, whenever somebody looks."""
        self._parts = parts

    def end(self, code: str | None = None) -> None:
        """End it, once; what is said later does not count.

        Args:
            code: Why it failed; None when it did not.
        """
        with self._changing:
            if self._ended_at is not None:
                return
            self._ended_at = self._now()
            self.elapsed_s = time.monotonic() - self._began
            self._error_code = code
            if code is None:
                self._state = JobState.FINISHED
            elif code == CancelledStatementError.code:
                self._state = JobState.CANCELLED
            else:
                self._state = JobState.FAILED
            self._stops.clear()
        self._ended(self)

    # Whether it is to go on.

    @property
    def is_stopped(self) -> bool:
        """Whether somebody cancelled it."""
        return self._is_cancelled

    def is_cancelled(self) -> bool:
        """Whether somebody cancelled it, or its caller left."""
        return self._is_cancelled or self._is_left()

    def check(self) -> None:
        """Refuse to go on with what was cancelled on request.

        Raises:
            CancelledStatementError: When it was.
        """
        if self._is_cancelled:
            raise cancelled()

    def when_cancelled(self, stop: Callable[[], None]) -> None:
        """Have this called when it is cancelled, by the thread that cancels; at once if it was."""
        with self._changing:
            if not self._is_cancelled:
                self._stops.append(stop)
                return
        stop()

    def cancel(self) -> None:
        """Have it end; whoever carries it out notices, and says when it has."""
        with self._changing:
            self._is_cancelled = True
            stops, self._stops = self._stops, []
        for stop in stops:
            stop()

    # As a block: it ends with it.

    @contextmanager
    def opening(self) -> Iterator[None]:
        """End it with the code of what the block raises; after the block it goes on."""
        try:
            yield
        except BaseException as error:
            self.end(code_of(error))
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        _type: type[BaseException] | None,
        error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        self.end(None if error is None else code_of(error))

    def row(self) -> JobRow:
        """Return the job as it is now."""
        # What nobody has looked at while it ran is not looked at when it has ended: that costs.
        is_live = self._ended_at is None
        self._has_looked = self._has_looked or is_live
        parts = self._parts() if self._has_looked else None
        with self._changing:
            one = self._asked
            return JobRow(
                id=one.id,
                serial=one.serial,
                user=one.user,
                cluster=one.cluster,
                node=one.node,
                kind=one.kind,
                state=self._state,
                digest=one.digest,
                client=one.client,
                received_at=one.received_at,
                started_at=self._started_at,
                ended_at=self._ended_at,
                row_count=self._row_count,
                byte_count=self._byte_count,
                parts=parts,
                error_code=self._error_code,
            )


class Jobs:
    """The jobs of one server: those that have not ended, and those that wait to be written down."""

    def __init__(self, cluster: str, node: str, now: Moment) -> None:
        """Begin with none; `cluster` and `node` say where they run."""
        self._cluster = cluster
        self._node = node
        self._now = now
        self._changed = threading.Condition()
        self._serials = itertools.count(1)
        self._live: dict[int, Job] = {}
        self._ended: deque[JobRow] = deque(maxlen=_MAX_ENDED)
        self.times = StatementTimes()

    def start(
        self,
        call: Call,
        user: str,
        sql: str,
        *,
        kind: JobKind,
        job_id: str | None = None,
        received_at: datetime | None = None,
        cluster: str | None = None,
    ) -> Job:
        """Begin a job, queued.

        Args:
            call: The call that carries it out; when its caller leaves, the job is to stop.
            user: Whose it is, as `user1@shanghai`.
            sql: The statement, of which the digest is kept.
            kind: What kind of statement it is.
            job_id: The query id of the call that asked for it; None when it is this one's.
            received_at: When it was asked for; None when that was now.
            cluster: The cluster that runs it, where that is another.
        """
        asked = _Asked(
            id=job_id or call.query_id,
            serial=next(self._serials),
            user=user,
            cluster=cluster or self._cluster,
            node=cluster or self._node,
            kind=kind,
            digest=statement_digest(sql),
            client=call.peer,
            received_at=received_at or self._now(),
        )
        job = Job(asked, call.is_cancelled, self._now, self._note_end)
        with self._changed:
            self._live[asked.serial] = job
        return job

    def live(self) -> list[Job]:
        """Return those that have not ended, in the order in which they began."""
        with self._changed:
            return list(self._live.values())

    def cancel(self, job_id: str, may_cancel: Callable[[Job], bool], wait_s: float) -> "Cancelled":
        """Cancel the jobs with an id that somebody may cancel.

        Args:
            job_id: Their id.
            may_cancel: Whether a job is one of theirs.
            wait_s: How long to wait for them to end.
        """
        found = [job for job in self.live() if job.id == job_id and may_cancel(job)]
        for job in found:
            job.cancel()
        with self._changed:
            left = set(map(id, found))
            has_ended = self._changed.wait_for(
                lambda: left.isdisjoint(map(id, self._live.values())), wait_s if found else 0
            )
        return Cancelled(len(found), has_ended)

    def ended(self) -> list[JobRow]:
        """Return those that have ended and were not taken yet."""
        with self._changed:
            return list(self._ended)

    def take_ended(self) -> list[JobRow]:
        """Return those that have ended since the last time, in the order of their ends."""
        with self._changed:
            taken = list(self._ended)
            self._ended.clear()
        return taken

    def put_back(self, rows: list[JobRow]) -> None:
        """Keep for later what could not be written down."""
        with self._changed:
            self._ended.extendleft(reversed(rows))

    def adopt(self, rows: Iterable[JobRow]) -> None:
        """Have jobs written down here that ended at a data node."""
        with self._changed:
            self._ended.extend(replace(row, serial=next(self._serials)) for row in rows)

    def figures(self) -> JobFigures:
        """Return what the jobs come to now."""
        live = self.live()
        running = [job for job in live if job.running_s]
        return JobFigures(
            running=len(running),
            queued=len(live) - len(running),
            longest_running_s=max((job.running_s for job in running), default=0.0),
            last_10=self.times.last_10,
            last_100=self.times.last_100,
        )

    def _note_end(self, job: Job) -> None:
        row = job.row()
        if row.kind in _TIMED:
            self.times.add(job.elapsed_s)
        with self._changed:
            self._live.pop(row.serial, None)
            self._ended.append(row)
            self._changed.notify_all()
        _log.info(
            "statement_ended",
            query_id=row.id,
            user=row.user,
            kind=str(row.kind),
            digest=row.digest,
            outcome=row.error_code or "finished",
            row_count=row.row_count,
            byte_count=row.byte_count,
            elapsed_s=round(job.elapsed_s, 4),
        )


@dataclass(frozen=True, slots=True)
class Cancelled:
    """What came of cancelling: how many jobs were found, and whether all of them have ended."""

    count: int
    has_ended: bool = True


def statement_digest(sql: str) -> str:
    """Return what stands for a statement in logs and in the audit: 16 hex digits of SHA-256."""
    return hashlib.sha256(sql.encode()).hexdigest()[:16]


def cancelled() -> CancelledStatementError:
    """Return the refusal of what was cancelled."""
    return CancelledStatementError(
        "the statement was cancelled on request; execute it again if you still want its rows"
    )


def code_of(error: BaseException) -> str:
    """Return the code of what went wrong; whatever has none is ours."""
    return str(getattr(error, "code", "internal"))
