"""Reads a member's stream and hands its batches on, untouched."""

import itertools
import threading
from collections.abc import Callable
from typing import Self

import pyarrow as pa

from auth import SigningKey
from flight_member.admission import Place
from flight_member.authority import service_token
from flight_member.clock import Moment
from flight_member.errors import (
    CancelledStatementError,
    ClusterUnavailableError,
    ForwardedError,
)
from flight_member.jobs import Job, cancelled, code_of
from flight_member.logs import get_logger
from flight_mom.members import Member
from flight_sql import (
    Call,
    CancelStatus,
    Client,
    Endpoint,
    RemoteError,
    ResultStream,
    Rows,
    WireTypes,
)

_log = get_logger(__name__)
_ACTION_TIMEOUT_S = 10.0
# A caller who left is noticed at once: the member works on until it is told.
_WATCH_S = 0.04
# Whether a right still stands takes longer to tell, and changes seldom.
_REASONS_EVERY = 5


class Relay:
    """Connections from the MoM to its members, opened when first needed and kept."""

    def __init__(
        self,
        cluster: str,
        key: SigningKey,
        tls_root_certs: Callable[[], bytes],
        now: Moment,
    ) -> None:
        self._cluster = cluster
        self._key = key
        self._tls_root_certs = tls_root_certs
        self._now = now
        self._opening = threading.Lock()
        self._clients: dict[str, Client] = {}
        self._watched: dict[RelayedRows, tuple[Call, Callable[[], Exception | None]]] = {}
        self._is_closed = threading.Event()
        self._watcher: threading.Thread | None = None

    def open(
        self,
        call: Call,
        member: Member,
        handle: bytes,
        stop_reason: Callable[[], Exception | None],
        *,
        wire: WireTypes,
        job: Job,
        place: Place,
    ) -> ResultStream:
        """Open a ticket at its member.

        Args:
            call: The call that fetches.
            member: Where the ticket counts.
            handle: The ticket.
            stop_reason: Says why the rows must not go on, or None as long as they may; asked
                while they run, so that a member that is slow or unwilling to stop is not needed.
            wire: Which types the ticket promised.
            job: Told what comes of the rows; when it is cancelled they end.
            place: Given back when the rows end; still the caller's when they cannot be opened.

        Raises:
            ClusterUnavailableError: When the member does not answer.
            ForwardedError: What the member refused, as it refused it.
        """
        headers = (("x-query-id", call.query_id),)
        # A member that is slow or full holds up its own rows, not those of other members.
        place.rest()
        try:
            rows = self._client(member).open_ticket(
                handle, token=self._token(member), headers=headers
            )
        except RemoteError as error:
            refusal = error
        else:
            job.run()
            relayed = RelayedRows(member, rows, job, place)
            self._watch(relayed, call, stop_reason)
            return ResultStream(rows.arrow_schema, relayed, wire)
        raise _refusal(member, refusal)

    def action(
        self, member: Member, kind: str, body: bytes, *, timeout_s: float = _ACTION_TIMEOUT_S
    ) -> bytes:
        """Ask a member something in the MoM's own name.

        Raises:
            ClusterUnavailableError: When the member does not answer.
            ForwardedError: What the member refused, as it refused it.
        """
        try:
            return self._client(member).action(
                kind, body, token=self._token(member), timeout_s=timeout_s
            )
        except RemoteError as error:
            refusal = error
        raise _refusal(member, refusal)

    def cancel(self, member: Member, handle: bytes) -> CancelStatus:
        """Have a member stop what runs on a ticket.

        Returns:
            What it answers; CANCELLING when it does not, for it may be asked again.
        """
        try:
            return self._client(member).cancel(
                [Endpoint(handle)], token=self._token(member), timeout_s=_ACTION_TIMEOUT_S
            )
        except RemoteError as error:
            _log.warning("cancel_not_passed_on", member=member.name, code=error.code)
            return CancelStatus.CANCELLING

    def close(self) -> None:
        """Close every connection."""
        self._is_closed.set()
        with self._opening:
            clients, self._clients = list(self._clients.values()), {}
        for client in clients:
            client.close()

    def _watch(
        self, relayed: "RelayedRows", call: Call, stop_reason: Callable[[], Exception | None]
    ) -> None:
        """Stop when the caller leaves or there is a reason, also while no row is on its way."""
        with self._opening:
            self._watched[relayed] = (call, stop_reason)
            if self._watcher is None:
                self._watcher = threading.Thread(target=self._run, name="relay", daemon=True)
                self._watcher.start()

    def _run(self) -> None:
        for turn in itertools.count(1):
            if self._is_closed.wait(_WATCH_S):
                return
            with self._opening:
                watched = list(self._watched.items())
            for relayed, (call, stop_reason) in watched:
                if not relayed.is_closed:
                    relayed.leave_if_cancelled(call)
                if not relayed.is_closed and not turn % _REASONS_EVERY:
                    relayed.end_for(stop_reason())
                if relayed.is_closed:
                    with self._opening:
                        self._watched.pop(relayed, None)

    def _client(self, member: Member) -> Client:
        """Return the connection to a member; a member that has moved gets another.

        The old one is not closed here, because streams may still run on it: it ends with them.
        """
        with self._opening:
            client = self._clients.get(member.name)
            if client is None or client.uri != member.uri:
                is_tls = member.uri.startswith("grpc+tls")
                client = Client(
                    member.uri,
                    tls_root_certs=self._tls_root_certs() if is_tls else None,
                    keeps_session=False,
                )
                self._clients[member.name] = client
            return client

    def _token(self, member: Member) -> str:
        return service_token(self._key, issuer=self._cluster, audience=member.name, now=self._now())


class RelayedRows:
    """The batches of a member's stream, and the stream itself until it ends.

    Not a generator: one that was never advanced would not close its stream.
    """

    def __init__(self, member: Member, rows: Rows, job: Job, place: Place) -> None:
        self._member = member
        self._rows = rows
        self._job = job
        self._place = place
        self._reason: Exception | None = None
        self.is_closed = False
        job.when_cancelled(lambda: self.end_for(cancelled()))

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> pa.RecordBatch:
        """Return the next batch.

        Raises:
            FlightMemberError: What the member refused on the way, or that it ended.
            AuthError: When the right to the rows was taken back meanwhile.
        """
        refusal: RemoteError | None = None
        self._place.go_on(self._is_over)
        try:
            batch = next(self._rows)
        except StopIteration:
            batch = None
        except RemoteError as error:
            refusal = error
        # What was stopped from here ends as if it were whole, or as a cancelled call.
        if self._reason is not None:
            raise self._reason
        if refusal is None and batch is not None:
            self._job.add(batch.num_rows, batch.nbytes)
            self._place.rest()
            return batch
        self._job.end(None if refusal is None else refusal.code)
        self.close()
        if refusal is None:
            raise StopIteration
        raise _refusal(self._member, refusal)

    def leave_if_cancelled(self, call: Call) -> None:
        """Leave the stream if nobody reads it any more."""
        if call.is_cancelled():
            self.close()

    def end_for(self, reason: Exception | None) -> None:
        """End the stream if there is a reason why it must not go on."""
        if reason is not None:
            self._reason = reason
            self._job.end(code_of(reason))
            self.close()

    def close(self) -> None:
        """Leave the stream; the member is told. Fine from any thread, and more than once."""
        self.is_closed = True
        self._job.end(CancelledStatementError.code)
        self._place.leave()
        self._rows.close()

    def _is_over(self) -> bool:
        return self.is_closed or self._job.is_cancelled()


def _refusal(member: Member, error: RemoteError) -> Exception:
    """Return what a member refused; a failure of the connection names no address."""
    if error.code == "cluster-unavailable" or member.uri in error.text:
        return ClusterUnavailableError(f"{member.name} does not answer; try again in a moment")
    return ForwardedError(error.code, error.status, error.text, retryable=error.retryable)
