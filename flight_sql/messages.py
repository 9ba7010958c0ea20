"""Flight SQL messages as they travel: wrapped in an `Any`, and the statement ticket.

The statement ticket is canonical: only the bytes that `statement_ticket` makes are read again.
"""

from collections.abc import Iterable
from enum import IntEnum
from typing import Any

from google.protobuf import message

from flight_sql.descriptors import ANY, FLIGHT_PACKAGE, MESSAGE_CLASSES, SQL_PACKAGE, TYPE_PREFIX
from flight_sql.errors import InvalidRequestError, InvalidTicketError, RequestNotSupportedError


class CancelStatus(IntEnum):
    """What became of a CancelFlightInfo or CancelQuery."""

    CANCELLED = 1
    CANCELLING = 2
    NOT_CANCELLABLE = 3


def summary_of(statuses: Iterable[CancelStatus]) -> CancelStatus:
    """Return what became of the whole, when these became of its parts.

    One part that is still being cancelled makes it so of the whole; parts on which nothing ran do
    not count beside one that was stopped.
    """
    found = set(statuses)
    order = (CancelStatus.CANCELLING, CancelStatus.CANCELLED)
    return next((one for one in order if one in found), CancelStatus.NOT_CANCELLABLE)


class SessionStatus(IntEnum):
    """What became of a CloseSession."""

    CLOSED = 1
    CLOSING = 2
    NOT_CLOSEABLE = 3


def sql_message(name: str, /, **fields: Any) -> Any:
    """Return a new message of the Flight SQL package, its fields set."""
    return MESSAGE_CLASSES[f"{SQL_PACKAGE}.{name}"](**fields)


def flight_message(name: str, /, **fields: Any) -> Any:
    """Return a new message of the core Flight package, its fields set."""
    return MESSAGE_CLASSES[f"{FLIGHT_PACKAGE}.{name}"](**fields)


def pack(packed: Any) -> bytes:
    """Return the message wrapped in an `Any`, as commands, tickets and SQL actions travel."""
    url = TYPE_PREFIX + packed.DESCRIPTOR.full_name
    data: bytes = ANY(type_url=url, value=packed.SerializeToString()).SerializeToString()
    return data


def unpack(data: bytes) -> Any:
    """Return the Flight SQL message inside an `Any`; the part before the last `/` is ignored.

    Raises:
        InvalidRequestError: When the bytes are not an `Any`, or not of the message they name.
        RequestNotSupportedError: When they name a message that is not one of Flight SQL's.
    """
    wrapper = _parse(ANY, data, "not a Flight SQL message")
    name = wrapper.type_url.rpartition("/")[2]
    if not name:
        raise InvalidRequestError("not a Flight SQL message: the bytes name no message type")
    if name not in MESSAGE_CLASSES or not name.startswith(SQL_PACKAGE):
        raise RequestNotSupportedError(f"the message {name[:100]!r} is not one of Flight SQL's")
    return _parse(MESSAGE_CLASSES[name], wrapper.value, f"not a valid {name.rpartition('.')[2]}")


def read_sql_message(name: str, data: bytes) -> Any:
    """Return a Flight SQL message that travels bare, as a PutResult's metadata does.

    Raises:
        InvalidRequestError: When the bytes are not that message.
    """
    return _parse(MESSAGE_CLASSES[f"{SQL_PACKAGE}.{name}"], data, f"not a valid {name}")


def read_flight_message(name: str, data: bytes) -> Any:
    """Return a message of core Flight, as the bodies of its actions hold them.

    Raises:
        InvalidRequestError: When the bytes are not that message.
    """
    return _parse(MESSAGE_CLASSES[f"{FLIGHT_PACKAGE}.{name}"], data, f"not a valid {name}")


def message_name(unpacked: Any) -> str:
    """Return the message's name without its package."""
    name: str = unpacked.DESCRIPTOR.name
    return name


def statement_ticket(handle: bytes) -> bytes:
    """Return the ticket that carries a statement handle."""
    return pack(sql_message("TicketStatementQuery", statement_handle=handle))


def read_statement_ticket(data: bytes) -> bytes:
    """Return the statement handle of a ticket.

    Raises:
        InvalidTicketError: When the ticket is anything but the very bytes that
            `statement_ticket` makes, so that no byte of a ticket can be changed unnoticed.
    """
    try:
        ticket = unpack(data)
        handle: bytes = ticket.statement_handle
    except (InvalidRequestError, RequestNotSupportedError, AttributeError):
        handle = b""
    if not handle or statement_ticket(handle) != data:
        raise InvalidTicketError("this ticket was not issued here; ask for the statement again")
    return handle


def _parse(cls: Any, data: bytes, fault: str) -> Any:
    parsed = cls()
    try:
        parsed.ParseFromString(data)
    except message.DecodeError:
        pass
    else:
        return parsed
    raise InvalidRequestError(f"{fault}: the bytes cannot be read")
