import base64
from typing import Any

import pyarrow as pa
import pytest
from pyarrow import flight

from flight_sql import Client, FlightSqlServer, InvalidTokenError, RemoteError
from flight_sql.messages import pack, sql_message, statement_ticket
from tests.flight_sql.conftest import TOKEN
from tests.flight_sql.memory_backend import MemoryAuthenticator, MemoryBackend, signed


class _Middleware(flight.ClientMiddleware):  # type: ignore[misc]  # pyarrow ships no types
    def __init__(self, catcher: "_Catcher") -> None:
        self._catcher = catcher

    def received_headers(self, headers: dict[str, list[str]]) -> None:
        self._catcher.headers |= headers


class _Catcher(flight.ClientMiddlewareFactory):  # type: ignore[misc]  # pyarrow ships no types
    """Keeps the responses' headers."""

    def __init__(self) -> None:
        self.headers: dict[str, list[str]] = {}

    def start_call(self, _info: Any) -> _Middleware:
        return _Middleware(self)


def _handshake(server: FlightSqlServer, authorization: str | None) -> list[str]:
    """Shake hands with this authorization header and return the answered one."""
    catcher = _Catcher()
    headers = [(b"authorization", authorization.encode())] if authorization else []
    with flight.FlightClient(server.uri, middleware=[catcher]) as client:
        client.authenticate(_NoHandshake(), flight.FlightCallOptions(headers=headers))
    return catcher.headers.get("authorization", [])


class _NoHandshake(flight.ClientAuthHandler):  # type: ignore[misc]  # pyarrow ships no types
    def authenticate(self, outgoing: Any, incoming: Any) -> None:
        """Send nothing: the credentials are in the header."""

    def get_token(self) -> bytes:
        return b""


def _basic(text: str) -> str:
    return "Basic " + base64.b64encode(text.encode()).decode()


def test_basic_handshake_answers_a_bearer(server: FlightSqlServer) -> None:
    assert _handshake(server, _basic("alice:wonder:land")) == [f"Bearer {TOKEN}"]


def test_handshake_tells_the_clients_agent_and_a_call_its_address(
    server: FlightSqlServer, authenticator: MemoryAuthenticator
) -> None:
    agent = [("grpc.primary_user_agent", "grpc-java-netty/1.65.0")]
    with flight.FlightClient(server.uri, generic_options=agent) as client:
        header, token = client.authenticate_basic_token("alice", "wonder:land")
        assert "grpc-java-netty/1.65.0" in authenticator.agent
        assert authenticator.confirmed == ""
        client.list_actions(flight.FlightCallOptions(headers=[(header, token)]))
    assert authenticator.confirmed.startswith("ipv4:127.0.0.1:")


def test_basic_handshake_may_lack_padding(server: FlightSqlServer) -> None:
    padded = _basic("alice:wonder:land")
    assert padded.endswith("=")
    assert _handshake(server, padded.rstrip("=")) == [f"Bearer {TOKEN}"]


def test_bearer_handshake_answers_the_bearer(server: FlightSqlServer) -> None:
    assert _handshake(server, f"Bearer {TOKEN}") == [f"Bearer {TOKEN}"]


def test_bearer_handshake_answers_a_renewed_bearer(
    server: FlightSqlServer, authenticator: MemoryAuthenticator
) -> None:
    authenticator.renewed = "token-of-alice-2"
    assert _handshake(server, f"bearer {TOKEN}") == ["Bearer token-of-alice-2"]


@pytest.mark.parametrize(
    "authorization",
    [
        None,
        _basic("alice:wrong"),
        _basic("alice"),
        _basic(":wonder:land"),
        "Basic !!!",
        "Basic /w==",
        "Basic",
        "Bearer",
        "Bearer forged",
        "Digest x",
    ],
)
def test_bad_handshake_is_unauthenticated(
    server: FlightSqlServer, authorization: str | None
) -> None:
    with pytest.raises(flight.FlightUnauthenticatedError, match=r"^(invalid-token|refused-)"):
        _handshake(server, authorization)


@pytest.mark.parametrize("rpc", ["info", "put", "list_actions", "list_flights", "exchange"])
def test_call_without_token_is_unauthenticated(server: FlightSqlServer, rpc: str) -> None:
    descriptor = flight.FlightDescriptor.for_command(pack(sql_message("CommandGetCatalogs")))

    def call(client: Any) -> None:
        if rpc == "info":
            client.get_flight_info(descriptor)
        elif rpc == "list_actions":
            list(client.list_actions())
        elif rpc == "list_flights":
            list(client.list_flights())
        else:
            put = client.do_put(descriptor, pa.schema([])) if rpc == "put" else None
            writer, reader = put or client.do_exchange(descriptor)
            with writer:
                writer.done_writing()
                reader.read() if put else reader.read_chunk()

    with (
        flight.connect(server.uri) as client,
        pytest.raises(flight.FlightUnauthenticatedError, match="invalid-token: this call carries"),
    ):
        call(client)


def test_schema_without_token_is_unauthenticated(server: FlightSqlServer) -> None:
    descriptor = flight.FlightDescriptor.for_command(pack(sql_message("CommandGetCatalogs")))
    with (
        flight.connect(server.uri) as client,
        # pyarrow's client has no Flight errors for GetSchema: the status is in the text.
        pytest.raises(OSError, match=r"invalid-token: this call.*Detail: Unauthenticated"),
    ):
        client.get_schema(descriptor)


def test_metadata_ticket_without_token_is_unauthenticated(server: FlightSqlServer) -> None:
    ticket = flight.Ticket(pack(sql_message("CommandGetCatalogs")))
    with (
        flight.connect(server.uri) as client,
        pytest.raises(flight.FlightUnauthenticatedError),
    ):
        client.do_get(ticket).read_all()


def test_statement_ticket_without_token_is_the_backends_to_judge(
    server: FlightSqlServer, backend: MemoryBackend
) -> None:
    with Client(server.uri) as client:
        rows = client.open_ticket(signed("SELECT quote")).read_all()
    assert rows.num_rows == 3
    (call,) = backend.calls
    assert call.identity is None
    assert isinstance(call.credentials_error, InvalidTokenError)


def test_statement_ticket_with_a_bad_token_tells_the_backend_why(
    server: FlightSqlServer, backend: MemoryBackend
) -> None:
    with Client(server.uri, token="forged") as client:
        client.open_ticket(statement_ticket(signed("SELECT quote"))).read_all()
    (call,) = backend.calls
    assert call.bearer == "forged"
    assert "refused-unauthenticated" in str(call.credentials_error)


def test_open_action_needs_no_token_and_others_do(server: FlightSqlServer) -> None:
    with Client(server.uri) as client:
        assert client.action("Join", b"me ") == b"me None"
        with pytest.raises(RemoteError, match="invalid-token") as refused:
            client.action("Heartbeat", b"me ")
    assert refused.value.status == "UNAUTHENTICATED"


def test_call_knows_who_from_where_and_under_which_id(
    server: FlightSqlServer, backend: MemoryBackend
) -> None:
    headers = [("X-Query-Id", "query-0001"), ("x-catalog", "trading")]
    with Client(server.uri, token=TOKEN, headers=headers) as client:
        client.get_info("SELECT quote")
        client.get_info("SELECT quote", headers=[("x-schema", "stock")])
    first, second = backend.calls
    assert (first.identity, first.bearer, first.credentials_error) == ("alice", TOKEN, None)
    assert first.peer.startswith("ipv4:127.0.0.1:")
    assert first.query_id == "query-0001"
    assert first.headers["x-catalog"] == "trading"
    assert "x-schema" not in first.headers
    assert "authorization" not in first.headers
    assert second.headers["x-schema"] == "stock"


@pytest.mark.parametrize("bad_id", ["short", "x" * 65, "with space in it"])
def test_query_id_that_is_not_sane_is_replaced(
    server: FlightSqlServer, backend: MemoryBackend, bad_id: str
) -> None:
    with Client(server.uri, token=TOKEN) as client:
        client.get_info("SELECT quote", headers=[("x-request-id", bad_id)])
    assert len(backend.calls[0].query_id) == 32
    assert backend.calls[0].query_id != bad_id


def test_fresh_token_beside_an_old_one_is_found(
    server: FlightSqlServer, backend: MemoryBackend
) -> None:
    headers = [("authorization", "Bearer expired"), ("authorization", f"Bearer {TOKEN}")]
    for pair in (headers, headers[::-1]):
        with Client(server.uri, headers=pair) as client:
            client.get_info("SELECT quote")
    assert [call.bearer for call in backend.calls] == [TOKEN, TOKEN]


def test_basic_credentials_are_for_handshakes_only(server: FlightSqlServer) -> None:
    headers = [("authorization", _basic("alice:wonder:land"))]
    with (
        Client(server.uri, headers=headers) as client,
        pytest.raises(RemoteError, match="invalid-token"),
    ):
        client.catalogs()


def test_renewed_token_travels_in_the_response(
    server: FlightSqlServer, authenticator: MemoryAuthenticator
) -> None:
    catcher = _Catcher()
    options = flight.FlightCallOptions(headers=[(b"authorization", f"Bearer {TOKEN}".encode())])
    with flight.FlightClient(server.uri, middleware=[catcher]) as client:
        list(client.list_actions(options))
        assert "authorization" not in catcher.headers
        authenticator.renewed = "token-of-alice-2"
        list(client.list_actions(options))
    assert set(catcher.headers["authorization"]) == {"Bearer token-of-alice-2"}


def test_cancelled_check_is_safe_after_the_call(client: Client, backend: MemoryBackend) -> None:
    client.query("SELECT quote").read_all()
    assert [call.is_cancelled() for call in backend.calls] == [True, True]


def _refused_call(
    client: flight.FlightClient, method: str, options: flight.FlightCallOptions
) -> None:
    descriptor = flight.FlightDescriptor.for_command(
        pack(sql_message("CommandStatementQuery", query="select 1"))
    )
    match method:
        case "get_flight_info":
            client.get_flight_info(descriptor, options)
        case "get_schema":
            client.get_schema(descriptor, options)
        case "do_get":
            client.do_get(
                flight.Ticket(pack(sql_message("CommandGetCatalogs"))), options
            ).read_all()
        case "do_put":
            writer, _ = client.do_put(descriptor, pa.schema([]), options)
            writer.close()
        case "do_action":
            list(client.do_action(flight.Action("CloseSession", b""), options))
        case "do_exchange":
            writer, reader = client.do_exchange(descriptor, options)
            writer.done_writing()
            reader.read_all()
        case "list_flights":
            list(client.list_flights(b"", options))
        case "list_actions":
            list(client.list_actions(options))


@pytest.mark.parametrize(
    "method",
    [
        "get_flight_info",
        "get_schema",
        "do_get",
        "do_put",
        "do_action",
        "do_exchange",
        "list_flights",
        "list_actions",
    ],
)
@pytest.mark.parametrize("token", [None, "stolen"])
def test_every_refused_call_is_told_once_with_its_address(
    server: FlightSqlServer, authenticator: MemoryAuthenticator, method: str, token: str | None
) -> None:
    headers = [(b"authorization", f"Bearer {token}".encode())] if token else []
    options = flight.FlightCallOptions(headers=headers, timeout=10)
    with (
        flight.FlightClient(server.uri) as client,
        # pyarrow's client makes another class of it for GetSchema.
        pytest.raises((flight.FlightUnauthenticatedError, OSError), match="nauthenticated"),
    ):
        _refused_call(client, method, options)
    ((peer, code),) = authenticator.told
    assert code == ("refused-unauthenticated" if token else "invalid-token")
    # GetSchema is judged where no address is known: its handler could not refuse with a status.
    assert peer.startswith("ipv4:127.0.0.1:") is (method != "get_schema")


@pytest.mark.parametrize("authorization", [None, "Basic !", "Bearer stolen"])
def test_a_refused_handshake_is_told(
    server: FlightSqlServer, authenticator: MemoryAuthenticator, authorization: str | None
) -> None:
    with pytest.raises(flight.FlightUnauthenticatedError):
        _handshake(server, authorization)
    assert [peer for peer, _ in authenticator.told] == [""]


def test_an_open_action_tells_nothing_of_its_refusals(
    server: FlightSqlServer, authenticator: MemoryAuthenticator
) -> None:
    with (
        flight.FlightClient(server.uri) as client,
        pytest.raises(flight.FlightUnauthenticatedError),
    ):
        list(client.do_action(flight.Action("FailToJoin", b"UNAUTHENTICATED")))
    assert authenticator.told == []
