import contextlib
import datetime as dt
import socket
import time
from collections.abc import Iterator

import pyarrow as pa
import pytest
from pyarrow import flight

from flight_sql import (
    REUSE_CONNECTION,
    Call,
    Client,
    Endpoint,
    FlightSqlServer,
    RemoteError,
    ResultStream,
)
from flight_sql.remote import to_remote_error
from tests.flight_sql.conftest import TOKEN
from tests.flight_sql.memory_backend import (
    STATUSES,
    MemoryAuthenticator,
    MemoryBackend,
    signed,
)


@pytest.fixture
def other_backend() -> MemoryBackend:
    return MemoryBackend({"quote": pa.table({"elsewhere": [1]})})


@pytest.fixture
def other(other_backend: MemoryBackend) -> Iterator[FlightSqlServer]:
    server = FlightSqlServer(other_backend, MemoryAuthenticator())
    server.start()
    yield server
    assert server.drain_and_stop(2)


@pytest.fixture
def dead_uri() -> str:
    with socket.create_server(("127.0.0.1", 0)) as reserved:
        return f"grpc://127.0.0.1:{reserved.getsockname()[1]}"


def test_signing_in_keeps_the_token(server: FlightSqlServer) -> None:
    with Client(server.uri) as client:
        assert client.sign_in("alice", "wonder:land") == TOKEN
        assert client.catalogs() == ["monitor", "trading@hangzhou"]


def test_wrong_password_is_a_remote_error(server: FlightSqlServer) -> None:
    with Client(server.uri) as client, pytest.raises(RemoteError) as refused:
        client.sign_in("alice", "wrong")
    assert refused.value.status == "UNAUTHENTICATED"


def test_rows_are_an_iterator_a_table_and_a_reader(client: Client, quote: pa.Table) -> None:
    assert client.query("SELECT quote").arrow_schema.equals(quote.schema)
    assert sum(batch.num_rows for batch in client.query("SELECT quote")) == 3
    assert client.query("SELECT quote").read_all().equals(quote)
    assert client.query("SELECT quote").to_reader().read_all().equals(quote)


def test_closed_rows_end(client: Client) -> None:
    with client.query("SLOW") as rows:
        next(rows)
    assert list(rows) == []
    rows.close()


def test_tables_are_listed(client: Client) -> None:
    assert client.tables()["table_name"].to_pylist() == ["cluster_perf", "my_view", "quote"]
    assert "table_schema" in client.tables(include_schema=True).schema.names


@pytest.mark.parametrize("status", STATUSES)
@pytest.mark.parametrize("verb", ["FAIL", "LATE"])
def test_remote_error_is_what_the_server_raised(client: Client, verb: str, status: str) -> None:
    with pytest.raises(RemoteError) as refused:
        client.query(f"{verb} {status}").read_all()
    error = refused.value
    code = f"refused-{status.lower().replace('_', '-')}"
    assert (error.code, error.status) == (code, status)
    assert error.text == f"ask for {status} no more"
    assert str(error) == f"{code}: ask for {status} no more"
    # Where details can travel, the server says itself whether to try again.
    can_tell = status not in {"INVALID_ARGUMENT", "NOT_FOUND", "UNIMPLEMENTED"}
    assert error.retryable is can_tell


def test_status_of_a_schema_call_is_read_from_the_text() -> None:
    error = to_remote_error(
        OSError("locked: wait. Detail: Unauthenticated. Detail: Unauthenticated"), "grpc://x"
    )
    assert (error.code, error.status, error.text) == ("locked", "UNAUTHENTICATED", "wait")


def test_error_without_a_code_is_internal_and_says_nothing_of_the_library() -> None:
    error = to_remote_error(flight.FlightInternalError("Something odd at file.cc:12"), "grpc://x")
    assert (error.code, error.status) == ("internal", "INTERNAL")
    assert error.text == "grpc://x failed on this call"


def test_server_that_is_not_there_is_unavailable_at_once(dead_uri: str) -> None:
    started = time.monotonic()
    with Client(dead_uri, token=TOKEN) as client, pytest.raises(RemoteError) as refused:
        client.catalogs()
    assert (refused.value.code, refused.value.status) == ("cluster-unavailable", "UNAVAILABLE")
    assert refused.value.retryable
    assert time.monotonic() - started < 2


def test_server_that_goes_away_is_unavailable(backend: MemoryBackend) -> None:
    server = FlightSqlServer(backend, MemoryAuthenticator())
    server.start()
    with Client(server.uri, token=TOKEN) as client:
        assert client.catalogs()
        assert server.drain_and_stop(1)
        with pytest.raises(RemoteError) as refused:
            client.catalogs()
    assert refused.value.status == "UNAVAILABLE"


def test_restarted_server_is_found_again(backend: MemoryBackend) -> None:
    first = FlightSqlServer(backend, MemoryAuthenticator())
    first.start()
    with Client(first.uri, token=TOKEN) as client:
        assert client.catalogs()
        assert first.drain_and_stop(1)
        with pytest.raises(RemoteError):
            client.catalogs()
        second = FlightSqlServer(backend, MemoryAuthenticator(), port=first.port)
        second.start()
        until = time.monotonic() + 3
        catalogs: list[str] = []
        while not catalogs and time.monotonic() < until:
            with contextlib.suppress(RemoteError):
                catalogs = client.catalogs()
        assert catalogs
    assert second.drain_and_stop(1)


def test_silent_address_costs_the_connect_timeout_only() -> None:
    # A listener whose queue is full neither accepts nor refuses.
    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))
        deaf.listen(0)
        address = deaf.getsockname()
        fillers = []
        for _ in range(4):
            filler = socket.socket()
            filler.setblocking(False)
            filler.connect_ex(address)
            fillers.append(filler)
        started = time.monotonic()
        with (
            Client(f"grpc://127.0.0.1:{address[1]}", connect_timeout_s=0.5) as client,
            pytest.raises(RemoteError, match="nothing answers"),
        ):
            client.catalogs()
        assert time.monotonic() - started < 2
        for filler in fillers:
            filler.close()


def test_call_that_takes_too_long_is_a_timeout(
    server: FlightSqlServer, backend: MemoryBackend
) -> None:
    def dawdle(*_arguments: object) -> bytes:
        time.sleep(0.6)
        return b""

    backend.actions = lambda: {"Dawdle": dawdle}  # type: ignore[method-assign]  # one test's own
    with Client(server.uri, token=TOKEN) as client, pytest.raises(RemoteError) as refused:
        client.action("Dawdle", timeout_s=0.2)
    assert refused.value.status == "DEADLINE_EXCEEDED"


def test_other_location_is_read_first(
    client: Client, backend: MemoryBackend, other: FlightSqlServer, other_backend: MemoryBackend
) -> None:
    backend.locations = (REUSE_CONNECTION, other.uri)
    assert client.query("SELECT quote").read_all().column_names == ["elsewhere"]
    (call,) = other_backend.calls
    assert call.bearer == TOKEN


def test_dead_location_falls_back_to_the_connection(
    client: Client, backend: MemoryBackend, dead_uri: str, quote: pa.Table
) -> None:
    backend.locations = (dead_uri, REUSE_CONNECTION)
    assert client.query("SELECT quote").read_all().equals(quote)


def test_location_that_refuses_falls_back_to_the_connection(
    client: Client,
    backend: MemoryBackend,
    other: FlightSqlServer,
    other_backend: MemoryBackend,
    quote: pa.Table,
) -> None:
    other_backend.tables.clear()
    backend.locations = (other.uri, REUSE_CONNECTION)
    assert client.query("SELECT quote").read_all().equals(quote)


def test_dead_location_alone_is_unavailable(
    client: Client, backend: MemoryBackend, dead_uri: str
) -> None:
    backend.locations = (dead_uri,)
    with pytest.raises(RemoteError, match="cluster-unavailable"):
        client.query("SELECT quote")


def test_endpoints_come_back_as_they_were_given(
    client: Client, backend: MemoryBackend, other: FlightSqlServer
) -> None:
    backend.locations = (other.uri, REUSE_CONNECTION)
    (endpoint,) = client.get_info("SELECT quote").endpoints
    assert endpoint == Endpoint(signed("SELECT quote"), (other.uri, REUSE_CONNECTION), None)


def test_expiry_of_an_endpoint_is_a_utc_time(
    client: Client, backend: MemoryBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    expires_at = dt.datetime(2030, 1, 2, 3, 4, 5, 678, tzinfo=dt.UTC)
    execute = backend.execute

    def execute_with_expiry(*arguments: object) -> object:
        info = execute(*arguments)  # type: ignore[arg-type]  # passed through
        endpoint = Endpoint(info.endpoints[0].handle, (), expires_at)
        return type(info)(info.arrow_schema, [endpoint, endpoint], 6, b"metadata")

    monkeypatch.setattr(backend, "execute", execute_with_expiry)
    info = client.get_info("SELECT quote")
    assert [endpoint.expires_at for endpoint in info.endpoints] == [expires_at, expires_at]
    assert (info.total_records, info.app_metadata) == (6, b"metadata")
    # All endpoints are read, one after the other.
    assert client.query("SELECT quote").read_all().num_rows == 6


def test_relayed_stream_keeps_rows_errors_and_cancellation(
    client: Client, backend: MemoryBackend
) -> None:
    """A server whose batches are another server's: what a relay does."""

    class Relay(MemoryBackend):
        def open(self, _call: Call, handle: bytes) -> ResultStream:
            rows = client.open_ticket(handle)
            return ResultStream(rows.arrow_schema, rows)

    relay_backend = Relay({})
    relay = FlightSqlServer(relay_backend, MemoryAuthenticator())
    relay.start()
    with Client(relay.uri, token=TOKEN) as reader:
        rows = reader.open_ticket(signed("SELECT quote"))
        assert rows.read_all().num_rows == 3
        with pytest.raises(RemoteError, match="refused-not-found: ask for NOT_FOUND no more") as no:
            reader.open_ticket(signed("LATE NOT_FOUND")).read_all()
        assert no.value.status == "NOT_FOUND"
        slow = reader.open_ticket(signed("SLOW"))
        next(slow)
        slow.close()
        started = time.monotonic()
        while backend.streams[0].closed_at is None:
            assert time.monotonic() - started < 5
            time.sleep(0.01)
    assert relay.drain_and_stop(2)


def test_first_address_that_takes_the_connection_is_used_and_kept(
    server: FlightSqlServer, other: FlightSqlServer, dead_uri: str
) -> None:
    with Client([dead_uri, server.uri, other.uri]) as client:
        client.sign_in("alice", "wonder:land")
        assert client.uri == server.uri
        assert client.query("SELECT quote").read_all().column_names != ["elsewhere"]
        assert client.uri == server.uri


def test_call_of_which_nothing_was_sent_goes_to_the_next_address(other: FlightSqlServer) -> None:
    first = FlightSqlServer(
        MemoryBackend({"quote": pa.table({"first": [1]})}), MemoryAuthenticator()
    )
    first.start()
    with Client([first.uri, other.uri], token=TOKEN) as client:
        assert client.query("SELECT quote").read_all().column_names == ["first"]
        info = client.get_info("SELECT quote")
        assert first.drain_and_stop(2)
        # The client has not noticed: it thinks that the first one still answers.
        assert client.query("SELECT quote").read_all().column_names == ["elsewhere"]
        assert client.uri == other.uri
        assert client.open_endpoint(info.endpoints[0]).read_all().num_rows == 1


def test_several_addresses_are_encrypted_or_none_is() -> None:
    with pytest.raises(ValueError, match="encrypted"):
        Client(["grpc+tls://127.0.0.1:1", "grpc://127.0.0.1:2"])


def test_no_address_answers(dead_uri: str) -> None:
    with Client([dead_uri, "grpc://127.0.0.1:9"]) as client:
        with pytest.raises(RemoteError) as refused:
            client.catalogs()
        assert (refused.value.code, refused.value.retryable) == ("cluster-unavailable", True)
        assert not refused.value.was_sent
