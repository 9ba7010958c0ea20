"""The other servers over one database: a member's controllers, or the replicas of the MoM.

Each has a state directory, a signing key and a TLS key of its own, and says in one row of the
database who it is, where it answers and which public keys are its own. What any of them signed
counts as the cluster's: their keys are joined with this server's. Over SQLite there is no other
server, and nothing is written or read.
"""

import time
from collections.abc import Callable

from auth import PublicKey, RotatingKey
from flight_member.logs import get_logger
from flight_member.peerstore import Peer, PeerStore
from flight_member.statestore import Database

_log = get_logger(__name__)
_WRITE_EVERY_S = 2.0
# Three rows that did not come, and the time to read that.
_ALIVE_S = 3 * _WRITE_EVERY_S + 1
# What it signed is long over: sessions last hours, prepared statements a day.
_FORGOTTEN_AFTER_S = 30 * 86_400.0


class Peers:
    """Keeps this server's row fresh, and the others' keys among those that count."""

    def __init__(
        self,
        database: Database,
        name: str,
        role: str,
        key: RotatingKey,
        ticks: Callable[[], float] = time.monotonic,
        *,
        is_shared: bool,
    ) -> None:
        """Read who there is.

        Args:
            database: Where the rows are.
            name: This server's, among those over the database.
            role: What it is there, such as `replica` or `controller`.
            key: Told the others' keys.
            ticks: A clock that only goes forward.
            is_shared: Whether other servers can be over the database; see `Database.is_shared`.
        """
        self._database = database
        self._is_shared = is_shared
        self._name = name
        self._role = role
        self._key = key
        self._ticks = ticks
        self._uri = ""
        self._written_at: float | None = None
        self._read_at = ticks()
        self._known: tuple[Peer, ...] = ()
        self._was_there = False
        self.is_removed = False
        """Whether an administrator took this server out while it ran: what it signs is void."""
        self.look()

    def start(self, uri: str) -> None:
        """Say where this server answers."""
        self._uri = uri
        self.look()

    def look(self) -> bool:
        """Read who there is, and write this server's row when it is due.

        Called several times a second.

        Returns:
            Whether the keys that count have changed by that.
        """
        if not self._is_shared:
            return False
        self._read()
        if self._uri and not self.is_removed and self._is_due():
            self._write()
            self._read()
        keys = tuple(key for peer in self.others for key in peer.public_keys)
        is_new = self._key.trust_peers(keys)
        if is_new:
            _log.info("peer_keys_changed", peers=[peer.name for peer in self.others])
        return is_new

    def _read(self) -> None:
        with self._database.read() as connection:
            read = PeerStore(connection).all()
        self._known, self._read_at = tuple(read), self._ticks()
        is_there = any(peer.name == self._name for peer in read)
        if self._was_there and not is_there and not self.is_removed:
            self.is_removed = True
            _log.error("server_removed", server=self._name)
        self._was_there = self._was_there or is_there

    @property
    def all(self) -> tuple[Peer, ...]:
        """Every server that is written down, this one too, by name."""
        return self._known

    @property
    def others(self) -> tuple[Peer, ...]:
        """Every other server that is written down, by name."""
        return tuple(peer for peer in self._known if peer.name != self._name)

    @property
    def live(self) -> tuple[Peer, ...]:
        """The other servers that were heard from just now, by name."""
        since_read_s = self._ticks() - self._read_at
        return tuple(
            peer
            for peer in self.others
            if peer.uri and is_alive(peer.silence_s) and since_read_s < _ALIVE_S
        )

    def unpublished_s(self, publication_s: float) -> float:
        """Return for how long this server should not sign yet: others must hear of its keys first.

        Zero for the first server over a database: its keys are those that members join with.

        Args:
            publication_s: How long it takes until everybody has heard of a new key.
        """
        if not self.others:
            return 0.0
        own = next((peer for peer in self._known if peer.name == self._name), None)
        return max(0.0, publication_s - (0.0 if own is None else own.published_s))

    def publish(self) -> None:
        """Write this server's keys down now, before it answers anywhere."""
        if self._is_shared:
            self._write()
            self._read()

    def _is_due(self) -> bool:
        if self._written_at is None or self._ticks() - self._written_at >= _WRITE_EVERY_S:
            return True
        own = next((peer for peer in self._known if peer.name == self._name), None)
        return own is None or _texts(own.public_keys) != _texts(self._key.chain.published)

    def _write(self) -> None:
        self._written_at = self._ticks()
        with self._database.change() as connection:
            store = PeerStore(connection)
            store.write(self._name, self._role, self._uri, self._key.chain.published)
            store.forget_silent(_FORGOTTEN_AFTER_S)


def _texts(keys: tuple[PublicKey, ...]) -> list[str]:
    return [key.to_text() for key in keys]


def is_alive(silence_s: float) -> bool:
    """Whether a server that was last heard from so long ago still counts as running."""
    return silence_s < _ALIVE_S
