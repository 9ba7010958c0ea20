"""The live table `system.federation.jobs`: every statement that runs or ran anywhere."""

from dataclasses import replace
from datetime import datetime
from typing import Any

import pyarrow as pa

from flight_member.clock import Moment
from flight_member.errors import ScanLimitError
from flight_member.jobdesk import viewer_of
from flight_member.joblisting import JOBS_SCHEMA, jobs_table
from flight_member.jobrows import JobState
from flight_member.jobstore import JobsWanted
from flight_member.livetables import Wanted
from flight_mom.jobsdesk import JobsDesk
from storage.needed import Condition, Needed

_MAX_JOBS = 10_000
_NEWEST_BY = {None, "received_at"}


class JobsTable:
    """`jobs`: everybody sees their own, administrators those of what they administer.

    Times of asking, and who, which and how far, are sought by the members' databases; of the rest
    no more than the bound are looked at.
    """

    name = "jobs"
    arrow_schema = JOBS_SCHEMA

    def __init__(
        self, mom: str, desk: JobsDesk, now: Moment, *, max_job_count: int = _MAX_JOBS
    ) -> None:
        """Keep who tells of jobs, and how many one statement may look at."""
        self._mom = mom
        self._desk = desk
        self._now = now
        self._max_job_count = max_job_count

    def rows(self, wanted: Wanted) -> pa.Table:
        """Return the jobs that the caller may see and the statement can need, newest first.

        Raises:
            ScanLimitError: When it needs more of them than one statement may look at.
        """
        needed, bound = wanted.needed, self._max_job_count
        asked, is_exact = _asked(needed)
        row_count = needed.row_count if is_exact and needed.newest_by in _NEWEST_BY else None
        limit = bound + 1 if row_count is None else max(min(row_count, bound), 1)
        everything = JobsWanted(viewer_of(wanted.caller, self._mom), limit)
        found = self._desk.select(replace(everything, **asked))
        if len(found) > bound:
            raise ScanLimitError(
                f"the statement needs more than {bound:,} jobs; narrow the time range, as in WHERE "
                "received_at >= now() - INTERVAL '1 hour', or ask for the newest with ORDER BY "
                "received_at DESC LIMIT 100"
            )
        return jobs_table(found, self._now())


def _asked(needed: Needed) -> tuple[dict[str, Any], bool]:
    """Return what members are asked to narrow by, and whether that is all that is needed."""
    asked: dict[str, Any] = {}
    is_exact = True
    for one in needed.conditions:
        name, value = _narrowing(one)
        is_exact = is_exact and bool(name) and name not in asked and one.operator != ">"
        if name:
            asked.setdefault(name, value)
    return asked, is_exact


def _narrowing(one: Condition) -> tuple[str, object]:
    match one:
        case Condition("received_at", ">=" | ">", datetime() as moment):
            return "since", moment
        case Condition("received_at", "<", datetime() as moment):
            return "before", moment
        case Condition("user_name", "=", str(user)):
            return "user", user
        case Condition("job_id", "=", str(job_id)):
            return "job_id", job_id
        case Condition("state", "=", str(state)) if state in set(JobState):
            return "states", frozenset({JobState(state)})
        case _:
            return "", None
