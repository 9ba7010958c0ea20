"""The other replicas of the MoM, asked for what they alone know: what runs there, whom they heard.

All that answer are asked at once and for no longer than a moment; one that does not answer is left
out. What they are asked carries this MoM's own signature, and nobody else's is taken.
"""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from threading import Lock

import pyarrow as pa

from auth import SigningKey
from flight_member import protocol
from flight_member.authority import ServiceCaller, service_token
from flight_member.clock import Moment
from flight_member.errors import PermissionDeniedError
from flight_member.logs import get_logger
from flight_sql import Call, Client, RemoteError

_log = get_logger(__name__)
_PATIENCE_S = 2.0
_ASKED_AT_ONCE = 8


class Colleagues:
    """Asks other replicas, by connections that are opened when first needed."""

    def __init__(
        self,
        cluster: str,
        key: SigningKey,
        uris: Callable[[], tuple[str, ...]],
        tls_root_certs: Callable[[], bytes],
        now: Moment,
    ) -> None:
        """Keep what it takes; `uris` returns where the other replicas answer that run now."""
        self._cluster = cluster
        self._key = key
        self._uris = uris
        self._tls_root_certs = tls_root_certs
        self._now = now
        self._opening = Lock()
        self._clients: dict[str, Client] = {}
        self._asking = ThreadPoolExecutor(_ASKED_AT_ONCE, thread_name_prefix="colleagues")

    def require(self, call: Call) -> None:
        """Refuse everybody but another replica.

        Raises:
            PermissionDeniedError: To anybody else.
        """
        caller = call.identity
        if not isinstance(caller, ServiceCaller) or caller.cluster != self._cluster:
            raise PermissionDeniedError("only replicas of the MoM may ask this")

    def cancel(self, request: protocol.ReplicaCancelRequest) -> list[protocol.CancelJobReply]:
        """Have all others cancel something; returns what those said that answered in time."""
        answers = self._ask(protocol.REPLICA_CANCEL, request)
        return [protocol.CancelJobReply.read(answer) for answer in answers]

    def nodes(self, own: pa.Table, clusters: dict[str, float]) -> pa.Table:
        """Return the newest row of each node, whichever replica heard it.

        Args:
            own: What this replica heard.
            clusters: As for `Pulse.newest`.
        """
        request = protocol.ReplicaNodesRequest(clusters=clusters)
        answers = self._ask(protocol.REPLICA_NODES, request)
        if not answers:
            return own
        told = (pa.ipc.open_stream(answer).read_all().cast(own.schema) for answer in answers)
        return _newest(pa.concat_tables([own, *told]), self._cluster)

    def close(self) -> None:
        """Ask nobody any more."""
        self._asking.shutdown(wait=False, cancel_futures=True)
        with self._opening:
            clients, self._clients = list(self._clients.values()), {}
        for client in clients:
            client.close()

    def _ask(self, kind: str, request: protocol.Message) -> list[bytes]:
        uris = self._uris()
        if not uris:
            return []
        body = request.write()
        asked = {self._asking.submit(self._ask_one, uri, kind, body): uri for uri in uris}
        done, late = wait(asked, timeout=_PATIENCE_S + 1)
        for one in late:
            one.cancel()
        return [answer for one in done if (answer := _answer_of(one)) is not None]

    def _ask_one(self, uri: str, kind: str, body: bytes) -> bytes:
        token = service_token(
            self._key, issuer=self._cluster, audience=self._cluster, now=self._now()
        )
        return self._client(uri).action(kind, body, token=token, timeout_s=_PATIENCE_S)

    def _client(self, uri: str) -> Client:
        with self._opening:
            if uri not in self._clients:
                certificates = self._tls_root_certs() if uri.startswith("grpc+tls") else None
                self._clients[uri] = Client(
                    uri,
                    tls_root_certs=certificates,
                    connect_timeout_s=_PATIENCE_S,
                    keeps_session=False,
                )
            return self._clients[uri]


def _answer_of(asked: "Future[bytes]") -> bytes | None:
    error = asked.exception()
    if error is None:
        return asked.result()
    if not isinstance(error, RemoteError):
        raise error
    _log.warning("replica_not_told", code=error.code)
    return None


def _newest(rows: pa.Table, mom: str) -> pa.Table:
    """Return of each cluster the rows of its last beat; of the MoM, a row of each replica."""
    names, arrived = rows["cluster_name"].to_pylist(), rows["received_at"].to_pylist()
    last = {name: max(arrived[at] for at in places) for name, places in _places(names).items()}
    kept = [at for at, name in enumerate(names) if name == mom or arrived[at] == last[name]]
    order = [("cluster_name", "ascending"), ("node", "ascending")]
    return rows.take(pa.array(kept, pa.int64())).sort_by(order)


def _places(names: list[str]) -> dict[str, list[int]]:
    places: dict[str, list[int]] = {}
    for at, name in enumerate(names):
        places.setdefault(name, []).append(at)
    return places
