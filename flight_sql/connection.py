"""One connection to a Flight SQL server, as calls and streams are made on it.

It is shared by all threads; token and headers can differ from call to call. Endpoints are followed
as ADBC follows them: other locations first, the connection itself last. Every failure is a
`RemoteError` with the other side's code, status and text. A token never goes from an encrypted
connection to a plaintext location.
"""

import contextlib
import socket
from collections.abc import Callable, Iterator, Sequence
from types import TracebackType
from typing import Any, Self, TypeVar
from urllib.parse import urlsplit

from pyarrow import flight

from flight_sql.backend import REUSE_CONNECTION, Endpoint
from flight_sql.endpoints import as_ticket
from flight_sql.errors import RemoteError
from flight_sql.remote import remote_errors
from flight_sql.sessions import SessionKeeper

_T = TypeVar("_T")
Headers = Sequence[tuple[str, str]]
# A server that was restarted is found again within a second, not after gRPC's two minutes.
_CHANNEL_OPTIONS = [
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 1000),
]
_ENCRYPTED = ("grpc+tls", "grpcs")


class Connection:
    """A connection to one server; see `Client` for what is said over it.

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
        self._elsewhere: dict[str, Connection] = {}
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
        ticket = as_ticket(endpoint.handle)
        failure: RemoteError | None = None
        elsewhere = [uri for uri in endpoint.locations if uri != REUSE_CONNECTION]
        for uri in elsewhere:
            try:
                reader, where = self._at(uri)._reader(ticket, token or self.token, headers)  # noqa: SLF001  # another Connection
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

    def _at(self, uri: str) -> "Connection":
        """Return the client of another location; it is kept."""
        if self.uri.startswith(_ENCRYPTED) and not uri.startswith(_ENCRYPTED):
            raise RemoteError(
                "invalid-request",
                "INVALID_ARGUMENT",
                "a location is in plaintext and this connection is not: no token is sent there",
            )
        if uri not in self._elsewhere:
            self._elsewhere[uri] = Connection(
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
