"""Jobs through real servers: what is told of every statement, to whom, and how it is cancelled."""

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from flight_member import protocol
from flight_member.joblisting import read_jobs
from flight_mom.demo.federation import HANGZHOU, MOM, SHANGHAI, DemoFederation
from flight_sql import Client, RemoteError
from tests.e2e.commands import try_member, try_mom
from tests.e2e.federation import (
    CHIEF,
    COUNT_FLIGHTS,
    COUNT_QUOTES,
    FLIGHTS_AT,
    READER,
    STRANGER,
    refusal,
    refused_sql,
)
from tests.e2e.fetching import AT_HANGZHOU, AT_SHANGHAI, Fetching, ended
from tests.waiting import wait_until

JOBS = "system.federation.jobs"
COLUMNS = [
    "job_id",
    "user_name",
    "cluster_name",
    "node_name",
    "kind",
    "state",
    "received_at",
    "started_at",
    "ended_at",
    "elapsed_s",
    "row_count",
    "byte_count",
    "parts_done",
    "parts_total",
    "error_code",
    "statement_digest",
    "client",
]
FLIGHTS_FILES = 6
Row = dict[str, Any]


@pytest.fixture
def chief(federation: DemoFederation) -> Iterator[Client]:
    """An administrator of hangzhou, at the MoM."""
    with federation.client(CHIEF, HANGZHOU, at=MOM) as client:
        yield client


@pytest.fixture(params=[MOM, SHANGHAI])
def stranger(federation: DemoFederation, request: pytest.FixtureRequest) -> Iterator[Client]:
    """Another user of shanghai, at the MoM and at home."""
    with federation.client(STRANGER, SHANGHAI, at=request.param) as client:
        yield client


def shown(client: Client, sql: str = "SHOW JOBS") -> list[Row]:
    rows: list[Row] = client.query(sql).read_all().to_pylist()
    return rows


def jobs_of(client: Client, job_id: str) -> list[Row]:
    return shown(client, f"SHOW JOBS LIKE '{job_id}'")


def job_of(client: Client, job_id: str) -> Row:
    (row,) = jobs_of(client, job_id)
    return row


def run(client: Client, sql: str, query_id: str) -> None:
    client.query(sql, headers=(("x-query-id", query_id),)).read_all()


def begin(client: Client, sql: str, query_id: str, route: str = "relay") -> Fetching:
    """Fetch a statement that does not end by itself, and wait until it runs."""
    headers = (("x-query-id", query_id), ("x-route", route))
    (endpoint,) = client.get_info(sql, headers=headers).endpoints
    fetching = Fetching(partial(client.open_endpoint, endpoint))
    wait_until(lambda: [one["state"] for one in jobs_of(client, query_id)] == ["running"])
    return fetching


def cancel(client: Client, job_id: str) -> Row:
    (row,) = shown(client, f"CANCEL JOB '{job_id}'")
    return row


# What is told.


@pytest.mark.usefixtures("granted")
@pytest.mark.parametrize("route", ["relay", "direct"])
def test_query_of_another_cluster_is_a_job_of_it(
    admin: Client, reader: Client, chief: Client, query_id: str, route: str
) -> None:
    headers = (("x-query-id", query_id), ("x-route", route))
    assert reader.query(COUNT_FLIGHTS, headers=headers).read_all().num_rows == 1
    for client in (reader, admin, chief):
        row = job_of(client, query_id)
        assert list(row) == COLUMNS
        assert (row["user_name"], row["cluster_name"], row["kind"]) == (READER, HANGZHOU, "query")
        assert (row["state"], row["row_count"], row["error_code"]) == ("finished", 1, None)
        assert row["received_at"] <= row["started_at"] <= row["ended_at"]
        assert row["client"].startswith("ipv4:127.0.0.1")


def test_query_at_home_is_told_at_home_and_at_the_mom(
    admin: Client, at_home: Client, at_mom: Client, query_id: str
) -> None:
    run(at_home, COUNT_QUOTES, query_id)
    for client in (at_home, at_mom, admin):
        row = job_of(client, query_id)
        assert (row["user_name"], row["cluster_name"]) == (READER, SHANGHAI)
        assert (row["state"], row["kind"]) == ("finished", "query")


@pytest.mark.usefixtures("granted")
def test_every_kind_of_statement_is_a_job(admin: Client, reader: Client, query_id: str) -> None:
    asked = {
        "query": f"select carrier from {FLIGHTS_AT} limit 3",
        "explain": f"EXPLAIN {COUNT_FLIGHTS}",
        "show": "SHOW TABLES",
        "change": "USE DEFAULT",
    }
    for kind, sql in asked.items():
        run(reader, sql, f"{query_id}-{kind}")
        row = job_of(reader, f"{query_id}-{kind}")
        assert (row["kind"], row["state"], row["user_name"]) == (kind, "finished", READER)
    live = f"{query_id}-live"
    run(reader, "select count(*) as n from system.federation.clusters", live)
    assert (job_of(reader, live)["cluster_name"], job_of(reader, live)["kind"]) == (MOM, "query")
    granting = f"{query_id}-grant"
    sql = f"GRANT TABLE_READ ON {FLIGHTS_AT} TO {READER}"
    admin.update(sql, headers=(("x-query-id", granting),))
    assert job_of(admin, granting)["kind"] == "change"
    assert jobs_of(reader, granting) == []


@pytest.mark.usefixtures("granted")
def test_failed_statement_tells_its_code_and_no_text(reader: Client, query_id: str) -> None:
    sql = f"select 1 / cast(flight - flight as bigint) as n from {FLIGHTS_AT}"
    with pytest.raises(RemoteError) as refused:
        run(reader, sql, query_id)
    row = job_of(reader, query_id)
    assert (row["state"], row["error_code"]) == ("failed", refused.value.code)
    assert "flight - flight" not in json.dumps(row, default=str)


@pytest.mark.usefixtures("granted")
def test_running_statement_counts_its_rows(
    federation: DemoFederation, reader: Client, query_id: str
) -> None:
    many = (
        f"select flight from {FLIGHTS_AT} union all select value from generate_series(1, {10**9})"
    )
    headers = (("x-query-id", query_id),)
    (endpoint,) = reader.get_info(many, headers=headers).endpoints
    with reader.open_endpoint(endpoint) as rows:
        next(rows)
        wait_until(lambda: job_of(reader, query_id)["row_count"] > 0)
        row = job_of(reader, query_id)
        assert (row["state"], row["ended_at"]) == ("running", None)
        # The table has six files, and a series is none.
        assert 0 <= row["parts_done"] <= row["parts_total"] == FLIGHTS_FILES
        assert row["byte_count"] >= row["row_count"]
    wait_until(lambda: job_of(reader, query_id)["state"] == "cancelled")
    assert ended(federation, HANGZHOU, query_id) == ["cancelled"]


def test_jobs_are_queried_like_any_table(reader: Client, query_id: str) -> None:
    for number in range(3):
        run(reader, "SHOW CLUSTERS", f"{query_id}-{number}")
    sql = f"select * from {JOBS} where job_id = '{query_id}-1'"
    (row,) = shown(reader, sql)
    assert (row["kind"], row["cluster_name"]) == ("show", MOM)
    newest = shown(reader, f"select job_id from {JOBS} order by received_at desc limit 2")
    assert len(newest) == 2
    lately = (
        f"select count(*) as n, max(row_count) as most from {JOBS} where state = 'finished' "
        f"and user_name = '{READER}' and received_at > now() - interval '1 hour'"
    )
    assert shown(reader, lately)[0]["n"] >= 3
    assert shown(reader, f"DESCRIBE {JOBS}")[0]["column_name"] == "job_id"


def test_what_runs_comes_first(at_home: Client, query_id: str) -> None:
    fetching = begin(at_home, AT_SHANGHAI, query_id)
    for _ in range(3):
        run(at_home, COUNT_QUOTES, f"{query_id}-later")
    states = [row["state"] for row in shown(at_home)]
    ended_at = next(number for number, state in enumerate(states) if state != "running")
    assert "running" not in states[ended_at:]
    assert query_id in [row["job_id"] for row in shown(at_home)[:ended_at]]
    cancel(at_home, query_id)
    assert fetching.refusal().code == "cancelled"


# To whom.


@pytest.mark.usefixtures("granted")
def test_nobody_learns_of_others_jobs(
    at_mom: Client, at_home: Client, stranger: Client, chief: Client, query_id: str
) -> None:
    run(at_home, COUNT_QUOTES, query_id)
    run(at_mom, COUNT_FLIGHTS, f"{query_id}-visit")
    assert jobs_of(stranger, f"{query_id}%") == []
    assert shown(stranger, f"SHOW JOBS FOR {READER}") == []
    assert {row["user_name"] for row in shown(stranger)} == {f"{STRANGER}@{SHANGHAI}"}
    assert shown(stranger, f"select * from {JOBS} where user_name = '{READER}'") == []
    # Who administers hangzhou sees what runs there, and not what its visitors do elsewhere.
    assert [row["job_id"] for row in jobs_of(chief, f"{query_id}%")] == [f"{query_id}-visit"]


def test_administrators_of_the_federation_see_all(
    admin: Client, at_home: Client, query_id: str
) -> None:
    run(at_home, COUNT_QUOTES, query_id)
    assert job_of(admin, query_id)["user_name"] == READER
    assert query_id in {row["job_id"] for row in shown(admin, f"SHOW JOBS FOR {READER}")}


# Cancelling.


@pytest.mark.usefixtures("granted")
@pytest.mark.parametrize("route", ["relay", "direct"])
def test_job_on_another_cluster_is_cancelled_by_its_id(
    federation: DemoFederation, reader: Client, query_id: str, route: str
) -> None:
    fetching = begin(reader, AT_HANGZHOU, query_id, route)
    assert ended(federation, HANGZHOU, query_id) == []
    assert cancel(reader, query_id) == {"job_id": query_id, "status": "cancelled"}
    wait_until(lambda: ended(federation, HANGZHOU, query_id) == ["cancelled"], 5)
    error = fetching.refusal()
    assert (error.code, error.status) == ("cancelled", "CANCELLED")
    assert "on request" in error.text
    row = job_of(reader, query_id)
    assert (row["state"], row["cluster_name"]) == ("cancelled", HANGZHOU)


def test_job_at_home_is_cancelled_at_home_and_at_the_mom(
    federation: DemoFederation, at_home: Client, at_mom: Client, query_id: str
) -> None:
    for number, client in enumerate((at_home, at_mom)):
        own_id = f"{query_id}-{number}"
        fetching = begin(at_home, AT_SHANGHAI, own_id)
        assert cancel(client, own_id)["status"] == "cancelled"
        assert fetching.refusal().code == "cancelled"
        assert ended(federation, SHANGHAI, own_id) == ["cancelled"]


@pytest.mark.usefixtures("granted")
def test_job_that_answers_what_the_mom_knows_is_cancelled(
    federation: DemoFederation, at_mom: Client, query_id: str
) -> None:
    endless = (
        "select count(*) as n from system.federation.clusters union all "
        f"select count(*) from generate_series(1, {10**12})"
    )
    fetching = begin(at_mom, endless, query_id)
    assert cancel(at_mom, query_id)["status"] == "cancelled"
    assert fetching.refusal().code == "cancelled"
    assert ended(federation, MOM, query_id) == ["cancelled"]


@pytest.mark.parametrize("at", [HANGZHOU, MOM])
def test_write_is_cancelled_and_has_written_nothing(
    federation: DemoFederation, query_id: str, at: str
) -> None:
    endless = f"INSERT INTO drafts.of.numbers SELECT value FROM generate_series(1, {10**12})"
    with (
        federation.client(CHIEF, HANGZHOU, at=HANGZHOU) as writer,
        federation.client(CHIEF, HANGZHOU, at=at) as canceller,
    ):
        for sql in ("CATALOG drafts", "SCHEMA drafts.of", "TABLE drafts.of.numbers (n BIGINT)"):
            writer.update(f"CREATE {sql}")
        try:
            headers = (("x-query-id", query_id),)
            writing = Fetching(lambda: writer.query(endless, headers=headers))
            wait_until(
                lambda: [one["state"] for one in jobs_of(canceller, query_id)] == ["running"]
            )
            assert job_of(canceller, query_id)["kind"] == "write"
            assert cancel(canceller, query_id)["job_id"] == query_id
            error = writing.refusal()
            assert (error.code, error.status) == ("cancelled", "CANCELLED")
            assert "on request" in error.text
            wait_until(lambda: ended(federation, HANGZHOU, query_id) == ["cancelled"])
            assert job_of(canceller, query_id)["state"] == "cancelled"
            shown_rows = shown(writer, "SHOW TABLES FROM drafts.of")
            assert [one["row_count"] for one in shown_rows] == [0]
        finally:
            writer.update("DROP CATALOG drafts CASCADE")


@pytest.mark.usefixtures("granted")
def test_administrators_cancel_what_they_administer(
    admin: Client, chief: Client, at_mom: Client, query_id: str
) -> None:
    for number, client in enumerate((admin, chief)):
        own_id = f"{query_id}-{number}"
        fetching = begin(at_mom, AT_HANGZHOU, own_id)
        assert cancel(client, own_id)["status"] == "cancelled"
        assert fetching.refusal().code == "cancelled"


def test_job_of_somebody_else_is_refused_as_one_that_is_not_there(
    federation: DemoFederation,
    admin: Client,
    at_home: Client,
    stranger: Client,
    chief: Client,
    query_id: str,
) -> None:
    fetching = begin(at_home, AT_SHANGHAI, query_id)
    for client in (stranger, chief):
        errors = [
            refused_sql(client, f"CANCEL JOB '{job_id}'") for job_id in (query_id, f"{query_id}0")
        ]
        assert {error.code for error in errors} == {"not-found"}
        assert errors[0].text == errors[1].text.replace(f"{query_id}0", query_id)
        assert refusal(client.update, f"CANCEL JOB '{query_id}'").code == "not-found"
    assert ended(federation, SHANGHAI, query_id) == []
    assert admin.update(f"CANCEL JOB '{query_id}'") == 1
    assert fetching.refusal().code == "cancelled"
    sql = f"select actor, allowed from system.federation.audit where object = '{query_id}'"
    noted = {(row["actor"], row["allowed"]) for row in shown(admin, sql)}
    assert (f"{CHIEF}@{HANGZHOU}", False) in noted
    assert (f"admin@{MOM}", True) in noted


def test_job_that_has_ended_is_not_found(reader: Client, query_id: str) -> None:
    run(reader, "SHOW CLUSTERS", query_id)
    assert refused_sql(reader, f"CANCEL JOB '{query_id}'").code == "not-found"


def test_an_id_that_somebody_else_chose_too_names_ones_own_job(
    federation: DemoFederation, at_home: Client, query_id: str
) -> None:
    with federation.client("user2", HANGZHOU, at=HANGZHOU) as user2:
        fetching = begin(at_home, AT_SHANGHAI, query_id)
        other = begin(user2, AT_HANGZHOU, query_id)
        assert cancel(at_home, query_id)["status"] == "cancelled"
        assert fetching.refusal().code == "cancelled"
        assert job_of(user2, query_id)["state"] == "running"
        cancel(user2, query_id)
        assert other.refusal().code == "cancelled"


# One id through all logs.


@pytest.mark.usefixtures("granted")
@pytest.mark.parametrize("route", ["relay", "direct"])
def test_the_clients_id_stands_in_the_logs_of_the_mom_and_the_member(
    federation: DemoFederation, at_mom: Client, query_id: str, route: str
) -> None:
    headers = (("x-query-id", query_id), ("x-route", route))
    at_mom.query(COUNT_FLIGHTS, headers=headers).read_all()

    def events(cluster: str) -> set[str]:
        lines = Path(federation.directory / f"{cluster}.log").read_text("utf-8").splitlines()
        told = [json.loads(line) for line in lines if query_id in line]
        assert {one["query_id"] for one in told} <= {query_id}
        return {one["event"] for one in told}

    wait_until(lambda: "statement_ended" in events(HANGZHOU))
    assert "statement_routed" in events(MOM)
    assert ("statement_ended" in events(MOM)) is (route == "relay")


@pytest.mark.parametrize("sent", ["short", "two words here", "x" * 65, "a\"b;c'd--ef"])
def test_id_that_is_none_is_replaced(
    federation: DemoFederation, at_home: Client, sent: str
) -> None:
    at_home.query(COUNT_QUOTES, headers=(("x-query-id", sent),)).read_all()
    newest = f"select job_id from {JOBS} where kind = 'query' order by received_at desc limit 2"
    # The first is this statement itself.
    assert [len(row["job_id"]) for row in shown(at_home, newest)] == [32, 32]
    assert sent not in Path(federation.directory / f"{SHANGHAI}.log").read_text("utf-8")


# At a terminal.


def test_jobs_are_listed_and_cancelled_at_a_terminal(
    federation: DemoFederation, at_home: Client, query_id: str
) -> None:
    profile = ("--profile", str(federation.directory / "profiles" / "user1.json"))
    for number, command in enumerate((try_mom, try_member)):
        own_id = f"{query_id}-{number}"
        fetching = begin(at_home, AT_SHANGHAI, own_id)
        listed = command("jobs", "--json", "--state", "running", *profile)
        assert listed.returncode == 0, listed.stderr
        assert own_id in [row["job_id"] for row in json.loads(listed.stdout)]
        for hidden in (("--cluster", HANGZHOU), ("--state", "failed"), ("--user", f"x@{HANGZHOU}")):
            told = command("jobs", "--json", *hidden, *profile)
            assert own_id not in told.stdout
        cancelled = command("jobs", "cancel", own_id, "--json", *profile)
        assert json.loads(cancelled.stdout) == [{"job_id": own_id, "status": "cancelled"}]
        assert fetching.refusal().code == "cancelled"
        table = command("jobs", *profile)
        assert any(own_id in line and "cancelled" in line for line in table.stdout.splitlines())
        again = command("jobs", "cancel", own_id, *profile)
        assert (again.returncode, "not-found" in again.stderr) == (1, True)


def test_jobs_are_followed_until_the_user_has_seen_enough(
    federation: DemoFederation, at_home: Client, query_id: str
) -> None:
    profile = ("--profile", str(federation.directory / "profiles" / "user1.json"))
    command = [sys.executable, "-m", "flight_mom", "jobs", "--follow", "--json", "--every", "0.2"]
    with subprocess.Popen([*command, *profile], stdout=subprocess.PIPE, text=True) as following:  # noqa: S603  our own module
        try:
            assert following.stdout is not None
            fetching = begin(at_home, AT_SHANGHAI, query_id)
            cancel(at_home, query_id)
            assert fetching.refusal().code == "cancelled"
            states = []
            while "cancelled" not in states:
                told = json.loads(following.stdout.readline())
                if told["job_id"] == query_id:
                    states.append(told["state"])
            assert states in (["running", "cancelled"], ["cancelled"])
        finally:
            following.send_signal(signal.SIGINT)
        assert following.wait(20) == 0


def test_users_ask_for_jobs_in_sql_and_not_as_servers_do(
    at_home: Client, at_mom: Client, query_id: str
) -> None:
    request = protocol.JobsRequest(limit=10, viewer=f"admin@{MOM}", sees_all=True).write()
    assert refusal(at_home.action, protocol.MEMBER_JOBS, request).code == "permission-denied"
    cancelling = protocol.CancelJobRequest(job_id=query_id, viewer=READER, sees_all=True).write()
    assert refusal(at_home.action, protocol.CANCEL_JOB, cancelling).code == "permission-denied"
    # What members ask the MoM is answered to users too: with their own part, whatever they claim.
    told = read_jobs(at_mom.action(protocol.JOBS, request), is_shown=lambda _: True)
    assert {row.user for row in told} <= {READER}


@pytest.mark.parametrize(
    "arguments", [("--state", "odd"), ("--user", "a'; DROP"), ("cancel", "a'b")]
)
def test_what_cannot_be_asked_for_is_said_at_the_terminal(
    federation: DemoFederation, arguments: tuple[str, ...]
) -> None:
    profile = ("--profile", str(federation.directory / "profiles" / "user1.json"))
    done = try_mom("jobs", *arguments, *profile)
    assert (done.returncode, done.stderr.startswith("configuration: ")) == (2, True)
