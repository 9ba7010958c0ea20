"""Flight SQL by its bare RPCs, as any client sends them: commands, actions, a Handshake."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pyarrow as pa
from pyarrow import flight

from flight_sql.messages import pack, sql_message

Ask = Callable[[Any, bytes, Any], Any]


def descriptor(name: str, **fields: Any) -> Any:
    """Return the descriptor of a command."""
    return flight.FlightDescriptor.for_command(pack(sql_message(name, **fields)))


def get_flight_info(client: Any, command: bytes, options: Any) -> Any:
    return client.get_flight_info(flight.FlightDescriptor.for_command(command), options)


def get_schema(client: Any, command: bytes, options: Any) -> Any:
    return client.get_schema(flight.FlightDescriptor.for_command(command), options).schema


def do_get(client: Any, command: bytes, options: Any) -> pa.Table:
    return client.do_get(flight.Ticket(command), options).read_all()


def do_put(client: Any, command: bytes, options: Any) -> Any:
    """Put a command without rows and return what is answered."""
    return put(client, flight.FlightDescriptor.for_command(command), options)


def put(client: Any, described: Any, options: Any) -> Any:
    writer, reader = client.do_put(described, pa.schema([]), options)
    with writer:
        writer.done_writing()
        return reader.read()


def ask(client: Any, options: Any, name: str, **fields: Any) -> pa.Table:
    """Ask one metadata command by all three RPCs, whose schemas must agree to the last detail."""
    command = pack(sql_message(name, **fields))
    info = get_flight_info(client, command, options)
    (endpoint,) = info.endpoints
    assert list(endpoint.locations) == []
    table = client.do_get(endpoint.ticket, options).read_all()
    table.validate(full=True)
    assert info.schema.equals(table.schema, check_metadata=True)
    assert get_schema(client, command, options).equals(table.schema, check_metadata=True)
    return table


class _Received(flight.ClientMiddlewareFactory):  # type: ignore[misc]  # pyarrow ships no types
    """Keeps the response's headers of the last call."""

    def __init__(self) -> None:
        self.headers: Mapping[str, Sequence[Any]] = {}

    def start_call(self, info: Any) -> "_ReceivedByCall":  # noqa: ARG002  # pyarrow's signature
        return _ReceivedByCall(self)


class _ReceivedByCall(flight.ClientMiddleware):  # type: ignore[misc]  # pyarrow ships no types
    def __init__(self, kept: _Received) -> None:
        self._kept = kept

    def sending_headers(self) -> dict[str, str]:
        return {}

    def received_headers(self, headers: Mapping[str, Sequence[Any]]) -> None:
        self._kept.headers = {**self._kept.headers, **headers}


class _Silent(flight.ClientAuthHandler):  # type: ignore[misc]  # pyarrow ships no types
    def authenticate(self, outgoing: Any, incoming: Any) -> None:
        """Send nothing: the header says it all."""

    def get_token(self) -> bytes:
        return b""


def handshake(uri: str, authorization: str | None) -> str | None:
    """Shake hands with an `authorization` header, or none, and return the one of the answer."""
    sent = [] if authorization is None else [(b"authorization", authorization.encode())]
    received = _Received()
    with flight.FlightClient(uri, middleware=[received]) as client:
        client.authenticate(_Silent(), flight.FlightCallOptions(timeout=30, headers=sent))
    answered = received.headers.get("authorization", ())
    return str(answered[-1]) if answered else None


def renewed_token(uri: str, token: str) -> str | None:
    """Return the token that a server hands out with its answer to any call; None when none."""
    received = _Received()
    sent = [(b"authorization", f"Bearer {token}".encode())]
    with flight.FlightClient(uri, middleware=[received]) as client:
        list(client.list_actions(flight.FlightCallOptions(timeout=30, headers=sent)))
    answered = received.headers.get("authorization", ())
    return str(answered[-1]).removeprefix("Bearer ") if answered else None
