"""The session of a client: a cookie that it sends back, and the options that it sets.

The cookie is all there is of a session: nothing is kept here. A client that has none is handed an
empty one with each answer, so that a backend can tell clients that send cookies back from those
that do not. What a cookie holds is the backend's matter.
"""

from collections.abc import Mapping, Sequence
from enum import IntEnum
from typing import Any, TypeAlias

from google.protobuf import message
from pyarrow import flight

from flight_sql.errors import InvalidRequestError
from flight_sql.messages import flight_message

SESSION_COOKIE = "arrow_flight_session_id"
# The session of a client that has set nothing; worth nothing to whoever makes it up.
EMPTY_SESSION = "new"

OptionValue: TypeAlias = str | bool | int | float | list[str] | None


class SessionKeeper(flight.ClientMiddlewareFactory):  # type: ignore[misc]  # pyarrow has no types
    """Sends a client's session back to the server that gave it; no other cookie."""

    def __init__(self) -> None:
        self._session: str | None = None

    @property
    def is_begun(self) -> bool:
        """Whether there is a session."""
        return self._session is not None

    def start_call(self, info: Any) -> "_SessionOfCall":  # noqa: ARG002  # pyarrow's signature
        """Return what watches one call."""
        return _SessionOfCall(self)

    def headers(self) -> dict[str, str]:
        """Return what goes with a call."""
        return {} if self._session is None else {"cookie": f"{SESSION_COOKIE}={self._session}"}

    def take(self, lines: Sequence[Any]) -> None:
        """Take the session of an answer's cookies; the last one counts."""
        for line in lines:
            value, _, attributes = str(line).partition(";")
            session = read_session([value])
            if session is not None:
                is_over = "max-age=0" in attributes.lower().replace(" ", "").split(";")
                self._session = None if is_over else session


class _SessionOfCall(flight.ClientMiddleware):  # type: ignore[misc]  # pyarrow has no types
    def __init__(self, keeper: SessionKeeper) -> None:
        self._keeper = keeper

    def sending_headers(self) -> dict[str, str]:
        return self._keeper.headers()

    def received_headers(self, headers: Mapping[str, Sequence[Any]]) -> None:
        self._keeper.take(headers.get("set-cookie", ()))


class OptionError(IntEnum):
    """Why an option was not set."""

    INVALID_NAME = 1
    INVALID_VALUE = 2
    ERROR = 3


def read_session(cookies: Sequence[Any]) -> str | None:
    """Return the session that a client sent in its cookies; None when it sent none.

    Other cookies, as load balancers set them, are left alone.
    """
    found = None
    for line in cookies:
        for pair in str(line).split(";"):
            name, _, value = pair.strip().partition("=")
            if name == SESSION_COOKIE:
                found = value.strip().strip('"')
    return found or None


def session_cookie(value: str, max_age_s: int | None = None) -> str:
    """Return the header that makes a client keep a session; an age of 0 makes it forget."""
    age = "" if max_age_s is None else f"; Max-Age={max_age_s}"
    return f"{SESSION_COOKIE}={value}{age}"


def read_options(body: bytes) -> dict[str, OptionValue]:
    """Return the options of a SetSessionOptionsRequest; None for one to be erased.

    Raises:
        InvalidRequestError: When the body is no such request.
    """
    request = flight_message("SetSessionOptionsRequest")
    try:
        request.ParseFromString(body)
    except message.DecodeError:
        pass
    else:
        return {entry.key: _value(entry.value) for entry in request.session_options}
    raise InvalidRequestError("not a SetSessionOptionsRequest: the bytes cannot be read")


def errors_body(errors: Mapping[str, OptionError]) -> bytes:
    """Return a SetSessionOptionsResult."""
    entries = [
        flight_message("OptionErrorEntry", key=name, value=flight_message("OptionError", value=why))
        for name, why in errors.items()
    ]
    data: bytes = flight_message("SetSessionOptionsResult", errors=entries).SerializeToString()
    return data


def options_body(options: Mapping[str, str]) -> bytes:
    """Return a GetSessionOptionsResult."""
    return _options("GetSessionOptionsResult", options)


def request_body(options: Mapping[str, str | None]) -> bytes:
    """Return a SetSessionOptionsRequest."""
    return _options("SetSessionOptionsRequest", options)


def read_answer(name: str, body: bytes) -> Any:
    """Return what a server answered to one of the session's actions."""
    answer = flight_message(name)
    answer.ParseFromString(body)
    return answer


def _options(name: str, options: Mapping[str, str | None]) -> bytes:
    entries = [
        flight_message(
            "SessionOptionEntry", key=key, value=flight_message("SessionOptionValue", **_text(text))
        )
        for key, text in options.items()
    ]
    data: bytes = flight_message(name, session_options=entries).SerializeToString()
    return data


def _text(text: str | None) -> dict[str, str]:
    return {} if text is None else {"string_value": text}


def _value(value: Any) -> OptionValue:
    for field in ("string_value", "bool_value", "int64_value", "double_value"):
        if value.HasField(field):
            found: OptionValue = getattr(value, field)
            return found
    if value.HasField("string_list_value"):
        return list(value.string_list_value.values)
    return None
