"""Which data nodes a cluster has, with their keys: read again when somebody changed it."""

from auth import InvalidTokenError, KeyRing, PublicKey
from flight_member.nodestore import NodeStore, StoredNode
from flight_member.statestore import Database


class NodeRoster:
    """The current snapshot of the nodes that were added; one assignment replaces it."""

    def __init__(self, database: Database) -> None:
        """Read who there is."""
        self._database = database
        self._stored: tuple[StoredNode, ...] = ()
        self._keys = KeyRing()
        self.refresh()

    def refresh(self) -> bool:
        """Read the database again; returns whether anything had changed."""
        with self._database.read() as connection:
            stored = tuple(NodeStore(connection).all())
        if stored == self._stored:
            return False
        self._keys = KeyRing({one.name: _keys_of(one) for one in stored})
        self._stored = stored
        return True

    def keys(self) -> KeyRing:
        """Return the keys with which nodes sign what they say to a controller."""
        return self._keys

    @property
    def all(self) -> tuple[StoredNode, ...]:
        """Every node by name, those that have not joined yet too."""
        return self._stored

    def find(self, name: str) -> StoredNode | None:
        """Return one node, or None."""
        return next((one for one in self._stored if one.name == name), None)


def _keys_of(node: StoredNode) -> tuple[PublicKey, ...]:
    if not node.public_key:
        return ()
    try:
        return (PublicKey.from_text(node.public_key),)
    except InvalidTokenError:
        return ()
