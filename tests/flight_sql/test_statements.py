"""Statements through bare pyarrow.flight and through ADBC."""

import gc
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import adbc_driver_flightsql.dbapi as adbc
import adbc_driver_manager
import numpy as np
import pyarrow as pa
import pytest
from pyarrow import flight

from flight_sql import Call, Client, FlightSqlServer, IfMissing, IfThere, RemoteError, ResultStream
from flight_sql.messages import (
    pack,
    read_sql_message,
    read_statement_ticket,
    sql_message,
    statement_ticket,
    unpack,
)
from tests.flight_sql.conftest import TOKEN
from tests.flight_sql.memory_backend import MemoryBackend, TickingBatches, signed

OPTIONS = flight.FlightCallOptions(headers=[(b"authorization", f"Bearer {TOKEN}".encode())])
MIB = 1024 * 1024


@pytest.fixture
def connection(server: FlightSqlServer) -> Iterator[Any]:
    secrets = {"username": "alice", "password": "wonder:land"}
    with adbc.connect(server.uri, db_kwargs=secrets, autocommit=True) as connection:
        yield connection


def _prepare(raw: Any, sql: str) -> Any:
    body = pack(sql_message("ActionCreatePreparedStatementRequest", query=sql))
    (result,) = raw.do_action(flight.Action("CreatePreparedStatement", body), OPTIONS)
    return unpack(result.body.to_pybytes())


def _for(name: str, **fields: Any) -> Any:
    return flight.FlightDescriptor.for_command(pack(sql_message(name, **fields)))


def _put(raw: Any, descriptor: Any, table: pa.Table | None = None) -> bytes | None:
    schema = table.schema if table is not None else pa.schema([])
    writer, reader = raw.do_put(descriptor, schema, OPTIONS)
    with writer:
        if table is not None:
            writer.write_table(table)
        writer.done_writing()
        answer = reader.read()
    return answer.to_pybytes() if answer is not None else None


def test_statement_has_one_endpoint_without_location_and_the_streams_schema(
    raw: Any, quote: pa.Table
) -> None:
    descriptor = _for("CommandStatementQuery", query="SELECT quote")
    info = raw.get_flight_info(descriptor, OPTIONS)
    (endpoint,) = info.endpoints
    assert list(endpoint.locations) == []
    assert endpoint.expiration_time is None
    table = raw.do_get(endpoint.ticket, OPTIONS).read_all()
    assert table.equals(quote)
    assert info.schema.equals(table.schema, check_metadata=True)
    assert raw.get_schema(descriptor, OPTIONS).schema.equals(table.schema)


def test_prepared_statement_tells_schema_and_kind_and_runs_twice(raw: Any, quote: pa.Table) -> None:
    prepared = _prepare(raw, "SELECT quote")
    assert pa.ipc.read_schema(pa.py_buffer(prepared.dataset_schema)).equals(quote.schema)
    assert prepared.HasField("is_update")
    assert not prepared.is_update
    assert prepared.parameter_schema == b""
    handle = prepared.prepared_statement_handle
    descriptor = _for("CommandPreparedStatementQuery", prepared_statement_handle=handle)
    for _ in range(2):
        info = raw.get_flight_info(descriptor, OPTIONS)
        assert raw.do_get(info.endpoints[0].ticket, OPTIONS).read_all().equals(quote)
    assert raw.get_schema(descriptor, OPTIONS).schema.equals(quote.schema)


def test_prepared_update_has_no_schema_and_runs_once_per_put(
    raw: Any, backend: MemoryBackend
) -> None:
    prepared = _prepare(raw, "UPDATE 7")
    assert prepared.is_update
    assert prepared.dataset_schema == b""
    handle = prepared.prepared_statement_handle
    descriptor = _for("CommandPreparedStatementUpdate", prepared_statement_handle=handle)
    answer = _put(raw, descriptor)
    assert answer is not None
    assert read_sql_message("DoPutUpdateResult", answer).record_count == 7
    assert backend.updates == ["UPDATE 7"]


def test_closing_a_prepared_statement_twice_is_fine(raw: Any) -> None:
    handle = _prepare(raw, "SELECT quote").prepared_statement_handle
    body = pack(
        sql_message("ActionClosePreparedStatementRequest", prepared_statement_handle=handle)
    )
    for _ in range(2):
        assert list(raw.do_action(flight.Action("ClosePreparedStatement", body), OPTIONS)) == []


def test_binding_nothing_echoes_the_handle(raw: Any) -> None:
    handle = _prepare(raw, "SELECT quote").prepared_statement_handle
    descriptor = _for("CommandPreparedStatementQuery", prepared_statement_handle=handle)
    answer = _put(raw, descriptor)
    assert answer is not None
    echoed = read_sql_message("DoPutPreparedStatementResult", answer)
    assert echoed.prepared_statement_handle == handle


def test_update_runs_once_in_each_way_of_asking(
    raw: Any, backend: MemoryBackend, client: Client
) -> None:
    assert client.update("UPDATE 5") == 5
    info = raw.get_flight_info(_for("CommandStatementQuery", query="UPDATE 6"), OPTIONS)
    assert info.endpoints == []
    assert info.total_records == 6
    assert len(info.schema) == 0
    assert client.query("UPDATE 8").read_all().num_rows == 0
    assert backend.updates == ["UPDATE 5", "UPDATE 6", "UPDATE 8"]


@pytest.mark.parametrize(
    "name, fields, message",
    [
        ("CommandStatementSubstraitPlan", {}, "CommandStatementSubstraitPlan is not answered"),
        ("CommandStatementQuery", {"query": "x", "transaction_id": b"1"}, "no transactions"),
        ("TicketStatementQuery", {"statement_handle": b"x"}, "is not answered here"),
    ],
)
def test_unsupported_command_is_unimplemented(
    raw: Any, name: str, fields: dict[str, Any], message: str
) -> None:
    with pytest.raises(pa.ArrowNotImplementedError, match=f"request-not-supported: .*{message}"):
        raw.get_flight_info(_for(name, **fields), OPTIONS)
    with pytest.raises(pa.ArrowNotImplementedError, match="request-not-supported"):
        raw.get_schema(_for(name, **fields), OPTIONS)


def test_rows_that_are_put_are_bound_all_at_once(raw: Any, backend: MemoryBackend) -> None:
    handle = _prepare(raw, "UPDATE 2").prepared_statement_handle
    descriptor = _for("CommandPreparedStatementUpdate", prepared_statement_handle=handle)
    for row_count in (3, 0):
        answer = _put(raw, descriptor, pa.table({"0": pa.array(range(row_count), pa.int64())}))
        assert answer is not None
        assert read_sql_message("DoPutUpdateResult", answer).record_count == 2 * row_count
    (bound,) = backend.executed
    assert bound is not None
    assert bound.num_rows == 3


def _ingest(**fields: Any) -> Any:
    how = sql_message("TableDefinitionOptions", if_not_exist=1, if_exists=3)
    return _for("CommandStatementIngest", **{"table_definition_options": how, **fields})


def test_ingest_hands_on_what_was_asked_and_every_row(raw: Any, backend: MemoryBackend) -> None:
    rows = pa.table({"a": [1, 2], "b": pa.array(["x", None], pa.large_string())})
    option = sql_message("IngestOption", key="partition_by", value="a")
    answer = _put(raw, _ingest(table="t", schema="s", options=[option]), rows)
    assert answer is not None
    assert read_sql_message("DoPutUpdateResult", answer).record_count == 2
    ((asked, kept),) = backend.ingested
    assert (asked.table, asked.schema, asked.catalog) == ("t", "s", None)
    assert (asked.if_missing, asked.if_there) == (IfMissing.CREATE, IfThere.REPLACE)
    assert asked.options == {"partition_by": "a"}
    assert asked.arrow_schema.types == [pa.int64(), pa.utf8()]
    assert kept.to_pylist() == rows.to_pylist()


@pytest.mark.parametrize(
    "fields, message",
    [
        ({"temporary": True}, "no temporary tables"),
        ({"transaction_id": b"1"}, "no transactions"),
    ],
)
def test_ingest_of_what_there_is_not_is_unimplemented(
    raw: Any, backend: MemoryBackend, fields: dict[str, Any], message: str
) -> None:
    with pytest.raises(pa.ArrowNotImplementedError, match=f"request-not-supported: .*{message}"):
        _put(raw, _ingest(table="t", **fields), pa.table({"a": [1]}))
    assert backend.ingested == []


def test_ingest_without_its_options_table_or_columns_is_invalid(
    raw: Any, backend: MemoryBackend
) -> None:
    rows = pa.table({"a": [1]})
    with pytest.raises(pa.ArrowInvalid, match="invalid-request: an ingest must say"):
        _put(raw, _for("CommandStatementIngest", table="t"), rows)
    with pytest.raises(pa.ArrowInvalid, match="invalid-request: an ingest must name its table"):
        _put(raw, _ingest(), rows)
    with pytest.raises(pa.ArrowInvalid, match="invalid-request: an ingest must send columns"):
        _put(raw, _ingest(table="t"))
    assert backend.ingested == []


def test_path_is_unimplemented_and_garbage_invalid(raw: Any) -> None:
    with pytest.raises(pa.ArrowNotImplementedError, match="request-not-supported"):
        raw.get_flight_info(flight.FlightDescriptor.for_path("a", "b"), OPTIONS)
    with pytest.raises(pa.ArrowInvalid, match="invalid-request"):
        raw.get_flight_info(flight.FlightDescriptor.for_command(b"\xff\xff"), OPTIONS)


def test_actions_are_listed_and_transactions_are_not_among_them(raw: Any) -> None:
    kinds = [action.type for action in raw.list_actions(OPTIONS)]
    assert kinds == sorted(set(kinds))
    assert {"CreatePreparedStatement", "ClosePreparedStatement", "Heartbeat"} <= set(kinds)
    assert "BeginTransaction" not in kinds


@pytest.mark.parametrize(
    "kind, message",
    [
        ("BeginTransaction", "no transactions"),
        ("CreatePreparedSubstraitPlan", "Substrait"),
        ("Nonsense", "no action 'Nonsense'"),
    ],
)
def test_unsupported_action_is_unimplemented(client: Client, kind: str, message: str) -> None:
    with pytest.raises(RemoteError, match=message) as refused:
        client.action(kind)
    assert refused.value.status == "UNIMPLEMENTED"


def test_action_with_the_wrong_body_is_invalid(client: Client) -> None:
    for body in (b"\xff", pack(sql_message("CommandGetCatalogs"))):
        with pytest.raises(RemoteError) as refused:
            client.action("CreatePreparedStatement", body)
        assert refused.value.status == "INVALID_ARGUMENT"


def test_small_actions_of_the_protocol_answer(client: Client) -> None:
    assert client.action("CloseSession") == b"\x08\x01"
    assert client.action("GetSessionOptions") == b""


def test_nothing_is_exchanged(raw: Any) -> None:
    writer, reader = raw.do_exchange(_for("CommandGetCatalogs"), OPTIONS)
    writer.done_writing()
    with pytest.raises(pa.ArrowNotImplementedError, match="request-not-supported"):
        reader.read_chunk()


def test_every_bit_of_a_ticket_counts(raw: Any) -> None:
    ticket = statement_ticket(signed("SELECT quote"))
    assert raw.do_get(flight.Ticket(ticket), OPTIONS).read_all().num_rows == 3
    for position in range(len(ticket)):
        changed = bytearray(ticket)
        changed[position] ^= 1 << (position % 8)
        with pytest.raises(flight.FlightUnauthenticatedError, match=r"^invalid-ticket: "):
            raw.do_get(flight.Ticket(bytes(changed)), OPTIONS).read_chunk()


def test_adbc_executes_the_same_statement_twice(connection: Any, quote: pa.Table) -> None:
    with connection.cursor() as cursor:
        for _ in range(2):
            cursor.execute("SELECT quote")
            assert cursor.fetch_arrow_table().equals(quote)
        cursor.execute("SELECT empty")
        assert cursor.fetch_arrow_table().equals(quote.slice(0, 0))
        assert cursor.adbc_execute_schema("SELECT quote").equals(quote.schema)


def test_adbc_updates_once(connection: Any, backend: MemoryBackend) -> None:
    with connection.cursor() as cursor:
        cursor.execute("UPDATE 7")
        assert cursor.rowcount == 7
        cursor.executescript("UPDATE 8")
    assert backend.updates == ["UPDATE 7", "UPDATE 8"]


def test_adbc_statement_without_prepare(server: FlightSqlServer, quote: pa.Table) -> None:
    options = {"adbc.flight.sql.authorization_header": f"Bearer {TOKEN}"}
    with (
        adbc.connect(server.uri, db_kwargs=options, autocommit=True) as connection,
        adbc_driver_manager.AdbcStatement(connection.adbc_connection) as statement,
    ):
        statement.set_sql_query("SELECT quote")
        stream, row_count = statement.execute_query()
        assert pa.RecordBatchReader._import_from_c(stream.address).read_all().equals(quote)
        assert row_count == -1


def test_adbc_reads_the_metadata(connection: Any) -> None:
    assert connection.adbc_get_info()["vendor_name"] == "memory"
    assert connection.adbc_get_table_types() == ["TABLE", "VIEW"]
    schema = connection.adbc_get_table_schema(
        "quote", catalog_filter="trading@hangzhou", db_schema_filter="stock"
    )
    assert schema.names == ["symbol", "bid", "size"]
    objects = connection.adbc_get_objects(depth="all").read_all().to_pylist()
    assert [entry["catalog_name"] for entry in objects] == ["monitor", "trading@hangzhou"]
    tables = objects[1]["catalog_db_schemas"][0]["db_schema_tables"]
    assert [table["table_name"] for table in tables] == ["my_view", "quote"]
    assert [column["xdbc_type_name"] for column in tables[1]["table_columns"]] == [
        "VARCHAR",
        "DOUBLE",
        "BIGINT",
    ]


def test_adbc_shows_the_code_first(connection: Any) -> None:
    with (
        connection.cursor() as cursor,
        pytest.raises(adbc.ProgrammingError, match="refused-not-found: ask for NOT_FOUND no more"),
    ):
        cursor.execute("SELECT nothing")


def test_adbc_polling_is_refused_cleanly(connection: Any) -> None:
    with connection.cursor() as cursor:
        cursor.adbc_statement.set_options(**{"adbc.statement.exec.incremental": "true"})
        with pytest.raises(adbc.NotSupportedError) as refused:
            cursor.adbc_execute_partitions("SELECT quote")
    assert "Traceback" not in str(refused.value)


def test_adbc_reads_a_wide_table_within_its_message_cap(
    connection: Any, backend: MemoryBackend
) -> None:
    columns = {f"c{index}": np.arange(40_000) + index for index in range(200)}
    backend.tables["wide"] = pa.table({**columns, "text": ["x" * 300] * 40_000})
    with connection.cursor() as cursor:
        cursor.execute("SELECT wide")
        batches = list(cursor.fetch_record_batch())
    sizes = [pa.ipc.get_record_batch_size(batch) for batch in batches]
    assert max(sizes) <= 15 * MIB
    assert min(sizes) > 2 * MIB
    assert pa.Table.from_batches(batches).equals(backend.tables["wide"].combine_chunks())


def test_row_above_the_messages_size_is_refused(connection: Any, backend: MemoryBackend) -> None:
    backend.tables["fat"] = pa.table({"text": ["small", "x" * (16 * MIB), "small"]})
    with connection.cursor() as cursor:
        cursor.execute("SELECT fat")
        with pytest.raises(adbc.ProgrammingError, match="row-too-large: one row of the result"):
            cursor.fetch_arrow_table()


def test_views_and_dictionaries_arrive_as_their_plain_types(
    client: Client, backend: MemoryBackend
) -> None:
    text = pa.array(["a", None, "a"], pa.string_view())
    backend.tables["odd"] = pa.table(
        {"view": text, "code": text.cast("string").dictionary_encode()}
    )
    table = client.query("SELECT odd").read_all()
    assert table.schema.types == [pa.string(), pa.string()]
    assert table.to_pydict() == {"view": ["a", None, "a"], "code": ["a", None, "a"]}
    assert client.get_info("SELECT odd").arrow_schema.equals(table.schema)


def test_result_without_columns_keeps_its_rows(raw: Any, backend: MemoryBackend) -> None:
    batch = pa.record_batch({"a": [1, 2, 3]}).select([])
    assert batch.num_rows == 3
    backend.tables["bare"] = pa.Table.from_batches([batch])
    table = raw.do_get(flight.Ticket(statement_ticket(signed("SELECT bare"))), OPTIONS).read_all()
    assert table.num_columns == 0


def test_many_empty_batches_in_a_row_are_skipped(client: Client, backend: MemoryBackend) -> None:
    batches = [pa.record_batch({"a": pa.array([], pa.int64())})] * 1000
    backend.tables["gaps"] = pa.Table.from_batches([*batches, pa.record_batch({"a": [1]})])
    assert client.query("SELECT gaps").read_all().to_pydict() == {"a": [1]}


def test_handles_survive_the_round_trip_through_a_client(client: Client) -> None:
    (endpoint,) = client.get_info("SELECT quote").endpoints
    assert endpoint.handle == signed("SELECT quote")
    assert read_statement_ticket(statement_ticket(endpoint.handle)) == endpoint.handle


def _wait_until_closed(backend: MemoryBackend) -> float:
    """Return how long the backend's only stream takes to be closed from now on."""
    started = time.monotonic()
    (stream,) = backend.streams
    while stream.closed_at is None:
        assert time.monotonic() - started < 10
        time.sleep(0.005)
    return time.monotonic() - started


def test_client_that_stops_reading_closes_the_backends_iterator(
    client: Client, backend: MemoryBackend
) -> None:
    with client.query("SLOW") as rows:
        next(rows)
    assert _wait_until_closed(backend) < 1


def test_client_that_leaves_while_the_backend_waits_is_noticed(
    client: Client, backend: MemoryBackend
) -> None:
    backend.pause_s = 60
    rows = client.query("SLOW")
    while not backend.streams:
        time.sleep(0.005)
    rows.close()
    assert _wait_until_closed(backend) < 1


def test_adbc_cancel_closes_the_backends_iterator(connection: Any, backend: MemoryBackend) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SLOW")
        cursor.fetchone()
        cursor.adbc_cancel()
        assert _wait_until_closed(backend) < 1


def test_deadline_of_the_client_closes_the_backends_iterator(
    raw: Any, backend: MemoryBackend
) -> None:
    headers = [(b"authorization", f"Bearer {TOKEN}".encode())]
    options = flight.FlightCallOptions(timeout=0.3, headers=headers)
    reader = raw.do_get(flight.Ticket(statement_ticket(signed("SLOW"))), options)
    with pytest.raises(flight.FlightTimedOutError):
        list(reader)
    assert _wait_until_closed(backend) < 1


def test_failure_to_close_is_logged_and_harms_nobody(
    client: Client, backend: MemoryBackend, caplog: pytest.LogCaptureFixture
) -> None:
    class Unclosable(TickingBatches):
        def close(self) -> None:
            super().close()
            raise OSError("/var/lib/secret")

    table = backend.tables["quote"]

    def open_unclosable(call: Call, _handle: bytes) -> ResultStream:
        stream = Unclosable(call, table.to_batches()[0], 0)
        backend.streams.append(stream)
        return ResultStream(table.schema, stream)

    backend.open = open_unclosable  # type: ignore[method-assign,assignment]  # one test's own
    with client.query("SELECT quote") as rows:
        next(rows)
    _wait_until_closed(backend)
    time.sleep(0.1)
    gc.collect()
    assert "stream_not_closed" in caplog.text


def test_many_calls_at_once_do_not_mix(server: FlightSqlServer, backend: MemoryBackend) -> None:
    backend.tables |= {f"t{index}": pa.table({"n": [index] * 1000}) for index in range(16)}
    backend.batch_rows = 10
    with Client(server.uri, token=TOKEN) as client:

        def ask(index: int) -> set[int]:
            headers = [("x-query-id", f"query-{index:04}")]
            rows = client.query(f"SELECT t{index}", token=f"token-of-u{index}-1", headers=headers)
            return set(rows.read_all()["n"].to_pylist())

        with ThreadPoolExecutor(16) as pool:
            assert list(pool.map(ask, range(16))) == [{index} for index in range(16)]
    expected = {(f"u{index}", f"query-{index:04}") for index in range(16)}
    assert {(call.identity, call.query_id) for call in backend.calls} == expected


def test_waiting_stream_does_not_hold_up_others(client: Client, backend: MemoryBackend) -> None:
    backend.pause_s = 60
    waiting = [client.query("SLOW") for _ in range(20)]
    started = time.monotonic()
    assert client.query("SELECT quote").read_all().num_rows == 3
    assert time.monotonic() - started < 2
    for rows in waiting:
        threading.Thread(target=rows.close).start()
