"""Endpoints as they travel: in FlightInfo, and in the actions that cancel and renew.

The ticket of an endpoint holds a statement's handle, a metadata command, or what another server
put into it; only handles can be cancelled and renewed.
"""

import contextlib
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
from pyarrow import flight

from flight_sql.backend import Endpoint, StatementInfo
from flight_sql.errors import InvalidRequestError, InvalidTicketError, RequestNotSupportedError
from flight_sql.messages import (
    flight_message,
    read_flight_message,
    read_statement_ticket,
    statement_ticket,
    unpack,
)
from flight_sql.profile import WireProfile

_NANOS_PER_MICRO = 1000


def flight_info(descriptor: Any, info: StatementInfo, profile: WireProfile) -> Any:
    """Return what GetFlightInfo answers for an accepted statement."""
    endpoints = [
        flight.FlightEndpoint(
            statement_ticket(endpoint.handle),
            list(endpoint.locations),
            None
            if endpoint.expires_at is None
            else pa.scalar(endpoint.expires_at, pa.timestamp("us", "UTC")),
        )
        for endpoint in info.endpoints
    ]
    return flight.FlightInfo(
        profile.schema(info.arrow_schema),
        descriptor,
        endpoints,
        info.total_records,
        -1,
        app_metadata=info.app_metadata,
    )


def read_endpoint(endpoint: Any) -> Endpoint:
    """Return an endpoint of pyarrow's as ours: a statement's handle, or a foreign ticket."""
    expires_at = endpoint.expiration_time
    if expires_at is not None:
        expires_at = expires_at.cast(pa.timestamp("us", "UTC"), safe=False).as_py()
    locations = tuple(location.uri.decode() for location in endpoint.locations)
    return Endpoint(_handle_or_ticket(endpoint.ticket.ticket), locations, expires_at)


def as_ticket(ticket_or_handle: bytes) -> bytes:
    """Return a statement ticket as it is, anything else as the handle of one."""
    try:
        read_statement_ticket(ticket_or_handle)
    except InvalidTicketError:
        return statement_ticket(ticket_or_handle)
    return ticket_or_handle


# CancelFlightInfo and CancelQuery.


def cancel_body(endpoints: Iterable[Endpoint]) -> bytes:
    """Return the body of a CancelFlightInfo for a result with these endpoints."""
    info = flight_message("FlightInfo", endpoint=[_message(one) for one in endpoints])
    data: bytes = flight_message("CancelFlightInfoRequest", info=info).SerializeToString()
    return data


def read_cancel_body(body: bytes) -> list[bytes | None]:
    """Return the handle of each endpoint of a CancelFlightInfo; None for a metadata command.

    Raises:
        InvalidRequestError: When the body is not the message that the action takes.
        InvalidTicketError: When a ticket was not issued by any server of the federation.
    """
    request = read_flight_message("CancelFlightInfoRequest", body)
    if not request.HasField("info"):
        raise InvalidRequestError("CancelFlightInfo takes the FlightInfo that is to be cancelled")
    return [_statement_handle(one.ticket.ticket) for one in request.info.endpoint]


def read_info_handles(info: bytes) -> list[bytes | None]:
    """Return the handles of a serialized FlightInfo, as CancelQuery takes it."""
    read = read_flight_message("FlightInfo", info)
    return [_statement_handle(one.ticket.ticket) for one in read.endpoint]


# RenewFlightEndpoint.


def renew_body(endpoint: Endpoint) -> bytes:
    """Return the body of a RenewFlightEndpoint."""
    request = flight_message("RenewFlightEndpointRequest", endpoint=_message(endpoint))
    data: bytes = request.SerializeToString()
    return data


def read_renew_body(body: bytes) -> bytes | None:
    """Return the handle that is to be renewed; None when its ticket is a metadata command.

    Raises:
        InvalidRequestError: When the body is not the message that the action takes.
        InvalidTicketError: When the ticket was not issued by any server of the federation.
    """
    request = read_flight_message("RenewFlightEndpointRequest", body)
    return _statement_handle(request.endpoint.ticket.ticket)


def endpoint_body(endpoint: Endpoint) -> bytes:
    """Return an endpoint as RenewFlightEndpoint answers it."""
    data: bytes = _message(endpoint).SerializeToString()
    return data


def read_endpoint_body(body: bytes) -> Endpoint:
    """Return the endpoint that RenewFlightEndpoint answered."""
    found = read_flight_message("FlightEndpoint", body)
    expires_at = None
    if found.HasField("expiration_time"):
        moment = found.expiration_time
        micros = moment.nanos // _NANOS_PER_MICRO
        expires_at = datetime.fromtimestamp(moment.seconds, UTC).replace(microsecond=micros)
    locations = tuple(location.uri for location in found.location)
    return Endpoint(_handle_or_ticket(found.ticket.ticket), locations, expires_at)


def _message(endpoint: Endpoint) -> Any:
    moment = None
    if endpoint.expires_at is not None:
        moment = flight_message(
            "Timestamp",
            seconds=int(endpoint.expires_at.timestamp()),
            nanos=endpoint.expires_at.microsecond * _NANOS_PER_MICRO,
        )
    return flight_message(
        "FlightEndpoint",
        ticket=flight_message("Ticket", ticket=as_ticket(endpoint.handle)),
        location=[flight_message("Location", uri=uri) for uri in endpoint.locations],
        expiration_time=moment,
    )


def _statement_handle(ticket: bytes) -> bytes | None:
    """Return the handle in a ticket; None when the ticket is a command of Flight SQL itself."""
    try:
        return read_statement_ticket(ticket)
    except InvalidTicketError as error:
        refusal = error
    with contextlib.suppress(InvalidRequestError, RequestNotSupportedError):
        if unpack(ticket).DESCRIPTOR.name.startswith("CommandGet"):
            return None
    raise refusal


def _handle_or_ticket(ticket: bytes) -> bytes:
    try:
        return read_statement_ticket(ticket)
    except InvalidTicketError:
        return ticket
