import datetime as dt
from typing import Any

import pytest
from pyarrow import flight

from flight_sql import REUSE_CONNECTION, CancelStatus, Client, Endpoint, RemoteError, summary_of
from flight_sql.messages import pack, sql_message, unpack
from tests.flight_sql.conftest import TOKEN
from tests.flight_sql.memory_backend import MemoryBackend

OPTIONS = flight.FlightCallOptions(headers=[(b"authorization", f"Bearer {TOKEN}".encode())])
EXPIRES_AT = dt.datetime(2030, 1, 2, 3, 4, 5, 678, tzinfo=dt.UTC)


def _query(name: str = "CommandStatementQuery", **fields: Any) -> Any:
    return flight.FlightDescriptor.for_command(pack(sql_message(name, **fields)))


def _field(data: bytes) -> bytes:
    """Protobuf's field 1 with these bytes, as the core actions' requests hold their one field."""
    length = bytearray()
    size = len(data)
    while size > 0x7F:
        length.append(size & 0x7F | 0x80)
        size >>= 7
    return b"\x0a" + bytes([*length, size]) + data


def _act(raw: Any, kind: str, body: bytes) -> bytes:
    (result,) = raw.do_action(flight.Action(kind, body), OPTIONS)
    data: bytes = result.body.to_pybytes()
    return data


@pytest.mark.parametrize("status", list(CancelStatus))
def test_info_of_pyarrow_is_cancelled_by_either_action(
    raw: Any, backend: MemoryBackend, status: CancelStatus
) -> None:
    backend.cancel_statuses["SELECT quote"] = status
    info = raw.get_flight_info(_query(query="SELECT quote"), OPTIONS)
    assert _act(raw, "CancelFlightInfo", _field(info.serialize())) == b"\x08" + bytes([status])
    request = sql_message("ActionCancelQueryRequest", info=info.serialize())
    assert unpack(_act(raw, "CancelQuery", pack(request))).result == status
    assert backend.cancelled == ["SELECT quote"] * 2


@pytest.mark.parametrize("query", ["CommandGetCatalogs", "UPDATE 3"])
def test_what_has_no_statement_running_is_not_cancellable(
    raw: Any, backend: MemoryBackend, query: str
) -> None:
    descriptor = _query(query) if query.startswith("Command") else _query(query=query)
    info = raw.get_flight_info(descriptor, OPTIONS)
    assert _act(raw, "CancelFlightInfo", _field(info.serialize())) == b"\x08\x03"
    assert backend.cancelled == []


def test_every_part_of_a_result_is_cancelled(client: Client, backend: MemoryBackend) -> None:
    endpoints = [*client.get_info("SELECT quote").endpoints, *client.get_info("SLOW").endpoints]
    backend.cancel_statuses["SLOW"] = CancelStatus.CANCELLING
    assert client.cancel(endpoints) is CancelStatus.CANCELLING
    assert backend.cancelled == ["SELECT quote", "SLOW"]


def test_whole_is_cancelled_when_no_part_goes_on() -> None:
    cancelled, cancelling, never = CancelStatus
    assert summary_of([]) is never
    assert summary_of([never, cancelled]) is cancelled
    assert summary_of([cancelled, cancelling, never]) is cancelling


def test_endpoint_of_pyarrow_is_renewed(raw: Any, backend: MemoryBackend) -> None:
    backend.locations = ("grpc://elsewhere:1", REUSE_CONNECTION)
    info = raw.get_flight_info(_query(query="SELECT quote"), OPTIONS)
    (endpoint,) = info.endpoints
    assert endpoint.expiration_time is None
    backend.expires_at = EXPIRES_AT
    answer = _act(raw, "RenewFlightEndpoint", _field(endpoint.serialize()))
    renewed = flight.FlightEndpoint.deserialize(answer)
    assert renewed.expiration_time.as_py() == EXPIRES_AT
    assert [one.uri.decode() for one in renewed.locations] == list(backend.locations)
    assert raw.do_get(renewed.ticket, OPTIONS).read_all().num_rows == 3


def test_our_client_renews_with_all_that_an_endpoint_says(
    client: Client, backend: MemoryBackend
) -> None:
    backend.expires_at = EXPIRES_AT
    backend.locations = (REUSE_CONNECTION,)
    (endpoint,) = client.get_info("SELECT quote").endpoints
    assert client.renew(endpoint) == endpoint
    assert endpoint == Endpoint(endpoint.handle, (REUSE_CONNECTION,), EXPIRES_AT)


@pytest.mark.parametrize("kind", ["CancelFlightInfo", "RenewFlightEndpoint"])
def test_forged_ticket_and_garbage_are_refused_by_status(client: Client, kind: str) -> None:
    part = flight.FlightEndpoint(b"made up", []).serialize()
    # An endpoint is field 3 of an info, and field 1 of the request to renew it.
    body = _field(b"\x1a" + _field(part)[1:]) if kind == "CancelFlightInfo" else _field(part)
    with pytest.raises(RemoteError, match="invalid-ticket") as forged:
        client.action(kind, body)
    assert forged.value.status == "UNAUTHENTICATED"
    for garbage in (b"\xff\xff", b""):
        with pytest.raises(RemoteError) as refused:
            client.action(kind, garbage)
        assert refused.value.status in {"INVALID_ARGUMENT", "UNAUTHENTICATED"}


def test_metadata_needs_no_renewal(raw: Any) -> None:
    (endpoint,) = raw.get_flight_info(_query("CommandGetCatalogs"), OPTIONS).endpoints
    body = _field(endpoint.serialize())
    with pytest.raises(NotImplementedError, match="does not expire"):
        _act(raw, "RenewFlightEndpoint", body)


@pytest.mark.parametrize("kind", ["CancelFlightInfo", "CancelQuery", "RenewFlightEndpoint"])
def test_nobody_cancels_or_renews_without_an_identity(raw: Any, kind: str) -> None:
    with pytest.raises(flight.FlightUnauthenticatedError):
        list(raw.do_action(flight.Action(kind, b"")))
