"""More clients for Python, against the demo on its real data: plain ADBC, gizmosql, DuckDB."""

import warnings
from typing import Any
from urllib.parse import urlsplit

import adbc_driver_flightsql
import adbc_driver_manager
import duckdb
import polars as pl
import pyarrow as pa
import pytest
from adbc_driver_flightsql import dbapi
from adbc_driver_gizmosql import dbapi as gizmosql

from flight_mom.demo.data import FLIGHT_COUNT
from tests.e2e.conftest import RealDemo
from tests.e2e.federation import require_clean

FLIGHTS = "aviation.nyc.flights@hangzhou"
COUNT = f"select count(*) as n from {FLIGHTS}"
READ = f"TABLE_READ ON {FLIGHTS}"


def sign_in(demo: RealDemo, user: str = "user1") -> tuple[str, dict[str, str]]:
    me = demo.profile(user)
    return me["uri"], {"username": me["username"], "password": me["password"]}


def test_adbc_statements_run_without_being_prepared(demo: RealDemo) -> None:
    uri, secrets = sign_in(demo)
    with (
        adbc_driver_flightsql.connect(uri, secrets) as database,
        adbc_driver_manager.AdbcConnection(database) as connection,
        adbc_driver_manager.AdbcStatement(connection) as statement,
    ):
        statement.set_sql_query(COUNT)
        promised = pa.schema(statement.execute_schema())
        stream, _ = statement.execute_query()
        rows = _read(stream)
        assert rows.to_pylist() == [{"n": FLIGHT_COUNT}]
        assert rows.schema == promised
        partitions, _, _ = statement.execute_partitions()
        (partition,) = partitions
        assert _read(connection.read_partition(partition)).equals(rows)


def _read(stream: Any) -> pa.Table:
    return pa.RecordBatchReader.from_stream(stream).read_all()


def _gizmosql(demo: RealDemo, user: str = "user1") -> Any:
    uri, secrets = sign_in(demo, user)
    return gizmosql.connect(uri, **secrets)


def test_gizmosql_reads_and_binds(demo: RealDemo) -> None:
    with _gizmosql(demo) as connection, connection.cursor() as cursor:
        cursor.execute(COUNT)
        assert cursor.fetchall() == [(FLIGHT_COUNT,)]
        cursor.execute(f"{COUNT} where origin = ?", ("JFK",))
        assert cursor.fetchall() == [(111_279,)]


def test_gizmosql_sends_changes_as_updates_and_each_is_done_once(demo: RealDemo) -> None:
    with _gizmosql(demo, "admin") as admin, admin.cursor() as cursor, _gizmosql(demo) as reader:
        cursor.execute(f"REVOKE {READ} FROM user1@shanghai")
        try:
            assert cursor.rowcount == 1
            with reader.cursor() as refused, pytest.raises(gizmosql_error(), match="not-found: "):
                refused.execute(COUNT)
        finally:
            cursor.execute(f"GRANT {READ} TO user1@shanghai")
        assert cursor.rowcount == 1
        with reader.cursor() as again:
            again.execute(COUNT)
            assert again.fetchall() == [(FLIGHT_COUNT,)]


def test_gizmosql_is_told_why_a_write_is_refused(demo: RealDemo) -> None:
    with (
        _gizmosql(demo) as connection,
        connection.cursor() as cursor,
        pytest.raises(gizmosql_error(), match="cross-cluster-read-only: ") as caught,
    ):
        cursor.execute(f"insert into {FLIGHTS} select * from {FLIGHTS}")
    require_clean(str(caught.value))


def gizmosql_error() -> type[Exception]:
    error: type[Exception] = adbc_driver_manager.dbapi.Error
    return error


def test_duckdb_joins_what_adbc_answers(demo: RealDemo) -> None:
    uri, secrets = sign_in(demo)
    with (
        dbapi.connect(uri, db_kwargs=secrets, autocommit=True) as connection,
        connection.cursor() as cursor,
        duckdb.connect() as local,
    ):
        cursor.execute(f"select carrier, origin, distance from {FLIGHTS}")
        local.register("flights", cursor.fetch_record_batch())
        local.execute("create table mine as select * from flights")
        cursor.execute("select distinct symbol from trading.stock.quote@shanghai")
        local.register("quotes", cursor.fetch_arrow_table())
        counted = local.sql("select (select count(*) from mine), (select count(*) from quotes)")
        assert counted.fetchall() == [(FLIGHT_COUNT, 50)]


def test_polars_by_uri_brings_no_proof_and_is_told_so(demo: RealDemo) -> None:
    # Documented: a flightsql:// URI has no place for a password or a token.
    address = urlsplit(demo.profile("user1")["uri"]).netloc
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Cannot disable autocommit")
        with pytest.raises(dbapi.ProgrammingError, match="invalid-token: ") as caught:
            pl.read_database_uri(COUNT, f"flightsql://{address}?transport=tcp", engine="adbc")
    require_clean(str(caught.value))
