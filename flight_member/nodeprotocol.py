"""What a data node and the controllers of its cluster say to each other; see `protocol`.

A node asks, with tokens of its own key; a controller asks a node with tokens of the cluster's key
that are made for this node alone.
"""

from typing import ClassVar

from pydantic import Field

from flight_member.noderow import NodeRow
from flight_member.protocol import Message, ReportedGrant, ReportedUser, RevokedRight, Versioned

# Answered by a controller.
NODE_JOIN = "member.node_join"
NODE_HEARTBEAT = "member.node_heartbeat"
NODE_REPLICA = "member.node_replica"
NODE_CERTIFICATE = "member.node_certificate"
NODES = "member.nodes"
# Answered by a node, beside `protocol.MEMBER_JOBS` and `protocol.CANCEL_JOB`.
NODE_NEWS = "node.news"


class NodeJoinRequest(Versioned):
    """A node presents its one-time join token, its public key and a certificate request."""

    token: str = Field(repr=False)
    node: str
    public_key: str
    uri: str
    certificate_request: str


class NodeJoinReply(Message):
    """What a node needs to trust its controllers from now on."""

    cluster: str
    cluster_keys: tuple[str, ...]
    ca_certificate: str = ""
    """Empty where the cluster has joined no federation: all is plaintext on loopback then."""
    certificate: str = ""


class NodeHeartbeat(Versioned):
    """What a node reports to each controller."""

    max_bytes: ClassVar[int] = 4 << 20

    row: NodeRow
    policy_epoch: int = 0
    """The MoM's policy epoch as the node last heard it; what came since is replied."""
    replica_version: str = ""
    """What the node holds of the cluster's state."""
    ended_jobs: str = ""
    """Base64 of `joblisting.write_jobs`: what has ended here and was not told yet."""
    is_leaving: bool = False
    """Whether this is the last heartbeat of its process."""


class NodeLimits(Message):
    """What one statement may take: the cluster's limits, alike on all its nodes."""

    statement_timeout_s: float
    visitor_timeout_s: float
    max_text_bytes: int
    max_height: int
    max_tokens: int
    max_plan_steps: int
    max_grouping_sets: int


class NodeHeartbeatReply(Message):
    """What a controller tells a node in return."""

    max_bytes: ClassVar[int] = 64 << 20

    interval_s: float = Field(gt=0)
    is_draining: bool = False
    """Whether the node is to take no new work, and to leave when what runs has ended."""
    keys: dict[str, tuple[str, ...]]
    """Whose signatures count: the cluster's own keys and the MoM's, by cluster."""
    mom: str | None = None
    tables_directory: str
    """Where managed tables lie, on storage that all nodes share."""
    limits: NodeLimits
    replica_version: str
    policy_epoch: int = 0
    revocations: tuple[RevokedRight, ...] = ()
    silence_s: float = Field(default=15.0, gt=0)
    """After how long without a word a node counts itself as cut off."""
    mom_heard_s: float | None = None
    """How long ago the controller heard from the MoM; None when it has not since it started."""
    disowned_at: float | None = None
    """When the MoM was found to know this cluster no more."""
    controllers: tuple[str, ...] = ()
    """Where every controller of the cluster answers."""


class NodeReplicaRequest(Message):
    """A node asks for the whole state of the cluster."""


class NodeReplica(Message):
    """All that a node needs of its cluster to verify tickets and to run them."""

    max_bytes: ClassVar[int] = 256 << 20

    version: str
    metastore: str
    """Base64 of `storage.replica.write_replica`."""
    locations: dict[str, str]
    """By table id: the directory or prefix that holds its files."""
    definitions: dict[str, str]
    """By table id: what a view is made of."""
    users: tuple[ReportedUser, ...]
    grants: tuple[ReportedGrant, ...]
    vetoes: tuple[ReportedGrant, ...]
    epoch: int


class NodeCertificateRequest(Message):
    """A node asks for a certificate for the host that it was added with."""

    certificate_request: str


class NodesRequest(Message):
    """Somebody asks how the nodes of a cluster do, or has one drained."""

    SHOW: ClassVar[str] = "show"
    DRAIN: ClassVar[str] = "drain"

    action: str = SHOW
    node: str = ""


class ShownNode(Message):
    """One node as its controller sees it."""

    node: str
    mode: str
    state: str
    uri: str
    running_statements: int
    queued_statements: int
    heard_at: float | None = None


class NodesReply(Message):
    """The nodes of a cluster, its controller first, then by name."""

    max_bytes: ClassVar[int] = 4 << 20

    nodes: tuple[ShownNode, ...]
