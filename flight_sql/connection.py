"""One connection to a Flight SQL server, as calls and streams are made on it.

It is shared by all threads; token and headers can differ from call to call. Endpoints are followed
as ADBC follows them: other locations first, the connection itself last. Every failure is a
`RemoteError` with the other side's code, status and text. A token never goes from an encrypted
connection to a plaintext location.

A server that answers at several addresses is reached at the first that takes the connection, and
that one is kept until it takes none any more. A call goes to the next one by itself as long as
nothing of it was sent; what a server may have carried out already is the caller's to repeat.
"""

import contextlib
import socket
import threading
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
# Of a server that does not reach its state; another over the same state may.
_STATELESS = "state-unavailable"


class Connection:
    """A connection to one server; see `Client` for what is said over it.

    Args:
        uri: `grpc://host:port` or `grpc+tls://host:port`; several for one server that answers at
            each of them, such as the replicas of a MoM, in the order in which they are tried.
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
        uri: str | Sequence[str],
        *,
        token: str | None = None,
        tls_root_certs: bytes | None = None,
        verify_server: bool = True,
        headers: Headers = (),
        connect_timeout_s: float = 5.0,
        call_timeout_s: float = 600.0,
        keeps_session: bool = True,
    ) -> None:
        uris = (uri,) if isinstance(uri, str) else tuple(dict.fromkeys(uri))
        if not uris:
            raise ValueError("a connection needs an address")
        if len({one.startswith(_ENCRYPTED) for one in uris}) > 1:
            raise ValueError("a token goes to each address: all of them are encrypted, or none is")
        self.token = token
        self._uris = uris
        self._verifies_server = verify_server
        self._tls_root_certs = tls_root_certs
        self._headers = tuple(headers)
        self._connect_timeout_s = connect_timeout_s
        self._call_timeout_s = call_timeout_s
        self._is_reachable = False
        self._elsewhere: dict[str, Connection] = {}
        self._session = SessionKeeper() if keeps_session else None
        if token and not verify_server:
            raise ValueError("a token needs a server that has proved itself")
        self._opening = threading.Lock()
        # The address that failed last: others are tried before it.
        self._failed: str | None = None
        # By address; streams may still run on one that is not the current one any more.
        self._clients: dict[str, flight.FlightClient] = {}
        self._current = self._to(uris[0])

    @property
    def uri(self) -> str:
        """The address that calls go to now."""
        return self._current[0]

    @property
    def _client(self) -> flight.FlightClient:
        return self._current[1]

    def _to(self, uri: str) -> tuple[str, flight.FlightClient]:
        """Return an address with its client, which connects when it is first used."""
        with self._opening, remote_errors(uri):
            if uri not in self._clients:
                self._clients[uri] = flight.FlightClient(
                    uri,
                    tls_root_certs=self._tls_root_certs,
                    disable_server_verification=not self._verifies_server,
                    middleware=[self._session] if self._session else [],
                )
        return uri, self._clients[uri]

    def close(self) -> None:
        """Close the connection, and those to other locations."""
        for other in self._elsewhere.values():
            other.close()
        self._elsewhere.clear()
        for client in self._clients.values():
            client.close()

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
        if len(self._uris) == 1:
            return self._reader(ticket, token, headers)
        return self._unless_unsent(lambda: self._begun_reader(ticket, token, headers))

    def _begun_reader(self, ticket: bytes, token: str | None, headers: Headers) -> tuple[Any, str]:
        """Open a ticket at this server, and have it answer."""
        reader, where = self._reader(ticket, token, headers)
        with self._errors():
            _ = reader.schema
        return reader, where

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
        bearer = self._bearer(token) if authorize else None
        options = self._options(bearer, headers, timeout_s or self._call_timeout_s)

        def call() -> _T:
            self._probe()
            with self._errors():
                return function(options)

        return self._unless_unsent(call)

    def _unless_unsent(self, call: Callable[[], _T]) -> _T:
        """Call, and once more where another address may answer and nothing was sent yet."""
        try:
            return call()
        except RemoteError as error:
            if error.was_sent or len(self._uris) == 1:
                raise
        return call()

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
            has_failed = not error.is_answer or error.code == _STATELESS
            if has_failed and len(self._uris) > 1:
                self._is_reachable, self._failed = False, self.uri
            self._is_reachable = self._is_reachable and error.status != "UNAVAILABLE"
            raise

    def _probe(self) -> None:
        """Connect once by hand: gRPC gives a silent address twenty seconds.

        The address that was used last is tried first, then the others in their order.

        Raises:
            RemoteError: UNAVAILABLE, when nothing accepts in time.
        """
        if self._is_reachable:
            return
        for uri in sorted(
            dict.fromkeys((self.uri, *self._uris)), key=lambda uri: uri == self._failed
        ):
            if self._accepts(uri):
                if uri != self.uri:
                    self._current = self._to(uri)
                self._is_reachable = True
                return
        raise RemoteError(
            "cluster-unavailable",
            "UNAVAILABLE",
            f"nothing answers at {self.uri}",
            retryable=True,
            is_answer=False,
            was_sent=False,
        )

    def _accepts(self, uri: str) -> bool:
        parts = urlsplit(uri)
        address = (parts.hostname or "", parts.port or 0)
        try:
            socket.create_connection(address, timeout=self._connect_timeout_s).close()
        except OSError:
            return False
        return True
