"""What this package can refuse, as one tree.

AuthError
├── InvalidTokenError       invalid-token            UNAUTHENTICATED
├── ExpiredTokenError       expired-token            UNAUTHENTICATED
├── RevokedTokenError       revoked-token            UNAUTHENTICATED
├── InvalidTicketError      invalid-ticket           UNAUTHENTICATED
├── ExpiredTicketError      expired-ticket           UNAUTHENTICATED
├── RevokedTicketError      revoked-ticket           UNAUTHENTICATED
├── LockedError             locked                   UNAUTHENTICATED
├── PermissionDeniedError   permission-denied        PERMISSION_DENIED
├── NotFoundError           not-found                NOT_FOUND
├── AlreadyExistsError      already-exists           INVALID_ARGUMENT
├── InvalidAnchorError      invalid-anchor           INVALID_ARGUMENT
├── AuthUnavailableError    auth-unavailable         UNAVAILABLE, retryable
├── UnsupportedGrantError   statement-not-supported  UNIMPLEMENTED
├── UnusablePasswordError   unusable-password        INVALID_ARGUMENT
├── AuditUnavailableError   audit-unavailable        UNAVAILABLE, retryable
└── KeyFileError            key-file                 INTERNAL
"""

from typing import ClassVar


class AuthError(Exception):
    """Root of this package's refusals; the text is safe for clients and starts with the code."""

    code: ClassVar[str] = "internal"
    status: ClassVar[str] = "INTERNAL"
    retryable: ClassVar[bool] = False

    def __init__(self, text: str) -> None:
        self.text = text
        super().__init__(text)

    def __str__(self) -> str:
        return f"{self.code}: {self.text}"


class InvalidTokenError(AuthError):
    """A token is missing, malformed, forged or addressed to somebody else."""

    code, status = "invalid-token", "UNAUTHENTICATED"


class ExpiredTokenError(AuthError):
    """A token was genuine once; its time is over."""

    code, status = "expired-token", "UNAUTHENTICATED"


class RevokedTokenError(AuthError):
    """The user was removed, locked or changed after the token was made."""

    code, status = "revoked-token", "UNAUTHENTICATED"


class InvalidTicketError(AuthError):
    """A query ticket is malformed, forged or addressed to somebody else."""

    code, status = "invalid-ticket", "UNAUTHENTICATED"


class ExpiredTicketError(AuthError):
    """A query ticket was genuine once; its minutes are over."""

    code, status = "expired-ticket", "UNAUTHENTICATED"


class RevokedTicketError(AuthError):
    """A revocation after the ticket's decision touches its caller or one of its tables."""

    code, status = "revoked-ticket", "UNAUTHENTICATED"


class LockedError(AuthError):
    """Too many failed sign-ins of this user from this source."""

    code, status = "locked", "UNAUTHENTICATED"


class PermissionDeniedError(AuthError):
    """The caller is known and may not do this."""

    code, status = "permission-denied", "PERMISSION_DENIED"


class NotFoundError(AuthError):
    """A user or group that does not exist, or a text that cannot name one."""

    code, status = "not-found", "NOT_FOUND"


class AlreadyExistsError(AuthError):
    """A user or group of that name is there already."""

    code, status = "already-exists", "INVALID_ARGUMENT"


class AuthUnavailableError(AuthError):
    """What an outside identity provider says cannot be checked, because it does not answer."""

    code, status, retryable = "auth-unavailable", "UNAVAILABLE", True


class InvalidAnchorError(AuthError):
    """A text that is no anchor of the audit log."""

    code, status = "invalid-anchor", "INVALID_ARGUMENT"


class UnsupportedGrantError(AuthError):
    """A privilege on an object of another level, or a cross-cluster grant on the user's home."""

    code, status = "statement-not-supported", "UNIMPLEMENTED"


class UnusablePasswordError(AuthError):
    """A password that is empty or too long to be hashed."""

    code, status = "unusable-password", "INVALID_ARGUMENT"


class AuditUnavailableError(AuthError):
    """The audit log cannot be written, and what was asked must not happen without it."""

    code, status, retryable = "audit-unavailable", "UNAVAILABLE", True


class KeyFileError(AuthError):
    """A key file is missing, unreadable, damaged or open to other users of the machine.

    For the person who starts a server: the text names the file, never its directory or content.
    """

    code, status = "key-file", "INTERNAL"
