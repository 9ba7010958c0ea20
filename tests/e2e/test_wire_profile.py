"""The types that were promised, and the compression that was asked for, through the federation."""

from collections.abc import Iterator
from decimal import Decimal

import pyarrow as pa
import pytest
from pyarrow import flight

from flight_mom.demo.federation import HANGZHOU, MOM, SHANGHAI, DemoFederation
from flight_sql import REUSE_CONNECTION, Client, RemoteError
from tests.e2e.federation import FLIGHTS_AT, bearer
from tests.e2e.flightcalls import descriptor

NATIVE = (("x-wire", "native"),)
SIGNED = (("x-wire", "signed"),)
# The greatest number of each unsigned type, and the signed type that holds it.
GREATEST = {
    "UInt8": (2**8 - 1, pa.int16()),
    "UInt16": (2**16 - 1, pa.int32()),
    "UInt32": (2**32 - 1, pa.int64()),
    "UInt64": (2**64 - 1, pa.decimal128(20, 0)),
}
NUMBERS = ", ".join(
    f"arrow_cast({number}, '{kind}') as {kind.lower()}" for kind, (number, _) in GREATEST.items()
)
UNSIGNED = (
    f"select {NUMBERS}, [named_struct('v', arrow_cast({2**64 - 1}, 'UInt64'))] as nested "
    "from {table} limit 1"
)
ROW = {kind.lower(): number for kind, (number, _) in GREATEST.items()} | {
    "nested": [{"v": 2**64 - 1}]
}
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


@pytest.mark.parametrize("table", [FLIGHTS_AT, "information_schema.tables"])
def test_signed_types_are_promised_and_streamed(client: Client, table: str) -> None:
    sql = UNSIGNED.format(table=table)
    promised = client.prepare(sql, headers=SIGNED).arrow_schema
    answered = client.query(sql, headers=SIGNED).read_all()
    assert promised == answered.schema == client.get_info(sql, headers=SIGNED).arrow_schema
    for kind, (_, signed) in GREATEST.items():
        assert answered.schema.field(kind.lower()).type == signed
    assert "uint" not in str([field.type for field in answered.schema])
    safe = client.query(sql).read_all()
    assert [field.nullable for field in safe.schema] == [each.nullable for each in answered.schema]
    assert answered.to_pylist() == safe.to_pylist() == [ROW]


@pytest.mark.parametrize("kind", GREATEST)
def test_values_of_parameters_are_bound_in_signed_types(client: Client, kind: str) -> None:
    greatest, signed = GREATEST[kind]
    sql = f"select count(*) as n from {FLIGHTS_AT} where arrow_cast({greatest}, '{kind}') = $1"
    for headers, expected in ((SIGNED, signed), ((), getattr(pa, kind.lower())())):
        parameters = client.prepare(sql, headers=headers).parameter_schema
        assert parameters == pa.schema([("1", expected)])

    def count(value: int) -> int:
        bound = pa.array([Decimal(value) if pa.types.is_decimal(signed) else value], signed)
        row = pa.record_batch([bound], ["1"])
        found = client.query(sql, parameters=row, headers=SIGNED).read_all()
        return int(found["n"][0].as_py())

    assert count(greatest) == 4_000
    assert count(greatest - 1) == 0
    for value in (-1, greatest + 1):
        with pytest.raises(RemoteError, match=r"^type-mismatch: .* does not fit"):
            count(value)


@pytest.mark.parametrize("name", sorted(ASKED_AT))
def test_a_client_in_java_gets_signed_types_unless_it_chooses(
    federation: DemoFederation, granted: None, name: str
) -> None:
    del granted
    user, cluster, at = ASKED_AT[name]
    asked = descriptor("CommandStatementQuery", query=UNSIGNED.format(table=FLIGHTS_AT))
    agent = [("grpc.primary_user_agent", "grpc-java-netty/1.65.0")]
    with (
        federation.client(user, cluster, at=at) as client,
        flight.FlightClient(client.uri, generic_options=agent) as java,
    ):
        told = {}
        for wire in ("", "safe", "signed"):
            options = bearer(str(client.token), ("x-wire", wire))
            told[wire] = java.get_flight_info(asked, options).schema
            assert java.get_schema(asked, options).schema == told[wire]
    assert told[""] == told["signed"]
    assert told["safe"].field("uint64").type == pa.uint64()
    assert told[""].field("uint64").type == pa.decimal128(20, 0)


@pytest.mark.parametrize("name", ["the MoM", "their home"])
def test_a_ticket_keeps_its_types_on_another_connection(
    federation: DemoFederation, granted: None, name: str
) -> None:
    del granted
    user, cluster, at = ASKED_AT[name]
    with federation.client(user, cluster, at=at) as asking:
        native = asking.get_info(SQL, headers=NATIVE)
        safe = asking.get_info(SQL)
        signed = asking.get_info(UNSIGNED.format(table=FLIGHTS_AT), headers=SIGNED)
    with federation.client(user, cluster, at=at) as fetching:
        for info, headers in ((native, ()), (safe, NATIVE), (signed, NATIVE), (signed, ())):
            with fetching.open_ticket(info.endpoints[0].handle, headers=headers) as rows:
                assert rows.arrow_schema == info.arrow_schema
                assert sum(batch.num_rows for batch in rows) > 0


@pytest.mark.parametrize("codec", ["zstd", "lz4"])
def test_compressed_rows_are_the_same_rows(client: Client, codec: str) -> None:
    sql = f"select * from {FLIGHTS_AT} order by 1, 2, 3, 4, 5 limit 5000"
    plain = client.query(sql).read_all()
    for headers in ((("x-compression", codec),), (("x-compression", codec), *NATIVE)):
        assert client.query(sql, headers=headers).read_all() == plain
