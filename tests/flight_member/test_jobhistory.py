"""What is written down of jobs: when, for how long, and what a killed server leaves behind."""

import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta

import psutil
import pytest

from auth.auditstore import Viewer
from flight_member.jobhistory import JobHistory, is_over, this_process
from flight_member.jobrows import JobKind, JobRow, JobState, Parts
from flight_member.jobs import Jobs
from flight_member.jobstore import JobsWanted
from flight_member.settings import JobsSection
from flight_member.statestore import Database
from flight_sql import Call
from tests.flight_member.factories import NOW, Clock, make_jobs
from tests.waiting import wait_until

USER, OTHER, VISITOR = "user1@shanghai", "user2@shanghai", "user1@hangzhou"
ALL = Viewer("admin@headquarters", sees_all=True)
SQL = "select 1"


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def jobs(clock: Clock) -> Jobs:
    return make_jobs(now=clock)


@pytest.fixture
def history(jobs: Jobs, database: Database, clock: Clock) -> Iterator[JobHistory]:
    made = make_history(jobs, database, clock)
    yield made
    made.close()


def make_history(
    jobs: Jobs, database: Database, clock: Clock, server: str | None = None, **settings: int
) -> JobHistory:
    return JobHistory(
        jobs, database, JobsSection(**settings), clock, server=server, interval_s=0.01
    )


def run(
    jobs: Jobs,
    job_id: str = "query-0001",
    user: str = USER,
    code: str | None = None,
    *,
    is_watched: bool = False,
) -> None:
    job = jobs.start(Call(query_id=job_id, peer="ipv4:10.0.0.1:1"), user, SQL, kind=JobKind.QUERY)
    job.run()
    job.add(3, 30)
    job.watch_parts(lambda: Parts(1, 2))
    if is_watched:
        assert job.row().is_live
    job.end(code)


def select(
    history: JobHistory, viewer: Viewer = ALL, limit: int = 100, **wanted: object
) -> list[JobRow]:
    return history.select(JobsWanted(viewer, limit, **wanted))  # type: ignore[arg-type]  # passed on


def ids(rows: list[JobRow]) -> list[str]:
    return [row.id for row in rows]


def test_job_is_kept_as_it_ended(jobs: Jobs, history: JobHistory) -> None:
    run(jobs, code="scan-limit", is_watched=True)
    (told,) = select(history)
    assert (told.id, told.user, told.client) == ("query-0001", USER, "ipv4:10.0.0.1:1")
    assert (told.state, told.error_code) == (JobState.FAILED, "scan-limit")
    assert (told.received_at, told.started_at, told.ended_at) == (NOW, NOW, NOW)
    assert (told.row_count, told.byte_count, told.parts) == (3, 30, Parts(1, 2))
    assert told.kind is JobKind.QUERY


def test_parts_that_nobody_looked_at_are_not_counted(jobs: Jobs, history: JobHistory) -> None:
    run(jobs)
    assert select(history)[0].parts is None


def test_what_runs_is_told_as_it_is_now(jobs: Jobs, history: JobHistory) -> None:
    job = jobs.start(Call(query_id="query-0002"), USER, SQL, kind=JobKind.WRITE)
    assert select(history)[0].state is JobState.QUEUED
    job.run()
    job.add(5, 50)
    (told,) = select(history)
    assert (told.state, told.row_count) == (JobState.RUNNING, 5)
    job.end()
    assert [row.state for row in select(history)] == [JobState.FINISHED]


def test_newest_come_first_and_no_more_than_wanted(
    jobs: Jobs, history: JobHistory, clock: Clock
) -> None:
    for number in range(5):
        clock.move(1)
        run(jobs, f"query-000{number}")
    assert ids(select(history, limit=3)) == ["query-0004", "query-0003", "query-0002"]


def test_everybody_sees_their_own_part(jobs: Jobs, history: JobHistory) -> None:
    running = jobs.start(Call(query_id="runs"), OTHER, SQL, kind=JobKind.QUERY)
    for job_id, user in (("mine", USER), ("theirs", OTHER), ("visit", VISITOR)):
        run(jobs, job_id, user)
    parts = {
        Viewer(USER): {"mine"},
        Viewer(VISITOR): {"visit"},
        Viewer("admin@shanghai", administers="shanghai"): {"mine", "theirs", "visit", "runs"},
        Viewer("admin@hangzhou", administers="hangzhou"): {"visit"},
        Viewer("nobody@hangzhou"): set(),
        ALL: {"mine", "theirs", "visit", "runs"},
    }
    for viewer, seen in parts.items():
        assert set(ids(select(history, viewer))) == seen
    running.end()


def test_jobs_are_narrowed(jobs: Jobs, history: JobHistory, clock: Clock) -> None:
    run(jobs, "first")
    clock.move(60)
    run(jobs, "second", OTHER, "cancelled")
    after = NOW + timedelta(seconds=30)
    assert ids(select(history, user=OTHER)) == ["second"]
    assert ids(select(history, job_id="first")) == ["first"]
    assert ids(select(history, states=frozenset({JobState.CANCELLED}))) == ["second"]
    assert ids(select(history, since=after)) == ["second"]
    assert ids(select(history, before=after)) == ["first"]


def test_long_statement_is_written_while_it_runs_and_again_when_it_ends(
    jobs: Jobs, history: JobHistory, database: Database, clock: Clock
) -> None:
    job = jobs.start(Call(query_id="long"), USER, SQL, kind=JobKind.QUERY)
    job.run()
    history.start()
    replica = make_history(make_jobs(), database, clock, server="elsewhere/1/1")
    wait_until(lambda: ids(select(replica)) == ["long"])
    assert select(replica)[0].state is JobState.RUNNING
    job.end()
    wait_until(lambda: select(replica)[0].state is JobState.FINISHED)
    assert len(select(history)) == 1
    replica.close()


def test_what_ran_when_its_server_was_killed_is_lost(database: Database, clock: Clock) -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        started = psutil.Process(process.pid).create_time()
        host = this_process().partition("/")[0]
        server = f"{host}/{process.pid}/{started:.2f}"
        jobs = make_jobs()
        killed = make_history(jobs, database, clock, server=server)
        jobs.start(Call(query_id="ran"), USER, SQL, kind=JobKind.QUERY).run()
        run(jobs, "ended")
        wait_until(lambda: jobs.live()[0].elapsed_so_far_s > 0.02)
        killed.settle()
        # As long as its process is there, the job runs.
        make_history(make_jobs(), database, clock).close()
        assert not is_over(server)
        assert {row.id: row.state for row in select(killed)}["ran"] is JobState.RUNNING
        process.kill()
    assert is_over(server)
    after = make_history(make_jobs(), database, clock)
    told = {row.id: row for row in select(after)}
    assert told["ran"].state is JobState.LOST
    assert told["ran"].ended_at is not None
    assert told["ended"].state is JobState.FINISHED
    after.close()


def test_what_a_server_of_another_machine_does_not_say_any_more_is_lost(
    database: Database, clock: Clock
) -> None:
    jobs = make_jobs(now=clock)
    silent = make_history(jobs, database, clock, server="another-machine/1/1")
    jobs.start(Call(query_id="ran"), USER, SQL, kind=JobKind.QUERY).run()
    wait_until(lambda: jobs.live()[0].elapsed_so_far_s > 0.02)
    silent.settle()
    for silence_s, state in ((20, JobState.RUNNING), (20, JobState.LOST)):
        clock.move(silence_s)
        found = make_history(make_jobs(), database, clock)
        assert select(found)[0].state is state
        found.close()


def test_history_that_cannot_be_written_is_written_later(
    jobs: Jobs, history: JobHistory, database: Database
) -> None:
    with database.change() as connection:
        connection.exec_driver_sql("ALTER TABLE jobs RENAME TO jobs_away")
    run(jobs, "kept")
    history.settle()
    with database.change() as connection:
        connection.exec_driver_sql("ALTER TABLE jobs_away RENAME TO jobs")
    assert ids(select(history)) == ["kept"]


def test_old_jobs_are_forgotten(jobs: Jobs, database: Database, clock: Clock) -> None:
    history = make_history(jobs, database, clock, keep_days=2)
    run(jobs, "old")
    clock.move(86_400 * 1.5)
    run(jobs, "new")
    history.close()
    clock.move(86_400)
    later = make_history(make_jobs(), database, clock, keep_days=2)
    assert ids(select(later)) == ["new"]
    later.close()


def test_no_more_jobs_are_kept_than_the_settings_say(
    jobs: Jobs, database: Database, clock: Clock
) -> None:
    history = make_history(jobs, database, clock, max_count=1_000)
    for number in range(1_010):
        run(jobs, f"query-{number:04}")
    history.close()
    later = make_history(make_jobs(), database, clock, max_count=1_000)
    kept = ids(select(later, limit=5_000))
    assert len(kept) == 1_000
    assert "query-0009" not in kept
    later.close()
