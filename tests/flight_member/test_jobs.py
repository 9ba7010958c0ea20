"""The registry of jobs: what it tells of a statement from its start to its end."""

import threading
import time

import pytest
from structlog.testing import capture_logs

from flight_member.admission import Admission
from flight_member.errors import CancelledStatementError, OverloadedError
from flight_member.jobrows import JobKind, JobState, Parts
from flight_member.jobs import Jobs, statement_digest
from flight_member.running import admit
from flight_sql import Call
from tests.flight_member.factories import NOW, Clock, make_jobs, make_limits
from tests.waiting import wait_until

USER, SQL = "user1@shanghai", "select 1"
CALL = Call(peer="ipv4:10.0.0.1:4000", query_id="query-0001")


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def jobs(clock: Clock) -> Jobs:
    return make_jobs(now=clock)


def test_job_is_queued_then_runs_then_has_ended(jobs: Jobs, clock: Clock) -> None:
    job = jobs.start(CALL, USER, SQL, kind=JobKind.WRITE)
    row = job.row()
    assert (row.id, row.user) == (CALL.query_id, USER)
    assert (row.cluster, row.node) == ("shanghai", "shanghai")
    assert (row.kind, row.digest, row.client) == (JobKind.WRITE, statement_digest(SQL), CALL.peer)
    assert (row.state, row.received_at, row.started_at) == (JobState.QUEUED, NOW, None)
    clock.move(1)
    job.run()
    job.add(3, 30)
    job.add(4, 40)
    job.watch_parts(lambda: Parts(1, 2))
    row = job.row()
    assert (row.state, row.started_at, row.ended_at) == (JobState.RUNNING, clock.now, None)
    assert (row.row_count, row.byte_count, row.parts) == (7, 70, Parts(1, 2))
    assert row.is_live
    assert [one.row() for one in jobs.live()] == [row]
    clock.move(1)
    job.end()
    (ended,) = jobs.take_ended()
    assert (ended.state, ended.ended_at, ended.error_code) == (JobState.FINISHED, clock.now, None)
    assert not ended.is_live
    assert jobs.live() == []
    assert jobs.take_ended() == []


@pytest.mark.parametrize(
    "error, state, code",
    [
        (None, JobState.FINISHED, None),
        (OverloadedError("full"), JobState.FAILED, "overloaded"),
        (CancelledStatementError("left"), JobState.CANCELLED, "cancelled"),
        (ValueError("a secret of ours"), JobState.FAILED, "internal"),
    ],
)
def test_end_of_the_block_is_the_end_of_the_job(
    jobs: Jobs, error: Exception | None, state: JobState, code: str | None
) -> None:
    with capture_logs() as lines, pytest.raises(type(error) if error else StopIteration):  # noqa: PT012  the block is what is tested
        with jobs.start(CALL, USER, SQL, kind=JobKind.CHANGE) as job:
            job.run()
            if error is not None:
                raise error
        raise StopIteration
    (ended,) = jobs.take_ended()
    assert (ended.state, ended.error_code) == (state, code)
    (line,) = [line for line in lines if line["event"] == "statement_ended"]
    assert (line["query_id"], line["user"]) == (CALL.query_id, USER)
    assert (line["outcome"], line["digest"]) == (code or "finished", statement_digest(SQL))
    assert "secret" not in str(line)


def test_opening_ends_the_job_only_when_it_fails(jobs: Jobs) -> None:
    job = jobs.start(CALL, USER, SQL, kind=JobKind.QUERY)
    with job.opening():
        job.run()
    assert job.row().state is JobState.RUNNING
    with pytest.raises(OverloadedError), job.opening():
        raise OverloadedError("full")
    assert job.row().error_code == "overloaded"


def test_only_the_first_end_counts(jobs: Jobs) -> None:
    job = jobs.start(CALL, USER, SQL, kind=JobKind.QUERY)
    job.end("cancelled")
    job.end()
    (ended,) = jobs.take_ended()
    assert ended.state is JobState.CANCELLED


def test_cancelling_stops_what_runs_and_waits_for_its_end(jobs: Jobs) -> None:
    job = jobs.start(CALL, USER, SQL, kind=JobKind.QUERY)
    job.run()
    job.when_cancelled(lambda: job.end("cancelled"))
    assert not job.is_cancelled()
    done = jobs.cancel(CALL.query_id, lambda one: one.user == USER, wait_s=5)
    assert (done.count, done.has_ended) == (1, True)
    assert job.is_cancelled()
    with pytest.raises(CancelledStatementError, match="on request"):
        job.check()
    called: list[bool] = []
    job.when_cancelled(lambda: called.append(True))
    assert called == [True]


def test_cancelling_tells_when_the_job_has_not_ended_yet(jobs: Jobs) -> None:
    job = jobs.start(CALL, USER, SQL, kind=JobKind.WRITE)
    done = jobs.cancel(CALL.query_id, lambda _: True, wait_s=0.05)
    assert (done.count, done.has_ended) == (1, False)
    assert job.is_cancelled()


def test_an_id_names_the_jobs_of_who_may_cancel_them_and_no_others(jobs: Jobs) -> None:
    mine, again = (jobs.start(CALL, USER, SQL, kind=JobKind.QUERY) for _ in range(2))
    other = jobs.start(CALL, "user2@hangzhou", SQL, kind=JobKind.QUERY)
    assert jobs.cancel(CALL.query_id, lambda one: one.user == USER, wait_s=0).count == 2
    assert (mine.is_stopped, again.is_stopped, other.is_stopped) == (True, True, False)
    assert jobs.cancel("another-id", lambda _: True, wait_s=5).count == 0


def test_caller_who_left_cancels_the_job(jobs: Jobs) -> None:
    call = Call(query_id="query-0002", is_cancelled=lambda: True)
    job = jobs.start(call, USER, SQL, kind=JobKind.QUERY)
    assert job.is_cancelled()
    job.check()  # not on request: whoever carries it out says what it is


def test_queued_job_leaves_the_queue_when_it_is_cancelled(jobs: Jobs) -> None:
    admission = Admission(make_limits(max_running=1, max_queued=1), "hangzhou")
    held = admission.enter("user1@hangzhou", bool)
    job = jobs.start(CALL, USER, SQL, kind=JobKind.QUERY)
    failures: list[Exception] = []

    def wait() -> None:
        try:
            with job.opening():
                admit(job, admission)
        except CancelledStatementError as error:
            failures.append(error)

    waiting = threading.Thread(target=wait)
    waiting.start()
    wait_until(lambda: admission.queued == 1)
    assert jobs.figures().queued == 1
    assert jobs.cancel(CALL.query_id, lambda _: True, wait_s=5).has_ended
    waiting.join(5)
    assert "on request" in str(failures[0])
    (ended,) = jobs.take_ended()
    assert (ended.state, ended.started_at) == (JobState.CANCELLED, None)
    held.leave()


def test_figures_count_what_runs_and_how_long(jobs: Jobs) -> None:
    assert jobs.figures().longest_running_s == 0
    first = jobs.start(CALL, USER, SQL, kind=JobKind.QUERY)
    jobs.start(CALL, USER, SQL, kind=JobKind.QUERY)
    first.run()
    time.sleep(0.01)
    figures = jobs.figures()
    assert (figures.running, figures.queued) == (1, 1)
    assert figures.longest_running_s >= 0.01
    first.end()
    figures = jobs.figures()
    assert (figures.running, figures.queued, figures.longest_running_s) == (0, 1, 0.0)
    assert figures.last_10.max_s >= 0.01
    assert figures.last_10 == figures.last_100


def test_answers_of_what_a_server_knows_count_in_no_times(jobs: Jobs) -> None:
    for kind in (JobKind.SHOW, JobKind.CHANGE):
        with jobs.start(CALL, USER, SQL, kind=kind):
            time.sleep(0.001)
    assert jobs.figures().last_100.max_s == 0


def test_what_could_not_be_written_is_kept_in_its_order(jobs: Jobs) -> None:
    for number in range(3):
        with jobs.start(CALL, USER, SQL, kind=JobKind.QUERY) as job:
            job.add(number, 0)
    taken = jobs.take_ended()
    with jobs.start(CALL, USER, SQL, kind=JobKind.QUERY) as job:
        job.add(3, 0)
    jobs.put_back(taken)
    assert [row.row_count for row in jobs.take_ended()] == [0, 1, 2, 3]
