"""The federation's own messages: what members and the MoM say to each other beside Flight SQL.

Each is the JSON body of one Flight action, named by the constants below. Fields are only ever
added; a reader ignores what it does not know. Servers one minor protocol version apart understand
each other, others refuse by name.
"""

from typing import ClassVar, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from flight_member.errors import BadRequestError
from flight_member.noderow import NodeRow

PROTOCOL_MAJOR, PROTOCOL_MINOR = 1, 1
_NAMED_FIELDS = 10

# Answered by the MoM.
JOIN = "federation.join"
HEARTBEAT = "federation.heartbeat"
RENEW = "federation.renew_certificate"
REPORT = "federation.report"
MEMBERS = "federation.members"
AUTHORITY = "federation.authority"
CLOCK = "federation.clock"
LISTING = "federation.listing"
JOBS = "federation.jobs"
REPLICAS = "federation.replicas"
REPLICA_JOIN = "federation.replica_join"
# Answered by a replica of the MoM to another one.
REPLICA_CANCEL = "replica.cancel"
REPLICA_NODES = "replica.nodes"
# Answered by a member.
SIGN_IN = "member.sign_in"
MEMBER_JOBS = "member.jobs"
CANCEL_JOB = "member.cancel_job"


class Message(BaseModel):
    """One message; `read` and `write` turn it into the body of an action."""

    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=False)
    # Whoever sends more is not understood: anybody may try to join.
    max_bytes: ClassVar[int] = 65_536

    @classmethod
    def read(cls, body: bytes) -> Self:
        """Read a message.

        Raises:
            BadRequestError: When the body is too long or not this message; the fields at fault are
                named.
        """
        if len(body) > cls.max_bytes:
            raise BadRequestError(f"a message of this kind has at most {cls.max_bytes} bytes")
        try:
            return cls.model_validate_json(body)
        except ValidationError as error:
            faults = error.errors(include_input=False, include_url=False)
            fields = {".".join(map(str, fault["loc"])) or "body" for fault in faults}
        raise BadRequestError(f"not well formed: {', '.join(sorted(fields)[:_NAMED_FIELDS])}")

    def write(self) -> bytes:
        """Return the message as the body of an action."""
        return self.model_dump_json().encode()


class Versioned(Message):
    """A message that opens a conversation and so says which protocol it speaks."""

    protocol: tuple[int, int] = (PROTOCOL_MAJOR, PROTOCOL_MINOR)

    def check_protocol(self, speaker: str) -> None:
        """Refuse a speaker whose protocol is further than one minor version away.

        Raises:
            BadRequestError: Naming the speaker and both versions.
        """
        major, minor = self.protocol
        if major != PROTOCOL_MAJOR or abs(minor - PROTOCOL_MINOR) > 1:
            raise BadRequestError(
                f"{speaker} speaks protocol {major}.{minor} and this server "
                f"{PROTOCOL_MAJOR}.{PROTOCOL_MINOR}; bring them to within one minor version"
            )


class JoinRequest(Versioned):
    """A member presents its one-time join token, its public key and a certificate request."""

    token: str = Field(repr=False)
    cluster: str
    public_key: str
    certificate_request: str
    uri: str
    other_keys: tuple[str, ...] = ()
    """Of the member's other controllers, which sign with keys of their own."""


class JoinReply(Message):
    """What a member needs to trust the MoM from now on."""

    federation: str
    mom: str
    mom_keys: tuple[str, ...]
    ca_certificate: str
    certificate: str


class Heartbeat(Versioned):
    """What a member reports every `heartbeat.interval_s`."""

    max_bytes: ClassVar[int] = 4 << 20

    uri: str
    nodes: tuple[NodeRow, ...] = Field(max_length=1024)
    report_version: str
    policy_epoch: int
    """The MoM's policy epoch as the member last heard it; what came since is replied."""
    public_keys: tuple[str, ...] = ()
    """Every key that the member signs with, will sign with, or signed with until its date."""
    leader_number: int = 0
    """Of the leader who speaks for the member; a lower one was the leader before."""
    read_at: float = 0.0
    """When the member last found that this report is what it is, by its own clock."""


class RevokedRight(Message):
    """A principal's right to a securable was taken back, at a policy epoch."""

    epoch: int
    at: float
    principal: str | None = None
    securable: str | None = None


class RenewRequest(Message):
    """A member asks for a new certificate for the hosts that it was named with.

    Attributes:
        certificate_request: For its TLS key, in PEM.
        hosts: Those of its hosts that the certificate is for, a data node's; all when empty.
    """

    certificate_request: str
    hosts: tuple[str, ...] = ()


class RenewReply(Message):
    """The new certificate, in PEM."""

    certificate: str


class HeartbeatReply(Message):
    """What the MoM tells a member in return."""

    state: str
    policy_epoch: int
    mom_keys: tuple[str, ...]
    wants_report: bool
    revocations: tuple[RevokedRight, ...] = ()
    mom_addresses: tuple[str, ...] = ()
    """Where the MoM answers: every replica of it, by their names."""


class ReportedUser(Message):
    """A user of a member, as the MoM needs to know them."""

    name: str
    groups: tuple[str, ...]
    is_admin: bool
    is_locked: bool
    changed_at: float
    id: str = ""
    """Of one user for good: whoever is added again under the name has another."""


class ReportedGrant(Message):
    """One home rule of a member, or one of its vetoes on visitors."""

    principal: str
    effect: str
    privilege: str
    securable: str
    until: float | None = None


class DepartedPlace(Message):
    """A schema or catalog that was dropped, or got another name: once, under an id of its own."""

    id: str
    name: str
    new_name: str | None = None


class Report(Message):
    """A member's tables, users and home rules, replicated to the MoM when they change."""

    max_bytes: ClassVar[int] = 256 << 20

    version: str
    metastore: str
    users: tuple[ReportedUser, ...]
    grants: tuple[ReportedGrant, ...]
    vetoes: tuple[ReportedGrant, ...] = ()
    dropped: tuple[str, ...] = ()
    """Ids of tables that are gone for good; one that is missing without is only not to be seen."""
    departed: tuple[DepartedPlace, ...] = ()
    """Oldest first."""
    leader_number: int = 0
    """Of the leader who reports; not part of the version."""
    read_at: float | None = None
    """When the member read all this of itself, by its own clock; not part of the version."""


class ListingRequest(Message):
    """A member asks, with a user's own token, what that user may read elsewhere.

    The reply is no message but a listing: see `listing.write_listing`.
    """

    parent: str | None = None
    """The cluster, catalog or schema that is meant; None for all."""
    without: str | None = None
    """The cluster that is left out: the member's own."""


class JobsRequest(Message):
    """Which jobs somebody wants to see; the reply is no message: see `joblisting.write_jobs`.

    A member asks the MoM with its user's own token, and says no viewer. The MoM asks a member in
    its own name, and says whose part of the jobs is meant.
    """

    limit: int = Field(ge=1, le=100_000)
    user: str | None = None
    job_id: str | None = None
    states: tuple[str, ...] = ()
    since: float | None = None
    before: float | None = None
    live_first: bool = False
    viewer: str = ""
    administers: str | None = None
    sees_all: bool = False
    without: str | None = None
    """The cluster that is left out: the asking member's own."""


class CancelJobRequest(Message):
    """The MoM passes on that somebody cancels a job, and which jobs are theirs to cancel."""

    job_id: str
    viewer: str
    administers: str | None = None
    sees_all: bool = False


class CancelJobReply(Message):
    """How many jobs were found, and whether all of them have ended."""

    count: int
    has_ended: bool


class Acknowledgement(Message):
    """Done, and nothing to add."""

    done: bool = True


class ClockReply(Message):
    """What time it is at the MoM; whoever asks is not known, for their clock may be wrong."""

    now: float
    """In seconds since the epoch."""


class SignInRequest(Message):
    """The MoM passes a password on to the user's home cluster, with the client's address."""

    user: str
    password: str = Field(repr=False)
    source: str
    """The client's address; empty where it is not known yet."""


class SignInReply(Message):
    """The identity token that the home cluster issued."""

    token: str = Field(repr=False)


class MembersRequest(Message):
    """An administrator's change of the membership."""

    ADD: ClassVar[str] = "add"
    SET: ClassVar[str] = "set"
    SUSPEND: ClassVar[str] = "suspend"
    RESUME: ClassVar[str] = "resume"
    REMOVE: ClassVar[str] = "remove"

    action: str
    cluster: str
    hosts: tuple[str, ...] = ()
    route: str | None = None


class MembersReply(Message):
    """What came of it; `join_token` is shown once, in answer to ADD only."""

    cluster: str
    state: str
    join_token: str | None = Field(default=None, repr=False)
    expires_at: str | None = None


class ReplicasRequest(Message):
    """An administrator's question about, or change of, the replicas of the MoM."""

    LIST: ClassVar[str] = "list"
    ADD: ClassVar[str] = "add"
    REMOVE: ClassVar[str] = "remove"

    action: str
    name: str = ""
    hosts: tuple[str, ...] = ()


class ReplicaRow(Message):
    """One replica of the MoM, as the one that was asked knows it."""

    name: str
    state: str
    uri: str
    hosts: tuple[str, ...]
    heard_s: float | None
    """How many seconds ago it was last heard from; None before it was first started."""
    is_periodic: bool
    """Whether it is the one that runs periodic work."""


class ReplicasReply(Message):
    """The replicas, and a new one's join token, which is shown once."""

    replicas: tuple[ReplicaRow, ...] = ()
    join_token: str | None = Field(default=None, repr=False)
    expires_at: str | None = None


class ReplicaJoinRequest(Versioned):
    """A server presents its one-time join token to become a replica of the MoM."""

    token: str = Field(repr=False)
    name: str
    public_key: str
    certificate_request: str
    box_key: str
    """What the CA's key is sealed to."""


class ReplicaJoinReply(Message):
    """What a replica needs to answer as the MoM."""

    federation: str
    mom: str
    ca_certificate: str
    certificate: str
    sealed_authority: str = Field(repr=False)
    """The CA's private key, for the key of the request alone."""


class ReplicaNodesRequest(Message):
    """A replica asks another for the newest rows of nodes; the reply is an Arrow stream."""

    max_bytes: ClassVar[int] = 4 << 20

    clusters: dict[str, float]
    """Names, each with the time before which nothing is its own."""


class ReplicaCancelRequest(Message):
    """A replica passes on that somebody cancels a job or a ticket; see `CancelJobRequest`."""

    max_bytes: ClassVar[int] = 4 << 20

    job_id: str = ""
    viewer: str = ""
    administers: str | None = None
    sees_all: bool = False
    ticket: str = ""
    """In base64; what runs on it is cancelled."""
