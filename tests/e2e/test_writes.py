"""A member's own tables written through ADBC: statements, bound rows, bulk ingestion."""

import datetime as dt
import subprocess
import sys
import threading
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import adbc_driver_manager
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from adbc_driver_flightsql import dbapi
from pyarrow import flight

from flight_mom.demo.federation import HANGZHOU, MOM, SHANGHAI, DemoFederation
from flight_sql.messages import pack, read_sql_message, sql_message
from tests.e2e.federation import CHIEF, bearer, require_clean, stored_table
from tests.waiting import wait_until

NOTES = "research.notes"
TABLE = f"{NOTES}.quote"
_CREATE = (
    f"CREATE TABLE {TABLE} (id BIGINT NOT NULL, bid DOUBLE, sym VARCHAR, price DECIMAL(10, 2), "
    "seen TIMESTAMP, day DATE) PARTITIONED BY (day)"
)
_DAY = dt.date(2026, 1, 2)


def connect(federation: DemoFederation, user: str, home: str, at: str) -> Any:
    sign_in = {"username": f"{user}@{home}", "password": federation.password(user)}
    return dbapi.connect(federation.uri(at), db_kwargs=sign_in, autocommit=True)


@pytest.fixture
def chief(federation: DemoFederation) -> Iterator[Any]:
    """A connection of hangzhou's administrator at home; what they made is gone afterwards."""
    with connect(federation, CHIEF, HANGZHOU, HANGZHOU) as connection:
        with connection.cursor() as cursor:
            cursor.execute("CREATE CATALOG research")
            cursor.execute(f"CREATE SCHEMA {NOTES}")
        yield connection
        with connection.cursor() as cursor:
            cursor.execute("DROP CATALOG IF EXISTS research CASCADE")


@pytest.fixture
def cursor(chief: Any) -> Iterator[Any]:
    with chief.cursor() as cursor:
        cursor.execute(_CREATE)
        yield cursor


def rows(cursor: Any, sql: str = f"SELECT * FROM {TABLE} ORDER BY id") -> list[tuple[Any, ...]]:
    cursor.execute(sql)
    return list(cursor.fetchall())


def count(cursor: Any, table: str = TABLE) -> int:
    return int(rows(cursor, f"SELECT count(*) FROM {table}")[0][0])


def refused(cursor: Any, sql: str, *parameters: Any) -> str:
    with pytest.raises(adbc_driver_manager.Error) as caught:
        cursor.execute(sql, *parameters)
    require_clean(str(caught.value))
    return str(caught.value).partition("[FlightSQL] ")[2].partition(":")[0]


def test_rows_are_inserted_in_the_types_of_the_columns_and_counted(cursor: Any) -> None:
    cursor.execute(
        f"INSERT INTO {TABLE} VALUES (1, 2, 'a', 1.5, '2026-01-02 03:04:05', '2026-01-02'), "
        "(2, NULL, NULL, NULL, NULL, '2026-01-03')"
    )
    assert cursor.rowcount == 2
    assert rows(cursor) == [
        (1, 2.0, "a", Decimal("1.50"), dt.datetime(2026, 1, 2, 3, 4, 5), _DAY),  # noqa: DTZ001  the column has no zone
        (2, None, None, None, None, dt.date(2026, 1, 3)),
    ]


def test_named_columns_are_filled_and_the_others_are_null(cursor: Any) -> None:
    cursor.execute(f"INSERT INTO {TABLE} (DAY, id) VALUES ('2026-01-02', 7)")
    assert rows(cursor) == [(7, None, None, None, None, _DAY)]


@pytest.mark.parametrize(
    "values",
    [
        "(NULL, 1, 'a', 1, NULL, '2026-01-02')",
        "(1, 1, 'a', 1, NULL, NULL)",
        "(1, 'x', 'a', 1, NULL, '2026-01-02')",
        "(1.5, 1, 'a', 1, NULL, '2026-01-02')",
        "(1, 1, 'a', 123456789.1, NULL, '2026-01-02')",
        "(1, 1, 'a', 1, 'noon', '2026-01-02')",
        "(9223372036854775808, 1, 'a', 1, NULL, '2026-01-02')",
        "(1, 1, 'a', 1, NULL)",
        "(true, 1, 'a', 1, NULL, '2026-01-02')",
    ],
)
def test_value_that_does_not_fit_ends_the_whole_statement(cursor: Any, values: str) -> None:
    fine = "(1, 1, 'a', 1, NULL, '2026-01-02')"
    code = refused(cursor, f"INSERT INTO {TABLE} VALUES {fine}, {values}")
    assert code in {"type-mismatch", "sql-syntax"}
    assert count(cursor) == 0


def test_bound_rows_are_one_commit_however_many(cursor: Any, federation: DemoFederation) -> None:
    sql = f"INSERT INTO {TABLE} (id, sym, day) VALUES (?, ?, ?)"
    cursor.executemany(sql, [(number, f"S{number}", _DAY) for number in range(5_000)])
    assert cursor.rowcount == 5_000
    assert count(cursor) == 5_000
    versions = list(_folder(federation).glob("_delta_log/*.json"))
    assert len(versions) == 2


def test_rows_bound_to_a_statement_with_more_than_parameters_are_one_commit(
    cursor: Any, federation: DemoFederation
) -> None:
    sql = f"INSERT INTO {TABLE} (id, bid, day) SELECT $1, $1 * 2, DATE '2026-01-02'"
    cursor.executemany(sql, [(number,) for number in range(20)])
    assert cursor.rowcount == 20
    assert rows(cursor, f"SELECT sum(id), sum(bid) FROM {TABLE}") == [(190, 380.0)]
    assert len(list(_folder(federation).glob("_delta_log/*.json"))) == 2


def test_prepared_insert_tells_the_types_of_its_parameters(chief: Any, cursor: Any) -> None:
    del cursor
    with adbc_driver_manager.AdbcStatement(chief.adbc_connection) as statement:
        statement.set_sql_query(f"INSERT INTO {TABLE} (id, day, price) VALUES (?, ?, ?)")
        statement.prepare()
        handle = statement.get_parameter_schema()
        schema = pa.Schema._import_from_c(handle.address)
        assert schema.types == [pa.int64(), pa.date32(), pa.decimal128(10, 2)]


def test_query_is_inserted_at_one_version_of_what_it_reads(cursor: Any) -> None:
    cursor.execute(f"INSERT INTO {TABLE} (id, day) VALUES (1, '2026-01-02'), (2, '2026-01-02')")
    for doubled in (4, 8):
        cursor.execute(f"INSERT INTO {TABLE} SELECT * FROM {TABLE}")
        assert cursor.rowcount * 2 == doubled
        assert count(cursor) == doubled


def test_table_is_made_of_a_query_with_a_join_and_replaced(cursor: Any) -> None:
    made = f"{NOTES}.symbols"
    cursor.executemany(
        f"INSERT INTO {TABLE} (id, sym, day) VALUES (?, ?, ?)",
        [(number, f"S{number % 4}", _DAY) for number in range(40)],
    )
    select = (
        f"SELECT a.sym, count(*) AS n FROM {TABLE} a JOIN {TABLE} b ON a.id = b.id GROUP BY a.sym"
    )
    cursor.execute(f"CREATE TABLE {made} PARTITIONED BY (sym) AS {select}")
    assert cursor.rowcount == 4
    assert rows(cursor, f"SELECT sum(n) FROM {made}") == [(40,)]
    assert refused(cursor, f"CREATE TABLE {made} AS {select}") == "already-exists"
    cursor.execute(f"CREATE TABLE IF NOT EXISTS {made} AS {select}")
    assert cursor.rowcount == 0
    cursor.execute(f"CREATE OR REPLACE TABLE {made} AS SELECT 1 AS one, 'x' AS two")
    assert rows(cursor, f"SELECT * FROM {made}") == [(1, "x")]


def test_truncated_table_is_empty(cursor: Any) -> None:
    cursor.execute(f"INSERT INTO {TABLE} (id, day) VALUES (1, '2026-01-02')")
    cursor.execute(f"TRUNCATE TABLE {TABLE}")
    assert cursor.fetchall() == [("truncated", 1, None)]
    assert count(cursor) == 0


def test_update_without_its_schema_is_put_once(federation: DemoFederation, cursor: Any) -> None:
    sql = f"INSERT INTO {TABLE} (id, day) VALUES (1, '2026-01-02'), (2, '2026-01-02')"
    with federation.client(CHIEF, HANGZHOU, at=HANGZHOU) as client:
        assert client.update(sql) == 2
        command = pack(sql_message("CommandStatementUpdate", query=sql))
        raw = flight.FlightClient(federation.uri(HANGZHOU))
        writer, reader = raw.do_put(
            flight.FlightDescriptor.for_command(command),
            pa.schema([]),
            bearer(str(client.token)),
        )
        writer.done_writing()
        answer = read_sql_message("DoPutUpdateResult", reader.read().to_pybytes())
        writer.close()
        raw.close()
        assert answer.record_count == 2
        # As a plain query it answers a row.
        (row,) = client.query(sql).read_all().to_pylist()
        assert row == {"status": "inserted", "row_count": 2, "warning": None}
    assert count(cursor) == 6


def test_two_inserts_at_once_both_land(federation: DemoFederation, cursor: Any) -> None:
    failures: list[Exception] = []

    def insert(number: int) -> None:
        try:
            with connect(federation, CHIEF, HANGZHOU, HANGZHOU) as other, other.cursor() as mine:
                for _ in range(5):
                    mine.execute(f"INSERT INTO {TABLE} (id, day) VALUES ({number}, '2026-01-02')")
        except Exception as error:  # noqa: BLE001  told by the test itself
            failures.append(error)

    threads = [threading.Thread(target=insert, args=(number,)) for number in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert failures == []
    assert rows(cursor, f"SELECT id, count(*) FROM {TABLE} GROUP BY id ORDER BY id") == [
        (0, 5),
        (1, 5),
        (2, 5),
    ]


@pytest.fixture
def filled(cursor: Any) -> Any:
    """The cursor of a table of 40 rows in four files of two days."""
    for start in (0, 20):
        cursor.executemany(
            f"INSERT INTO {TABLE} (id, bid, sym, day) VALUES (?, ?, ?, ?)",
            [
                (number, float(number), f"S{number % 4}", _DAY + dt.timedelta(number % 2))
                for number in range(start, start + 20)
            ],
        )
    return cursor


def test_chosen_rows_are_updated_and_counted(filled: Any) -> None:
    filled.execute(f"UPDATE {TABLE} SET bid = bid + 100, sym = 'X' WHERE id < 3")
    assert filled.rowcount == 3
    changed = rows(filled, f"SELECT id, bid FROM {TABLE} WHERE sym = 'X' ORDER BY id")
    assert changed == [(0, 100.0), (1, 101.0), (2, 102.0)]
    assert count(filled) == 40
    filled.execute(f"UPDATE {TABLE} SET bid = 0 WHERE id > 1000")
    assert filled.rowcount == 0


def test_update_reads_with_its_alias_and_other_tables(filled: Any) -> None:
    filled.execute(f"CREATE TABLE {NOTES}.chosen AS SELECT 7 AS id, 70.5 AS bid")
    filled.execute(
        f"UPDATE {TABLE} AS q SET bid = (SELECT max(bid) FROM {NOTES}.chosen), "
        f"day = '2026-01-09' WHERE q.id IN (SELECT id FROM {NOTES}.chosen)"
    )
    assert filled.rowcount == 1
    assert rows(filled, f"SELECT bid, day FROM {TABLE} WHERE id = 7") == [
        (70.5, dt.date(2026, 1, 9))
    ]
    filled.execute(f"UPDATE {TABLE} SET bid = (SELECT max(id) FROM {TABLE})")
    assert filled.rowcount == 40
    assert rows(filled, f"SELECT min(bid), max(bid) FROM {TABLE}") == [(39.0, 39.0)]


def test_update_and_delete_run_for_each_row_of_values(filled: Any) -> None:
    filled.executemany(
        f"UPDATE {TABLE} SET bid = ?, day = ? WHERE id = ?", [(-1, _DAY, 3), (-2, _DAY, 5)]
    )
    assert filled.rowcount == 2
    assert rows(filled, f"SELECT id, bid FROM {TABLE} WHERE bid < 0 ORDER BY id") == [
        (3, -1.0),
        (5, -2.0),
    ]
    filled.executemany(f"DELETE FROM {TABLE} WHERE id = $1 OR bid = $2", [(3, -2.0), (9, None)])
    assert filled.rowcount == 3
    assert count(filled) == 37


def test_rows_are_deleted_and_counted(filled: Any) -> None:
    filled.execute(f"DELETE FROM {TABLE} WHERE day = DATE '2026-01-03' AND id < 20")
    assert filled.rowcount == 10
    filled.execute(f"DELETE FROM {TABLE} t WHERE t.sym = 'S0' OR t.sym IS NULL")
    assert filled.rowcount == 10
    filled.execute(f"DELETE FROM {TABLE}")
    assert filled.rowcount == 20
    assert count(filled) == 0


def test_value_that_does_not_fit_changes_nothing(filled: Any) -> None:
    for sql in (
        f"UPDATE {TABLE} SET id = NULL WHERE id = 1",
        f"UPDATE {TABLE} SET id = 1 / (id - id) WHERE id = 1",
        f"UPDATE {TABLE} SET day = '2026-13-01'",
        f"DELETE FROM {TABLE} WHERE CAST(sym AS INT) = 1",
    ):
        assert refused(filled, sql) in {"type-mismatch", "unusable-table"}
    assert rows(filled, f"SELECT count(*), sum(id), sum(bid) FROM {TABLE}") == [(40, 780, 780.0)]


def test_of_two_updates_of_the_same_rows_one_is_done_and_the_other_told_to_try_again(
    federation: DemoFederation, filled: Any
) -> None:
    outcomes: list[str] = []
    barrier = threading.Barrier(2)

    def update(number: int) -> None:
        with connect(federation, CHIEF, HANGZHOU, HANGZHOU) as other, other.cursor() as mine:
            for _ in range(6):
                barrier.wait(60)
                try:
                    mine.execute(f"UPDATE {TABLE} SET bid = bid + {number}")
                    outcomes.append("done")
                except adbc_driver_manager.Error as error:
                    require_clean(str(error))
                    outcomes.append(str(error).partition("[FlightSQL] ")[2].partition(":")[0])

    threads = [threading.Thread(target=update, args=(number,)) for number in (1, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(100)
    assert len(outcomes) == 12
    assert set(outcomes) <= {"done", "write-conflict"}
    # Every update that was done is seen, and none of the others.
    done = outcomes.count("done")
    assert done >= 6
    assert rows(filled, f"SELECT sum(bid) FROM {TABLE}") == [(780.0 + 40 * done,)]


def test_optimized_table_has_fewer_files_and_a_vacuumed_one_no_old_ones(
    federation: DemoFederation, filled: Any
) -> None:
    folder = _folder(federation)
    filled.execute(f"OPTIMIZE {TABLE}")
    assert filled.fetchall() == [("optimized: 2 files fewer", None, None)]
    assert len(list(folder.glob("*/*.parquet"))) == 6
    filled.execute(f"VACUUM {TABLE}")
    assert filled.fetchall()[0][0].startswith("vacuumed: 0 files removed")
    filled.execute(f"VACUUM {TABLE} RETAIN 0 HOURS")
    assert filled.fetchall()[0][0].startswith("vacuumed: 4 files removed")
    assert len(list(folder.glob("*/*.parquet"))) == 2
    assert rows(filled, f"SELECT count(*), sum(id) FROM {TABLE}") == [(40, 780)]


_INGESTED = pa.table(
    {
        "id": pa.array([1, 2, 3], pa.int64()),
        "sym": pa.array(["a", None, "c"]),
        "day": pa.array([_DAY, _DAY, _DAY]),
    }
)
_PLACE = {"catalog_name": "research", "db_schema_name": "notes"}


def ingest(cursor: Any, table: str, rows: Any = _INGESTED, **options: Any) -> int:
    return int(cursor.adbc_ingest(table, rows, **{**_PLACE, **options}))


def test_ingest_in_its_four_modes(cursor: Any) -> None:
    assert ingest(cursor, "fresh", mode="create") == 3
    with pytest.raises(adbc_driver_manager.Error, match="already-exists: "):
        ingest(cursor, "fresh", mode="create")
    assert ingest(cursor, "fresh", mode="append") == 3
    assert ingest(cursor, "fresh", mode="create_append") == 3
    assert count(cursor, f"{NOTES}.fresh") == 9
    assert ingest(cursor, "fresh", mode="replace") == 3
    assert count(cursor, f"{NOTES}.fresh") == 3
    assert ingest(cursor, "fresh", pa.table({"x": [1]}), mode="replace") == 1
    assert rows(cursor, f"SELECT * FROM {NOTES}.fresh") == [(1,)]
    with pytest.raises(adbc_driver_manager.Error, match="not-found: "):
        ingest(cursor, "nosuch", mode="append")
    assert ingest(cursor, "nosuch", mode="create_append") == 3
    assert ingest(cursor, "other", mode="replace") == 3


def test_appended_columns_go_by_their_names_whatever_their_order(cursor: Any) -> None:
    shuffled = _INGESTED.select(["day", "sym", "id"]).rename_columns(["DAY", "sym", "Id"])
    assert ingest(cursor, "quote", shuffled, mode="append") == 3
    assert rows(cursor, f"SELECT id, sym, bid FROM {TABLE} ORDER BY id") == [
        (1, "a", None),
        (2, None, None),
        (3, "c", None),
    ]


@pytest.mark.parametrize(
    "sent, code",
    [
        (_INGESTED.append_column("nosuch", pa.array([1, 2, 3])), "unknown-column"),
        (_INGESTED.drop_columns(["id"]), "type-mismatch"),
        (_INGESTED.set_column(0, "id", pa.array([1, None, 3])), "type-mismatch"),
        (_INGESTED.set_column(0, "id", pa.array([1.5, 2.0, 3.0])), "type-mismatch"),
        (pa.table({"id": [1], "ID": [2], "day": [_DAY]}), "type-mismatch"),
    ],
    ids=["stranger", "missing", "null", "fraction", "twice"],
)
def test_ingest_that_does_not_fit_writes_nothing(cursor: Any, sent: pa.Table, code: str) -> None:
    with pytest.raises(adbc_driver_manager.Error, match=f"{code}: ") as caught:
        ingest(cursor, "quote", sent, mode="append")
    require_clean(str(caught.value))
    assert count(cursor) == 0


def test_temporary_table_is_refused(cursor: Any) -> None:
    with pytest.raises(adbc_driver_manager.Error, match="request-not-supported: "):
        ingest(cursor, "fresh", mode="create", temporary=True)


def test_ingest_goes_into_the_place_that_the_session_chose(chief: Any, cursor: Any) -> None:
    del chief
    cursor.adbc_statement.set_options(
        **{"adbc.flight.sql.rpc.call_header.x-catalog": "research",
           "adbc.flight.sql.rpc.call_header.x-schema": "notes"}
    )  # fmt: skip
    assert cursor.adbc_ingest("here", _INGESTED, mode="create") == 3
    assert count(cursor, f"{NOTES}.here") == 3


@pytest.fixture
def placed(federation: DemoFederation, cursor: Any) -> Iterator[Any]:
    """A connection whose names without catalog and schema mean the notes."""
    del cursor
    options = {
        "username": f"{CHIEF}@{HANGZHOU}",
        "password": federation.password(CHIEF),
        "adbc.flight.sql.rpc.call_header.x-catalog": "research",
        "adbc.flight.sql.rpc.call_header.x-schema": "notes",
    }
    with dbapi.connect(federation.uri(HANGZHOU), db_kwargs=options, autocommit=True) as connection:
        yield connection


def test_pandas_writes_and_reads_back(placed: Any) -> None:
    frame = pd.DataFrame({"a": [1, 2], "b": ["x", None]})
    for mode in ("fail", "append", "replace", "append"):
        assert frame.to_sql("frame", placed, if_exists=mode, index=False) == 2
    with pytest.raises(ValueError, match="already exists"):
        frame.to_sql("frame", placed, if_exists="fail", index=False)
    read = pd.read_sql("SELECT * FROM frame ORDER BY a", placed)
    assert list(read["a"]) == [1, 1, 2, 2]


def test_polars_writes_and_reads_back(placed: Any) -> None:
    frame = pl.DataFrame({"a": [1, 2], "at": [dt.time(1), None], "b": ["x", "y"]})
    for mode in ("fail", "append", "replace", "append"):
        written = frame.write_database("frame", placed, if_table_exists=mode, engine="adbc")
        assert written == 2
    read = pl.read_database("SELECT a, at, b FROM frame ORDER BY a", placed)
    assert read.equals(pl.concat([frame, frame]).sort("a"))


def test_ingest_elsewhere_is_refused_with_the_code_of_a_write(federation: DemoFederation) -> None:
    for at, catalog in ((MOM, "trading"), (SHANGHAI, "trading@hangzhou")):
        with (
            connect(federation, "user1", SHANGHAI, at) as connection,
            connection.cursor() as cursor,
            pytest.raises(adbc_driver_manager.Error, match="cross-cluster-read-only: ") as caught,
        ):
            cursor.adbc_ingest(
                "t", _INGESTED, mode="create", catalog_name=catalog, db_schema_name="stock"
            )
        require_clean(str(caught.value))


@pytest.mark.parametrize("mode", ["create", "append"])
def test_client_that_is_killed_while_it_ingests_leaves_nothing(
    federation: DemoFederation, cursor: Any, mode: str
) -> None:
    table = f"{NOTES}.killed"
    if mode == "append":
        cursor.execute(f"CREATE TABLE {table} (number BIGINT)")
    before = _folders(federation)
    arguments = [federation.uri(HANGZHOU), f"{CHIEF}@{HANGZHOU}", federation.password(CHIEF)]
    process = subprocess.Popen(  # noqa: S603  our own program
        [sys.executable, "-m", "tests.e2e.ingester", *arguments, table, mode],
        stdout=subprocess.PIPE,
    )
    with process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"sent\n"
        process.kill()
    if mode == "append":
        wait_until(lambda: not list(_folder(federation, "killed").glob(".pending/*")))
        assert count(cursor, table) == 0
        assert len(list(_folder(federation, "killed").glob("_delta_log/*.json"))) == 1
    else:
        wait_until(lambda: _folders(federation) == before)
        assert refused(cursor, f"SELECT * FROM {table}") == "not-found"


def test_user_without_the_right_writes_nothing_and_the_audit_says_so(
    federation: DemoFederation, cursor: Any
) -> None:
    del cursor
    with (
        connect(federation, "user2", HANGZHOU, HANGZHOU) as connection,
        connection.cursor() as theirs,
    ):
        for sql in (f"INSERT INTO {TABLE} (id, day) VALUES (1, '2026-01-02')", f"TRUNCATE {TABLE}"):
            assert refused(theirs, sql) == "permission-denied"
        with pytest.raises(adbc_driver_manager.Error, match="permission-denied: "):
            ingest(theirs, "quote", mode="append")


def _folders(federation: DemoFederation) -> set[Path]:
    tables = federation.directory / HANGZHOU / "tables"
    return {one for one in tables.iterdir() if not one.name.startswith(".")}


def _folder(federation: DemoFederation, name: str = "quote") -> Path:
    return Path(str(stored_table(federation, HANGZHOU, f"{NOTES}.{name}").location))
