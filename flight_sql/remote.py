"""What another server answered, read back from what pyarrow's client raises."""

import contextlib
import re
from collections.abc import Iterator
from typing import Any

import pyarrow as pa
from pyarrow import flight

from flight_sql.descriptors import read_status_details
from flight_sql.errors import RemoteError

# The most telling class first: Flight's errors are ArrowExceptions too.
_STATUSES: tuple[tuple[Any, str], ...] = (
    (flight.FlightUnauthenticatedError, "UNAUTHENTICATED"),
    (flight.FlightUnauthorizedError, "PERMISSION_DENIED"),
    (flight.FlightUnavailableError, "UNAVAILABLE"),
    (flight.FlightTimedOutError, "DEADLINE_EXCEEDED"),
    (flight.FlightCancelledError, "CANCELLED"),
    (flight.FlightInternalError, "INTERNAL"),
    (pa.ArrowKeyError, "NOT_FOUND"),
    (pa.ArrowNotImplementedError, "UNIMPLEMENTED"),
    (pa.ArrowCancelled, "CANCELLED"),
    (pa.ArrowInvalid, "INVALID_ARGUMENT"),
)
# pyarrow's client of GetSchema keeps the status in the text alone.
_DETAILS = {
    "Unauthenticated": "UNAUTHENTICATED",
    "Unauthorized": "PERMISSION_DENIED",
    "Unavailable": "UNAVAILABLE",
    "TimedOut": "DEADLINE_EXCEEDED",
    "Cancelled": "CANCELLED",
    "Internal": "INTERNAL",
}
_CODED = re.compile(
    r"(?:[A-Z][A-Za-z ]*: )?(?P<code>[a-z0-9]+(?:-[a-z0-9]+)*): (?P<text>.*)", re.DOTALL
)
_SUFFIX = re.compile(r"\. (?:Detail|gRPC client debug context|Client context): .*", re.DOTALL)
# gRPC's words for a call of which nothing was sent.
_NOT_CONNECTED = "failed to connect to"
# Of a connection that failed there is no code, only a status.
_UNCODED = {
    "UNAVAILABLE": ("cluster-unavailable", "{where} does not answer"),
    "DEADLINE_EXCEEDED": ("statement-timeout", "{where} did not answer in time"),
    "CANCELLED": ("cancelled", "the call was cancelled"),
}


@contextlib.contextmanager
def remote_errors(where: str) -> Iterator[None]:
    """Raise what pyarrow's client raises as a `RemoteError`.

    Args:
        where: The other server's address, for failures that are not its own words.
    """
    failure: Exception
    try:
        yield
    except (pa.ArrowException, flight.FlightError, OSError) as exception:
        failure = exception
    else:
        return
    raise to_remote_error(failure, where) from None


def to_remote_error(exception: Exception, where: str) -> RemoteError:
    """Return the code, status and text that the other server sent."""
    message = str(exception)
    status = next((status for kind, status in _STATUSES if isinstance(exception, kind)), None)
    if status is None:
        detail = re.search(r"Detail: (\w+)", message)
        status = _DETAILS.get(detail.group(1), "UNKNOWN") if detail else "UNKNOWN"
    details = read_status_details(getattr(exception, "extra_info", None) or b"")
    coded = _CODED.match(message)
    if coded is None or (not details and status in _UNCODED and "Python" in message):
        code, text = _UNCODED.get(status, ("internal", "{where} failed on this call"))
        text = text.format(where=where)
    else:
        code, text = coded.group("code"), _SUFFIX.sub("", coded.group("text"))
    retryable = details.get("retryable") == "true" if details else status == "UNAVAILABLE"
    return RemoteError(
        code,
        status,
        text,
        retryable=retryable,
        is_answer=coded is not None,
        was_sent=coded is not None or _NOT_CONNECTED not in message,
    )
