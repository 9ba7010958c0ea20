"""Queries with several rows of values: run once for each, answered one after the other."""

from collections.abc import Iterator
from typing import Any

import adbc_driver_manager
import pyarrow as pa
import pytest
from adbc_driver_flightsql import dbapi

from flight_mom.demo.federation import HANGZHOU, DemoFederation
from flight_sql import Client
from tests.e2e.federation import (
    FLIGHTS_AT,
    QUOTES_AT,
    READER,
    refusal,
    require_clean,
)

SELECT = f"select carrier, flight from {FLIGHTS_AT} where carrier = ? and flight < ? order by 2"
ROWS = pa.record_batch({"0": ["UA", "no such", "AA", "UA"], "1": [8, 100, 5, 4]})
ANSWER = [("UA", 3), ("UA", 7), ("AA", 0), ("AA", 4), ("UA", 3)]

pytestmark = pytest.mark.usefixtures("granted")


@pytest.fixture
def connection(federation: DemoFederation, at: str) -> Iterator[Any]:
    secrets = {"username": READER, "password": federation.password("user1")}
    with dbapi.connect(federation.uri(at), db_kwargs=secrets, autocommit=True) as connection:
        yield connection


def answered(client: Client, sql: str, rows: pa.RecordBatch) -> list[tuple[Any, ...]]:
    return [
        tuple(row.values()) for row in client.query(sql, parameters=rows).read_all().to_pylist()
    ]


def test_rows_are_answered_in_their_order(asked: Client) -> None:
    assert answered(asked, SELECT, ROWS) == ANSWER


@pytest.mark.parametrize("make", [lambda rows: rows, lambda rows: pa.Table.from_batches([rows])])
def test_adbc_cursor_binds_a_batch_or_a_table(connection: Any, make: Any) -> None:
    with connection.cursor() as cursor:
        cursor.execute(SELECT, make(ROWS))
        assert cursor.fetchall() == ANSWER


def test_adbc_low_level_binds_a_stream(connection: Any) -> None:
    with adbc_driver_manager.AdbcStatement(connection.adbc_connection) as statement:
        statement.set_sql_query(SELECT)
        statement.prepare()
        pieces = [ROWS.slice(0, 1), ROWS.slice(1)]
        statement.bind_stream(pa.RecordBatchReader.from_batches(ROWS.schema, pieces))
        stream, _ = statement.execute_query()
        table = pa.RecordBatchReader._import_from_c(stream.address).read_all()
    assert list(zip(*table.to_pydict().values(), strict=True)) == ANSWER


def test_adbc_executemany_of_a_query_is_told_how_to_get_its_rows(connection: Any) -> None:
    """It counts changes and answers no rows: what was asked would be lost."""
    with connection.cursor() as cursor, pytest.raises(dbapi.Error) as caught:
        cursor.executemany(SELECT, [("UA", 20), ("AA", 8)])
    assert "cursor.execute with a record batch, not executemany" in str(caught.value)
    require_clean(str(caught.value))


def test_no_rows_answer_none(asked: Client) -> None:
    answer = asked.query(SELECT, parameters=ROWS.slice(0, 0)).read_all()
    assert answer.num_rows == 0
    assert answer.schema.names == ["carrier", "flight"]


def test_home_tables_are_asked_for_each_row(asked: Client) -> None:
    sql = f"select ? as below, count(*) as n from {QUOTES_AT} where size < ?"
    rows = pa.record_batch({"0": [4, 0], "1": [4, 0]})
    counted = dict(answered(asked, sql, rows))
    assert counted[0] == 0
    assert counted[4] > 0


def test_direct_route_answers_each_row(federation: DemoFederation, asked: Client) -> None:
    info = asked.get_info(SELECT, parameters=ROWS)
    assert federation.uri(HANGZHOU) in info.endpoints[0].locations
    assert answered(asked, SELECT, ROWS) == ANSWER


def test_explain_tells_each_row(asked: Client) -> None:
    sql = f"explain {SELECT}"
    once = asked.query(sql, parameters=ROWS.slice(0, 1)).read_all()
    thrice = asked.query(sql, parameters=ROWS.slice(0, 3)).read_all()
    assert thrice["item"].to_pylist() == once["item"].to_pylist() * 3


def test_information_schema_is_asked_for_each_row(asked: Client) -> None:
    sql = "select ? as x, count(*) as n from information_schema.tables where table_name = ?"
    rows = pa.record_batch({"0": ["a", "b", "c"], "1": ["flights", None, "no such"]})
    assert answered(asked, sql, rows) == [("a", 1), ("b", 0), ("c", 0)]
    assert answered(asked, sql, rows.slice(0, 0)) == []


def test_statement_without_tables_is_asked_for_each_row(asked: Client) -> None:
    rows = pa.record_batch({"0": pa.array([3, None, 1], pa.int64())})
    assert answered(asked, "select ? + 1 as x", rows) == [(4,), (None,), (2,)]
    lists = pa.record_batch({"0": [[1], None]})
    assert answered(asked, "select ? as x", lists) == [([1],), (None,)]


def test_promised_schema_is_the_streams(asked: Client) -> None:
    rows = pa.record_batch({"0": ["x", None]})
    promised = asked.get_info("select ? as x, 1 as y", parameters=rows).arrow_schema
    stream = asked.query("select ? as x, 1 as y", parameters=rows)
    assert stream.arrow_schema == promised
    assert stream.read_all().schema == promised


def test_faults_name_their_row_and_show_no_value(asked: Client) -> None:
    words = pa.record_batch({"0": ["UA", "AA"], "1": ["8", "EYES-ONLY"]})
    error = refusal(lambda: asked.query(SELECT, parameters=words))
    assert error.code == "type-mismatch"
    assert "the bound value of row 2, a string" in str(error)
    assert "EYES-ONLY" not in str(error)


def test_fault_of_a_late_row_ends_the_stream(asked: Client) -> None:
    rows = pa.record_batch({"0": [1, 0]})
    error = refusal(lambda: answered(asked, f"select 1 / ? as x from {FLIGHTS_AT} limit 1", rows))
    assert error.code == "type-mismatch"


def test_too_many_rows_are_refused(asked: Client) -> None:
    numbers = pa.record_batch({"0": list(range(1_001))})
    error = refusal(lambda: asked.query("select ? as x", parameters=numbers))
    assert error.code == "invalid-request"
    assert "at most 1,000 rows of values and 1,001 were bound" in str(error)
    kept = answered(asked, "select ? as x", numbers.slice(0, 1_000))
    assert kept == [(number,) for number in range(1_000)]
