"""What this package refuses, and the one translator of every server's errors.

FlightSqlError
├── InvalidRequestError        invalid-request          INVALID_ARGUMENT
├── RequestNotSupportedError   request-not-supported    UNIMPLEMENTED
├── InvalidTokenError          invalid-token            UNAUTHENTICATED
├── InvalidTicketError         invalid-ticket           UNAUTHENTICATED
├── RowTooLargeError           row-too-large            INVALID_ARGUMENT
├── ServerStoppingError        cluster-unavailable      UNAVAILABLE, retryable
├── TooManyCallsError          overloaded               UNAVAILABLE, retryable
├── CancelledCallError         cancelled                CANCELLED
└── RemoteError                what another server answered, as it answered

Any exception with the text attributes `code` and `status` is a coded error, whoever declares it.
Everything else becomes `internal` with the call's id; what happened goes to the log under it.

The translation rests on two facts about pyarrow (checked by tests/flight_sql/test_errors.py):
statuses that Flight has an exception for carry google.rpc.Status details; INVALID_ARGUMENT,
NOT_FOUND and UNIMPLEMENTED are reached by built-in exceptions only, of which pyarrow prints the
traceback to the client unless formatting it fails. `_Untraceable` makes it fail.
"""

import contextlib
import logging
from collections.abc import Iterator
from typing import Any, ClassVar, Never, Protocol, runtime_checkable

from pyarrow import flight

from flight_sql.descriptors import status_details

_log = logging.getLogger("flight_sql")


class FlightSqlError(Exception):
    """Root of this package's refusals; the text is safe for clients."""

    code: ClassVar[str] = "internal"
    status: ClassVar[str] = "INTERNAL"
    retryable: ClassVar[bool] = False

    def __init__(self, text: str) -> None:
        self.text = text
        super().__init__(f"{self.code}: {text}")


class InvalidRequestError(FlightSqlError):
    """A descriptor, ticket or action whose bytes cannot be read."""

    code, status = "invalid-request", "INVALID_ARGUMENT"


class RequestNotSupportedError(FlightSqlError):
    """A Flight or Flight SQL request that this server does not answer."""

    code, status = "request-not-supported", "UNIMPLEMENTED"


class InvalidTokenError(FlightSqlError):
    """A call without credentials, or with some that cannot be read."""

    code, status = "invalid-token", "UNAUTHENTICATED"


class InvalidTicketError(FlightSqlError):
    """A statement ticket that is not, byte for byte, one that a server wrote."""

    code, status = "invalid-ticket", "UNAUTHENTICATED"


class RowTooLargeError(FlightSqlError):
    """One row alone is larger than a message may be."""

    code, status = "row-too-large", "INVALID_ARGUMENT"


class ServerStoppingError(FlightSqlError):
    """The server is not serving yet, or no more."""

    code, status, retryable = "cluster-unavailable", "UNAVAILABLE", True


class TooManyCallsError(FlightSqlError):
    """The server answers as many calls as it will at once."""

    code, status, retryable = "overloaded", "UNAVAILABLE", True


class CancelledCallError(FlightSqlError):
    """The caller left, or the server stopped, while the call ran."""

    code, status = "cancelled", "CANCELLED"


class RemoteError(Exception):
    """What another server answered: code, status and text are the other server's own.

    Attributes:
        is_answer: False when it said nothing, and the connection or the time ended.
        was_sent: False when it cannot have got the call: nothing was sent.
    """

    def __init__(
        self,
        code: str,
        status: str,
        text: str,
        *,
        retryable: bool = False,
        is_answer: bool = True,
        was_sent: bool = True,
    ) -> None:
        self.is_answer = is_answer
        self.was_sent = was_sent
        self.code = code
        self.status = status
        self.text = text
        self.retryable = retryable
        super().__init__(f"{code}: {text}")


@runtime_checkable
class CodedError(Protocol):
    """What an exception must have to reach a client as itself; `retryable` is optional."""

    code: str
    status: str


def is_cancellation(exception: BaseException) -> bool:
    """Whether work ended because somebody wanted it to end."""
    return getattr(exception, "status", "") == "CANCELLED"


class _Untraceable(Exception):  # noqa: N818  # its name shows in clients' messages
    """An exception whose traceback cannot be printed.

    pyarrow formats a foreign exception with `traceback.format_exception`, and sends no more than
    the class's name when that raises. Reading the cause is part of formatting, so it raises.
    """

    def __str__(self) -> str:
        return str(self.args[0])

    @property
    def __cause__(self) -> Never:  # type: ignore[override]  # hiding it is the purpose
        raise RuntimeError("a refusal has no cause to show")


class InvalidArgument(_Untraceable, ValueError):  # noqa: N818  # shown to clients
    """INVALID_ARGUMENT, as pyarrow understands it."""


class NotFound(_Untraceable, KeyError):  # noqa: N818  # shown to clients
    """NOT_FOUND, as pyarrow understands it."""


class Unimplemented(_Untraceable, NotImplementedError):  # noqa: N818  # shown to clients
    """UNIMPLEMENTED, as pyarrow understands it."""


class Failure(_Untraceable):
    """Any other status where pyarrow translates no Flight error (GetSchema): UNKNOWN."""


_STATUS_NUMBERS = {
    "CANCELLED": 1,
    "UNKNOWN": 2,
    "DEADLINE_EXCEEDED": 4,
    "PERMISSION_DENIED": 7,
    "INTERNAL": 13,
    "UNAVAILABLE": 14,
    "UNAUTHENTICATED": 16,
}
_FLIGHT_ERRORS: dict[str, Any] = {
    "CANCELLED": flight.FlightCancelledError,
    "UNKNOWN": flight.FlightServerError,
    "DEADLINE_EXCEEDED": flight.FlightTimedOutError,
    "PERMISSION_DENIED": flight.FlightUnauthorizedError,
    "INTERNAL": flight.FlightInternalError,
    "UNAVAILABLE": flight.FlightUnavailableError,
    "UNAUTHENTICATED": flight.FlightUnauthenticatedError,
}
_UNTRACEABLE_ERRORS: dict[str, type[_Untraceable]] = {
    "INVALID_ARGUMENT": InvalidArgument,
    "NOT_FOUND": NotFound,
    "UNIMPLEMENTED": Unimplemented,
}
# Trailers hold the text three times, once percent-encoded, and must stay below 8 KiB.
_MAX_TEXT_BYTES = 1200
# pyarrow cannot send these; the nearest that it can.
_NEAREST = {
    "RESOURCE_EXHAUSTED": "UNAVAILABLE",
    "ABORTED": "UNAVAILABLE",
    "FAILED_PRECONDITION": "INVALID_ARGUMENT",
    "ALREADY_EXISTS": "INVALID_ARGUMENT",
    "OUT_OF_RANGE": "INVALID_ARGUMENT",
    "DATA_LOSS": "INTERNAL",
}


def to_flight_error(
    exception: BaseException, query_id: str, *, flight_errors: bool = True
) -> Exception:
    """Return what to raise so that pyarrow sends the exception's status and nothing of ours.

    Raise it outside the `except` block, `from None`.

    Args:
        exception: A coded error, or anything at all.
        query_id: The call's id; all that a client learns of an error without a code.
        flight_errors: False where pyarrow does not translate Flight errors (GetSchema).
    """
    # The class decides whether an exception of pyarrow's is one that was translated already.
    if isinstance(exception, _Untraceable):
        return exception
    code, status = getattr(exception, "code", None), getattr(exception, "status", None)
    if isinstance(code, str) and isinstance(status, str):
        text = str(exception)
        if not text.startswith(f"{code}: "):
            text = f"{code}: {text}"
        _log.info("call_refused", extra={"query_id": query_id, "code": code})
    else:
        code, status = "internal", "INTERNAL"
        text = f"internal: the server failed on this call; its log tells more under {query_id}"
        _log.error("call_failed", exc_info=exception, extra={"query_id": query_id})
    text = _fitting(text)
    status = _NEAREST.get(status, status)
    if status in _UNTRACEABLE_ERRORS:
        return _UNTRACEABLE_ERRORS[status](text)
    if not flight_errors:
        return Failure(text)
    if status not in _FLIGHT_ERRORS:
        status = "UNKNOWN"
    retryable = "true" if getattr(exception, "retryable", False) is True else "false"
    metadata = {"retryable": retryable, "query_id": query_id}
    details = status_details(_STATUS_NUMBERS[status], text, reason=code, metadata=metadata)
    error: Exception = _FLIGHT_ERRORS[status](text, details)
    return error


def _fitting(text: str) -> str:
    """Return the text cut to what clients take: they drop answers with large trailers."""
    data = text.encode()
    if len(data) <= _MAX_TEXT_BYTES:
        return text
    return data[:_MAX_TEXT_BYTES].decode(errors="ignore") + "…"


@contextlib.contextmanager
def translated(query_id: str, *, flight_errors: bool = True) -> Iterator[None]:
    """Raise whatever the block raises as `to_flight_error` has it.

    A panic of a native library is no `Exception`: hence BaseException.
    """
    failure: BaseException
    try:
        yield
    except GeneratorExit:
        raise
    except BaseException as exception:  # noqa: BLE001  # panics of native libraries too
        failure = exception
    else:
        return
    raise to_flight_error(failure, query_id, flight_errors=flight_errors) from None
