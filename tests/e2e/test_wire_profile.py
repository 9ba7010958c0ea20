"""The types that were promised, and the compression that was asked for, through the federation."""

from collections.abc import Iterator

import pyarrow as pa
import pytest

from flight_mom.demo.federation import HANGZHOU, MOM, SHANGHAI, DemoFederation
from flight_sql import REUSE_CONNECTION, Client
from tests.e2e.federation import FLIGHTS_AT

NATIVE = (("x-wire", "native"),)
ENCODED = pa.dictionary(pa.int32(), pa.string())
SQL = (
    "select arrow_cast(carrier, 'Dictionary(Int32, Utf8)') as carrier, "
    "[named_struct('v', arrow_cast(carrier, 'Utf8View'))] as nested, "
    f"arrow_cast(flight, 'LargeUtf8') as flight from {FLIGHTS_AT}"
)
ANSWERED_HERE = (
    "select arrow_cast(table_name, 'Dictionary(Int32, Utf8)') as carrier, "
    "[named_struct('v', arrow_cast(table_name, 'Utf8View'))] as nested, "
    "arrow_cast(table_name, 'LargeUtf8') as flight from information_schema.tables"
)
ASKED_AT = {"the MoM": ("user1", SHANGHAI, MOM), "their home": ("user2", HANGZHOU, HANGZHOU)}
ASKED_AT["the reader's home"] = ("user1", SHANGHAI, SHANGHAI)


@pytest.fixture(params=sorted(ASKED_AT))
def client(
    federation: DemoFederation, granted: None, request: pytest.FixtureRequest
) -> Iterator[Client]:
    """Whoever asks at one of the three."""
    del granted
    user, cluster, at = ASKED_AT[request.param]
    with federation.client(user, cluster, at=at) as client:
        yield client


@pytest.mark.parametrize("sql", [SQL, ANSWERED_HERE], ids=["rows", "information_schema"])
def test_native_types_are_promised_and_streamed(client: Client, sql: str) -> None:
    promised = client.prepare(sql, headers=NATIVE).arrow_schema
    answered = client.query(sql, headers=NATIVE).read_all()
    assert promised == answered.schema == client.get_info(sql, headers=NATIVE).arrow_schema
    assert answered.schema.field("carrier").type == ENCODED
    assert answered.schema.field("nested").type.value_type.field("v").type == pa.string_view()
    assert answered.schema.field("flight").type == pa.large_string()
    safe = client.query(sql).read_all()
    assert safe.schema.field("carrier").type == pa.string()
    rows = [sorted(map(str, table.to_pylist())) for table in (safe, answered)]
    assert rows[0] == rows[1]


@pytest.mark.parametrize("route", ["relay", "direct"])
def test_native_types_come_by_either_route(
    federation: DemoFederation, granted: None, at_mom: Client, route: str
) -> None:
    del granted
    headers = (*NATIVE, ("x-route", route), ("x-compression", "zstd"))
    info = at_mom.get_info(f"{SQL} order by 3", headers=headers)
    (endpoint,) = info.endpoints
    places = {"relay": (), "direct": (federation.uri(HANGZHOU), REUSE_CONNECTION)}
    assert endpoint.locations == places[route]
    answered = at_mom.open_endpoint(endpoint, headers=headers).read_all()
    # The ticket alone says it, also where the member knows nothing of who fetches.
    with Client(federation.uri(HANGZHOU)) as direct:
        rows = direct.open_ticket(endpoint.handle).read_all()
    assert rows.to_pylist() == answered.to_pylist()
    assert answered.schema == info.arrow_schema
    assert answered.schema.field("carrier").type == ENCODED
    assert answered.schema.field("flight").type == pa.large_string()
    assert answered.num_rows == 4_000


@pytest.mark.parametrize("name", ["the MoM", "their home"])
def test_a_ticket_keeps_its_types_on_another_connection(
    federation: DemoFederation, granted: None, name: str
) -> None:
    del granted
    user, cluster, at = ASKED_AT[name]
    with federation.client(user, cluster, at=at) as asking:
        native = asking.get_info(SQL, headers=NATIVE)
        safe = asking.get_info(SQL)
    with federation.client(user, cluster, at=at) as fetching:
        for info, headers in ((native, ()), (safe, NATIVE)):
            with fetching.open_ticket(info.endpoints[0].handle, headers=headers) as rows:
                assert rows.arrow_schema == info.arrow_schema
                assert sum(batch.num_rows for batch in rows) > 0


@pytest.mark.parametrize("codec", ["zstd", "lz4"])
def test_compressed_rows_are_the_same_rows(client: Client, codec: str) -> None:
    sql = f"select * from {FLIGHTS_AT} order by 1, 2, 3, 4, 5 limit 5000"
    plain = client.query(sql).read_all()
    for headers in ((("x-compression", codec),), (("x-compression", codec), *NATIVE)):
        assert client.query(sql, headers=headers).read_all() == plain
