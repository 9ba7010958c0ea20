"""The jobs of a cluster: those of its controller, and those that run on its data nodes.

What has ended on a node is told with its heartbeats and kept here; what runs there is asked of it.
"""

from dataclasses import replace

from auth.auditstore import Viewer
from flight_member import protocol
from flight_member.audit import AuditTrail
from flight_member.clock import Moment
from flight_member.errors import BadRequestError
from flight_member.jobdesk import JobDesk
from flight_member.jobhistory import JobHistory
from flight_member.joblisting import read_jobs
from flight_member.jobrequests import jobs_request
from flight_member.jobrows import LIVE_STATES, JobRow
from flight_member.jobs import Cancelled, Jobs
from flight_member.jobstore import JobsWanted
from flight_member.logs import get_logger
from flight_member.nodelinks import NodeLinks

_log = get_logger(__name__)


class ClusterJobDesk(JobDesk):
    """Shows and cancels jobs on all nodes of one cluster."""

    def __init__(
        self,
        cluster: str,
        jobs: Jobs,
        history: JobHistory,
        audit: AuditTrail,
        links: NodeLinks,
        now: Moment,
    ) -> None:
        super().__init__(jobs, history, audit, now)
        self._cluster = cluster
        self._links = links

    def select(self, wanted: JobsWanted) -> list[JobRow]:
        """Return the jobs that are wanted and that the viewer may see, the newest first."""
        # Nodes first: what a node tells meanwhile is found here. How it ended counts.
        rows = {
            (row.node, row.id, row.user, row.received_at, row.started_at): row
            for row in (*self._on_nodes(wanted), *super().select(wanted))
        }
        return wanted.newest(rows.values())

    def runs(self, viewer: Viewer, job_id: str) -> bool:
        """Whether a job with an id runs on any node that a viewer may cancel."""
        return super().runs(viewer, job_id) or bool(
            self._on_nodes(JobsWanted(viewer, 1, job_id=job_id, states=LIVE_STATES))
        )

    def cancel(self, viewer: Viewer, job_id: str) -> Cancelled:
        """Cancel what runs under an id on any node and is the viewer's to cancel."""
        here = super().cancel(viewer, job_id)
        request = protocol.CancelJobRequest(
            job_id=job_id,
            viewer=viewer.name,
            administers=viewer.administers,
            sees_all=viewer.sees_all,
        )
        told = [
            protocol.CancelJobReply.read(body)
            for body in self._links.action(protocol.CANCEL_JOB, request.write()).values()
        ]
        return Cancelled(
            here.count + sum(one.count for one in told),
            here.has_ended and all(one.has_ended for one in told),
        )

    def _on_nodes(self, wanted: JobsWanted) -> list[JobRow]:
        told = self._links.action(protocol.MEMBER_JOBS, jobs_request(wanted).write())
        rows: list[JobRow] = []
        for node, body in told.items():
            try:
                found = read_jobs(body, is_shown=lambda row: row.cluster == self._cluster)
            except BadRequestError as error:
                _log.warning("jobs_not_told", node=node, code=error.code)
                continue
            rows += [replace(row, node=node) for row in found if wanted.takes(row)]
        return rows
