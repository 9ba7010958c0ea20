"""The MoM asks members for jobs: in bounded time, and believing none of them about others."""

import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any, cast

import pytest

from auth import Identity
from auth.auditstore import Viewer
from flight_member import protocol
from flight_member.audit import AuditTrail
from flight_member.errors import BadRequestError, ClusterUnavailableError, NotFoundError
from flight_member.jobdesk import JobDesk, viewer_of
from flight_member.jobhistory import JobHistory
from flight_member.joblisting import write_jobs
from flight_member.jobrows import JobKind, JobRow, JobState
from flight_member.jobs import Jobs
from flight_member.jobstore import JobsWanted
from flight_member.settings import AuditSection, JobsSection
from flight_mom.jobrouting import JobRouting
from flight_mom.jobsdesk import JobsDesk
from flight_mom.members import Member
from flight_mom.relay import Relay
from flight_sql import Call
from planner import CancelJob, ShowJobs
from tests.auth.factories import make_ticket
from tests.flight_member.factories import HANGZHOU, NOW, SHANGHAI, make_identity, make_jobs
from tests.flight_mom.factories import MOM, PEER, Mom

USER1, USER2 = "user1@shanghai", "user2@hangzhou"
CALL = Call(peer="ipv4:10.0.0.7:1", query_id="query-0001")


class Members:
    """What the members of a federation answer, and whom they were asked about."""

    def __init__(self) -> None:
        self.answers: dict[str, Callable[[str], bytes]] = {}
        self.asked: list[tuple[str, str]] = []

    def action(self, member: Member, kind: str, body: bytes, *, timeout_s: float) -> bytes:
        del timeout_s
        is_listing = kind == protocol.MEMBER_JOBS
        request = (protocol.JobsRequest if is_listing else protocol.CancelJobRequest).read(body)
        self.asked.append((member.name, request.viewer))
        return self.answers[member.name](kind)


class Desk:
    """A MoM's desk for jobs, over members that answer as they are told."""

    def __init__(self, mom: Mom) -> None:
        self.mom = mom
        self.members = Members()
        self.trail = AuditTrail(MOM, mom.database, AuditSection(), mom.clock)
        self.jobs: Jobs = make_jobs(MOM, mom.clock)
        history = JobHistory(self.jobs, mom.database, JobsSection(), mom.clock)
        self.routing = JobRouting(mom.database, mom.clock, keep_days=30)
        self.desk = JobsDesk(
            MOM,
            JobDesk(self.jobs, history, self.trail, mom.clock),
            self.routing,
            mom.topology,
            cast("Relay", self.members),
            mom.clock,
            patience_s=0.3,
        )

    def send(self, user: str = USER1, to: str = HANGZHOU, job_id: str = "query-0001") -> None:
        """Have a statement of a user routed to a member."""
        name, _, cluster = user.partition("@")
        ticket = make_ticket(user=name, cluster=cluster, member=to, query_id=job_id)
        self.routing.note(CALL, replace(ticket, id=f"{job_id} of {user}", issued_at=NOW))

    def select(self, caller: Identity) -> list[JobRow]:
        return self.desk.select(JobsWanted(viewer_of(caller, MOM), 100))


@pytest.fixture
def desk(federation: Mom) -> Iterator[Desk]:
    made = Desk(federation)
    for name in (HANGZHOU, SHANGHAI):
        made.members.answers[name] = lambda _: write_jobs([], NOW)
    yield made
    made.desk.close()
    made.trail.close()


def row(user: str = USER1, cluster: str = HANGZHOU, **changes: Any) -> JobRow:
    made = JobRow(
        id="query-0001",
        serial=0,
        user=user,
        cluster=cluster,
        node=cluster,
        kind=JobKind.QUERY,
        state=JobState.FINISHED,
        digest="d" * 16,
        client="ipv4:127.0.0.1:5",
        received_at=NOW,
        started_at=NOW,
        ended_at=NOW,
        row_count=7,
        byte_count=70,
        parts=None,
        error_code=None,
    )
    return replace(made, **changes)


READER, CHIEF = make_identity(USER1), make_identity(f"chief@{HANGZHOU}", is_admin=True)
ADMIN = make_identity(f"admin@{MOM}", is_admin=True)


def never(_kind: str) -> bytes:
    threading.Event().wait(5)
    return b""


def away(_kind: str) -> bytes:
    raise ClusterUnavailableError("gone")


def test_member_knows_best_what_came_of_a_job_and_the_mom_who_asked(desk: Desk) -> None:
    desk.send()
    desk.members.answers[HANGZHOU] = lambda _: write_jobs([row()], NOW)
    (told,) = desk.select(READER)
    assert (told.state, told.row_count, told.client) == (JobState.FINISHED, 7, CALL.peer)


@pytest.mark.parametrize("answer", [never, away, lambda _: b"no Arrow at all"])
def test_member_that_does_not_answer_is_not_waited_for(
    desk: Desk, answer: Callable[[str], bytes]
) -> None:
    desk.send()
    desk.send(USER2)
    desk.members.answers[HANGZHOU] = answer
    desk.members.answers[SHANGHAI] = lambda _: write_jobs([row(cluster=SHANGHAI)], NOW)
    told = {(one.cluster, one.user): one.state for one in desk.select(READER)}
    assert told == {(SHANGHAI, USER1): JobState.FINISHED, (HANGZHOU, USER1): JobState.UNKNOWN}
    assert len(desk.select(ADMIN)) == 3


def test_dead_member_is_not_asked(desk: Desk) -> None:
    desk.send()
    desk.mom.clock.move(3600)
    desk.mom.beat(SHANGHAI)
    (told,) = desk.select(READER)
    assert (told.cluster, told.state) == (HANGZHOU, JobState.UNKNOWN)
    assert [name for name, _ in desk.members.asked] == [SHANGHAI]


def test_relayed_stream_is_told_of_a_member_that_does_not_answer(desk: Desk) -> None:
    desk.send()
    job = desk.jobs.start(CALL, USER1, "select 1", kind=JobKind.QUERY, cluster=HANGZHOU)
    job.run()
    job.add(3, 30)
    desk.members.answers[HANGZHOU] = away
    (told,) = desk.select(READER)
    assert (told.state, told.row_count) == (JobState.RUNNING, 3)
    job.end()
    (told,) = desk.select(READER)
    assert (told.state, told.row_count) == (JobState.FINISHED, 3)


def test_member_is_believed_in_nothing_that_concerns_others(desk: Desk) -> None:
    desk.send()
    forged = [
        row(USER2),  # not the caller's
        row(cluster=SHANGHAI),  # not the member's
        row(cluster=MOM),
        row(),
    ]
    desk.members.answers[HANGZHOU] = lambda _: write_jobs(forged, NOW)
    assert [(one.user, one.cluster) for one in desk.select(READER)] == [(USER1, HANGZHOU)]


def test_too_long_a_text_is_no_answer(desk: Desk) -> None:
    told = write_jobs([row(cluster=SHANGHAI, id="x" * 999)], NOW)
    desk.members.answers[SHANGHAI] = lambda _: told
    assert desk.select(READER) == []


def test_only_members_are_asked_that_may_know_something(desk: Desk) -> None:
    desk.select(READER)
    assert {name for name, _ in desk.members.asked} == {SHANGHAI}
    desk.send()
    desk.members.asked.clear()
    desk.select(READER)
    assert set(desk.members.asked) == {(SHANGHAI, USER1), (HANGZHOU, USER1)}
    desk.members.asked.clear()
    desk.select(CHIEF)
    assert {name for name, _ in desk.members.asked} == {HANGZHOU}
    # What they administer are users, too, wherever these asked.
    desk.send(USER2, SHANGHAI)
    desk.routing.keep()
    desk.members.asked.clear()
    desk.select(CHIEF)
    assert {name for name, _ in desk.members.asked} == {HANGZHOU, SHANGHAI}
    desk.members.asked.clear()
    desk.select(ADMIN)
    assert {name for name, _ in desk.members.asked} == {HANGZHOU, SHANGHAI}


def test_where_statements_went_is_known_after_a_restart(desk: Desk) -> None:
    desk.send()
    desk.routing.keep()
    again = JobRouting(desk.mom.database, desk.mom.clock, keep_days=30)
    assert again.clusters_of(Viewer(USER1)) == {HANGZHOU, SHANGHAI}
    assert again.clusters_of(Viewer(USER2)) == {HANGZHOU}
    desk.mom.clock.move(31 * 86_400)
    desk.send(USER2, SHANGHAI)
    desk.routing.keep()
    assert again.clusters_of(Viewer(USER1)) == {SHANGHAI}


def test_job_is_cancelled_at_the_member_that_it_was_sent_to(desk: Desk) -> None:
    desk.send()
    reply = protocol.CancelJobReply(count=1, has_ended=True).write()
    desk.members.answers[HANGZHOU] = lambda _: reply
    done = desk.desk.cancel(READER, PEER, CancelJob("query-0001")).to_pylist()
    assert done == [{"job_id": "query-0001", "status": "cancelled"}]
    assert desk.members.asked == [(HANGZHOU, USER1)]


def test_job_that_has_not_ended_yet_says_so(desk: Desk) -> None:
    reply = protocol.CancelJobReply(count=1, has_ended=False).write()
    desk.members.answers[SHANGHAI] = lambda _: reply
    done = desk.desk.cancel(READER, PEER, CancelJob("query-0002")).to_pylist()
    assert done[0]["status"] == "cancelling"


def test_nothing_to_cancel_is_not_found_unless_somebody_did_not_answer(desk: Desk) -> None:
    none = protocol.CancelJobReply(count=0, has_ended=True).write()
    desk.members.answers[SHANGHAI] = lambda _: none
    with pytest.raises(NotFoundError, match="no job query-0003 of yours runs"):
        desk.desk.cancel(READER, PEER, CancelJob("query-0003"))
    desk.members.answers[SHANGHAI] = away
    with pytest.raises(ClusterUnavailableError, match="shanghai did not answer in time"):
        desk.desk.cancel(READER, PEER, CancelJob("query-0003"))


def test_member_is_told_of_its_users_jobs_elsewhere_alone(desk: Desk) -> None:
    desk.send()
    desk.members.answers[HANGZHOU] = lambda _: write_jobs([row()], NOW)
    request = protocol.JobsRequest(limit=10, viewer=USER2, sees_all=True, without=SHANGHAI)
    # Who the viewer is, the token says, and not the message.
    assert b"hangzhou" in desk.desk.tell(READER, request.write())
    assert desk.members.asked == [(HANGZHOU, USER1)]
    with pytest.raises(BadRequestError):
        desk.desk.tell(READER, protocol.JobsRequest(limit=10, states=("odd",)).write())


def test_show_jobs_answers_what_is_found(desk: Desk) -> None:
    desk.send()
    found = [row(id="nightly-1"), row(id="nightly-2", state=JobState.RUNNING, ended_at=None)]
    desk.members.answers[HANGZHOU] = lambda _: write_jobs(found, NOW)
    shown = desk.desk.show(READER, ShowJobs()).to_pylist()
    assert [one["job_id"] for one in shown] == ["nightly-2", "nightly-1"]
