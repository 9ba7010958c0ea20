"""What a server can refuse on its own account, as one tree.

FlightMemberError
├── NotFoundError             not-found            NOT_FOUND
├── PermissionDeniedError     permission-denied    PERMISSION_DENIED
├── NotSupportedError         statement-not-supported UNIMPLEMENTED
├── StaleTicketError          stale-metastore      UNAVAILABLE, retryable
├── WrongCallerError          invalid-ticket       UNAUTHENTICATED
├── RevokedTokenError         revoked-token        UNAUTHENTICATED
├── UserNotReportedError     user-not-reported    UNAVAILABLE, retryable
├── ClusterUnavailableError   cluster-unavailable  UNAVAILABLE, retryable
├── ClusterSuspendedError     cluster-suspended    UNAVAILABLE
├── StateUnavailableError     state-unavailable    UNAVAILABLE, retryable
├── OutcomeUnknownError       outcome-unknown      UNAVAILABLE
├── FencedError               fenced               UNAVAILABLE, retryable
├── OverloadedError           overloaded           UNAVAILABLE, retryable
├── StatementTimeoutError     statement-timeout    DEADLINE_EXCEEDED
├── CancelledStatementError   cancelled            CANCELLED
├── BadRequestError           invalid-request      INVALID_ARGUMENT
├── NotEmptyError             not-empty            INVALID_ARGUMENT
└── ForwardedError            what another server of the federation answered, as it answered

`ConfigurationError` and `StartupError` are for the person at the terminal; they never travel.
"""

from collections.abc import Sequence
from typing import ClassVar


class FlightMemberError(Exception):
    """Root of this package's refusals; the text is safe for clients and starts with the code."""

    code: ClassVar[str] = "internal"
    status: ClassVar[str] = "INTERNAL"
    retryable: ClassVar[bool] = False

    def __init__(self, text: str) -> None:
        self.text = text
        super().__init__(f"{self.code}: {text}")


class NotFoundError(FlightMemberError):
    """No such object, or none that the caller may know of: the words are the same."""

    code, status = "not-found", "NOT_FOUND"

    @classmethod
    def of(
        cls, name: object, *, elsewhere: Sequence[object] = (), privilege: str = "TABLE_READ"
    ) -> "NotFoundError":
        """Return the one refusal for an object that is not there or may not be read.

        Args:
            name: What was asked for.
            elsewhere: Objects of that name that the caller may read; they are suggested.
            privilege: What an administrator would grant on it.
        """
        # Commands import this module, and need no planner until then.
        from planner import not_found_text  # noqa: PLC0415

        return cls(not_found_text(name, elsewhere, privilege))


class PermissionDeniedError(FlightMemberError):
    """An administrative statement, or a write at home, without the privilege for it."""

    code, status = "permission-denied", "PERMISSION_DENIED"


class NotSupportedError(FlightMemberError):
    """A statement that this server does not answer."""

    code, status = "statement-not-supported", "UNIMPLEMENTED"


class StaleTicketError(FlightMemberError):
    """The table changed since the ticket was made."""

    code, status, retryable = "stale-metastore", "UNAVAILABLE", True

    @classmethod
    def of(cls, name: object) -> "StaleTicketError":
        """Return the refusal of a ticket for a table that changed, or is gone."""
        return cls(f"{name} changed since the statement was planned; execute it again")


class WrongCallerError(FlightMemberError):
    """A ticket was presented by somebody else than its caller, or at the wrong server."""

    code, status = "invalid-ticket", "UNAUTHENTICATED"


class RevokedTokenError(FlightMemberError):
    """The user was removed, locked or changed since the token was made."""

    code, status = "revoked-token", "UNAUTHENTICATED"


class UserNotReportedError(FlightMemberError):
    """The user is new, or was unlocked, and their home has not told the MoM yet."""

    code, status, retryable = "user-not-reported", "UNAVAILABLE", True


class ClusterUnavailableError(FlightMemberError):
    """The cluster is known and readable but not answering."""

    code, status, retryable = "cluster-unavailable", "UNAVAILABLE", True


class ClusterSuspendedError(FlightMemberError):
    """An administrator suspended the cluster."""

    code, status = "cluster-suspended", "UNAVAILABLE"


class StateUnavailableError(FlightMemberError):
    """The database of the durable state cannot be used; nothing was changed."""

    code, status, retryable = "state-unavailable", "UNAVAILABLE", True

    def __init__(self) -> None:
        super().__init__(
            "this server does not reach the database that keeps its cluster's state, or the disk "
            "is full; nothing was changed: try again in a moment, or at another server of the "
            "cluster"
        )


class OutcomeUnknownError(FlightMemberError):
    """The database went away while it was making a change durable."""

    code, status = "outcome-unknown", "UNAVAILABLE"

    def __init__(self) -> None:
        super().__init__(
            "the database that keeps the cluster's state went away while the change was being "
            "made durable; look whether it was made before you try again"
        )


class FencedError(FlightMemberError):
    """A server was paused, or cut off, for longer than its lease; nothing was changed."""

    code, status, retryable = "fenced", "UNAVAILABLE", True

    @classmethod
    def of_lapse(cls) -> "FencedError":
        """Return the refusal of what was begun before the lease lapsed."""
        return cls(
            "this server was paused, or did not reach its cluster's database, for longer than its "
            "lease, and others may have acted since; nothing was changed: try again"
        )


class OverloadedError(FlightMemberError):
    """All places for running statements are taken."""

    code, status, retryable = "overloaded", "UNAVAILABLE", True


class ScanLimitError(FlightMemberError):
    """A statement needs to look at more than one statement may."""

    code, status = "scan-limit", "INVALID_ARGUMENT"


class StatementTimeoutError(FlightMemberError):
    """A statement ran longer than its limit."""

    code, status = "statement-timeout", "DEADLINE_EXCEEDED"


class CancelledStatementError(FlightMemberError):
    """The caller went away, or had the statement cancelled."""

    code, status = "cancelled", "CANCELLED"


class BadRequestError(FlightMemberError):
    """A message of the federation's own protocol is not well formed."""

    code, status = "invalid-request", "INVALID_ARGUMENT"


class NotEmptyError(FlightMemberError):
    """A catalog or schema is to be dropped in which something lies."""

    code, status = "not-empty", "INVALID_ARGUMENT"


class ForwardedError(FlightMemberError):
    """Another server of the federation refused; its code, status and text are passed on.

    Only servers of the federation are believed: their texts are as safe as ours.
    """

    def __init__(self, code: str, status: str, text: str, *, retryable: bool = False) -> None:
        self.code = code  # type: ignore[misc]  # fixed for the instance, as it is for a class
        self.status = status  # type: ignore[misc]  # likewise
        self.retryable = retryable  # type: ignore[misc]  # likewise
        super().__init__(text)


class ConfigurationError(Exception):
    """Settings that cannot be used; every fault is listed with where it came from."""

    def __init__(self, faults: Sequence[str]) -> None:
        self.faults = tuple(faults)
        super().__init__("; ".join(faults))


class StartupError(Exception):
    """The server could not start: a port in use, a state directory that is not one."""
