"""Shows and cancels the jobs of one server: to each caller their own part, and nobody else's.

A job that a caller may not see and one that does not exist are refused in the same words.
"""

from collections.abc import Callable, Iterable

import pyarrow as pa

from auth import AuditRecord, Identity
from auth.auditstore import Viewer
from flight_member.audit import AuditTrail
from flight_member.clock import Moment
from flight_member.errors import NotFoundError
from flight_member.jobhistory import JobHistory
from flight_member.joblisting import jobs_table
from flight_member.jobrows import JobRow
from flight_member.jobs import Cancelled, Jobs
from flight_member.jobstore import JobsWanted, may_see
from flight_member.listing import name_filter
from planner import ShowJobs

# What is cancelled has mostly ended when it is answered; whoever asks does not wait for ever.
_WAIT_S = 1.0
# SHOW JOBS tells the newest; a pattern is sought among more.
_SHOWN, _SOUGHT = 1_000, 10_000


class JobDesk:
    """The jobs of one server."""

    def __init__(self, jobs: Jobs, history: JobHistory, audit: AuditTrail, now: Moment) -> None:
        self._jobs = jobs
        self._history = history
        self._audit = audit
        self._now = now

    def select(self, wanted: JobsWanted) -> list[JobRow]:
        """Return the jobs that are wanted and that the viewer may see, the newest first."""
        return self._history.select(wanted)

    def runs(self, viewer: Viewer, job_id: str) -> bool:
        """Whether a job with an id runs here that a viewer may cancel."""
        return any(
            one.id == job_id and may_see(viewer, one.user, one.row().cluster)
            for one in self._jobs.live()
        )

    def cancel(self, viewer: Viewer, job_id: str) -> Cancelled:
        """Cancel what runs here under an id and is the viewer's to cancel."""
        return self._jobs.cancel(
            job_id, lambda one: may_see(viewer, one.user, one.row().cluster), _WAIT_S
        )

    def note(self, caller: Identity, source: str, job_id: str, done: Cancelled) -> str:
        """Write down that somebody cancelled, or tried to; returns how far it is.

        Raises:
            NotFoundError: When there was nothing that they may cancel.
        """
        self._audit.act(
            AuditRecord(
                at=self._now(),
                actor=caller.name,
                source=source,
                action="cancel job",
                object=job_id,
                allowed=done.count > 0,
                rule="own jobs, and those of what one administers",
            )
        )
        if not done.count:
            raise NotFoundError(
                f"no job {job_id} of yours runs; SHOW JOBS lists those that you may cancel"
            )
        return "cancelled" if done.has_ended else "cancelling"


def show_jobs(
    statement: ShowJobs,
    viewer: Viewer,
    select: Callable[[JobsWanted], Iterable[JobRow]],
    now: Moment,
) -> pa.Table:
    """Answer SHOW JOBS: what runs or is queued, then what ended, each the newest first.

    Args:
        statement: Whose, and with which ids.
        viewer: Whose part is shown.
        select: Returns jobs that are wanted, in any order.
        now: The clock.
    """
    fits = name_filter(statement.like)
    sought = _SHOWN if statement.like is None else _SOUGHT
    wanted = JobsWanted(viewer, sought, user=statement.principal, live_first=True)
    found = wanted.newest(row for row in select(wanted) if fits(row.id))
    return jobs_table(found[:_SHOWN], now())


def viewer_of(caller: Identity, mom: str | None) -> Viewer:
    """Return which part of what all did a caller sees; `mom` is the MoM's cluster, if any."""
    return Viewer(
        caller.name,
        administers=caller.cluster if caller.is_admin else None,
        sees_all=mom is not None and caller.administers(mom),
    )
