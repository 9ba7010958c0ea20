"""What a data node was told by its controllers, as immutable values that handlers read.

Nothing of it is durable: a node that was started knows nothing of what was taken back meanwhile,
and honours no ticket before a controller has answered its first heartbeat.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from auth import InvalidTokenError, KeyRing, PublicKey, RevokedTicketError, Ticket
from flight_member.clock import Moment
from flight_member.errors import BadRequestError, ClusterUnavailableError
from flight_member.memberstate import MemberSnapshot
from flight_member.nodeprotocol import NodeHeartbeatReply, NodeLimits, NodeReplica
from flight_member.nodereplica import read_node_replica
from flight_member.revocationlog import Revocations


@dataclass(frozen=True, slots=True)
class Told:
    """What the last heartbeat's reply said."""

    interval_s: float
    is_draining: bool
    tables_directory: str
    limits: NodeLimits
    mom: str | None
    controllers: tuple[str, ...]


class NodeState:
    """The newest of everything; one thread learns, all others read."""

    def __init__(self, cluster: str, cluster_keys: KeyRing, now: Moment) -> None:
        """Begin with the keys that joining left behind, and nothing else."""
        self._cluster = cluster
        self._now = now
        self._snapshot: MemberSnapshot | None = None
        self._keys = cluster_keys
        self._written: Mapping[str, tuple[str, ...]] = {}
        self._heard_at: datetime | None = None
        self._silence = timedelta()
        self._is_disowned = False
        self.replica_version = ""
        self.told: Told | None = None
        self.revoked = Revocations(now)

    @property
    def snapshot(self) -> MemberSnapshot:
        """The newest state of the cluster.

        Raises:
            ClusterUnavailableError: Before a controller has told any.
        """
        if self._snapshot is None:
            raise _not_told()
        return self._snapshot

    @property
    def is_ready(self) -> bool:
        """Whether a controller has told all that it takes to serve."""
        return self._snapshot is not None and self.told is not None and not self._is_disowned

    def keys(self) -> KeyRing:
        """Return whose signatures count: the cluster's own keys and the MoM's."""
        return self._keys

    def learn(self, reply: NodeHeartbeatReply) -> None:
        """Take over what a heartbeat's reply says; the state of the cluster comes apart from it.

        Raises:
            BadRequestError: When what it names as keys are none.
        """
        now = self._now()
        self._learn_keys(reply)
        self._heard_at, self._silence = now, timedelta(seconds=reply.silence_s)
        self._is_disowned = False
        if reply.mom_heard_s is not None:
            heard_at = now - timedelta(seconds=reply.mom_heard_s)
            self.revoked.learn(reply.revocations, reply.policy_epoch, heard_at)
        if reply.disowned_at is not None:
            self.revoked.disown(datetime.fromtimestamp(reply.disowned_at, UTC))
        self.told = Told(
            interval_s=reply.interval_s,
            is_draining=reply.is_draining,
            tables_directory=reply.tables_directory,
            limits=reply.limits,
            mom=reply.mom,
            controllers=reply.controllers,
        )

    def take(self, replica: NodeReplica) -> None:
        """Take over a whole state of the cluster."""
        self._snapshot = read_node_replica(self._cluster, replica)
        self.replica_version = replica.version

    def disown(self) -> None:
        """Take in that no controller knows this node any more: nothing is served until one does."""
        self._is_disowned = True

    def require_heard(self, ticket: Ticket) -> None:
        """Refuse a ticket that has expired when no controller can say whether it still counts.

        Raises:
            RevokedTicketError: When that is so, or this node was removed.
        """
        if self._is_disowned:
            raise RevokedTicketError("this node was removed; execute the statement again")
        now = self._now()
        is_cut_off = self._heard_at is None or now - self._heard_at > self._silence
        if is_cut_off and ticket.expires_at <= now:
            raise RevokedTicketError(
                "the ticket has expired, and its cluster's controller does not say whether you may "
                "read on; execute the statement again"
            )

    def _learn_keys(self, reply: NodeHeartbeatReply) -> None:
        if reply.keys == self._written:
            return
        try:
            ring = KeyRing(
                {issuer: map(PublicKey.from_text, texts) for issuer, texts in reply.keys.items()}
            )
        except (InvalidTokenError, ValueError):
            ring = None
        if ring is None or ring.issuers - {self._cluster, reply.mom}:
            raise BadRequestError("not well formed: keys")
        self._keys, self._written = ring, reply.keys


def _not_told() -> ClusterUnavailableError:
    return ClusterUnavailableError(
        "this node was started and has not heard from its controller yet; try again in a moment"
    )
