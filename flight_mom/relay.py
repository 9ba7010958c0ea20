"""Reads a member's stream and hands its batches on, untouched."""

import threading
from collections.abc import Callable, Iterator
from datetime import datetime

import pyarrow as pa

from auth import SigningKey
from flight_member.authority import service_token
from flight_member.errors import ClusterUnavailableError, ForwardedError
from flight_mom.topology import Member
from flight_sql import Call, Client, RemoteError, ResultStream, Rows

_ACTION_TIMEOUT_S = 10.0


class Relay:
    """Connections from the MoM to its members, opened when first needed and kept."""

    def __init__(
        self,
        cluster: str,
        key: SigningKey,
        tls_root_certs: Callable[[], bytes],
        now: Callable[[], datetime],
    ) -> None:
        self._cluster = cluster
        self._key = key
        self._tls_root_certs = tls_root_certs
        self._now = now
        self._opening = threading.Lock()
        self._clients: dict[str, Client] = {}

    def open(self, call: Call, member: Member, handle: bytes) -> ResultStream:
        """Open a ticket at its member.

        Raises:
            ClusterUnavailableError: When the member does not answer.
            ForwardedError: What the member refused, as it refused it.
        """
        headers = (("x-query-id", call.query_id),)
        try:
            rows = self._client(member).open_ticket(
                handle, token=self._token(member), headers=headers
            )
        except RemoteError as error:
            refusal = error
        else:
            return ResultStream(rows.arrow_schema, self._forward(member, rows))
        raise self._refusal(member, refusal)

    def action(self, member: Member, kind: str, body: bytes) -> bytes:
        """Ask a member something in the MoM's own name.

        Raises:
            ClusterUnavailableError: When the member does not answer.
            ForwardedError: What the member refused, as it refused it.
        """
        try:
            return self._client(member).action(
                kind, body, token=self._token(member), timeout_s=_ACTION_TIMEOUT_S
            )
        except RemoteError as error:
            refusal = error
        raise self._refusal(member, refusal)

    def close(self) -> None:
        """Close every connection."""
        with self._opening:
            clients, self._clients = list(self._clients.values()), {}
        for client in clients:
            client.close()

    def _forward(self, member: Member, rows: Rows) -> Iterator[pa.RecordBatch]:
        try:
            with rows:
                yield from rows
        except RemoteError as error:
            refusal = error
        else:
            return
        raise self._refusal(member, refusal)

    def _client(self, member: Member) -> Client:
        with self._opening:
            client = self._clients.get(member.uri)
            if client is None:
                is_tls = member.uri.startswith("grpc+tls")
                client = Client(
                    member.uri, tls_root_certs=self._tls_root_certs() if is_tls else None
                )
                self._clients[member.uri] = client
            return client

    def _token(self, member: Member) -> str:
        return service_token(self._key, issuer=self._cluster, audience=member.name, now=self._now())

    def _refusal(self, member: Member, error: RemoteError) -> Exception:
        if error.code == "unavailable":
            return ClusterUnavailableError(f"{member.name} does not answer; try again in a moment")
        return ForwardedError(error.code, error.status, error.text, retryable=error.retryable)
