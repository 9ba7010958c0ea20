"""In what form results travel: types and compression, as promised, whatever the rows hold."""

from collections.abc import Iterator
from itertools import count
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from adbc_driver_flightsql import DatabaseOptions, dbapi
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyarrow import flight, ipc

from flight_sql import (
    Client,
    FlightSqlServer,
    InvalidRequestError,
    RemoteError,
    WireProfile,
    WireTypes,
    wire_schema,
)
from flight_sql.compacting import compact, dictionary_bytes
from flight_sql.messages import pack, sql_message, unpack
from flight_sql.profile import read_profile
from flight_sql.wire import WHOLE_BATCH_BYTES, recut, wire_batches
from tests.flight_sql.arrowtypes import batches, exact
from tests.flight_sql.conftest import TOKEN
from tests.flight_sql.memory_backend import MemoryAuthenticator, MemoryBackend
from tests.security.forwarder import coming_from

NATIVE = (("x-wire", "native"),)
_names = count()


@pytest.fixture(scope="module")
def served() -> Iterator[tuple[MemoryBackend, Client]]:
    backend = MemoryBackend({})
    server = FlightSqlServer(backend, MemoryAuthenticator())
    server.start()
    with Client(server.uri, token=TOKEN) as client:
        yield backend, client
    assert server.drain_and_stop(2)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.data())
def test_what_is_promised_is_streamed_and_nothing_is_lost(
    served: tuple[MemoryBackend, Client], data: st.DataObject
) -> None:
    backend, client = served
    batch = data.draw(batches())
    name = f"random{next(_names)}"
    backend.tables[name] = pa.Table.from_batches([batch])
    wire = data.draw(st.sampled_from([*WireTypes]), label="wire")
    headers = (("x-wire", str(wire)),)
    expected = wire_schema(batch.schema, wire)
    prepared = client.prepare(f"SELECT {name}", headers=headers)
    info = client.get_info(f"SELECT {name}", headers=headers)
    # The ticket keeps its promise whoever fetches it, with whatever headers.
    rows = client.open_ticket(info.endpoints[0].handle)
    del backend.tables[name]
    assert prepared.arrow_schema == info.arrow_schema == rows.arrow_schema == expected
    assert wire is not WireTypes.NATIVE or expected == batch.schema
    assert wire is not WireTypes.SIGNED or "uint" not in str(expected)
    table = rows.read_all()
    table.validate(full=True)
    for field, column in zip(table.schema, table.columns, strict=True):
        values = [value for chunk in column.chunks for value in exact(chunk)]
        assert values == exact(batch[field.name]), field
        assert field.nullable or not column.null_count


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(batches())
def test_compacting_changes_nothing_that_can_be_read(batch: pa.RecordBatch) -> None:
    compacted = compact(batch)
    compacted.validate(full=True)
    assert compacted.schema.equals(batch.schema)
    assert [exact(column) for column in compacted] == [exact(column) for column in batch]


def _command(sql: str) -> Any:
    return flight.FlightDescriptor.for_command(
        pack(sql_message("CommandStatementQuery", query=sql))
    )


def test_every_promise_names_the_types_that_the_connection_chose(
    served: tuple[MemoryBackend, Client], raw_call: Any
) -> None:
    backend, client = served
    schema = _view_and_number(pa.string_view(), pa.uint64())
    backend.tables["views"] = pa.table({"v": ["x"], "n": [2**64 - 1]}, schema=schema)
    safe = _view_and_number(pa.string(), pa.uint64())
    signed = _view_and_number(pa.string(), pa.decimal128(20, 0))
    choices = (("Native", schema), ("safe", safe), ("", safe), ("SIGNED", signed))
    for header, expected in choices:
        options = raw_call(header)
        with flight.connect(client.uri) as raw:
            assert raw.get_schema(_command("SELECT views"), options).schema == expected
            info = raw.get_flight_info(_command("SELECT views"), options)
            assert info.schema == expected
            rows = raw.do_get(info.endpoints[0].ticket, options).read_all()
            assert rows.schema == expected
            assert rows.to_pylist() == [{"v": "x", "n": 2**64 - 1}]
            request = sql_message("ActionCreatePreparedStatementRequest", query="SELECT views")
            action = flight.Action("CreatePreparedStatement", pack(request))
            made = unpack(next(iter(raw.do_action(action, options))).body.to_pybytes())
            assert ipc.read_schema(pa.py_buffer(made.dataset_schema)) == expected


def _view_and_number(text: Any, number: Any) -> pa.Schema:
    return pa.schema([pa.field("v", text, nullable=False), pa.field("n", number, nullable=False)])


@pytest.fixture
def raw_call() -> Any:
    def options(wire: str) -> Any:
        bearer = (b"authorization", f"Bearer {TOKEN}".encode())
        return flight.FlightCallOptions(timeout=20, headers=[bearer, (b"x-wire", wire.encode())])

    return options


@pytest.mark.parametrize("name", ["x-wire", "x-compression"])
@pytest.mark.parametrize("kind", ["get_schema", "get_info", "action", "do_get", "handshake"])
def test_an_unknown_choice_is_refused_on_the_first_call(
    served: tuple[MemoryBackend, Client], name: str, kind: str
) -> None:
    headers = ((name, "brotli"),)
    with Client(served[1].uri, token=TOKEN, headers=headers) as client:
        calls: dict[str, Any] = {
            "get_info": lambda: client.get_info("SELECT quote"),
            "action": client.session_options,
            "do_get": client.catalogs,
            "handshake": lambda: client.sign_in("alice", "wonder:land"),
            "get_schema": lambda: _schema_of(client.uri, name),
        }
        with pytest.raises(RemoteError, match=f"^invalid-request: the header {name} must") as no:
            calls[kind]()
    assert no.value.status == "INVALID_ARGUMENT"


def _schema_of(uri: str, name: str) -> None:
    headers = [(b"authorization", f"Bearer {TOKEN}".encode()), (name.encode(), b"brotli")]
    options = flight.FlightCallOptions(timeout=20, headers=headers)
    with flight.connect(uri) as raw:
        try:
            raw.get_schema(_command("SELECT quote"), options)
        except pa.ArrowInvalid as error:
            code, _, text = str(error).rpartition("invalid-request: ")
            assert "Traceback" not in code
            raise RemoteError("invalid-request", "INVALID_ARGUMENT", text) from None


@pytest.mark.parametrize(
    "typed, expected",
    [
        ({}, ("safe", None)),
        ({"x-wire": [""], "x-compression": [" "]}, ("safe", None)),
        ({"x-wire": ["NATIVE"], "x-compression": [" Zstd "]}, ("native", "zstd")),
        ({"x-wire": ["native", "native"], "x-compression": ["lz4,LZ4"]}, ("native", "lz4")),
        ({"x-wire": ["Signed"], "x-compression": ["lz4"]}, ("signed", "lz4")),
        ({"x-wire": ["safe"], "x-compression": ["none"]}, ("safe", None)),
    ],
)
def test_choices_are_read_in_any_case_and_may_be_repeated(
    typed: dict[str, list[str]], expected: tuple[str, str | None]
) -> None:
    profile = read_profile(typed)
    assert (profile.wire, profile.compression) == expected


@pytest.mark.parametrize(
    "typed",
    [
        {"x-wire": ["native", "safe"]},
        {"x-wire": ["signed,native"]},
        {"x-wire": ["safe", "signed"]},
        {"x-compression": ["zstd, lz4"]},
        {"x-compression": ["gzip"]},
        {"x-wire": [b"native"]},
    ],
    ids=str,
)
def test_a_choice_of_two_or_of_none_is_refused(typed: dict[str, list[Any]]) -> None:
    with pytest.raises(InvalidRequestError, match="must be one of"):
        read_profile(typed)


@pytest.mark.parametrize("wire", WireTypes)
def test_another_server_is_asked_for_the_same_types_whatever_it_gives_unasked(
    wire: WireTypes,
) -> None:
    headers = {name: [value] for name, value in WireProfile(wire).headers().items()}
    for unasked in WireTypes:
        assert read_profile(headers, unasked).wire is wire


@pytest.fixture
def known_agent(served: tuple[MemoryBackend, Client]) -> Iterator[str]:
    """A server of the same tables that gives signed types to the agents that it knows."""
    server = FlightSqlServer(served[0], MemoryAuthenticator(), signed_agents=("grpc-java", "odbc"))
    server.start()
    yield server.uri
    assert server.drain_and_stop(2)


@pytest.mark.parametrize(
    "agent, header, expected",
    [
        ("grpc-java-netty/1.65.0", None, pa.int16()),
        ("some odbc/2", None, pa.int16()),
        ("grpc-java-netty/1.65.0", "safe", pa.uint8()),
        ("grpc-java-netty/1.65.0", "native", pa.uint8()),
        ("adbc", None, pa.uint8()),
        ("adbc", "signed", pa.int16()),
    ],
)
def test_agents_that_know_no_unsigned_integers_get_none_unless_they_choose(
    served: tuple[MemoryBackend, Client],
    known_agent: str,
    agent: str,
    header: str | None,
    expected: Any,
) -> None:
    served[0].tables["count"] = pa.table({"n": pa.array([255, None], pa.uint8())})
    headers = [(b"authorization", f"Bearer {TOKEN}".encode())]
    headers += [] if header is None else [(b"x-wire", header.encode())]
    options = flight.FlightCallOptions(timeout=20, headers=headers)
    named = [("grpc.primary_user_agent", agent)]
    with flight.FlightClient(known_agent, generic_options=named) as raw:
        info = raw.get_flight_info(_command("SELECT count"), options)
        rows = raw.do_get(info.endpoints[0].ticket, options).read_all()
    assert info.schema == rows.schema == pa.schema([("n", expected)])
    assert rows["n"].to_pylist() == [255, None]


def _passing_by(uri: str, headers: tuple[tuple[str, str], ...], sql: str) -> tuple[Any, int]:
    heard = bytearray()
    with (
        coming_from("127.0.0.1", uri, heard) as forwarded,
        Client(forwarded, token=TOKEN, headers=headers) as client,
    ):
        return client.query(sql).read_all(), len(heard)


@pytest.mark.parametrize("codec", ["zstd", "lz4"])
@pytest.mark.parametrize("client", ["own", "adbc"])
def test_bodies_are_compressed_for_a_client_that_asks(
    served: tuple[MemoryBackend, Client], codec: str, client: str
) -> None:
    backend, own = served
    table = pa.table({"n": list(range(100_000)), "t": ["the same text in every row"] * 100_000})
    backend.tables["dense"] = table
    plain, plain_bytes = _passing_by(own.uri, (), "SELECT dense")
    header = ("x-compression", codec)
    if client == "own":
        answer, sent_bytes = _passing_by(own.uri, (header,), "SELECT dense")
    else:
        heard = bytearray()
        options = {
            DatabaseOptions.AUTHORIZATION_HEADER.value: f"Bearer {TOKEN}",
            f"{DatabaseOptions.RPC_CALL_HEADER_PREFIX.value}{header[0]}": codec,
        }
        with (
            coming_from("127.0.0.1", own.uri, heard) as forwarded,
            dbapi.connect(forwarded, db_kwargs=options, autocommit=True) as connection,
            connection.cursor() as cursor,
        ):
            cursor.execute("SELECT dense")
            answer, sent_bytes = cursor.fetch_arrow_table(), len(heard)
    assert answer == plain == table
    assert plain_bytes > table.nbytes
    assert sent_bytes < plain_bytes / 2


def test_dictionaries_stay_dictionaries_for_a_client_that_asks(
    served: tuple[MemoryBackend, Client],
) -> None:
    backend, client = served
    texts = pa.array(["a", "b", None, "a"] * 10)
    inner = pa.StructArray.from_arrays([texts.dictionary_encode()], ["d"])
    lists = pa.ListArray.from_arrays(pa.array([0, 10, 40], pa.int32()), inner)
    one = pa.table({"l": lists, "d": texts.slice(0, 2).dictionary_encode()})
    other = pa.table({"l": lists.slice(0, 1), "d": pa.array(["other"]).dictionary_encode()})
    backend.tables["encoded"] = pa.concat_tables([one, other])
    answer = client.query("SELECT encoded", headers=NATIVE).read_all()
    assert answer.schema == one.schema
    assert answer.to_pylist() == [*one.to_pylist(), *other.to_pylist()]
    plain = client.query("SELECT encoded").read_all()
    assert plain.schema.field("d").type == pa.string()
    assert plain.schema.field("l").type == pa.list_(pa.struct([("d", pa.string())]))
    assert plain.to_pylist() == answer.to_pylist()


BIG = 24_000
LONG_TEXTS = [f"{number:>800}" for number in range(BIG)]


@pytest.mark.parametrize(
    "column",
    [
        pa.array(LONG_TEXTS, pa.string_view()),
        pa.array([text.encode() for text in LONG_TEXTS], pa.binary_view()),
        pa.array(LONG_TEXTS).dictionary_encode(),
        pa.array([[text] for text in LONG_TEXTS], pa.list_view(pa.string())),
        pa.array([[text] for text in LONG_TEXTS], pa.list_(pa.string_view())),
        pa.array([{"a": text} for text in LONG_TEXTS]),
        pa.array([[("k", text)] for text in LONG_TEXTS], pa.map_(pa.string(), pa.string())),
        pa.array([[text, text] for text in LONG_TEXTS], pa.list_(pa.string(), 2)),
        pa.UnionArray.from_sparse(pa.array([0] * BIG, pa.int8()), [pa.array(LONG_TEXTS)]),
        pa.StructArray.from_arrays([pa.array(LONG_TEXTS).dictionary_encode()], ["d"]),
    ],
    ids=lambda column: str(column.type)[:30],
)
def test_large_batches_of_any_layout_are_cut(column: Any) -> None:
    batch = pa.record_batch({"c": column}).slice(100)
    for schema in (wire_schema(batch.schema, wire) for wire in WireTypes):
        pieces = list(wire_batches(batch, schema))
        assert [len(piece) for piece in pieces if not len(piece)] == []
        assert sum(len(piece) for piece in pieces) == BIG - 100
        assert all(ipc.get_record_batch_size(piece) <= WHOLE_BATCH_BYTES for piece in pieces)
        assert all(dictionary_bytes(piece) <= WHOLE_BATCH_BYTES for piece in pieces)
        assert 3 <= len(pieces) <= 20
        values = [value for piece in pieces for value in piece["c"].to_pylist()]
        assert values == column.to_pylist()[100:]


def test_a_dictionary_that_few_rows_use_is_cut_to_them() -> None:
    encoded = pa.array(LONG_TEXTS).dictionary_encode()
    batch = pa.record_batch({"c": encoded}).slice(5, 2)
    (piece,) = recut(batch)
    assert dictionary_bytes(piece) < 4 * 800
    assert piece["c"].type == encoded.type
    assert piece.to_pylist() == batch.to_pylist()


def test_two_thousand_columns_pass(served: tuple[MemoryBackend, Client]) -> None:
    backend, client = served
    columns = {f"c{number}": np.arange(5000) + number for number in range(2000)}
    backend.tables["wide"] = table = pa.table(columns)
    assert client.query("SELECT wide").read_all() == table


def test_hundreds_of_empty_batches_end_no_stream(served: tuple[MemoryBackend, Client]) -> None:
    backend, client = served
    full = pa.table({"n": [1]})
    backend.tables["sparse"] = pa.concat_tables([full, *[full.slice(0, 0)] * 500, full])
    assert client.query("SELECT sparse").read_all().to_pydict() == {"n": [1, 1]}


@pytest.mark.parametrize("headers", [(), NATIVE])
def test_rows_without_columns_are_counted(
    served: tuple[MemoryBackend, Client], headers: tuple[tuple[str, str], ...]
) -> None:
    backend, client = served
    backend.tables["bare"] = pa.table({"n": [1, 2, 3]}).select([])
    with client.query("SELECT bare", headers=headers) as rows:
        assert not rows.arrow_schema.names
        assert sum(batch.num_rows for batch in rows) == 3


@pytest.mark.parametrize("kind", [pa.string(), pa.string_view()])
def test_a_row_that_is_too_large_is_refused_through_adbc(
    served: tuple[MemoryBackend, Client], kind: Any
) -> None:
    backend, client = served
    backend.tables["large"] = pa.table({"t": pa.array(["x", "y" * (17 << 20)], kind)})
    options = {
        DatabaseOptions.AUTHORIZATION_HEADER.value: f"Bearer {TOKEN}",
        f"{DatabaseOptions.RPC_CALL_HEADER_PREFIX.value}x-wire": "native",
    }
    with (
        dbapi.connect(client.uri, db_kwargs=options, autocommit=True) as connection,
        connection.cursor() as cursor,
    ):
        cursor.execute("SELECT large")
        with pytest.raises(dbapi.ProgrammingError, match="row-too-large: one row of the result"):
            cursor.fetch_arrow_table()
