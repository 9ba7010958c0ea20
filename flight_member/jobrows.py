"""A job as it is shown and kept: what it is of, how far it is, what came of it."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class JobState(StrEnum):
    """How far a job is."""

    QUEUED = "queued"
    RUNNING = "running"
    FINISHED = "finished"
    FAILED = "failed"
    CANCELLED = "cancelled"
    LOST = "lost"
    """It ran when its server was killed; nobody knows what came of it."""
    UNKNOWN = "unknown"
    """It was sent to a member that does not answer now."""


class JobKind(StrEnum):
    """What kind of statement a job is."""

    QUERY = "query"
    EXPLAIN = "explain"
    SHOW = "show"
    """SHOW, DESCRIBE and the like: what a server answers of what it knows."""
    CHANGE = "change"
    """GRANT, CREATE GROUP, USE and the like."""
    WRITE = "write"
    """INSERT, CREATE TABLE and the like."""


LIVE_STATES = frozenset({JobState.QUEUED, JobState.RUNNING})


@dataclass(frozen=True, slots=True)
class Parts:
    """How many parts of its work a statement has done: files, as its engine tells."""

    done: int
    total: int


@dataclass(frozen=True, slots=True)
class JobRow:
    """One job as it was at one moment.

    Attributes:
        id: The query id of the call that asked for it.
        serial: Which of its server's jobs it is, since the server started.
        user: Whose it is, as `user1@shanghai`.
        cluster: Where it runs.
        node: What runs it.
        kind: What kind of statement it is.
        state: How far it is.
        digest: What stands for the statement's text.
        client: The address that it was asked from, as gRPC writes it.
        received_at: When it was asked for.
        started_at: When it got its place; None as long as it is queued.
        ended_at: When it ended; None as long as it has not.
        row_count: Rows sent, or written.
        byte_count: The same in bytes, as they are in memory.
        parts: How many of its parts are done; None where the engine does not tell.
        error_code: Why it failed.
    """

    id: str
    serial: int
    user: str
    cluster: str
    node: str
    kind: JobKind
    state: JobState
    digest: str
    client: str
    received_at: datetime
    started_at: datetime | None
    ended_at: datetime | None
    row_count: int
    byte_count: int
    parts: Parts | None
    error_code: str | None

    @property
    def is_live(self) -> bool:
        """Whether it has not ended."""
        return self.state in LIVE_STATES
