"""Every error of the product through every call in which one can arise, as each client has it.

What a client gets is the status, the code as the message's first word and, where pyarrow can carry
them, details: a `google.rpc.Status` of the same code whose `ErrorInfo` names ours.
"""

from collections.abc import Callable, Iterator
from typing import Any

import adbc_driver_flightsql.dbapi as adbc
import adbc_driver_manager
import pyarrow as pa
import pytest
from pyarrow import flight

from flight_sql import FlightSqlServer
from flight_sql.descriptors import ANY, MESSAGE_CLASSES
from flight_sql.messages import pack, sql_message, statement_ticket
from tests.docs.test_errors_page import coded_classes
from tests.flight_sql.conftest import TOKEN
from tests.flight_sql.memory_backend import MemoryAuthenticator, MemoryBackend, signed
from tests.flight_sql.test_errors import EXPECTED, OPTIONS, SECRETS

# What pyarrow cannot send travels as the nearest status that it can.
ERRORS = sorted(
    {
        (str(one.code), "INVALID_ARGUMENT" if one.status == "ALREADY_EXISTS" else str(one.status))
        for one in coded_classes()
    }
)
# The statuses whose answers carry details, with their numbers.
NUMBERS = {
    "CANCELLED": 1,
    "DEADLINE_EXCEEDED": 4,
    "PERMISSION_DENIED": 7,
    "INTERNAL": 13,
    "UNAVAILABLE": 14,
    "UNAUTHENTICATED": 16,
}
ADBC_STATUSES = {
    "UNIMPLEMENTED": "NOT_IMPLEMENTED",
    "PERMISSION_DENIED": "UNAUTHORIZED",
    "UNAVAILABLE": "IO",
    "DEADLINE_EXCEEDED": "TIMEOUT",
}

Ask = Callable[[Any, str], object]


@pytest.fixture(scope="module")
def refusing() -> Iterator[str]:
    quote = pa.table({"symbol": ["a"]})
    server = FlightSqlServer(MemoryBackend({"quote": quote}), MemoryAuthenticator())
    server.start()
    yield server.uri
    assert server.drain_and_stop(2)


@pytest.fixture(scope="module")
def bare(refusing: str) -> Iterator[Any]:
    with flight.connect(refusing) as client:
        yield client


@pytest.fixture(scope="module")
def connection(refusing: str) -> Iterator[Any]:
    options = {"adbc.flight.sql.authorization_header": f"Bearer {TOKEN}"}
    with adbc.connect(refusing, db_kwargs=options, autocommit=True) as connection:
        yield connection


def _command(name: str, **fields: Any) -> Any:
    return flight.FlightDescriptor.for_command(pack(sql_message(name, **fields)))


def _prepared(kind: str, error: str) -> Any:
    handle = f"prepared:FAIL {error}".encode()
    return _command(f"CommandPreparedStatement{kind}", prepared_statement_handle=handle)


def _put(client: Any, descriptor: Any) -> object:
    writer, reader = client.do_put(descriptor, pa.schema([]), OPTIONS)
    with writer:
        writer.done_writing()
        return reader.read()


def _get(client: Any, sql: str) -> object:
    # Not read_all, which makes a KeyboardInterrupt of CANCELLED.
    return list(client.do_get(flight.Ticket(statement_ticket(signed(sql))), OPTIONS))


def _prepare(client: Any, error: str) -> object:
    body = pack(sql_message("ActionCreatePreparedStatementRequest", query=f"FAIL {error}"))
    return list(client.do_action(flight.Action("CreatePreparedStatement", body), OPTIONS))


BARE_CALLS: dict[str, Ask] = {
    "GetFlightInfo": lambda client, error: client.get_flight_info(
        _command("CommandStatementQuery", query=f"FAIL {error}"), OPTIONS
    ),
    "GetFlightInfo of a handle": lambda client, error: client.get_flight_info(
        _prepared("Query", error), OPTIONS
    ),
    "DoGet": lambda client, error: _get(client, f"OPENFAIL {error}"),
    "DoGet after rows": lambda client, error: _get(client, f"LATE {error}"),
    "DoPut": lambda client, error: _put(
        client, _command("CommandStatementUpdate", query=f"FAIL {error}")
    ),
    "DoPut of a handle": lambda client, error: _put(client, _prepared("Update", error)),
    "CreatePreparedStatement": _prepare,
    "DoAction": lambda client, error: list(
        client.do_action(flight.Action("Fail", error.encode()), OPTIONS)
    ),
}


def _execute(connection: Any, sql: str) -> object:
    with connection.cursor() as cursor:
        cursor.execute(sql)
        return cursor.fetch_arrow_table()


def _script(connection: Any, sql: str) -> object:
    with connection.cursor() as cursor:
        return cursor.executescript(sql)


def _low_level(connection: Any, sql: str, way: str) -> object:
    with adbc_driver_manager.AdbcStatement(connection.adbc_connection) as statement:
        statement.set_sql_query(sql)
        return getattr(statement, way)()


ADBC_CALLS: dict[str, Ask] = {
    "execute": lambda connection, error: _execute(connection, f"FAIL {error}"),
    "fetch": lambda connection, error: _execute(connection, f"LATE {error}"),
    "executescript": lambda connection, error: _script(connection, f"FAIL {error}"),
    "execute_query": lambda connection, error: _low_level(
        connection, f"FAIL {error}", "execute_query"
    ),
    "execute_update": lambda connection, error: _low_level(
        connection, f"FAIL {error}", "execute_update"
    ),
    "prepare": lambda connection, error: _low_level(connection, f"FAIL {error}", "prepare"),
}


def _require_info(detail: Any, code: str) -> None:
    assert detail.type_url == "type.googleapis.com/google.rpc.ErrorInfo"
    info = MESSAGE_CLASSES["google.rpc.ErrorInfo"].FromString(detail.value)
    assert (info.reason, info.domain) == (code, "flight-mom")
    assert {entry.key for entry in info.metadata} == {"retryable", "query_id"}


@pytest.mark.parametrize("code, status", ERRORS)
def test_bare_flight_has_status_code_and_details(bare: Any, code: str, status: str) -> None:
    for call, ask in BARE_CALLS.items():
        with pytest.raises(EXPECTED[status]) as refused:
            ask(bare, f"{status} {code}")
        assert str(refused.value).startswith(f"{code}: ask for {status} no more"), call
        assert not SECRETS.search(str(refused.value)), call
        if status not in NUMBERS:
            assert not getattr(refused.value, "extra_info", b""), call
            continue
        sent = getattr(refused.value, "extra_info", b"")
        details = MESSAGE_CLASSES["google.rpc.Status"].FromString(sent)
        assert details.code == NUMBERS[status], call
        assert details.message == f"{code}: ask for {status} no more", call
        (detail,) = details.details
        _require_info(detail, code)


@pytest.mark.parametrize("code, status", ERRORS)
def test_adbc_has_status_code_and_details(connection: Any, code: str, status: str) -> None:
    expected = ADBC_STATUSES.get(status, status)
    for call, ask in ADBC_CALLS.items():
        with pytest.raises(adbc.Error) as refused:
            ask(connection, f"{status} {code}")
        error: Any = refused.value
        assert error.status_code is adbc_driver_manager.AdbcStatusCode[expected], call
        assert f"{code}: ask for {status} no more" in str(error), call
        assert not SECRETS.search(str(error)), call
        assert not SECRETS.search(repr(error.details)), call
        sent = [value for key, value in error.details if key == b"grpc-status-details-bin"]
        assert len(sent) == (status in NUMBERS), call
        for value in sent:
            _require_info(ANY.FromString(value), code)
