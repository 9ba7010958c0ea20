"""Every command by every RPC, at the MoM and at a member: answered, or refused with a clean code.

Both servers are one implementation, so that one table says what either does.
"""

from collections.abc import Callable, Iterator
from typing import Any

import pyarrow as pa
import pytest
from adbc_driver_flightsql import DatabaseOptions, dbapi
from pyarrow import flight

from flight_mom.demo.federation import MOM, SHANGHAI, DemoFederation
from flight_sql import Client
from flight_sql.messages import pack, read_sql_message, sql_message, statement_ticket, unpack
from tests.e2e.federation import FLIGHTS_AT, QUOTES_AT, SALARIES_AT, bearer, require_clean
from tests.e2e.flightcalls import Ask, do_get, do_put, get_flight_info, get_schema, put

RPCS: tuple[Ask, ...] = (get_flight_info, get_schema, do_get, do_put)
ANSWERED = "answered"
NOT_SUPPORTED, NOT_READ, NO_TICKET = "request-not-supported", "invalid-request", "invalid-ticket"
# What pyarrow's own client makes of the statuses.
STATUSES: dict[str, type[Exception]] = {
    NOT_SUPPORTED: pa.ArrowNotImplementedError,
    NOT_READ: pa.ArrowInvalid,
    NO_TICKET: flight.FlightUnauthenticatedError,
    "invalid-token": flight.FlightUnauthenticatedError,
    "not-found": pa.ArrowKeyError,
}
_QUERY = {"query": "select 1 as one"}
_PLAN = {"plan": sql_message("SubstraitPlan", plan=b"plan", version="0.1")}
_CREATE = sql_message("TableDefinitionOptions", if_not_exist=1, if_exists=1)
_INGEST = {"table": "new", "table_definition_options": _CREATE}
_METADATA = (ANSWERED, ANSWERED, ANSWERED, NOT_SUPPORTED)
_REFUSED = (NOT_SUPPORTED, NOT_SUPPORTED, NO_TICKET, NOT_SUPPORTED)
_UPDATE = (NOT_SUPPORTED, NOT_SUPPORTED, NO_TICKET, ANSWERED)

# By command: what GetFlightInfo, GetSchema, DoGet and DoPut make of it. `HANDLE` is a good handle.
HANDLE = b"<handle>"
MATRIX: tuple[tuple[str, dict[str, Any], tuple[str, ...]], ...] = (
    ("CommandGetCatalogs", {}, _METADATA),
    ("CommandGetDbSchemas", {}, _METADATA),
    ("CommandGetTables", {}, _METADATA),
    ("CommandGetTables", {"include_schema": True}, _METADATA),
    ("CommandGetTableTypes", {}, _METADATA),
    ("CommandGetPrimaryKeys", {"table": "quote"}, _METADATA),
    ("CommandGetExportedKeys", {"table": "quote"}, _METADATA),
    ("CommandGetImportedKeys", {"table": "quote"}, _METADATA),
    ("CommandGetCrossReference", {"pk_table": "quote", "fk_table": "quote"}, _METADATA),
    ("CommandGetSqlInfo", {}, _METADATA),
    ("CommandGetXdbcTypeInfo", {}, _METADATA),
    ("CommandStatementQuery", _QUERY, (ANSWERED, ANSWERED, NO_TICKET, NOT_SUPPORTED)),
    ("CommandStatementQuery", {**_QUERY, "transaction_id": b"t"}, _REFUSED),
    (
        "CommandPreparedStatementQuery",
        {"prepared_statement_handle": HANDLE},
        (ANSWERED, ANSWERED, NO_TICKET, ANSWERED),
    ),
    ("CommandStatementUpdate", _QUERY, _UPDATE),
    ("CommandStatementUpdate", {**_QUERY, "transaction_id": b"t"}, _REFUSED),
    ("CommandPreparedStatementUpdate", {"prepared_statement_handle": HANDLE}, _UPDATE),
    ("CommandStatementSubstraitPlan", _PLAN, _REFUSED),
    # What is sent along has no columns.
    ("CommandStatementIngest", _INGEST, (*_REFUSED[:3], NOT_READ)),
    ("CommandStatementIngest", {**_INGEST, "transaction_id": b"t"}, _REFUSED),
    # Neither what to do with a table that is there nor with one that is not.
    ("CommandStatementIngest", {"table": "new"}, (*_REFUSED[:3], NOT_READ)),
    # What is no command at all.
    ("TicketStatementQuery", {"statement_handle": b"x"}, _REFUSED),
    ("ActionBeginTransactionRequest", {}, _REFUSED),
    ("ActionCreatePreparedStatementRequest", _QUERY, _REFUSED),
    ("DoPutUpdateResult", {"record_count": 1}, _REFUSED),
)
_UNKNOWN = b"\x0a\x28type.googleapis.com/arrow.flight.Unknown"
BYTES: tuple[tuple[bytes, tuple[str, ...]], ...] = (
    (_UNKNOWN, _REFUSED),
    (b"\x0a\x09x/y.Z.A.B", _REFUSED),
    *(
        (garbage, (NOT_READ, NOT_READ, NO_TICKET, NOT_READ))
        for garbage in (b"", b"\x00", b"\xff" * 50, b"select 1", b"\x0a\xff\xff")
    ),
)
PROTOCOL_ACTIONS = {
    *("CreatePreparedStatement", "ClosePreparedStatement", "CancelFlightInfo", "CancelQuery"),
    *("RenewFlightEndpoint", "GetSessionOptions", "SetSessionOptions", "CloseSession"),
}
REFUSED_ACTIONS = (
    ("BeginTransaction", pack(sql_message("ActionBeginTransactionRequest"))),
    ("EndTransaction", pack(sql_message("ActionEndTransactionRequest", transaction_id=b"t"))),
    ("BeginSavepoint", pack(sql_message("ActionBeginSavepointRequest", name="s"))),
    ("EndSavepoint", pack(sql_message("ActionEndSavepointRequest", savepoint_id=b"s"))),
    (
        "CreatePreparedSubstraitPlan",
        pack(sql_message("ActionCreatePreparedSubstraitPlanRequest", **_PLAN)),
    ),
    ("Nonsense", b""),
    ("", b""),
    ("createpreparedstatement", b""),
)


@pytest.fixture(params=[MOM, SHANGHAI])
def client(
    request: pytest.FixtureRequest, federation: DemoFederation, granted: None
) -> Iterator[Client]:
    """user1@shanghai, who may read hangzhou's flights."""
    del granted
    with federation.client("user1", SHANGHAI, at=request.param) as client:
        yield client


@pytest.fixture
def raw(client: Client) -> Iterator[Any]:
    with flight.FlightClient(client.uri) as raw:
        yield raw


@pytest.fixture
def options(client: Client) -> Any:
    return bearer(str(client.token))


def _outcome(ask: Callable[..., object], *arguments: object) -> str:
    """Return the code that was refused with, in its status and clean; or that it was answered."""
    try:
        ask(*arguments)
    except (flight.FlightError, pa.ArrowException, OSError) as error:
        refusal = error
    else:
        return ANSWERED
    require_clean(str(refusal))
    code = str(refusal).strip("'").partition(": ")[0]
    # pyarrow's client makes no Flight error of GetSchema's refusals, but tells the status.
    is_told = code == "invalid-token" and "Detail: Unauthenticated" in str(refusal)
    assert is_told or isinstance(refusal, STATUSES[code]), (code, refusal)
    return code


def test_every_command_by_every_rpc(client: Client, raw: Any, options: Any) -> None:
    handle = client.prepare("select 1 as one").handle
    for name, fields, outcomes in MATRIX:
        filled = {key: handle if value == HANDLE else value for key, value in fields.items()}
        command = pack(sql_message(name, **filled))
        found = tuple(_outcome(rpc, raw, command, options) for rpc in RPCS)
        assert found == outcomes, (name, fields)


def test_every_message_that_is_no_command_by_every_rpc(raw: Any, options: Any) -> None:
    for data, outcomes in BYTES:
        found = tuple(_outcome(rpc, raw, data, options) for rpc in RPCS)
        assert found == outcomes, data


def test_nothing_is_answered_without_a_token(raw: Any) -> None:
    for name, fields, outcomes in MATRIX:
        command = pack(sql_message(name, **fields))
        found = [_outcome(rpc, raw, command, flight.FlightCallOptions(timeout=30)) for rpc in RPCS]
        assert found[0] == found[1] == found[3] == "invalid-token"
        # A ticket is a credential of its own, where it is one.
        assert found[2] == (NO_TICKET if outcomes[2] == NO_TICKET else "invalid-token"), name


def test_paths_are_refused(raw: Any, options: Any) -> None:
    path = flight.FlightDescriptor.for_path("trading", "stock", "quote")
    assert _outcome(raw.get_flight_info, path, options) == NOT_SUPPORTED
    assert _outcome(raw.get_schema, path, options) == NOT_SUPPORTED
    assert _outcome(put, raw, path, options) == NOT_SUPPORTED


def test_schema_of_every_rpc_is_the_same(client: Client, raw: Any, options: Any) -> None:
    for sql in (
        "select 1 as one",
        f"select * from {QUOTES_AT}",
        f"select count(*) as n from {FLIGHTS_AT}",
        "show tables",
        f"explain select * from {QUOTES_AT}",
        "select table_name from information_schema.tables",
    ):
        command = pack(sql_message("CommandStatementQuery", query=sql))
        info = get_flight_info(raw, command, options)
        answered = client.query(sql).read_all().schema
        prepared = client.prepare(sql).arrow_schema
        assert prepared is not None
        for promised in (
            info.schema,
            get_schema(raw, command, options),
            prepared,
        ):
            assert promised.equals(answered, check_metadata=False), sql


def test_get_schema_tells_what_it_can_by_status(raw: Any, options: Any) -> None:
    for sql, code in (
        (f"select * from {SALARIES_AT}", "not-found"),
        ("select * from nowhere.at.all@hangzhou", "not-found"),
    ):
        command = pack(sql_message("CommandStatementQuery", query=sql))
        assert _outcome(get_schema, raw, command, options) == code
    for sql in ("select", "select nothing from trading.stock.quote@shanghai"):
        command = pack(sql_message("CommandStatementQuery", query=sql))
        with pytest.raises(pa.ArrowInvalid, match=r"^(sql-syntax|unknown-column): "):
            get_schema(raw, command, options)


def test_updates_answer_counts_and_binds_handles(client: Client, raw: Any, options: Any) -> None:
    update = pack(sql_message("CommandStatementUpdate", query="select 1 as one"))
    result = read_sql_message("DoPutUpdateResult", do_put(raw, update, options).to_pybytes())
    assert result.record_count == 0
    handle = client.prepare("select 1 as one").handle
    bind = pack(sql_message("CommandPreparedStatementQuery", prepared_statement_handle=handle))
    bound = do_put(raw, bind, options).to_pybytes()
    echoed = read_sql_message("DoPutPreparedStatementResult", bound)
    assert echoed.prepared_statement_handle == handle


def test_actions_that_are_listed_are_answered_and_no_others(raw: Any, options: Any) -> None:
    listed = [kind.type for kind in raw.list_actions(options)]
    assert listed == sorted(listed)
    own = {kind for kind in listed if kind.startswith(("federation.", "member.", "replica."))}
    assert set(listed) - own == PROTOCOL_ACTIONS
    for kind in PROTOCOL_ACTIONS:
        assert _outcome(_act, raw, kind, b"", options) != NOT_SUPPORTED, kind
    for kind, body in REFUSED_ACTIONS:
        assert _outcome(_act, raw, kind, body, options) == NOT_SUPPORTED, kind


def _act(raw: Any, kind: str, body: bytes, options: Any) -> list[Any]:
    return list(raw.do_action(flight.Action(kind, body), options))


def test_nothing_is_exchanged(raw: Any, options: Any) -> None:
    def exchange() -> None:
        writer, reader = raw.do_exchange(flight.FlightDescriptor.for_command(b"x"), options)
        with writer:
            writer.done_writing()
            reader.read_all()

    assert _outcome(exchange) == NOT_SUPPORTED


def test_readable_tables_are_listed_as_flights_that_can_be_read(
    client: Client, raw: Any, options: Any
) -> None:
    listed = list(raw.list_flights(b"", options))
    assert len(listed) == client.tables().num_rows
    assert sum(one.total_records >= 0 for one in listed) == 2
    for one in listed:
        info = raw.get_flight_info(one.descriptor, options)
        assert info.schema.equals(one.schema)
        assert raw.get_schema(one.descriptor, options).schema.equals(one.schema)
        rows = client.query(unpack(one.descriptor.command).query).read_all()
        assert one.total_records in {-1, rows.num_rows}
    assert len(list(raw.list_flights(b"%.stock.%", options))) == 1
    assert list(raw.list_flights(b"payroll%", options)) == []


def test_polling_is_unimplemented_through_a_client_that_polls(client: Client) -> None:
    options = {DatabaseOptions.AUTHORIZATION_HEADER.value: f"Bearer {client.token}"}
    with (
        dbapi.connect(client.uri, db_kwargs=options, autocommit=True) as connection,
        connection.cursor() as cursor,
    ):
        cursor.adbc_statement.set_options(**{"adbc.statement.exec.incremental": "true"})
        with pytest.raises(dbapi.NotSupportedError) as refused:
            cursor.adbc_execute_partitions("select 1 as one")
        require_clean(str(refused.value))
        cursor.adbc_statement.set_options(**{"adbc.statement.exec.incremental": "false"})
        cursor.execute("select 1 as one")
        assert cursor.fetchall() == [(1,)]


def test_a_forged_statement_ticket_is_no_ticket(raw: Any, options: Any) -> None:
    for handle in (b"x", b"a.b.c", b"\xff" * 100):
        assert _outcome(do_get, raw, statement_ticket(handle), options) == NO_TICKET
