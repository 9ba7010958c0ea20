"""Statements with parameters, through the clients that people use, at the MoM and at home."""

import base64
import datetime as dt
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from typing import Any

import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from adbc_driver_flightsql import dbapi
from pyarrow import flight

from auth import KeyRing, TokenKind, open_ticket, seal
from flight_mom.demo.federation import HANGZHOU, MOM, SHANGHAI, DemoFederation
from flight_sql import Client, RemoteError
from flight_sql.messages import pack, read_sql_message, sql_message
from tests.e2e.factories import QUOTES
from tests.e2e.federation import (
    ADMIN,
    FLIGHTS_AT,
    READER,
    SALARIES_AT,
    bearer,
    mom_key,
    refusal,
    require_clean,
)

SELECT = f"select flight from {FLIGHTS_AT} where carrier = ? and flight < ? order by flight"
NUMBERED = f"select flight from {FLIGHTS_AT} where carrier = $2 and flight < $1 order by flight"
UA_BELOW_20 = [3, 7, 11, 15, 19]
SERVERS = (MOM, SHANGHAI)
ANYTHING = (
    None,
    True,
    7,
    -2.5,
    "it's; drop table aviation.nyc.flights --",
    "$1 ? \x00 \n",
    b"\x00'",
    Decimal("12.30"),
    dt.date(2026, 1, 2),
    dt.time(1, 2, 3),
    dt.datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=dt.UTC),
    [1, 2, 3],
    ["it's", None],
)

pytestmark = pytest.mark.usefixtures("granted")


@contextmanager
def connected(federation: DemoFederation, at: str, user: str = READER) -> Iterator[Any]:
    name = user.partition("@")[0]
    secrets = {"username": user, "password": federation.password(name)}
    with dbapi.connect(federation.uri(at), db_kwargs=secrets, autocommit=True) as connection:
        yield connection


@pytest.fixture
def connection(federation: DemoFederation, at: str) -> Iterator[Any]:
    with connected(federation, at) as connection:
        yield connection


def command(name: str, handle: bytes) -> Any:
    return flight.FlightDescriptor.for_command(
        pack(sql_message(name, prepared_statement_handle=handle))
    )


def put(client: Any, token: str, name: str, handle: bytes, rows: pa.RecordBatch) -> bytes:
    """Bind rows as a client does that knows nothing but the protocol."""
    writer, reader = client.do_put(command(name, handle), rows.schema, bearer(token))
    with writer:
        writer.write_batch(rows)
        writer.done_writing()
        answer = reader.read()
    assert answer is not None
    bound = read_sql_message("DoPutPreparedStatementResult", answer.to_pybytes())
    return bytes(bound.prepared_statement_handle)


# The clients.


@pytest.mark.parametrize("sql, row", [(SELECT, ("UA", 20)), (NUMBERED, (20, "UA"))])
def test_adbc_cursor_binds_values(connection: Any, sql: str, row: tuple[Any, ...]) -> None:
    with connection.cursor() as cursor:
        cursor.execute(sql, row)
        assert [flight for (flight,) in cursor.fetchall()] == UA_BELOW_20


def test_adbc_cursor_binds_again_with_the_same_text(connection: Any) -> None:
    with connection.cursor() as cursor:
        for carrier, below, count in (("UA", 20, 5), ("AA", 8, 2), ("no such", 20, 0)):
            cursor.execute(SELECT, (carrier, below))
            assert len(cursor.fetchall()) == count


def test_adbc_prepare_tells_names_and_types_of_parameters(connection: Any) -> None:
    with connection.cursor() as cursor:
        parameters = cursor.adbc_prepare(f"{SELECT} limit ?")
        assert parameters == pa.schema([("1", pa.utf8()), ("2", pa.int64()), ("3", pa.int64())])
        assert cursor.adbc_prepare(f"select count(*) from {FLIGHTS_AT}") is None


def test_adbc_execute_schema_needs_no_values(connection: Any) -> None:
    with connection.cursor() as cursor:
        assert cursor.adbc_execute_schema(SELECT).names == ["flight"]


def test_pandas_frame_of_a_cursor_with_values(connection: Any) -> None:
    with connection.cursor() as cursor:
        cursor.execute(SELECT, ("UA", 20))
        frame: pd.DataFrame = cursor.fetch_df()
    assert frame["flight"].tolist() == UA_BELOW_20


def test_polars_takes_parameters(connection: Any) -> None:
    frame = pl.read_database(SELECT, connection, execute_options={"parameters": ["UA", 20]})
    assert frame["flight"].to_list() == UA_BELOW_20


@pytest.mark.parametrize("value", ANYTHING, ids=repr)
def test_any_value_comes_back_as_it_was_bound(asked: Client, value: Any) -> None:
    sql = f"select ? as x from {FLIGHTS_AT} limit 1"
    assert asked.query(sql, parameters=[value]).read_all().to_pylist() == [{"x": value}]


def test_names_are_bound_by_name(asked: Client) -> None:
    sql = f"select count(*) as n from {FLIGHTS_AT} where flight between $low and $high"
    rows = asked.query(sql, parameters={"high": 12, "low": 3}).read_all()
    assert rows["n"].to_pylist() == [10]


def test_home_tables_take_parameters(asked: Client) -> None:
    sql = f"select count(*) as n from {QUOTES}@shanghai where trading_day = ? and size < ?"
    rows = asked.query(sql, parameters=["2024-01-02", 4]).read_all()
    assert rows["n"].to_pylist() == [667]


def test_explain_takes_parameters(asked: Client) -> None:
    sql = f"explain {SELECT}"
    assert asked.query(sql, parameters=["UA", 20]).read_all().num_rows > 0
    assert refusal(lambda: asked.query(sql)).code == "invalid-request"


def test_case_of_columns_is_resolved_beside_parameters(asked: Client) -> None:
    sql = f'select tail from {FLIGHTS_AT} where tail = ? and "Tail" <> ? limit 1'
    rows = asked.query(sql, parameters=["N1", "N2"]).read_all()
    assert rows.to_pydict() == {"Tail": ["N1"]}


def test_promised_schema_is_the_streams(asked: Client) -> None:
    for value in (1, "x", 2.5, None, [1]):
        info = asked.get_info("select ? as x, ? as y", parameters=[value, 1])
        rows = asked.query("select ? as x, ? as y", parameters=[value, 1])
        assert rows.arrow_schema == info.arrow_schema
        assert rows.read_all().schema == info.arrow_schema


def test_direct_route_takes_parameters(federation: DemoFederation, asked: Client) -> None:
    info = asked.get_info(SELECT, parameters=["UA", 20])
    assert federation.uri(HANGZHOU) in info.endpoints[0].locations
    rows = asked.query(SELECT, parameters=["UA", 20]).read_all()
    assert rows["flight"].to_pylist() == UA_BELOW_20


def test_values_inside_unions_are_taken_out(asked: Client) -> None:
    """As flightsql-dbapi and the older JDBC drivers bind them."""
    kinds = [pa.array([20], pa.int64()), pa.array([], pa.float64()), pa.array(["UA"])]
    rows = pa.RecordBatch.from_arrays(
        [
            pa.UnionArray.from_dense(pa.array([2], pa.int8()), pa.array([0], pa.int32()), kinds),
            pa.UnionArray.from_dense(pa.array([0], pa.int8()), pa.array([0], pa.int32()), kinds),
        ],
        names=["param_0", "param_1"],
    )
    handle = asked.prepare(SELECT).handle
    with flight.connect(asked.uri) as raw:
        assert asked.token is not None
        bound = put(raw, asked.token, "CommandPreparedStatementQuery", handle, rows)
        info = raw.get_flight_info(
            command("CommandPreparedStatementQuery", bound), bearer(asked.token)
        )
    assert info.schema.names == ["flight"]


# What is refused.


def test_unbound_parameters_are_refused_with_what_to_do(asked: Client) -> None:
    error = refusal(lambda: asked.query(SELECT))
    assert error.code == "invalid-request"
    assert error.status == "INVALID_ARGUMENT"
    assert "has 2 parameters and no value is bound; bind one value for each" in str(error)


@pytest.mark.parametrize("row", [["UA"], ["UA", 20, 3]])
def test_wrong_number_of_values_is_refused(asked: Client, row: list[Any]) -> None:
    error = refusal(lambda: asked.query(SELECT, parameters=row))
    assert error.code == "invalid-request"
    assert "has 2 parameters and" in str(error)


def test_values_for_a_statement_without_parameters_are_refused(asked: Client) -> None:
    for sql in (f"select 1 from {FLIGHTS_AT}", "SHOW TABLES"):
        assert "has no parameters" in str(refusal(lambda sql=sql: asked.query(sql, parameters=[1])))


def test_value_of_a_wrong_type_is_refused_without_showing_it(asked: Client) -> None:
    error = refusal(lambda: asked.query(SELECT, parameters=["UA", "EYES-ONLY"]))
    assert error.code == "type-mismatch"
    assert "parameter $2 takes int64" in str(error)
    assert "EYES-ONLY" not in str(error)


def test_large_values_are_refused(asked: Client) -> None:
    error = refusal(lambda: asked.query("select ? as x", parameters=["x" * 65_536]))
    assert error.code == "invalid-request"
    assert "at most 65,536 bytes" in str(error)
    rows = asked.query("select length(?) as x", parameters=["x" * 65_000]).read_all()
    assert rows["x"].to_pylist() == [65_000]


def test_grants_take_no_values(federation: DemoFederation, admin: Client) -> None:
    grant = f"GRANT TABLE_READ ON {SALARIES_AT} TO {READER}"
    administrator = f"{ADMIN}@{MOM}"
    with (
        connected(federation, MOM, administrator) as connection,
        connection.cursor() as cursor,
        pytest.raises(dbapi.Error, match="the statement has no parameters and 1 value is"),
    ):
        cursor.executemany(grant, [(1,), (2,)])
    granted = admin.query("SHOW GRANTS").read_all()["securable"].to_pylist()
    assert SALARIES_AT not in granted


def test_value_never_becomes_part_of_the_text(asked: Client) -> None:
    hostile = f"' or 1=1 union all select name from {SALARIES_AT} --"
    rows = asked.query(SELECT, parameters=[hostile, 20]).read_all()
    assert rows.num_rows == 0


def test_handle_with_values_gives_nobody_a_right(admin: Client, asked: Client) -> None:
    handle = asked.prepare(SELECT).handle
    row = pa.RecordBatch.from_pylist([{"0": "UA", "1": 20}])
    assert asked.token is not None
    admin.update(f"REVOKE TABLE_READ ON {FLIGHTS_AT} FROM {READER}")
    with flight.connect(asked.uri) as raw:
        bound = put(raw, asked.token, "CommandPreparedStatementQuery", handle, row)
        with pytest.raises(pa.ArrowKeyError, match="not-found: ") as caught:
            raw.get_flight_info(
                command("CommandPreparedStatementQuery", bound), bearer(asked.token)
            )
    require_clean(str(caught.value))


def test_forged_and_damaged_handles_are_refused(federation: DemoFederation) -> None:
    def forged(values: str) -> bytes:
        return seal(
            TokenKind.PREPARED,
            {"sql": SELECT, "values": values},
            member_key_of_another,
            issuer=MOM,
            audience=MOM,
            now=dt.datetime.now(dt.UTC),
            ttl_s=60,
        ).encode()

    member_key_of_another = federation.member_home(SHANGHAI).load_key()
    with federation.client("user1", SHANGHAI, at=MOM) as client:
        prepared = client.prepare(SELECT).handle
        middle = len(prepared) // 2
        flipped = prepared[:middle] + bytes([prepared[middle] ^ 1]) + prepared[middle + 1 :]
        ipc = base64.b64encode(b"not arrow").decode()
        assert client.token is not None
        with flight.connect(client.uri) as raw:
            for handle in (forged(ipc), flipped, b"", prepared + b"x"):
                with pytest.raises(flight.FlightUnauthenticatedError, match="invalid-ticket"):
                    raw.get_flight_info(
                        command("CommandPreparedStatementQuery", handle), bearer(client.token)
                    )


def test_ticket_holds_the_values_and_its_text_does_not(
    federation: DemoFederation, at_mom: Client
) -> None:
    info = at_mom.get_info(SELECT, parameters=["UA", 20])
    ring = KeyRing().with_key(MOM, mom_key(federation).public_key)
    ticket = open_ticket(
        info.endpoints[0].handle, ring, member=HANGZHOU, now=dt.datetime.now(dt.UTC)
    )
    assert "UA" not in ticket.sql
    assert ticket.parameters is not None
    assert pa.ipc.open_stream(ticket.parameters).read_all().to_pylist() == [{"1": "UA", "2": 20}]


def test_audit_and_logs_hold_no_value(federation: DemoFederation, asked: Client) -> None:
    asked.query(SELECT, parameters=["LEAK-7Q", 20]).read_all()
    with pytest.raises(RemoteError):
        asked.query(SELECT, parameters=["UA", "LEAK-7Q"])
    kept = [file for file in federation.directory.rglob("*") if file.suffix in {".log", ".db"}]
    assert {file.suffix for file in kept} == {".log", ".db"}
    for file in kept:
        assert b"LEAK-7Q" not in file.read_bytes()
