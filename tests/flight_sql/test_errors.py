"""Every status through every RPC, and never a word of ours beside the coded text."""

import logging
import re
from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pytest
from pyarrow import flight

from flight_sql import Client, FlightSqlError, FlightSqlServer, RemoteError, RowTooLargeError
from flight_sql import errors as errors_module
from flight_sql.errors import to_flight_error
from flight_sql.messages import pack, sql_message, statement_ticket
from tests.flight_sql.conftest import TOKEN
from tests.flight_sql.memory_backend import STATUSES, MemoryAuthenticator, signed

OPTIONS = flight.FlightCallOptions(headers=[(b"authorization", f"Bearer {TOKEN}".encode())])

EXPECTED: dict[str, type[BaseException]] = {
    "INVALID_ARGUMENT": pa.ArrowInvalid,
    "NOT_FOUND": pa.ArrowKeyError,
    "UNIMPLEMENTED": pa.ArrowNotImplementedError,
    "UNAUTHENTICATED": flight.FlightUnauthenticatedError,
    "PERMISSION_DENIED": flight.FlightUnauthorizedError,
    "UNAVAILABLE": flight.FlightUnavailableError,
    "DEADLINE_EXCEEDED": flight.FlightTimedOutError,
    "CANCELLED": flight.FlightCancelledError,
    "INTERNAL": flight.FlightInternalError,
}
# What none of our messages may hold: paths, modules, classes, frames, what was raised inside.
SECRETS = re.compile(
    r"Traceback|File \"|\.py|/work|/usr|/var|/etc|/home|flight_sql\.|memory_backend|SecretError"
    r"|RefusedError|ValueError|line \d+|secret",
    re.IGNORECASE,
)


def _command(sql: str) -> Any:
    command = pack(sql_message("CommandStatementQuery", query=sql))
    return flight.FlightDescriptor.for_command(command)


def _get_flight_info(client: Any, status: str) -> None:
    client.get_flight_info(_command(f"FAIL {status}"), OPTIONS)


def _get_schema(client: Any, status: str) -> None:
    client.get_schema(_command(f"FAIL {status}"), OPTIONS)


def _drain(client: Any, sql: str) -> None:
    reader = client.do_get(flight.Ticket(statement_ticket(signed(sql))), OPTIONS)
    while True:
        try:
            reader.read_chunk()
        except StopIteration:
            return


def _do_get(client: Any, status: str) -> None:
    _drain(client, f"OPENFAIL {status}")


def _do_get_after_rows(client: Any, status: str) -> None:
    _drain(client, f"LATE {status}")


def _do_put(client: Any, status: str) -> None:
    command = pack(sql_message("CommandStatementUpdate", query=f"FAIL {status}"))
    descriptor = flight.FlightDescriptor.for_command(command)
    writer, reader = client.do_put(descriptor, pa.schema([]), OPTIONS)
    with writer:
        writer.done_writing()
        reader.read()


def _do_action(client: Any, status: str) -> None:
    list(client.do_action(flight.Action("Fail", status.encode()), OPTIONS))


def _prepare(client: Any, status: str) -> None:
    body = pack(sql_message("ActionCreatePreparedStatementRequest", query=f"FAIL {status}"))
    list(client.do_action(flight.Action("CreatePreparedStatement", body), OPTIONS))


RPCS = [_get_flight_info, _do_get, _do_get_after_rows, _do_put, _do_action, _prepare]


@pytest.fixture
def raw(server: FlightSqlServer) -> Any:
    with flight.connect(server.uri) as client:
        yield client


@pytest.mark.parametrize("status", STATUSES)
@pytest.mark.parametrize("rpc", RPCS)
def test_status_reaches_the_client_with_code_and_text_alone(
    raw: Any, rpc: Callable[[Any, str], None], status: str
) -> None:
    with pytest.raises(EXPECTED[status]) as refused:
        rpc(raw, status)
    message = str(refused.value)
    code = f"refused-{status.lower().replace('_', '-')}"
    assert message.startswith(f"{code}: ask for {status} no more")
    assert not SECRETS.search(message)
    details = getattr(refused.value, "extra_info", None)
    if details:
        assert code.encode() in details
        assert not SECRETS.search(details.decode(errors="replace"))


@pytest.mark.parametrize("rpc", [*RPCS, _get_schema])
def test_anything_without_a_code_is_internal_with_the_calls_id(
    raw: Any, rpc: Callable[[Any, str], None], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "flight_sql")
    with pytest.raises(pa.ArrowException) as refused:
        rpc(raw, "SECRET")
    assert not SECRETS.search(str(refused.value))
    shown = re.search(r"internal: .*under ([0-9a-f]{32})", str(refused.value))
    assert shown is not None
    failed = [record for record in caplog.records if record.message == "call_failed"]
    assert [getattr(record, "query_id", "") for record in failed] == [shown.group(1)]
    assert "outer error" in caplog.text


@pytest.mark.parametrize("status", STATUSES)
def test_get_schema_keeps_what_pyarrow_can_send_there(raw: Any, status: str) -> None:
    with pytest.raises(pa.ArrowException) as refused:
        _get_schema(raw, status)
    if status in {"INVALID_ARGUMENT", "NOT_FOUND", "UNIMPLEMENTED"}:
        assert isinstance(refused.value, EXPECTED[status])
    assert f"ask for {status} no more" in str(refused.value)
    assert not SECRETS.search(str(refused.value))


@pytest.mark.parametrize("status", [*STATUSES, "SECRET"])
@pytest.mark.parametrize("rpc", [*RPCS, _get_schema])
def test_authentication_fails_with_its_status_before_any_handler(
    raw: Any,
    authenticator: MemoryAuthenticator,
    rpc: Callable[[Any, str], None],
    status: str,
) -> None:
    authenticator.failure = status
    anonymous = rpc in (_do_get, _do_get_after_rows)
    with pytest.raises((pa.ArrowException, OSError)) as refused:
        # Where the ticket is the credential, the backend goes on and fails by itself.
        rpc(raw, status)
    message = str(refused.value)
    assert not SECRETS.search(message)
    wanted = "internal: " if status == "SECRET" else "ask for"
    assert wanted in message
    if rpc is not _get_schema and not anonymous and status != "SECRET":
        assert isinstance(refused.value, EXPECTED[status])


@pytest.mark.parametrize(
    "status, nearest",
    [
        ("RESOURCE_EXHAUSTED", "UNAVAILABLE"),
        ("FAILED_PRECONDITION", "INVALID_ARGUMENT"),
        ("ALREADY_EXISTS", "INVALID_ARGUMENT"),
        ("OUT_OF_RANGE", "INVALID_ARGUMENT"),
        ("ABORTED", "UNAVAILABLE"),
        ("DATA_LOSS", "INTERNAL"),
    ],
)
def test_statuses_that_pyarrow_cannot_send_become_the_nearest(
    raw: Any, status: str, nearest: str
) -> None:
    with pytest.raises(EXPECTED[nearest]) as refused:
        _get_flight_info(raw, status)
    assert f"ask for {status} no more" in str(refused.value)


@pytest.mark.parametrize("character", ["x", "é", "表", "\n"])
@pytest.mark.parametrize("status", ["NOT_FOUND", "UNAVAILABLE"])
def test_long_text_arrives_cut(server: FlightSqlServer, status: str, character: str) -> None:
    class LongError(Exception):
        code = "long"

        def __init__(self) -> None:
            self.status = status
            super().__init__("long: " + character * 100_000)

    def fail(*_arguments: object) -> bytes:
        raise LongError

    server._backend.actions = lambda: {"Long": fail}  # type: ignore[method-assign]  # one test's own
    with Client(server.uri, token=TOKEN) as client, pytest.raises(RemoteError) as refused:
        client.action("Long")
    assert (refused.value.code, refused.value.status) == ("long", status)
    assert refused.value.text.endswith("…")
    assert len(refused.value.text.encode()) < 1300


def test_unheard_of_status_is_unknown(raw: Any) -> None:
    with pytest.raises(flight.FlightServerError, match="ask for ODD no more"):
        _get_flight_info(raw, "ODD")


def test_panic_of_a_native_library_is_internal() -> None:
    class PanicError(BaseException):
        pass

    error = to_flight_error(PanicError("core dumped at /usr/lib"), "id-1")
    assert isinstance(error, flight.FlightInternalError)
    assert not SECRETS.search(str(error))


def test_translated_error_stays_what_it_is() -> None:
    once = to_flight_error(RowTooLargeError("too large"), "id-1")
    assert to_flight_error(once, "id-1") is once


def test_code_is_put_before_a_text_that_lacks_it() -> None:
    error = RemoteError("not-found", "NOT_FOUND", "no such table")
    error.args = ("no such table",)
    assert str(to_flight_error(error, "id-1")) == "not-found: no such table"


def test_every_error_class_has_its_own_code_and_a_status_that_can_be_sent() -> None:
    classes = [
        value
        for value in vars(errors_module).values()
        if isinstance(value, type)
        and issubclass(value, FlightSqlError)
        and value is not FlightSqlError
    ]
    codes = [cls.code for cls in classes]
    assert len(set(codes)) == len(codes)
    assert {cls.status for cls in classes} <= set(EXPECTED)
    assert all(str(cls("text")) == f"{cls.code}: text" for cls in classes)
