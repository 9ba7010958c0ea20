"""What jobs are wanted, as servers of the federation ask each other."""

from datetime import UTC, datetime

from auth.auditstore import Viewer
from flight_member.errors import BadRequestError
from flight_member.jobrows import JobState
from flight_member.jobstore import JobsWanted
from flight_member.protocol import JobsRequest


def jobs_request(wanted: JobsWanted, *, without: str | None = None) -> JobsRequest:
    """Return the message that asks another server for jobs.

    Args:
        wanted: Which, and whose part of them.
        without: The cluster whose jobs are left out.
    """
    return JobsRequest(
        limit=wanted.limit,
        user=wanted.user,
        job_id=wanted.job_id,
        states=tuple(sorted(wanted.states)),
        since=None if wanted.since is None else wanted.since.timestamp(),
        before=None if wanted.before is None else wanted.before.timestamp(),
        viewer=wanted.viewer.name,
        administers=wanted.viewer.administers,
        sees_all=wanted.viewer.sees_all,
        live_first=wanted.live_first,
        without=without,
    )


def wanted_jobs(request: JobsRequest, viewer: Viewer) -> JobsWanted:
    """Return what a message asks for, on behalf of a viewer.

    Raises:
        BadRequestError: When a state or a time is none.
    """
    try:
        return JobsWanted(
            viewer,
            request.limit,
            user=request.user,
            job_id=request.job_id,
            states=frozenset(map(JobState, request.states)),
            since=_moment(request.since),
            before=_moment(request.before),
            live_first=request.live_first,
        )
    except (ValueError, OverflowError, OSError):
        pass
    raise BadRequestError("not well formed: states, since, before")


def _moment(seconds: float | None) -> datetime | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)
