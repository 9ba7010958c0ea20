"""Reads a member's stream and hands its batches on, untouched."""

import itertools
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, wait
from typing import Self

import pyarrow as pa

from auth import SigningKey
from flight_member.admission import Place
from flight_member.authority import service_token
from flight_member.clock import Moment
from flight_member.errors import (
    CancelledStatementError,
    ClusterUnavailableError,
    FlightMemberError,
    ForwardedError,
)
from flight_member.jobs import Job, cancelled, code_of
from flight_member.logs import get_logger
from flight_mom.membernodes import Address, controller_of
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
# How often it is asked whether a node that has not answered yet is lost, and for how long one that
# is lost is waited for all the same: it may be cut off from its own member alone.
_LOST_LOOK_S, _LOST_WAIT_S = 0.2, 1.0


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
        self._clients: dict[tuple[str, str], Client] = {}
        self._watched: dict[RelayedRows, tuple[Call, Callable[[], Exception | None]]] = {}
        self._is_closed = threading.Event()
        self._watcher: threading.Thread | None = None

    def open(
        self,
        call: Call,
        addresses: Sequence[Address],
        handle: bytes,
        stop_reason: Callable[[], Exception | None],
        *,
        wire: WireTypes,
        job: Job,
        place: Place,
        unreached: Callable[[Address], None] = lambda _: None,
        is_lost: Callable[[Address], bool] = lambda _: False,
    ) -> ResultStream:
        """Open a ticket at the first address of its member that answers.

        As long as no row has come, another node takes over from one that is gone; then its rows
        are all from there. Afterwards a stream that ends too early is an error, never an end.

        Args:
            call: The call that fetches.
            addresses: Where the ticket counts, the best one first.
            handle: The ticket.
            stop_reason: Says why the rows must not go on, or None as long as they may; asked
                while they run, so that a member that is slow or unwilling to stop is not needed.
            wire: Which types the ticket promised.
            job: Told what comes of the rows; when it is cancelled they end.
            place: Given back when the rows end; still the caller's when they cannot be opened.
            unreached: Told of an address that does not answer.
            is_lost: Whether its member misses the node of an address: nobody waits for that one.

        Raises:
            ClusterUnavailableError: When no address of the member answers.
            ForwardedError: What the member refused, as it refused it.
        """
        headers = (("x-query-id", call.query_id),)
        # A member that is slow or full holds up its own rows, not those of other members.
        place.rest()

        def fetch(address: Address) -> Rows:
            return self._client(address).open_ticket(
                handle, token=self._token(address), headers=headers
            )

        attempts = Attempts(addresses, fetch, unreached, is_lost)
        address, rows = attempts.next_rows()
        job.run()
        relayed = RelayedRows(address, rows, job, place, attempts)
        self._watch(relayed, call, stop_reason)
        return ResultStream(rows.arrow_schema, relayed, wire)

    def action(
        self, member: Member, kind: str, body: bytes, *, timeout_s: float = _ACTION_TIMEOUT_S
    ) -> bytes:
        """Ask a member something in the MoM's own name.

        Raises:
            ClusterUnavailableError: When the member does not answer.
            ForwardedError: What the member refused, as it refused it.
        """
        address = controller_of(member)
        try:
            return self._client(address).action(
                kind, body, token=self._token(address), timeout_s=timeout_s
            )
        except RemoteError as error:
            refusal = error
        raise _refusal(address, refusal)

    def cancel(self, member: Member, handle: bytes) -> CancelStatus:
        """Have a member stop what runs on a ticket.

        Returns:
            What it answers; CANCELLING when it does not, for it may be asked again.
        """
        address = controller_of(member)
        try:
            return self._client(address).cancel(
                [Endpoint(handle)], token=self._token(address), timeout_s=_ACTION_TIMEOUT_S
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
                    relayed.give_up_if_lost()
                if relayed.is_closed:
                    with self._opening:
                        self._watched.pop(relayed, None)

    def _client(self, address: Address) -> Client:
        """Return the connection to an address of a member; one that has moved gets another.

        The old one is not closed here, because streams may still run on it: it ends with them.
        """
        with self._opening:
            client = self._clients.get((address.member, address.name))
            if client is None or client.uri != address.uri:
                is_tls = address.uri.startswith("grpc+tls")
                client = Client(
                    address.uri,
                    tls_root_certs=self._tls_root_certs() if is_tls else None,
                    keeps_session=False,
                )
                self._clients[address.member, address.name] = client
            return client

    def _token(self, address: Address) -> str:
        return service_token(
            self._key, issuer=self._cluster, audience=address.audience, now=self._now()
        )


class Attempts:
    """The addresses where a ticket can be redeemed, tried one after the other, each once."""

    def __init__(
        self,
        addresses: Sequence[Address],
        fetch: Callable[[Address], Rows],
        unreached: Callable[[Address], None],
        is_lost: Callable[[Address], bool],
    ) -> None:
        """Keep what it takes; `unreached` is told of each that does not answer."""
        self.is_lost = is_lost
        self._left = deque(addresses)
        self._fetch = fetch
        self._unreached = unreached

    def next_rows(self) -> tuple[Address, Rows]:
        """Return the next address that answers, and the rows as it has them.

        Raises:
            ClusterUnavailableError: When none is left that does.
            ForwardedError: What one refused, as it refused it: no other would answer otherwise.
        """
        refusal: Exception = ClusterUnavailableError("nobody is left to ask")
        while self._left:
            address = self._left.popleft()
            try:
                return address, self._fetched(address)
            except RemoteError as error:
                refusal = _refusal(address, error)
            except ClusterUnavailableError as error:
                refusal = error
            if not self.may_go_on(address, refusal):
                break
        raise refusal

    def _fetched(self, address: Address) -> Rows:
        """Return the rows of an address, unless its node is lost before it says anything.

        Raises:
            ClusterUnavailableError: When that is so.
            RemoteError: What it refused.
        """
        if not address.is_node:
            return self._fetch(address)
        fetching: Future[Rows] = Future()
        threading.Thread(
            target=_fulfil, args=(fetching, self._fetch, address), name="relay-open", daemon=True
        ).start()
        while not wait([fetching], timeout=_LOST_LOOK_S).done:
            if self.is_lost(address):
                fetching.add_done_callback(_leave_rows)
                raise _unanswered(address)
        return fetching.result()

    def may_go_on(self, address: Address, refusal: Exception) -> bool:
        """Whether another one may answer what this one did not; it is left alone for a while."""
        if not isinstance(refusal, ClusterUnavailableError):
            return False
        self._unreached(address)
        return bool(self._left)


def _fulfil(fetching: "Future[Rows]", fetch: Callable[[Address], Rows], address: Address) -> None:
    try:
        fetching.set_result(fetch(address))
    except BaseException as error:  # noqa: BLE001  whoever waits raises it
        fetching.set_exception(error)


def _leave_rows(fetching: "Future[Rows]") -> None:
    if fetching.exception() is None:
        fetching.result().close()


class RelayedRows:
    """The batches of a member's stream, and the stream itself until it ends.

    Not a generator: one that was never advanced would not close its stream.
    """

    def __init__(
        self, address: Address, rows: Rows, job: Job, place: Place, attempts: "Attempts"
    ) -> None:
        self._address = address
        self._rows = rows
        self._job = job
        self._place = place
        self._attempts = attempts
        self._has_begun = self._is_given_up = False
        self._waits_since: float | None = None
        self._changing = threading.Lock()
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
        refusal: Exception | None = None
        batch: pa.RecordBatch | None = None
        self._place.go_on(self._is_over)
        while True:
            try:
                self._waits_since = time.monotonic()
                batch = next(self._rows)
            except StopIteration:
                batch = None
            except RemoteError as error:
                refusal = _refusal(self._address, error)
            self._waits_since = None
            if self._is_given_up:
                refusal, self._is_given_up = _unanswered(self._address), False
            if refusal is not None and self._moves_on(refusal):
                refusal = None
                continue
            break
        # What was stopped from here ends as if it were whole, or as a cancelled call.
        if self._reason is not None:
            raise self._reason
        if refusal is None and batch is not None:
            self._has_begun = True
            self._job.add(batch.num_rows, batch.nbytes)
            self._place.rest()
            return batch
        self._job.end(None if refusal is None else code_of(refusal))
        self.close()
        if refusal is None:
            raise StopIteration
        raise refusal

    def _moves_on(self, refusal: Exception) -> bool:
        """Read on at another address, if no row has come from this one that is gone."""
        if (
            self._has_begun
            or self.is_closed
            or not self._attempts.may_go_on(self._address, refusal)
        ):
            return False
        try:
            address, rows = self._attempts.next_rows()
        except FlightMemberError:
            return False
        with self._changing:
            if not self.is_closed and rows.arrow_schema.equals(self._rows.arrow_schema):
                self._address, self._rows = address, rows
                return True
        rows.close()
        return False

    def give_up_if_lost(self) -> None:
        """Stop waiting for a node that its member misses; who reads goes on elsewhere, or ends."""
        since = self._waits_since
        if since is None or time.monotonic() - since < _LOST_WAIT_S:
            return
        with self._changing:
            if self.is_closed or self._is_given_up or not self._attempts.is_lost(self._address):
                return
            self._is_given_up = True
            rows = self._rows
        rows.close()

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
        with self._changing:
            self.is_closed = True
            rows = self._rows
        self._job.end(CancelledStatementError.code)
        self._place.leave()
        rows.close()

    def _is_over(self) -> bool:
        return self.is_closed or self._job.is_cancelled()


def _refusal(address: Address, error: RemoteError) -> Exception:
    """Return what a member refused; a failure of the connection names no address."""
    if error.code == ClusterUnavailableError.code or address.uri in error.text:
        return _unanswered(address)
    return ForwardedError(error.code, error.status, error.text, retryable=error.retryable)


def _unanswered(address: Address) -> ClusterUnavailableError:
    return ClusterUnavailableError(f"{address.member} does not answer; try again in a moment")
