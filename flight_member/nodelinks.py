"""A controller's lines to its data nodes: to tell of news, to ask for jobs, to cancel."""

import threading
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import TypeVar

from auth import SigningKey
from flight_member.authority import node_audience, service_token
from flight_member.clock import Moment
from flight_member.logs import get_logger
from flight_member.nodes import LiveNode, Nodes
from flight_sql import CancelStatus, Client, Endpoint, RemoteError, summary_of

_log = get_logger(__name__)
_ASKED_AT_ONCE = 8
_PATIENCE_S = 2.0
T = TypeVar("T")


class NodeLinks:
    """Connections to the nodes of one cluster, opened when first needed and kept."""

    def __init__(
        self,
        cluster: str,
        key: SigningKey,
        nodes: Nodes,
        tls_root_certs: Callable[[], bytes | None],
        now: Moment,
    ) -> None:
        """Keep what it takes; `tls_root_certs` returns the federation's CA, if there is one."""
        self._cluster = cluster
        self._key = key
        self._nodes = nodes
        self._tls_root_certs = tls_root_certs
        self._now = now
        self._opening = threading.Lock()
        self._clients: dict[str, Client] = {}
        self._asking = ThreadPoolExecutor(_ASKED_AT_ONCE, thread_name_prefix="nodes")

    def action(self, kind: str, body: bytes) -> dict[str, bytes]:
        """Send a message to all nodes that live; returns what those answered that did, by name."""
        return self._ask(
            self._others(),
            lambda node: self._client(node).action(
                kind, body, token=self._token(node), timeout_s=_PATIENCE_S
            ),
        )

    def tell(self, kind: str) -> None:
        """Send an empty message to all nodes that live, and wait for nobody."""
        for node in self._others():
            self._asking.submit(self._told, node, kind)

    def cancel(self, handle: bytes) -> CancelStatus | None:
        """Have every node stop what runs on a ticket.

        Returns:
            What they answer together, CANCELLING for those that do not; None without nodes.
        """
        others = self._others()
        if not others:
            return None
        answered = self._ask(
            others,
            lambda node: self._client(node).cancel(
                [Endpoint(handle)], token=self._token(node), timeout_s=_PATIENCE_S
            ),
        )
        return summary_of(
            tuple(answered.get(node.name, CancelStatus.CANCELLING) for node in others)
        )

    def close(self) -> None:
        """Ask nobody any more, and close every connection."""
        self._asking.shutdown(wait=False, cancel_futures=True)
        with self._opening:
            clients, self._clients = list(self._clients.values()), {}
        for client in clients:
            client.close()

    def _others(self) -> list[LiveNode]:
        return [one for one in self._nodes.live() if not one.is_controller]

    def _ask(self, nodes: Iterable[LiveNode], ask: Callable[[LiveNode], T]) -> dict[str, T]:
        asked: dict[Future[T], str] = {self._asking.submit(ask, one): one.name for one in nodes}
        done, late = wait(asked, timeout=_PATIENCE_S)
        for one in late:
            one.cancel()
        told: dict[str, T] = {}
        for one in done:
            error = one.exception()
            if error is None:
                told[asked[one]] = one.result()
            elif isinstance(error, RemoteError):
                _log.warning("node_not_asked", node=asked[one], code=error.code)
            else:
                raise error
        return told

    def _told(self, node: LiveNode, kind: str) -> None:
        try:
            self._client(node).action(kind, token=self._token(node), timeout_s=_PATIENCE_S)
        except RemoteError as error:
            _log.warning("node_not_told", node=node.name, code=error.code)

    def _client(self, node: LiveNode) -> Client:
        """Return the connection to a node; one that has moved gets another."""
        with self._opening:
            client = self._clients.get(node.name)
            if client is None or client.uri != node.uri:
                is_tls = node.uri.startswith("grpc+tls")
                client = Client(
                    node.uri,
                    tls_root_certs=self._tls_root_certs() if is_tls else None,
                    connect_timeout_s=_PATIENCE_S,
                    keeps_session=False,
                )
                self._clients[node.name] = client
            return client

    def _token(self, node: LiveNode) -> str:
        audience = node_audience(self._cluster, node.name)
        return service_token(self._key, issuer=self._cluster, audience=audience, now=self._now())
