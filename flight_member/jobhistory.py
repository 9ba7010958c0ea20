"""Writes down what jobs came to, in batches, and remembers it for as long as the settings say.

A statement pays for an append to a list. Half a second later, one transaction writes what has
ended, and what has been running for that long; jobs that go on are written again every few
seconds, with their rows and bytes so far. So a server that is killed loses no more than the last
half second of its history, and what it left running is shown as lost when its next start, or
another server over the same state, finds it gone.

When the state cannot be written, jobs run on and wait in memory to be written down.
"""

import os
import socket
import threading
import time
from collections.abc import Callable
from datetime import timedelta

import psutil

from flight_member.clock import Moment
from flight_member.jobrows import JobRow
from flight_member.jobs import Jobs
from flight_member.jobstore import JobStore, JobsWanted
from flight_member.logs import get_logger
from flight_member.settings import JobsSection
from flight_member.statestore import Database

_log = get_logger(__name__)
_INTERVAL_S = 0.5
_RENEWED_EVERY_S = 5.0
_LOOK_AFTER_S = 15.0
_SILENCE = timedelta(seconds=30)
_TRIM_EVERY_S = 3600.0
_CLOSE_TIMEOUT_S = 10.0


class JobHistory:
    """What one server's jobs came to, and those of its replicas."""

    def __init__(
        self,
        jobs: Jobs,
        database: Database,
        settings: JobsSection,
        now: Moment,
        *,
        server: str | None = None,
        interval_s: float = _INTERVAL_S,
        is_keeper: Callable[[], bool] = lambda: True,
    ) -> None:
        """Find what an earlier server left running; nothing is written of new jobs yet.

        Args:
            jobs: The jobs of this server.
            database: Holds the history.
            settings: For how long, and how much of it.
            now: The clock.
            server: What the jobs of this process are kept under.
            interval_s: Seconds between two writings.
            is_keeper: Whether it is this server that forgets what is too old, of those over the
                database.
        """
        self._is_keeper = is_keeper
        self._jobs = jobs
        self._database = database
        self._settings = settings
        self._now = now
        self._server = server or this_process()
        self._interval_s = interval_s
        self._writing = threading.Lock()
        # What is kept of jobs that have not ended, and when each was written last.
        self._kept: dict[int, float] = {}
        self._is_failing = False
        self._look_at = self._trim_at = 0.0
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="job-history", daemon=True)
        self._look_after()

    def start(self) -> None:
        """Begin to write."""
        self._thread.start()

    def close(self) -> None:
        """Write what is waiting and stop."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join(_CLOSE_TIMEOUT_S)
        self.settle()

    def settle(self) -> None:
        """Write what has ended, so that whoever reads the history finds it; if it can be done."""
        with self._writing:
            ended = self._jobs.take_ended()
            try:
                self._write(ended)
            except Exception:  # noqa: BLE001  whatever failed, statements run on
                self._jobs.put_back(ended)
                if not self._is_failing:
                    _log.exception("job_history_not_written")
                self._is_failing = True
            else:
                self._is_failing = False

    def select(self, wanted: JobsWanted) -> list[JobRow]:
        """Return jobs, the newest first: what runs here as it is now, all others as written."""
        live = [row for row in (job.row() for job in self._jobs.live()) if wanted.takes(row)]
        self.settle()
        with self._database.read() as connection:
            kept = JobStore(connection).select(wanted, server=self._server)
        # What ended in between is in both: how it ended counts.
        rows = {(row.serial, row.id, row.received_at): row for row in (*live, *kept)}
        return wanted.newest(rows.values())

    def _run(self) -> None:
        while not self._stopping.wait(self._interval_s):
            self.settle()
            self._look_after()

    def _write(self, ended: list[JobRow]) -> None:
        """Write rows that are final, and of what goes on what is new or was written long ago."""
        since = time.monotonic()
        going_on = [
            job.row()
            for job in self._jobs.live()
            if job.elapsed_so_far_s >= self._interval_s
            and since - self._kept.get(job.serial, 0.0) >= _RENEWED_EVERY_S
        ]
        rows = [*ended, *(row for row in going_on if row.is_live)]
        if not rows:
            return
        with self._database.change() as connection:
            store = JobStore(connection)
            store.add(self._server, [r for r in rows if r.serial not in self._kept], self._now())
            store.renew(self._server, [r for r in rows if r.serial in self._kept], self._now())
        for row in rows:
            if row.is_live:
                self._kept[row.serial] = since
            else:
                self._kept.pop(row.serial, None)

    def _look_after(self) -> None:
        """Find what died with its server, and forget what is too old, each in its turn."""
        now = time.monotonic()
        try:
            if now >= self._look_at:
                self._look_at = now + _LOOK_AFTER_S
                self._lose()
            if now >= self._trim_at and self._is_keeper():
                self._trim_at = now + _TRIM_EVERY_S
                self._trim()
        except Exception:  # noqa: BLE001  the next look may succeed; nothing depends on this one
            _log.exception("job_history_not_looked_after")

    def _lose(self) -> None:
        with self._database.read() as connection:
            others = JobStore(connection).running_elsewhere(self._server)
        silent_since = self._now() - _SILENCE
        gone = [
            server
            for server, seen_at in others.items()
            if seen_at < silent_since or is_over(server)
        ]
        if gone:
            with self._database.change() as connection:
                count = JobStore(connection).lose(gone)
            _log.warning("jobs_lost", job_count=count)

    def _trim(self) -> None:
        before = self._now() - timedelta(days=self._settings.keep_days)
        with self._database.change() as connection:
            JobStore(connection).trim(before, self._settings.max_count)


def this_process() -> str:
    """Return what names this process among all that ever ran: machine, number and start."""
    return f"{socket.gethostname()[:64]}/{os.getpid()}/{psutil.Process().create_time():.2f}"


def is_over(server: str) -> bool:
    """Whether a process of this machine has ended; of other machines nothing can be said."""
    host, _, rest = server.partition("/")
    number, _, started = rest.partition("/")
    if host != socket.gethostname()[:64]:
        return False
    try:
        return f"{psutil.Process(int(number)).create_time():.2f}" != started
    except psutil.NoSuchProcess:
        return True
    except (psutil.Error, ValueError):
        return False
