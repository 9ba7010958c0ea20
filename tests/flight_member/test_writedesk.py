"""What a member's write desk does to its tables is what another database does to its own."""

import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flight_member.jobs import statement_digest
from flight_member.server import MemberServer
from flight_sql import Client, RemoteError
from tests.flight_member.factories import PASSWORD, add_user, audited, load_quotes, make_home
from tests.planner.examples import examples
from tests.waiting import wait_until

TABLE = "trading.stock.law"
_COLUMNS = "id, n, word, day"
_NUMBER = st.sampled_from(["NULL", "-3", "0", "1", "2", "7"])
_WORD = st.sampled_from(["NULL", "''", "'a'", "'b'", "'it''s'", "'B'"])
_CONDITION = st.sampled_from(
    [
        "n > 1",
        "n IS NULL",
        "n = 7 OR word = 'a'",
        "NOT (n < 2)",
        "word LIKE 'i%' AND day = 1",
        "day = 0",
        "day IN (1, 2) AND n % 2 = 1",
        "id % 3 = 0",
        "n IN (SELECT n FROM {t} WHERE day = 2)",
        "id = (SELECT max(id) FROM {t})",
        "n >= (SELECT avg(n) FROM {t})",
        "coalesce(word, 'none') = 'none'",
        "1 = 0",
    ]
)
_VALUE = st.sampled_from(
    [
        "n = n + 1",
        "n = NULL",
        "word = 'x', n = id",
        "word = coalesce(word, 'y')",
        "day = 1",
        "n = -n",
    ]
)


@st.composite
def statements(draw: st.DrawFn) -> str:
    """Draw one statement, in words that both databases understand alike."""
    kind = draw(st.sampled_from(["values", "values", "select", "update", "update", "delete"]))
    if kind == "values":
        rows = draw(
            st.lists(
                st.tuples(st.integers(0, 99).map(str), _NUMBER, _WORD, st.sampled_from("012")),
                min_size=1,
                max_size=5,
            )
        )
        return f"INSERT INTO {{t}} ({_COLUMNS}) VALUES " + ", ".join(
            f"({', '.join(row)})" for row in rows
        )
    condition = draw(_CONDITION)
    if kind == "select":
        select = f"SELECT id + 100, n, word, day FROM {{t}} WHERE {condition}"
        return f"INSERT INTO {{t}} ({_COLUMNS}) {select}"
    if kind == "update":
        return f"UPDATE {{t}} SET {draw(_VALUE)} WHERE {condition}"
    return f"DELETE FROM {{t}} WHERE {condition}"


class Place:
    def __init__(self, directory: Path) -> None:
        self.root = directory / "files"
        self.root.mkdir()
        home = make_home(
            directory / "shanghai",
            tables__roots=[str(self.root)],
            limits__statement_timeout_s=6,
        )
        load_quotes(home)
        add_user(home, "chief", is_admin=True)
        add_user(home, "user1", readable=())
        self.directory = home.directory
        self.server = MemberServer(home.settings)
        self.uri = self.server.start()
        self.client = self.sign_in("chief")

    def sign_in(self, user: str) -> Client:
        client = Client(self.uri)
        client.sign_in(user, PASSWORD)
        return client

    def rows(self, sql: str) -> list[dict[str, Any]]:
        return list(self.client.query(sql).read_all().to_pylist())

    def refused(self, sql: str, client: Client | None = None) -> str:
        with pytest.raises(RemoteError) as caught:
            (client or self.client).update(sql)
        return caught.value.code

    def close(self) -> None:
        self.client.close()
        self.server.stop(2)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    place = Place(tmp_path_factory.mktemp("writes"))
    yield place
    place.close()


@examples(8)
@given(script=st.lists(statements(), min_size=1, max_size=8))
def test_any_sequence_of_writes_leaves_what_another_database_has(
    place: Place, script: list[str]
) -> None:
    place.client.update(
        f"CREATE OR REPLACE TABLE {TABLE} (id BIGINT NOT NULL, n INT, word VARCHAR, day INT) "
        "PARTITIONED BY (day)"
    )
    other = sqlite3.connect(":memory:")
    other.execute("PRAGMA case_sensitive_like = ON")
    other.execute(f"CREATE TABLE law ({_COLUMNS})")
    for statement in script:
        counted = place.client.update(statement.format(t=TABLE))
        assert counted == other.execute(statement.format(t="law")).rowcount, statement
    ours = [tuple(row.values()) for row in place.rows(f"SELECT {_COLUMNS} FROM {TABLE}")]
    theirs = other.execute(f"SELECT {_COLUMNS} FROM law").fetchall()
    other.close()
    assert sorted(ours, key=repr) == sorted(theirs, key=repr)


def test_external_table_is_made_of_files_in_a_root_and_not_written(place: Place) -> None:
    folder = place.root / "prices"
    pq.write_to_dataset(pa.table({"bid": [1.0, 2.0], "day": [1, 2]}), folder, ["day"])
    sql = f"CREATE EXTERNAL TABLE trading.stock.prices %s LOCATION '{folder}'"
    assert place.refused(sql % "PARTITIONED BY (hour)") == "unusable-table"
    assert place.client.update(sql % "STORED AS PARQUET PARTITIONED BY (day)") == 2
    assert place.rows("SELECT sum(bid) AS s FROM trading.stock.prices") == [{"s": 3.0}]
    assert place.refused(sql % "") == "already-exists"
    assert place.refused("INSERT INTO trading.stock.prices VALUES (1, 1)") == (
        "statement-not-supported"
    )
    assert place.refused("DELETE FROM trading.stock.prices") == "statement-not-supported"
    place.client.update("DROP TABLE trading.stock.prices")
    assert folder.exists()


def test_external_table_is_no_way_to_files_that_one_may_not_read(place: Place) -> None:
    secret = place.root / "secret"
    pq.write_to_dataset(pa.table({"pay": [1], "day": [1]}), secret, ["day"])
    place.client.update(f"CREATE EXTERNAL TABLE trading.stock.secret LOCATION '{secret}'")
    place.client.update("CREATE CATALOG IF NOT EXISTS mine")
    place.client.update("CREATE SCHEMA IF NOT EXISTS mine.own")
    place.client.update("ALTER SCHEMA mine.own OWNER TO user1")
    managed = next(
        one for one in (place.directory / "tables").iterdir() if not one.name.startswith(".")
    )
    refused = set()
    with place.sign_in("user1") as user:
        for location in (
            *(secret, secret / "day=1", place.root, managed, place.directory),
            *("/etc", "/no", f"{place.root}/../shanghai/tables", "secret", "s3://bucket/secret"),
        ):
            sql = f"CREATE EXTERNAL TABLE mine.own.stolen LOCATION '{location}'"
            with pytest.raises(RemoteError) as caught:
                user.update(sql)
            refused.add(str(caught.value))
    assert len(refused) == 1
    assert refused.pop().startswith("unusable-table: the location lies outside")


ENDLESS = (
    "INSERT INTO trading.stock.slow WITH RECURSIVE r AS (SELECT CAST(1 AS BIGINT) AS n UNION ALL "
    "SELECT n + 1 FROM r WHERE n > 0) SELECT n FROM r"
)


@pytest.fixture
def slow(place: Place) -> Place:
    """A table with one row, which somebody writes to for ever."""
    place.client.update("CREATE OR REPLACE TABLE trading.stock.slow (n BIGINT)")
    place.client.update("INSERT INTO trading.stock.slow VALUES (1)")
    return place


def _is_untouched(place: Place) -> bool:
    """Whether the table is as it was, and nothing of the write is left behind."""
    sql = "SELECT table_name FROM trading.information_schema.tables"
    assert {"table_name": "slow"} in place.rows(sql)
    wait_until(lambda: not place.server._admission.running)
    pending = (place.directory / "tables").glob("*/.pending/*")
    return place.rows("SELECT count(*) AS n FROM trading.stock.slow") == [{"n": 1}] and not [
        *pending
    ]


def test_write_that_is_out_of_time_leaves_the_old_version(slow: Place) -> None:
    with pytest.raises(RemoteError) as caught:
        slow.client.update(ENDLESS)
    assert caught.value.code == "statement-timeout"
    assert "nothing was written" in str(caught.value)
    assert _is_untouched(slow)


def test_write_whose_client_left_leaves_the_old_version(slow: Place) -> None:
    with (
        Client(slow.uri, token=slow.client.token, call_timeout_s=0.5) as leaving,
        pytest.raises(RemoteError),
    ):
        leaving.update(ENDLESS)
    assert _is_untouched(slow)


def test_cancelled_write_leaves_the_old_version(slow: Place) -> None:
    query_id = "write-to-be-cancelled"
    refusals: list[str] = []

    def write() -> None:
        with slow.sign_in("chief") as other:
            try:
                other.update(ENDLESS, headers=(("x-query-id", query_id),))
            except RemoteError as error:
                refusals.append(error.code)

    thread = threading.Thread(target=write)
    thread.start()
    wait_until(lambda: any(job.id == query_id for job in slow.server._jobs.live()))
    slow.client.update(f"CANCEL JOB '{query_id}'")
    thread.join(30)
    assert refusals == ["cancelled"]
    assert _is_untouched(slow)


def test_write_is_a_job_that_tells_its_rows(place: Place) -> None:
    place.client.update("CREATE OR REPLACE TABLE trading.stock.told (n BIGINT)")
    headers = (("x-query-id", "write-that-tells"),)
    place.client.update("INSERT INTO trading.stock.told VALUES (1), (2), (3)", headers=headers)
    (job,) = [one for one in place.rows("SHOW JOBS") if one["job_id"] == "write-that-tells"]
    assert (job["state"], job["kind"], job["row_count"]) == ("finished", "write", 3)


def test_every_write_is_in_the_audit_with_its_statement_and_every_refusal(place: Place) -> None:
    table = "trading.stock.watched"
    done = [
        f"CREATE OR REPLACE TABLE {table} (n BIGINT)",
        f"INSERT INTO {table} VALUES (1)",
        f"UPDATE {table} SET n = 2",
        f"DELETE FROM {table} WHERE n = 2",
        f"TRUNCATE {table}",
        f"OPTIMIZE {table}",
        f"VACUUM {table}",
        f"DROP TABLE {table}",
    ]
    for sql in done[:-1]:
        place.client.update(sql)
    refused = f"INSERT INTO {table} SELECT 7"
    with place.sign_in("user1") as user:
        assert place.refused(refused, user) == "not-found"
    place.client.update(done[-1])
    records = {
        (one.actor, one.action, one.allowed)
        for one in audited(place.server._database)
        if one.object == f"{table}@shanghai"
        and one.statement_digest in map(statement_digest, [*done, refused])
    }
    acts = ("create", "insert", "update", "delete", "overwrite", "optimize", "vacuum", "drop")
    expected = {("chief@shanghai", act, True) for act in acts}
    assert records == {*expected, ("user1@shanghai", "insert", False)}


def test_columns_that_move_are_told(place: Place) -> None:
    moved = "CREATE OR REPLACE TABLE trading.stock.moved (day INT, n INT) PARTITIONED BY (day)"
    (row,) = place.rows(moved)
    assert row["warning"] == (
        "the columns that partition the table stand last: INSERT without a list of columns takes "
        "n, day"
    )
    made = "CREATE OR REPLACE TABLE trading.stock.moved %s AS SELECT 1 AS day, 2 AS n"
    (row,) = place.rows(made % "PARTITIONED BY (day)")
    assert row["warning"] is not None
    (row,) = place.rows(made % "")
    assert row["warning"] is None


def test_view_is_read_by_writes_and_never_written_or_replaced(place: Place) -> None:
    table, view = "trading.stock.base", "trading.stock.shown"
    place.client.update(f"CREATE OR REPLACE TABLE {table} AS SELECT 1 AS n UNION ALL SELECT 2")
    place.client.update(f"CREATE VIEW {view} AS SELECT n FROM {table} WHERE n > 1")
    assert place.client.update(f"INSERT INTO {table} SELECT n + 10 FROM {view}") == 1
    sql = f"UPDATE {table} SET n = 0 WHERE n IN (SELECT n FROM {view})"
    assert place.client.update(sql) == 2
    assert place.rows(f"SELECT sum(n) AS s FROM {table}") == [{"s": 1}]
    assert place.refused(f"INSERT INTO {view} VALUES (1)") == "statement-not-supported"
    assert place.refused(f"DELETE FROM {view}") == "statement-not-supported"
    assert place.refused(f"CREATE OR REPLACE TABLE {view} AS SELECT 1 AS n") == "invalid-request"
    place.client.update(f"DROP VIEW {view}")
