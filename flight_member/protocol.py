"""The federation's own messages: what members and the MoM say to each other beside Flight SQL.

Each is the JSON body of one Flight action, named by the constants below. Fields are only ever
added; a reader ignores what it does not know. Servers one minor protocol version apart understand
each other, others refuse by name.
"""

from typing import ClassVar, Self

from pydantic import BaseModel, ConfigDict, ValidationError

from flight_member.errors import BadRequestError

PROTOCOL_MAJOR, PROTOCOL_MINOR = 1, 0

# Answered by the MoM.
JOIN = "federation.join"
HEARTBEAT = "federation.heartbeat"
REPORT = "federation.report"
MEMBERS = "federation.members"
AUTHORITY = "federation.authority"
# Answered by a member.
SIGN_IN = "member.sign_in"


class Message(BaseModel):
    """One message; `read` and `write` turn it into the body of an action."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    @classmethod
    def read(cls, body: bytes) -> Self:
        """Read a message.

        Raises:
            BadRequestError: When the body is not this message; the fields at fault are named.
        """
        try:
            return cls.model_validate_json(body)
        except ValidationError as error:
            fields = {".".join(map(str, fault["loc"])) or "body" for fault in error.errors()}
            raise BadRequestError(f"not well formed: {', '.join(sorted(fields))}") from None

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

    token: str
    cluster: str
    public_key: str
    certificate_request: str
    uri: str


class JoinReply(Message):
    """What a member needs to trust the MoM from now on."""

    federation: str
    mom: str
    mom_keys: tuple[str, ...]
    ca_certificate: str
    certificate: str


class NodeRow(Message):
    """One node's row of a heartbeat. Sizes in bytes, times in seconds."""

    node: str
    uri: str
    is_leader: bool
    cpu_percent: float
    load_1m: float
    memory_used_bytes: int
    memory_total_bytes: int
    disk_free_bytes: int
    disk_total_bytes: int
    running_statements: int
    queued_statements: int


class Heartbeat(Versioned):
    """What a member reports every `heartbeat.interval_s`."""

    uri: str
    nodes: tuple[NodeRow, ...]
    report_version: str
    policy_epoch: int


class HeartbeatReply(Message):
    """What the MoM tells a member in return."""

    state: str
    policy_epoch: int
    mom_keys: tuple[str, ...]
    wants_report: bool


class ReportedUser(Message):
    """A user of a member, as the MoM needs to know them."""

    name: str
    groups: tuple[str, ...]
    is_admin: bool
    is_locked: bool
    changed_at: float


class ReportedGrant(Message):
    """One home rule of a member."""

    principal: str
    effect: str
    privilege: str
    securable: str
    until: float | None = None


class Report(Message):
    """A member's tables, users and home rules, replicated to the MoM when they change."""

    version: str
    metastore: str
    users: tuple[ReportedUser, ...]
    grants: tuple[ReportedGrant, ...]


class Acknowledgement(Message):
    """Done, and nothing to add."""

    done: bool = True


class SignInRequest(Message):
    """The MoM passes a password on to the user's home cluster, with the client's address."""

    user: str
    password: str
    source: str

    # A password must not reach a log through an error's text.
    def __repr__(self) -> str:
        return f"SignInRequest(user={self.user!r})"

    __str__ = __repr__


class SignInReply(Message):
    """The identity token that the home cluster issued."""

    token: str

    def __repr__(self) -> str:
        return "SignInReply()"

    __str__ = __repr__


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
    join_token: str | None = None
    expires_at: str | None = None
