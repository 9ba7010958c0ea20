"""A table that grows all the time stays readable, and every answer is of one version."""

import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from uuid import uuid4

import pyarrow as pa
import pytest

from flight_member.tables import TableDesk
from flight_mom.demo.federation import HANGZHOU, DemoFederation
from flight_sql import Client, RemoteError
from storage.metastore import Table
from tests.e2e.federation import CHIEF, READER, refusal
from tests.e2e.test_revocation import is_listed
from tests.waiting import wait_until

_FOR_S = 4.0
_NOTICED_S = 15.0
_PER_COMMIT = 10
_READ = "select count(*) as n, max(commit_number) as last, count(distinct commit_number) as c from "


def rows_of(commit: int) -> pa.Table:
    return pa.table({"commit_number": [commit] * _PER_COMMIT, "number": range(_PER_COMMIT)})


class Fed:
    """A managed table of hangzhou that user1@shanghai may read, and what writes into it."""

    def __init__(self, federation: DemoFederation, held: ExitStack) -> None:
        self.name = f"aviation.nyc.fed_{uuid4().hex[:8]}"
        self.desk = TableDesk.open(federation.member_home(HANGZHOU))
        self.table: Table = self.desk.load_batches(
            self.name, iter(rows_of(0).to_batches()), partition_by=(), progress=lambda _: None
        )
        held.callback(self.desk.drop, self.name)
        self.commit_count = 1

    @property
    def at(self) -> str:
        return f"{self.name}@{HANGZHOU}"

    def append(self) -> None:
        self.desk.append(self.name, rows_of(self.commit_count).to_batches())
        self.commit_count += 1


@pytest.fixture
def fed(federation: DemoFederation, admin: Client, at_mom: Client) -> Iterator[Fed]:
    with ExitStack() as held:
        fed = Fed(federation, held)
        wait_until(lambda: is_listed(admin, fed.at), _NOTICED_S)
        admin.update(f"GRANT TABLE_READ ON {fed.at} TO {READER}")
        assert counted(at_mom, fed) == {"n": _PER_COMMIT, "last": 0, "c": 1}
        yield fed


def counted(client: Client, fed: Fed) -> dict[str, int]:
    (row,) = client.query(_READ + fed.at).read_all().to_pylist()
    return dict(row)


def is_counted(client: Client, fed: Fed, commits: int) -> bool:
    try:
        return counted(client, fed)["c"] == commits
    except RemoteError:
        return False


def test_growing_table_is_read_without_an_error_and_one_version_at_a_time(
    fed: Fed, at_mom: Client
) -> None:
    until = time.monotonic() + _FOR_S
    failures: list[BaseException] = []

    def write() -> None:
        try:
            while time.monotonic() < until:
                fed.append()
        except BaseException as error:  # noqa: BLE001  the test tells
            failures.append(error)

    writing = threading.Thread(target=write)
    writing.start()
    seen: list[int] = []
    while time.monotonic() < until:
        found = counted(at_mom, fed)
        assert found == {"n": found["c"] * _PER_COMMIT, "last": found["c"] - 1, "c": found["c"]}
        seen.append(found["c"])
    writing.join(timeout=60)
    assert not failures
    assert seen == sorted(seen)
    assert len(set(seen)) > 1
    wait_until(lambda: is_counted(at_mom, fed, fed.commit_count), _NOTICED_S)


def test_ticket_reads_its_version_whatever_is_committed_since(
    federation: DemoFederation, fed: Fed, at_mom: Client
) -> None:
    (asked,) = at_mom.get_info(_READ + fed.at).endpoints
    with Client(federation.uri(HANGZHOU)) as direct:
        for commits in (1, 2, 3):
            assert at_mom.open_ticket(asked.handle).read_all()["c"].to_pylist() == [1]
            assert direct.open_ticket(asked.handle).read_all()["c"].to_pylist() == [1]
            if commits < 3:
                fed.append()
                wait_until(lambda: is_counted(at_mom, fed, fed.commit_count), _NOTICED_S)
        renewed = at_mom.renew(asked)
        assert at_mom.open_ticket(renewed.handle).read_all()["c"].to_pylist() == [1]


def test_dropped_table_is_gone_for_its_tickets(
    federation: DemoFederation, fed: Fed, at_mom: Client
) -> None:
    (asked,) = at_mom.get_info(_READ + fed.at).endpoints
    fed.desk.drop(fed.name)
    fed.desk.load_batches(
        fed.name, iter(rows_of(7).to_batches()), partition_by=(), progress=lambda _: None
    )
    with Client(federation.uri(HANGZHOU)) as direct:

        def is_stale() -> bool:
            try:
                direct.open_ticket(asked.handle).read_all()
            except RemoteError as error:
                return error.code == "stale-metastore"
            return False

        wait_until(is_stale, _NOTICED_S)


def known_rows(client: Client, fed: Fed) -> int:
    """Return how many rows the MoM knows of, without reading one."""
    name = fed.name.rpartition(".")[2]
    sql = f"select row_count from system.federation.tables where table_name = '{name}'"
    (row,) = client.query(sql).read_all().to_pylist()
    return int(row["row_count"])


def test_vacuumed_version_is_planned_anew_by_the_relay_and_refused_elsewhere(
    federation: DemoFederation, fed: Fed, at_mom: Client, at_home: Client
) -> None:
    # A version that somebody has read is kept for a while, whatever is vacuumed.
    fed.append()
    wait_until(lambda: known_rows(at_mom, fed) == 2 * _PER_COMMIT, _NOTICED_S)
    (asked,) = at_mom.get_info(_READ + fed.at).endpoints
    (asked_at_home,) = at_home.get_info(_READ + fed.at).endpoints
    with federation.client(CHIEF, HANGZHOU, at=HANGZHOU) as chief:
        assert chief.update(f"UPDATE {fed.name} SET number = number + 1") == 2 * _PER_COMMIT
        assert chief.update(f"DELETE FROM {fed.name} WHERE commit_number = 0") == _PER_COMMIT
        chief.update(f"VACUUM {fed.name} RETAIN 0 HOURS")
    # Whether the MoM has heard of the newest version or not.
    relayed = at_mom.open_ticket(asked.handle).read_all().to_pylist()
    assert relayed == [{"n": _PER_COMMIT, "last": 1, "c": 1}]
    with Client(federation.uri(HANGZHOU)) as direct:
        error = refusal(lambda: direct.open_ticket(asked_at_home.handle).read_all())
    assert (error.code, error.status, error.retryable) == ("stale-metastore", "UNAVAILABLE", True)
    assert error.text.endswith("execute it again")
    # As any client that is told so does.
    assert is_counted(at_home, fed, 1)
