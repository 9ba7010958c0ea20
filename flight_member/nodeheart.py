"""A data node's heart: it tells every controller how the node is, and learns what counts.

Heartbeats are cheap: the whole state of the cluster is fetched only when its version is another. A
controller that has news sends a word, and the node asks at once.
"""

import base64
import random
import threading
from collections.abc import Callable

from auth import InvalidTokenError, SigningKey, TokenKind, seal
from flight_member import nodeprotocol
from flight_member.clock import Moment
from flight_member.joblisting import write_jobs
from flight_member.jobrows import JobRow
from flight_member.jobs import Jobs
from flight_member.logs import get_logger
from flight_member.nodehome import NodePlace
from flight_member.noderow import NodeRow
from flight_member.nodestate import NodeState
from flight_sql import Client, RemoteError

_log = get_logger(__name__)
_TOKEN_TTL_S = 60
_TIMEOUT_S = 10.0
_FIRST_INTERVAL_S = 1.0
_LONGEST_PAUSE_S = 5.0
_MAX_JOBS = 2_000


class NodeHeart:
    """Beats every interval, and at once when somebody wants to know what is new."""

    def __init__(
        self,
        place: NodePlace,
        key: SigningKey,
        state: NodeState,
        jobs: Jobs,
        sample: Callable[[], NodeRow],
        learned: Callable[[], None],
        now: Moment,
    ) -> None:
        """Keep what a beat needs.

        Args:
            place: Whose node this is.
            key: Signs what the node says.
            state: Told what is replied.
            jobs: What ended here is told.
            sample: Measures this node.
            learned: Told when something was learned.
            now: The clock.
        """
        self._place = place
        self._key = key
        self._state = state
        self._jobs = jobs
        self._sample = sample
        self._learned = learned
        self._now = now
        self._beating = threading.Lock()
        self._telling: list[JobRow] = []
        self._clients: dict[str, Client] = {}
        self._stopping = threading.Event()
        self._hurrying = threading.Event()
        self._thread = threading.Thread(target=self._run, name="node-heart", daemon=True)

    def start(self) -> None:
        """Begin to beat; the first beat is over when this returns, answered or not."""
        self._try()
        self._thread.start()

    def stop(self) -> None:
        """Beat for the last time, and say so."""
        self._stopping.set()
        self._hurrying.set()
        if self._thread.is_alive():
            self._thread.join(timeout=5)
        try:
            with self._beating:
                self._beat(is_leaving=True)
        except RemoteError as error:
            _log.warning("leaving_not_told", code=error.code)
        for client in self._clients.values():
            client.close()

    def untold_jobs(self) -> list[JobRow]:
        """Return what has ended here and is not known to a controller yet."""
        return [*self._telling, *self._jobs.ended()]

    def hurry(self) -> None:
        """Beat as soon as possible. Never blocks."""
        self._hurrying.set()

    def look(self, version: str) -> bool:
        """Learn what is new before this returns; returns whether the state is another than this."""
        if self._state.replica_version == version:
            self._try()
        return self._state.replica_version != version

    def certify(self, request: bytes) -> bytes:
        """Have the federation's CA sign a certificate request, by way of a controller."""
        asked = nodeprotocol.NodeCertificateRequest(certificate_request=request.decode())
        return self._ask(self._uris()[0], nodeprotocol.NODE_CERTIFICATE, asked.write())

    def _run(self) -> None:
        pause_s = self._interval_s()
        while not self._stopping.is_set():
            self._hurrying.wait(pause_s)
            self._hurrying.clear()
            if self._stopping.is_set():
                return
            # One that is cut off tries often: without a controller it soon serves nobody.
            is_heard = self._try()
            pause_s = self._interval_s()
            if not is_heard:
                pause_s = min(pause_s, _LONGEST_PAUSE_S) * random.uniform(0.5, 1.0)  # noqa: S311  scatter, not secrecy

    def _try(self) -> bool:
        """Beat once, and say in the log what went wrong."""
        try:
            with self._beating:
                self._beat(is_leaving=False)
        except Exception as error:  # noqa: BLE001  whatever it was, the heart goes on
            code = str(getattr(error, "code", type(error).__name__))
            if code in {InvalidTokenError.code, "permission-denied"}:
                self._state.disown()
            _log.warning("node_heartbeat_failed", code=code)
            return False
        return True

    def _beat(self, *, is_leaving: bool) -> None:
        """Tell every controller; one that answers is enough.

        Raises:
            RemoteError: What the last one said when none answered.
        """
        self._telling += self._jobs.take_ended()
        ended = self._telling[:_MAX_JOBS]
        failure: RemoteError | None = None
        is_heard = False
        row = self._sample()
        for uri in self._uris():
            beat = nodeprotocol.NodeHeartbeat(
                row=row,
                policy_epoch=self._state.revoked.epoch,
                replica_version=self._state.replica_version,
                # All controllers write into one database: one of them is told.
                ended_jobs=self._written(ended) if ended and not is_heard else "",
                is_leaving=is_leaving,
            )
            try:
                self._beat_at(uri, beat)
            except RemoteError as error:
                failure = error
            else:
                is_heard = True
        if is_heard:
            self._telling = self._telling[len(ended) :]
        if failure is not None and not is_heard:
            raise failure
        self._learned()

    def _written(self, rows: list[JobRow]) -> str:
        return base64.b64encode(write_jobs(rows, self._now())).decode()

    def _beat_at(self, uri: str, beat: nodeprotocol.NodeHeartbeat) -> None:
        body = self._ask(uri, nodeprotocol.NODE_HEARTBEAT, beat.write())
        reply = nodeprotocol.NodeHeartbeatReply.read(body)
        if beat.is_leaving:
            return
        self._state.learn(reply)
        if reply.replica_version != self._state.replica_version:
            body = self._ask(uri, nodeprotocol.NODE_REPLICA)
            self._state.take(nodeprotocol.NodeReplica.read(body))
            _log.info("state_learned", version=reply.replica_version)

    def _ask(self, uri: str, kind: str, body: bytes = b"") -> bytes:
        token = seal(
            TokenKind.NODE,
            {},
            self._key,
            issuer=self._place.node,
            audience=self._place.cluster,
            now=self._now(),
            ttl_s=_TOKEN_TTL_S,
        )
        return self._client(uri).action(kind, body, token=token, timeout_s=_TIMEOUT_S)

    def _client(self, uri: str) -> Client:
        client = self._clients.get(uri)
        if client is None:
            is_tls = uri.startswith("grpc+tls")
            client = self._clients[uri] = Client(
                uri,
                tls_root_certs=self._place.tls_root_certs if is_tls else None,
                connect_timeout_s=2.0,
                keeps_session=False,
            )
        return client

    def _uris(self) -> tuple[str, ...]:
        """Return where controllers answer: as they say, and as joining said."""
        told = self._state.told
        named = () if told is None else told.controllers
        return tuple(dict.fromkeys((*named, *self._place.controllers)))

    def _interval_s(self) -> float:
        told = self._state.told
        return _FIRST_INTERVAL_S if told is None else told.interval_s
