"""Results in parts, from several nodes at once: each row exactly once, whatever goes wrong."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from uuid import uuid4

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from adbc_driver_flightsql import DatabaseOptions, dbapi
from pyarrow import flight

from flight_member.tables import TableDesk
from flight_mom.demo.federation import HANGZHOU, MOM, DemoFederation
from flight_sql import REUSE_CONNECTION, CancelStatus, Client, Endpoint, RemoteError, Rows
from flight_sql.messages import statement_ticket
from storage.load import load_table
from tests.e2e.factories import FLIGHTS, make_flights
from tests.e2e.federation import CHIEF, FLIGHTS_AT, READER, refusal
from tests.e2e.nodes import SOON_S, NodeProcess, nodes_of, shown, wait_for
from tests.waiting import wait_until

PARALLEL = (("x-route", "parallel"),)
SELECT = f"select flight, carrier from {FLIGHTS}"
SELECT_AT = f"select flight, carrier from {FLIGHTS_AT}"
# Some megabytes more than any buffer on the way holds, of each file.
LONG_AT = f"select carrier, unnest(range(1, 20000)) as n from {FLIGHTS_AT}"
FLIGHT_COUNT = 4_000
OUTSIDE = "aviation.nyc.outside"
OUTSIDE_AT = f"{OUTSIDE}@{HANGZHOU}"
CALL_S = 30.0


@dataclass
class Asker:
    """Somebody who may read the flights, where they ask, and how."""

    client: Client
    place: str
    sql: str

    def endpoints(self, sql: str | None = None, query_id: str = "") -> list[Endpoint]:
        named = (("x-query-id", query_id),) if query_id else ()
        return list(self.client.get_info(sql or self.sql, headers=(*PARALLEL, *named)).endpoints)


@pytest.fixture(scope="module")
def nodes(federation: DemoFederation) -> Iterator[list[NodeProcess]]:
    with nodes_of(federation, HANGZHOU, CHIEF, "part1", "part2") as nodes:
        yield nodes


@pytest.fixture
def chief(federation: DemoFederation) -> Iterator[Client]:
    with federation.client(CHIEF, HANGZHOU, at=HANGZHOU) as client:
        yield client


@pytest.fixture
def both(
    nodes: list[NodeProcess], chief: Client, at_mom: Client, granted: None
) -> list[NodeProcess]:
    """Both nodes, alive, and known to be so at home and at the MoM."""
    del granted
    for node in nodes:
        if node.process is None:
            node.start()
            wait_until(lambda node=node: shown(chief)[node.name].uri == node.uri, SOON_S)  # type: ignore[misc]  # bound at once
        wait_for(chief, node.name, "alive")
    uris = {node.uri for node in nodes}
    asker = Asker(at_mom, MOM, SELECT_AT)
    wait_until(lambda: uris <= {one.locations[0] for one in asker.endpoints()}, SOON_S)
    return nodes


@pytest.fixture(params=["at the MoM", "at home"])
def asker(
    request: pytest.FixtureRequest, federation: DemoFederation, at_mom: Client
) -> Iterator[Asker]:
    if request.param == "at the MoM":
        yield Asker(at_mom, MOM, SELECT_AT)
        return
    with federation.client("user2", HANGZHOU, at=HANGZHOU) as client:
        yield Asker(client, HANGZHOU, SELECT)


def flights_of(rows: pa.Table) -> list[int]:
    return sorted(rows["flight"].to_pylist())


def fetch(endpoint: Endpoint, asker: Asker) -> pa.Table:
    """Fetch one endpoint by the bare client, from the first of its locations."""
    where = endpoint.locations[0]
    uri = asker.client.uri if where == REUSE_CONNECTION else where
    bearer = (b"authorization", f"Bearer {asker.client.token}".encode())
    options = flight.FlightCallOptions(headers=[bearer], timeout=CALL_S)
    with flight.connect(uri) as client:
        ticket = flight.Ticket(statement_ticket(endpoint.handle))
        return client.do_get(ticket, options).read_all()


def test_each_node_streams_its_part_and_each_row_comes_once(
    both: list[NodeProcess], asker: Asker, query_id: str
) -> None:
    endpoints = asker.endpoints(query_id=query_id)
    places = {asker.client.uri if asker.place == HANGZHOU else None, *(one.uri for one in both)}
    assert len(endpoints) == len(places) == 3
    firsts = {one.locations[0] for one in endpoints}
    assert {one.uri for one in both} <= firsts
    assert all(set(one.locations) >= {*(one.uri for one in both)} for one in endpoints)
    assert all(REUSE_CONNECTION in one.locations for one in endpoints)

    with ThreadPoolExecutor(len(endpoints)) as pool:
        parts = list(pool.map(lambda one: fetch(one, asker), endpoints))

    assert flights_of(pa.concat_tables(parts)) == [*range(FLIGHT_COUNT)]
    assert len({str(part.schema) for part in parts}) == 1

    def jobs() -> list[dict[str, object]]:
        rows: list[dict[str, object]] = asker.client.query("SHOW JOBS").read_all().to_pylist()
        return [row for row in rows if row["job_id"] == query_id]

    # One job by its id, told of by each node that read a part.
    wait_until(lambda: [row["state"] for row in jobs()] == ["finished"] * 3, SOON_S)
    told = {str(row["node_name"]): row["row_count"] for row in jobs()}
    assert told.keys() == {HANGZHOU, *(node.name for node in both)}
    assert sorted(told.values(), key=str) == sorted((part.num_rows for part in parts), key=str)


def test_any_node_reads_any_part(both: list[NodeProcess], asker: Asker) -> None:
    for endpoint in asker.endpoints():
        found = set()
        for uri in (*(node.uri for node in both), asker.client.uri):
            there = Endpoint(endpoint.handle, (uri,))
            found.add(tuple(flights_of(fetch(there, asker))))
        assert len(found) == 1


def test_adbc_reads_all_parts(both: list[NodeProcess], federation: DemoFederation) -> None:
    with adbc(federation, "parallel") as connection, connection.cursor() as cursor:
        cursor.execute(SELECT_AT)
        assert flights_of(cursor.fetch_arrow_table()) == [*range(FLIGHT_COUNT)]
        partitions, _ = cursor.adbc_execute_partitions(SELECT_AT)
        assert len(partitions) == len(both) + 1
        rows = []
        for partition in partitions:
            cursor.adbc_read_partition(partition)
            rows.append(cursor.fetch_arrow_table())
        assert flights_of(pa.concat_tables(rows)) == [*range(FLIGHT_COUNT)]


def test_part_of_a_node_that_is_killed_comes_from_another(
    both: list[NodeProcess], federation: DemoFederation
) -> None:
    with adbc(federation, "parallel") as connection, connection.cursor() as cursor:
        partitions, _ = cursor.adbc_execute_partitions(SELECT_AT)
        both[0].kill()
        rows = []
        for partition in partitions:
            cursor.adbc_read_partition(partition)
            rows.append(cursor.fetch_arrow_table())
        assert flights_of(pa.concat_tables(rows)) == [*range(FLIGHT_COUNT)]


def test_through_the_mom_parts_are_read_as_well(both: list[NodeProcess], at_mom: Client) -> None:
    endpoints = Asker(at_mom, MOM, SELECT_AT).endpoints()
    assert len(endpoints) == len(both) + 1
    parts = [at_mom.open_ticket(one.handle).read_all() for one in endpoints]
    assert flights_of(pa.concat_tables(parts)) == [*range(FLIGHT_COUNT)]


@pytest.mark.usefixtures("both")
@pytest.mark.parametrize(
    "sql, headers",
    [
        (f"select count(*) as n from {FLIGHTS_AT}", PARALLEL),
        (f"{SELECT_AT} order by flight", PARALLEL),
        (f"{SELECT_AT} limit 3", PARALLEL),
        (f"explain {SELECT_AT}", PARALLEL),
        ("select 1 as one", PARALLEL),
        (SELECT_AT, (("x-route", "direct"),)),
        (SELECT_AT, (("x-route", "relay"),)),
        (SELECT_AT, ()),
    ],
)
def test_everything_else_has_one_endpoint(
    at_mom: Client, sql: str, headers: tuple[tuple[str, str], ...]
) -> None:
    assert len(at_mom.get_info(sql, headers=headers).endpoints) == 1


def test_cancelling_one_part_stops_all(both: list[NodeProcess], at_mom: Client) -> None:
    asker = Asker(at_mom, MOM, LONG_AT)
    first, *others = asker.endpoints()
    assert len(others) == len(both)
    opened = [at_mom.open_endpoint(one) for one in (first, *others)]
    status = at_mom.cancel([others[-1]])
    assert status in {CancelStatus.CANCELLED, CancelStatus.CANCELLING}
    # A part without files has ended before; of the others none goes on.
    outcomes = [outcome_of(rows) for rows in opened]
    assert set(outcomes) <= {"cancelled", 0}
    assert "cancelled" in outcomes
    for endpoint in (first, *others):
        assert (
            refusal(lambda one=endpoint: at_mom.open_ticket(one.handle).read_all()).code
            == "cancelled"
        )
        assert refusal(at_mom.renew, endpoint).code == "cancelled"


def test_renewed_part_is_the_same_part(both: list[NodeProcess], asker: Asker) -> None:
    for endpoint in asker.endpoints():
        renewed = asker.client.renew(endpoint)
        assert renewed.locations == endpoint.locations
        assert flights_of(fetch(renewed, asker)) == flights_of(fetch(endpoint, asker))
    assert both


def outcome_of(rows: Rows) -> str | int:
    """Return how many rows came, or the code of what was said instead."""
    try:
        return int(rows.read_all().num_rows)
    except RemoteError as error:
        return error.code


@pytest.fixture
def outside(
    federation: DemoFederation, admin: Client, at_mom: Client, chief: Client
) -> Iterator[Path]:
    """An external table of hangzhou, of several files, that user1@shanghai may read."""
    home = federation.member_home(HANGZHOU)
    folder = home.tables_directory / f"outside-{uuid4().hex}"
    load_table(iter(make_flights(300).to_batches()), folder, partition_by=("origin", "month"))
    desk = TableDesk.open(home)
    desk.attach(OUTSIDE, folder)
    wait_until(lambda: is_granted(admin), SOON_S)
    wait_until(
        lambda: len(Asker(at_mom, MOM, "").endpoints(f"select flight from {OUTSIDE_AT}")) == 3,
        SOON_S,
    )
    yield folder
    chief.update(f"drop table {OUTSIDE}")


def is_granted(admin: Client) -> bool:
    try:
        admin.update(f"GRANT TABLE_READ ON {OUTSIDE_AT} TO {READER}")
    except Exception:  # noqa: BLE001  the MoM has not heard of it yet
        return False
    return True


@pytest.mark.usefixtures("both")
def test_parts_of_two_snapshots_are_never_put_together(outside: Path, at_mom: Client) -> None:
    asker = Asker(at_mom, MOM, f"select flight, carrier from {OUTSIDE_AT}")
    endpoints = asker.endpoints()
    parts = [fetch(one, asker) for one in endpoints]
    assert flights_of(pa.concat_tables(parts)) == [*range(300)]

    some = next(outside.rglob("*.parquet"))
    hidden = some.parent / ".new"
    pq.write_table(pq.read_table(some, partitioning=None), hidden)
    hidden.rename(some.parent / "more.parquet")

    for endpoint in endpoints:
        for opened in (
            partial(at_mom.open_ticket, endpoint.handle),
            partial(at_mom.open_endpoint, endpoint),
        ):
            error = refusal(lambda opened=opened: opened().read_all())
            assert (error.code, error.retryable) == ("stale-metastore", True)
    wait_until(lambda: is_whole(asker), SOON_S)


def is_whole(asker: Asker) -> bool:
    try:
        rows = asker.client.query(asker.sql, headers=PARALLEL).read_all()
    except Exception:  # noqa: BLE001  not everybody has looked yet
        return False
    assert rows.num_rows > 300
    return True


def adbc(federation: DemoFederation, route: str) -> "dbapi.Connection":
    options = {
        "username": READER,
        "password": federation.password("user1"),
        f"{DatabaseOptions.RPC_CALL_HEADER_PREFIX.value}x-route": route,
    }
    return dbapi.connect(federation.uri(MOM), db_kwargs=options, autocommit=True)
