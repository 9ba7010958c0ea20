"""A small Flight SQL client: for the command line, and for the servers among themselves.

One connection is shared by all threads; token and headers can differ from call to call. Endpoints
are followed as ADBC follows them: other locations first, the connection itself last. Every
failure is a `RemoteError` with the other side's code, status and text. A token never goes from an
encrypted connection to a plaintext location.
"""

import contextlib
import socket
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import TracebackType
from typing import Any, Self, TypeAlias, TypeVar
from urllib.parse import urlsplit

import pyarrow as pa
from pyarrow import flight

from flight_sql.backend import REUSE_CONNECTION, Endpoint, Prepared, StatementInfo
from flight_sql.errors import InvalidTicketError, RemoteError
from flight_sql.messages import (
    pack,
    read_sql_message,
    read_statement_ticket,
    sql_message,
    statement_ticket,
    unpack,
)
from flight_sql.remote import remote_errors
from flight_sql.rows import Rows
from flight_sql.sessions import OptionError, SessionKeeper, read_answer, request_body

_T = TypeVar("_T")
Headers = Sequence[tuple[str, str]]
# Values by position, by name, or as the row itself.
Parameters: TypeAlias = Sequence[Any] | Mapping[str, Any] | pa.RecordBatch
# A server that was restarted is found again within a second, not after gRPC's two minutes.
_CHANNEL_OPTIONS = [
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 1000),
]
_ENCRYPTED = ("grpc+tls", "grpcs")


class Client:
    """A connection to one Flight SQL server.

    Args:
        uri: `grpc://host:port` or `grpc+tls://host:port`.
        token: The bearer token of every call that brings none of its own.
        tls_root_certs: PEM of the certificates to trust; None trusts the system's.
        verify_server: False accepts any certificate, to fetch what is public and checked otherwise;
            no token may go over such a connection.
        headers: Text headers of every call.
        connect_timeout_s: How long a server may take to accept a connection.
        call_timeout_s: How long any call but a stream of rows may take.
        keeps_session: Whether cookies are kept, as USE needs; False where the calls of several
            users share the connection.
    """

    def __init__(
        self,
        uri: str,
        *,
        token: str | None = None,
        tls_root_certs: bytes | None = None,
        verify_server: bool = True,
        headers: Headers = (),
        connect_timeout_s: float = 5.0,
        call_timeout_s: float = 600.0,
        keeps_session: bool = True,
    ) -> None:
        self.uri = uri
        self.token = token
        self._tls_root_certs = tls_root_certs
        self._headers = tuple(headers)
        self._connect_timeout_s = connect_timeout_s
        self._call_timeout_s = call_timeout_s
        self._is_reachable = False
        self._elsewhere: dict[str, Client] = {}
        self._session = SessionKeeper() if keeps_session else None
        if token and not verify_server:
            raise ValueError("a token needs a server that has proved itself")
        with remote_errors(uri):
            self._client = flight.FlightClient(
                uri,
                tls_root_certs=tls_root_certs,
                disable_server_verification=not verify_server,
                middleware=[self._session] if self._session else [],
            )

    def sign_in(self, user: str, password: str) -> str:
        """Prove a user with a password, keep the token for further calls and return it."""
        _, answer = self._call(
            lambda options: self._client.authenticate_basic_token(user, password, options),
            None,
            (),
            authorize=False,
        )
        self.token = answer.decode().removeprefix("Bearer ")
        return self.token

    def get_info(
        self,
        sql: str,
        *,
        parameters: Parameters | None = None,
        token: str | None = None,
        headers: Headers = (),
    ) -> StatementInfo:
        """Ask for a statement and return its schema and endpoints, nothing fetched yet.

        Args:
            sql: The statement.
            parameters: What to bind to `?` or `$1`, by position; to `$name`, by name.
            token: The bearer of this call.
            headers: Headers of this call.
        """
        self._begin_session(sql, token, headers)
        command = sql_message("CommandStatementQuery", query=sql)
        if parameters is not None:
            prepared = self.prepare(sql, token=token, headers=headers)
            handle = self._bind(prepared.handle, _row(parameters), token, headers)
            command = sql_message("CommandPreparedStatementQuery", prepared_statement_handle=handle)
        return self._info(command, token, headers)

    def prepare(self, sql: str, *, token: str | None = None, headers: Headers = ()) -> Prepared:
        """Have a statement prepared: its handle, and the schemas of its rows and parameters."""
        request = pack(sql_message("ActionCreatePreparedStatementRequest", query=sql))
        answer = self.action("CreatePreparedStatement", request, token=token, headers=headers)
        made = unpack(answer)
        return Prepared(
            made.prepared_statement_handle,
            _read_schema(made.dataset_schema),
            made.is_update,
            _read_schema(made.parameter_schema),
        )

    def query(
        self,
        sql: str,
        *,
        parameters: Parameters | None = None,
        token: str | None = None,
        headers: Headers = (),
    ) -> Rows:
        """Ask for a statement and return its rows, of all endpoints in their order."""
        info = self.get_info(sql, parameters=parameters, token=token, headers=headers)
        readers = (self._endpoint_reader(endpoint, token, headers) for endpoint in info.endpoints)
        return Rows(readers, info.arrow_schema)

    def update(self, sql: str, *, token: str | None = None, headers: Headers = ()) -> int:
        """Run a writing statement and return its row count; -1 when the server does not know."""
        self._begin_session(sql, token, headers)
        command = sql_message("CommandStatementUpdate", query=sql)
        answer = self._put(command, None, token, headers)
        return int(read_sql_message("DoPutUpdateResult", answer).record_count)

    def action(
        self,
        kind: str,
        body: bytes = b"",
        *,
        token: str | None = None,
        headers: Headers = (),
        timeout_s: float | None = None,
    ) -> bytes:
        """Run an action and return the body of its only result; empty when it has none."""

        def act(options: Any) -> bytes:
            results = list(self._client.do_action(flight.Action(kind, body), options))
            return results[0].body.to_pybytes() if results else b""

        return self._call(act, token, headers, timeout_s=timeout_s)

    def session_options(self, *, token: str | None = None, headers: Headers = ()) -> dict[str, str]:
        """Return what completes names in this session: cluster, catalog, schema."""
        body = self.action("GetSessionOptions", token=token, headers=headers)
        answer = read_answer("GetSessionOptionsResult", body)
        return {entry.key: entry.value.string_value for entry in answer.session_options}

    def set_session_options(
        self,
        options: Mapping[str, str | None],
        *,
        token: str | None = None,
        headers: Headers = (),
    ) -> dict[str, OptionError]:
        """Set options of this session, erase those that are None; return those that failed."""
        self._begin_session("USE", token, headers)
        body = self.action("SetSessionOptions", request_body(options), token=token, headers=headers)
        answer = read_answer("SetSessionOptionsResult", body)
        return {entry.key: OptionError(entry.value.value) for entry in answer.errors}

    def open_ticket(
        self, ticket: bytes, *, token: str | None = None, headers: Headers = ()
    ) -> Rows:
        """Return the rows of a ticket, or of a statement handle, as this server has them."""
        return Rows(iter([self._reader(_ticket(ticket), token, headers)]))

    def catalogs(self, *, token: str | None = None, headers: Headers = ()) -> list[str]:
        """Return the catalogs that the caller may see."""
        command = sql_message("CommandGetCatalogs")
        names: list[str] = self._metadata(command, token, headers)["catalog_name"].to_pylist()
        return names

    def tables(
        self, *, include_schema: bool = False, token: str | None = None, headers: Headers = ()
    ) -> pa.Table:
        """Return the tables that the caller may see, as CommandGetTables answers them."""
        command = sql_message("CommandGetTables", include_schema=include_schema)
        return self._metadata(command, token, headers)

    def close(self) -> None:
        """Close the connection, and those to other locations."""
        for client in self._elsewhere.values():
            client.close()
        self._elsewhere.clear()
        self._client.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    # How calls are made

    def _bind(
        self, handle: bytes, row: pa.RecordBatch, token: str | None, headers: Headers
    ) -> bytes:
        """Bind a row to a prepared statement and return the handle that holds it."""
        command = sql_message("CommandPreparedStatementQuery", prepared_statement_handle=handle)
        answer = self._put(command, row, token, headers)
        bound = read_sql_message("DoPutPreparedStatementResult", answer)
        return bytes(bound.prepared_statement_handle) or handle

    def _put(
        self, command: Any, row: pa.RecordBatch | None, token: str | None, headers: Headers
    ) -> bytes:
        """Put a command with a row, or with nothing, and return what is answered."""
        descriptor = flight.FlightDescriptor.for_command(pack(command))
        schema = pa.schema([]) if row is None else row.schema

        def put(options: Any) -> bytes:
            writer, reader = self._client.do_put(descriptor, schema, options)
            with writer:
                if row is not None:
                    writer.write_batch(row)
                writer.done_writing()
                answer = reader.read()
            return answer.to_pybytes() if answer is not None else b""

        return self._call(put, token, headers)

    def _begin_session(self, sql: str, token: str | None, headers: Headers) -> None:
        """Have a session before a statement that changes it: servers begin one with any answer."""
        if sql.lstrip()[:3].upper() == "USE" and self._session and not self._session.is_begun:
            self.session_options(token=token, headers=headers)

    def _metadata(self, command: Any, token: str | None, headers: Headers) -> pa.Table:
        return Rows(iter([self._reader(pack(command), token, headers)])).read_all()

    def _info(self, command: Any, token: str | None, headers: Headers) -> StatementInfo:
        descriptor = flight.FlightDescriptor.for_command(pack(command))
        info = self._call(
            lambda options: self._client.get_flight_info(descriptor, options), token, headers
        )
        endpoints = tuple(_endpoint(endpoint) for endpoint in info.endpoints)
        schema = info.schema if info.schema is not None else pa.schema([])
        return StatementInfo(schema, endpoints, info.total_records, info.app_metadata)

    def _reader(self, ticket: bytes, token: str | None, headers: Headers) -> tuple[Any, str]:
        """Open a ticket at this server."""
        self._probe()
        options = self._options(self._bearer(token), headers, None)
        with self._errors():
            return self._client.do_get(flight.Ticket(ticket), options), self.uri

    def _endpoint_reader(
        self, endpoint: Endpoint, token: str | None, headers: Headers
    ) -> tuple[Any, str]:
        """Open one endpoint at the first of its locations that answers."""
        ticket = _ticket(endpoint.handle)
        failure: RemoteError | None = None
        elsewhere = [uri for uri in endpoint.locations if uri != REUSE_CONNECTION]
        for uri in elsewhere:
            try:
                reader, where = self._at(uri)._reader(ticket, token or self.token, headers)  # noqa: SLF001  # another Client
                with remote_errors(where):
                    # What a location refuses shows with the schema, not before.
                    _ = reader.schema
            except RemoteError as error:
                failure = error
            else:
                return reader, where
        if failure is not None and REUSE_CONNECTION not in endpoint.locations:
            raise failure
        return self._reader(ticket, token, headers)

    def _at(self, uri: str) -> "Client":
        """Return the client of another location; it is kept."""
        if self.uri.startswith(_ENCRYPTED) and not uri.startswith(_ENCRYPTED):
            raise RemoteError(
                "invalid-request",
                "INVALID_ARGUMENT",
                "a location is in plaintext and this connection is not: no token is sent there",
            )
        if uri not in self._elsewhere:
            self._elsewhere[uri] = Client(
                uri,
                tls_root_certs=self._tls_root_certs,
                headers=self._headers,
                connect_timeout_s=self._connect_timeout_s,
                call_timeout_s=self._call_timeout_s,
            )
        return self._elsewhere[uri]

    def _call(
        self,
        function: Callable[[Any], _T],
        token: str | None,
        headers: Headers,
        *,
        timeout_s: float | None = None,
        authorize: bool = True,
    ) -> _T:
        self._probe()
        bearer = self._bearer(token) if authorize else None
        options = self._options(bearer, headers, timeout_s or self._call_timeout_s)
        with self._errors():
            return function(options)

    def _bearer(self, token: str | None) -> str | None:
        token = token or self.token
        return f"Bearer {token}" if token else None

    def _options(self, authorization: str | None, headers: Headers, timeout_s: float | None) -> Any:
        pairs = [*self._headers, *headers]
        if authorization:
            pairs.append(("authorization", authorization))
        encoded = [(name.lower().encode(), value.encode()) for name, value in pairs]
        return flight.FlightCallOptions(timeout=timeout_s, headers=encoded)

    @contextlib.contextmanager
    def _errors(self) -> Iterator[None]:
        """Raise remote errors, and connect by hand again after a server did not answer."""
        try:
            with remote_errors(self.uri):
                yield
        except RemoteError as error:
            self._is_reachable = self._is_reachable and error.status != "UNAVAILABLE"
            raise

    def _probe(self) -> None:
        """Connect once by hand: gRPC gives a silent address twenty seconds.

        Raises:
            RemoteError: UNAVAILABLE, when nothing accepts in time.
        """
        if self._is_reachable:
            return
        parts = urlsplit(self.uri)
        address = (parts.hostname or "", parts.port or 0)
        failure = False
        try:
            socket.create_connection(address, timeout=self._connect_timeout_s).close()
        except OSError:
            failure = True
        if failure:
            raise RemoteError(
                "cluster-unavailable",
                "UNAVAILABLE",
                f"nothing answers at {self.uri}",
                retryable=True,
            )
        self._is_reachable = True


def _row(parameters: Parameters) -> pa.RecordBatch:
    """Return values as the one row that is bound, named by number or as they are named."""
    if isinstance(parameters, pa.RecordBatch):
        return parameters
    if isinstance(parameters, Mapping):
        named = dict(parameters)
    else:
        named = {str(number): value for number, value in enumerate(parameters, 1)}
    return pa.RecordBatch.from_arrays(
        [pa.array([value]) for value in named.values()], names=list(named)
    )


def _read_schema(data: bytes) -> pa.Schema | None:
    return pa.ipc.read_schema(pa.py_buffer(data)) if data else None


def _endpoint(endpoint: Any) -> Endpoint:
    """Return a Flight endpoint as ours: a statement ticket's handle, or a foreign ticket."""
    handle = endpoint.ticket.ticket
    with contextlib.suppress(InvalidTicketError):
        handle = read_statement_ticket(handle)
    expires_at = endpoint.expiration_time
    if expires_at is not None:
        expires_at = expires_at.cast(pa.timestamp("us", "UTC"), safe=False).as_py()
    return Endpoint(handle, tuple(_uri(location) for location in endpoint.locations), expires_at)


def _uri(location: Any) -> str:
    uri: bytes = location.uri
    return uri.decode()


def _ticket(ticket_or_handle: bytes) -> bytes:
    """Return a statement ticket as it is, anything else as the handle of one."""
    try:
        read_statement_ticket(ticket_or_handle)
    except InvalidTicketError:
        return statement_ticket(ticket_or_handle)
    return ticket_or_handle
