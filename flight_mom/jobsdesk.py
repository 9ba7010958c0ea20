"""The federation's jobs: asked of the members that they run on, cancelled where they run.

What a job comes to, its member knows; the MoM asks when somebody wants to know, all members at
once and for no longer than a moment. Of a member that does not answer, the MoM tells what it
knows itself: the streams that it relayed, and what it sent there lately.

Nobody is told of jobs that are not theirs to see: members leave them out, and what a member
tells is not believed where it says otherwise.
"""

from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import TypeVar

import pyarrow as pa

from auth import Identity
from auth.auditstore import Viewer
from flight_member import protocol
from flight_member.answers import answer
from flight_member.clock import Moment
from flight_member.errors import ClusterUnavailableError, FlightMemberError, NotFoundError
from flight_member.jobdesk import JobDesk, show_jobs, viewer_of
from flight_member.joblisting import read_jobs, write_jobs
from flight_member.jobrequests import jobs_request, wanted_jobs
from flight_member.jobrows import JobRow
from flight_member.jobs import Cancelled
from flight_member.jobstore import JobsWanted
from flight_member.logs import get_logger
from flight_mom.colleagues import Colleagues
from flight_mom.jobrouting import JobRouting
from flight_mom.members import Member
from flight_mom.relay import Relay
from flight_mom.topology import MemberStatus, Topology
from planner import CancelJob, ShowJobs

_log = get_logger(__name__)
_ASKED_AT_ONCE = 16
_PATIENCE_S = 2.0
_SILENT = frozenset({MemberStatus.DEAD, MemberStatus.JOINING})
T = TypeVar("T")


class JobsDesk:
    """Shows and cancels jobs anywhere in the federation."""

    def __init__(
        self,
        cluster: str,
        own: JobDesk,
        routing: JobRouting,
        topology: Topology,
        relay: Relay,
        now: Moment,
        colleagues: Colleagues | None = None,
        *,
        patience_s: float = _PATIENCE_S,
    ) -> None:
        """Keep what it takes.

        Args:
            cluster: The MoM's own.
            own: The jobs of the MoM itself, relayed streams included.
            routing: Where statements were sent.
            topology: Who there is to ask.
            relay: Asks.
            now: The clock.
            colleagues: The other replicas, if there can be any.
            patience_s: How long members have to answer.
        """
        self._cluster = cluster
        self._own = own
        self._routing = routing
        self._topology = topology
        self._relay = relay
        self._now = now
        self._colleagues = colleagues
        self._patience_s = patience_s
        self._asking = ThreadPoolExecutor(_ASKED_AT_ONCE, thread_name_prefix="jobs")

    def close(self) -> None:
        """Ask nobody any more."""
        self._asking.shutdown(wait=False, cancel_futures=True)

    def show(self, caller: Identity, statement: ShowJobs) -> pa.Table:
        """Answer SHOW JOBS."""
        return show_jobs(statement, viewer_of(caller, self._cluster), self.select, self._now)

    def tell(self, caller: Identity, body: bytes) -> bytes:
        """Tell a member, with its user's own token, of that user's jobs elsewhere.

        Raises:
            BadRequestError: When it is not well formed.
        """
        request = protocol.JobsRequest.read(body)
        wanted = wanted_jobs(request, viewer_of(caller, self._cluster))
        return write_jobs(self.select(wanted, without=request.without), self._now())

    def select(self, wanted: JobsWanted, *, without: str | None = None) -> list[JobRow]:
        """Return jobs that are wanted and that the viewer may see, the newest first.

        Args:
            wanted: Which.
            without: A cluster that is left out.
        """
        members = [one for one in self._members(wanted.viewer) if one.name != without]
        request = jobs_request(wanted).write()
        told = self._ask(members, lambda member: self._told(member, request, wanted))
        heard = {(row.id, row.user, row.cluster) for found in told.values() for row in found}
        rows = [
            row
            for row in self._own.select(wanted)
            if row.cluster not in told
            # It waits here, or did in vain: its member has not heard of it.
            or (row.started_at is None and (row.id, row.user, row.cluster) not in heard)
        ]
        known = {(row.id, row.user, row.cluster) for row in rows}
        for member in self._topology.federation.members.values():
            if member.name not in told:
                sent = self._routing.sent_to(member.name)
                rows += [
                    row
                    for row in sent
                    if wanted.takes(row) and (row.id, row.user, row.cluster) not in known
                ]
        rows += [self._routing.with_client(row) for found in told.values() for row in found]
        return wanted.newest(row for row in rows if row.cluster != without)

    def cancel(self, caller: Identity, source: str, statement: CancelJob) -> pa.Table:
        """Cancel a job wherever it runs.

        Raises:
            NotFoundError: When none of that id runs that the caller may cancel.
            ClusterUnavailableError: When none was found, and a member did not answer.
        """
        viewer, job_id = viewer_of(caller, self._cluster), statement.job_id
        here = self._cancelled_at_mom(viewer, job_id)
        members = self._members(viewer)
        sent_to = self._routing.places_of(job_id)
        if here.count or sent_to:
            members = [one for one in members if one.name in sent_to]
        request = protocol.CancelJobRequest(
            job_id=job_id,
            viewer=viewer.name,
            administers=viewer.administers,
            sees_all=viewer.sees_all,
        ).write()
        told = self._ask(members, lambda member: self._cancelled(member, request))
        silent = sorted(one.name for one in members if one.name not in told)
        done = Cancelled(
            here.count + sum(one.count for one in told.values()),
            here.has_ended and not silent and all(one.has_ended for one in told.values()),
        )
        try:
            status = self._own.note(caller, source, job_id, done)
        except NotFoundError:
            if not silent:
                raise
        else:
            return answer(CancelJob, [(job_id, status)])
        raise ClusterUnavailableError(
            f"{', '.join(silent[:5])} did not answer in time, and no job {job_id} of yours runs "
            "elsewhere; try again in a moment"
        )

    def cancel_here(self, viewer: Viewer, job_id: str) -> Cancelled:
        """Cancel what runs at this very replica under an id, for another that was asked."""
        return self._own.cancel(viewer, job_id)

    def _cancelled_at_mom(self, viewer: Viewer, job_id: str) -> Cancelled:
        """Cancel what runs at the MoM, at whichever replica."""
        here = self._own.cancel(viewer, job_id)
        if self._colleagues is None:
            return here
        told = self._colleagues.cancel(
            protocol.ReplicaCancelRequest(
                job_id=job_id,
                viewer=viewer.name,
                administers=viewer.administers,
                sees_all=viewer.sees_all,
            )
        )
        return Cancelled(
            here.count + sum(one.count for one in told),
            here.has_ended and all(one.has_ended for one in told),
        )

    def _members(self, viewer: Viewer) -> list[Member]:
        """Return the members that may run or have run jobs that a viewer may see, and answer."""
        members = self._topology.federation.members
        places = set(members) if viewer.sees_all else self._routing.clusters_of(viewer)
        return [
            members[name]
            for name in sorted(places & members.keys())
            if self._topology.status(members[name]) not in _SILENT
        ]

    def _ask(self, members: Iterable[Member], ask: Callable[[Member], T]) -> dict[str, T]:
        """Ask members at once; returns what those said that answered in time."""
        asked: dict[Future[T], str] = {
            self._asking.submit(ask, member): member.name for member in members
        }
        done, late = wait(asked, timeout=self._patience_s)
        for one in late:
            one.cancel()
        told: dict[str, T] = {}
        for one in done:
            error = one.exception()
            if error is None:
                told[asked[one]] = one.result()
            elif isinstance(error, FlightMemberError):
                _log.warning("jobs_not_told", member=asked[one], code=error.code)
            else:
                raise error
        return told

    def _told(self, member: Member, request: bytes, wanted: JobsWanted) -> list[JobRow]:
        told = self._relay.action(member, protocol.MEMBER_JOBS, request, timeout_s=self._patience_s)
        return read_jobs(
            told, is_shown=lambda row: row.cluster == member.name and wanted.takes(row)
        )

    def _cancelled(self, member: Member, request: bytes) -> Cancelled:
        told = self._relay.action(member, protocol.CANCEL_JOB, request, timeout_s=self._patience_s)
        reply = protocol.CancelJobReply.read(told)
        return Cancelled(reply.count, reply.has_ended)
