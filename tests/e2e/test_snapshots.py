"""Tables that change while tickets on them are out: the same rows, or to be executed again."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from adbc_driver_flightsql import dbapi

from auth import seal_ticket
from flight_member.tables import TableDesk
from flight_mom.demo.federation import HANGZHOU, MOM, SHANGHAI, DemoFederation
from flight_sql import Client, Endpoint, RemoteError
from storage.load import load_table
from tests.e2e.factories import make_flights, make_ticket
from tests.e2e.federation import (
    COUNT_FLIGHTS,
    COUNT_QUOTES,
    READER,
    member_key,
    mom_key,
    refusal,
    require_clean,
    stored_table,
)
from tests.e2e.test_revocation import is_listed
from tests.waiting import wait_until

GROWING = "aviation.nyc.growing"
GROWING_AT = f"{GROWING}@{HANGZHOU}"
SELECT = f"select flight from {GROWING_AT} order by flight"
ROWS = make_flights(100).append_column("bay", pa.array(range(100), pa.int32()))
STALE = ("stale-metastore", "UNAVAILABLE", True)
NOTICED_S = 15.0


class Growing:
    """An external table of hangzhou that user1@shanghai may read; files are added to it."""

    def __init__(self, federation: DemoFederation) -> None:
        self._federation = federation
        home = federation.member_home(HANGZHOU)
        self.desk = TableDesk.open(home)
        self._directory = home.tables_directory / f"growing-{uuid4().hex}"
        load_table(iter(ROWS.to_batches()), self._directory)
        self.desk.attach(GROWING, self._directory)

    def add_file(self) -> None:
        """Put a file beside the others, as who writes an attached table does."""
        (known,) = self._directory.glob("*.parquet")
        hidden = self._directory / ".new"
        pq.write_table(pq.read_table(known), hidden)
        hidden.rename(self._directory / "more.parquet")

    def add_wider_file(self, **columns: pa.DataType) -> None:
        """Put a file beside the others that has further columns, or other types of known ones."""
        rows = ROWS
        for name, kind in columns.items():
            if name in rows.column_names:
                at = rows.column_names.index(name)
                rows = rows.set_column(at, name, rows[name].cast(kind))
            else:
                rows = rows.append_column(name, pa.nulls(rows.num_rows, kind))
        hidden = self._directory / ".wider"
        pq.write_table(rows, hidden)
        hidden.rename(self._directory / "wider.parquet")

    def spoil(self) -> Path:
        """Put a file beside the others whose flights are dates."""
        spoilt = self._directory / "spoilt.parquet"
        pq.write_table(pa.table({"flight": pa.array([1], pa.date32())}), spoilt)
        return spoilt

    def wait_for_notice(self, client: Client) -> None:
        """Wait until the MoM plans on the new files."""
        wait_until(lambda: answers(client, 2 * ROWS.num_rows), NOTICED_S)


@pytest.fixture
def growing(federation: DemoFederation, admin: Client, at_mom: Client) -> Iterator[Growing]:
    growing = Growing(federation)
    wait_until(lambda: is_listed(admin, GROWING_AT), NOTICED_S)
    admin.update(f"GRANT TABLE_READ ON {GROWING_AT} TO {READER}")
    assert answers(at_mom, ROWS.num_rows)
    yield growing
    growing.desk.drop(GROWING)
    wait_until(lambda: not is_listed(admin, GROWING_AT), NOTICED_S)


def answers(client: Client, row_count: int) -> bool:
    try:
        return int(client.query(SELECT).read_all().num_rows) == row_count
    except RemoteError:
        return False


def told(error: RemoteError) -> tuple[str, str, bool]:
    require_clean(error.text)
    return error.code, error.status, error.retryable


def test_ticket_answers_its_snapshot_or_is_stale_on_every_route(
    federation: DemoFederation, growing: Growing, at_mom: Client, at_home: Client
) -> None:
    (asked,) = at_mom.get_info(SELECT).endpoints
    (asked_at_home,) = at_home.get_info(SELECT).endpoints
    with Client(federation.uri(HANGZHOU)) as direct:
        fetches: tuple[Callable[[], Any], ...] = (
            lambda: at_mom.open_ticket(asked.handle).read_all(),
            lambda: direct.open_ticket(asked.handle).read_all(),
            lambda: at_mom.open_endpoint(asked).read_all(),
            lambda: at_home.open_endpoint(asked_at_home).read_all(),
        )
        assert [fetch()["flight"].to_pylist() for fetch in fetches] == [list(range(100))] * 4
        growing.add_file()
        # At once, before anybody has looked, and when everybody knows.
        for _ in range(2):
            # The MoM plans anew by itself, because the answer has the same columns.
            assert fetches[0]().num_rows == 2 * ROWS.num_rows
            error = refusal(fetches[1])
            assert told(error) == STALE
            assert GROWING in error.text
            assert error.text.endswith("execute it again")
            growing.wait_for_notice(at_mom)
    for client, endpoint in ((at_mom, asked), (at_home, asked_at_home)):
        error = refusal(client.renew, endpoint)
        assert told(error) == STALE
        assert error.text.endswith("execute it again")
        assert answers(client, 2 * ROWS.num_rows)


def test_changed_columns_are_planned_anew_by_the_relay_unless_the_answer_has_them(
    federation: DemoFederation, growing: Growing, at_mom: Client
) -> None:
    (some,) = at_mom.get_info(SELECT).endpoints
    (every,) = at_mom.get_info(f"select * from {GROWING_AT}").endpoints
    growing.add_wider_file(remark=pa.string())
    # Before anybody has looked: the member refuses the ticket, the MoM makes another.
    assert at_mom.open_ticket(some.handle).read_all().num_rows == 2 * ROWS.num_rows
    refused = refusal(lambda: at_mom.open_ticket(every.handle).read_all())
    with Client(federation.uri(HANGZHOU)) as direct:
        assert told(refused) == told(refusal(lambda: direct.open_ticket(some.handle).read_all()))
    assert told(refused) == STALE
    assert "remark" in at_mom.query(f"select * from {GROWING_AT}").read_all().column_names


def test_column_that_became_wider_is_told_as_a_change_of_the_answer(
    growing: Growing, at_mom: Client
) -> None:
    select = f"select bay from {GROWING_AT}"
    (asked,) = at_mom.get_info(select).endpoints
    (counting,) = at_mom.get_info(f"select count(*) as n from {GROWING_AT}").endpoints
    growing.add_wider_file(bay=pa.int64())
    assert at_mom.open_ticket(counting.handle).read_all()["n"].to_pylist() == [2 * ROWS.num_rows]
    assert told(refusal(lambda: at_mom.open_ticket(asked.handle).read_all())) == STALE
    assert at_mom.query(select).read_all().schema.field("bay").type == pa.int64()


def test_adbc_reads_the_table_as_it_is_now_through_the_relay(
    federation: DemoFederation, growing: Growing, at_mom: Client
) -> None:
    options = {"username": READER, "password": federation.password("user1")}
    with (
        dbapi.connect(federation.uri(MOM), db_kwargs=options, autocommit=True) as connection,
        connection.cursor() as cursor,
    ):
        (partition,), _ = cursor.adbc_execute_partitions(SELECT)
        cursor.adbc_read_partition(partition)
        assert len(cursor.fetchall()) == ROWS.num_rows
        growing.add_file()
        growing.wait_for_notice(at_mom)
        cursor.adbc_read_partition(partition)
        assert len(cursor.fetchall()) == 2 * ROWS.num_rows
        cursor.execute(SELECT)
        assert len(cursor.fetchall()) == 2 * ROWS.num_rows


@pytest.mark.usefixtures("granted")
def test_expired_ticket_is_neither_renewed_nor_fetched_and_says_what_to_do(
    federation: DemoFederation, at_mom: Client, at_home: Client
) -> None:
    earlier = datetime.now(UTC) - timedelta(seconds=60)
    times: dict[str, Any] = {"issued_at": earlier, "expires_at": earlier + timedelta(seconds=59)}
    flights = make_ticket(
        stored_table(federation, HANGZHOU, "aviation.nyc.flights"), COUNT_FLIGHTS, **times
    )
    quotes = make_ticket(
        stored_table(federation, SHANGHAI, "trading.stock.quote"), COUNT_QUOTES, **times
    )
    at_the_mom = seal_ticket(flights, mom_key(federation), issuer=MOM)
    at_their_home = seal_ticket(quotes, member_key(federation, SHANGHAI), issuer=SHANGHAI)
    for client, handle in ((at_mom, at_the_mom), (at_home, at_the_mom), (at_home, at_their_home)):
        error = refusal(client.renew, Endpoint(handle))
        assert told(error) == ("expired-ticket", "UNAUTHENTICATED", False)
        assert "execute the statement again" in error.text
    for client, handle in ((at_mom, at_the_mom), (at_home, at_their_home)):
        error = refusal(lambda: client.open_ticket(handle).read_all())  # noqa: B023  called at once
        assert told(error) == ("expired-ticket", "UNAUTHENTICATED", False)
        assert "execute the statement again" in error.text


def test_file_that_does_not_fit_is_named_until_it_is_gone(growing: Growing, at_mom: Client) -> None:
    spoilt = growing.spoil()
    with pytest.raises(RemoteError) as refused:
        at_mom.query(SELECT).read_all()
    error = refused.value
    assert (error.code, error.status) == ("unusable-table", "INVALID_ARGUMENT")
    # The base name is told, the place is not.
    assert "/" not in error.text
    assert f"{GROWING}@{HANGZHOU}: {spoilt.name} has" in error.text
    assert "column flight" in error.text
    spoilt.unlink()
    assert answers(at_mom, ROWS.num_rows)
