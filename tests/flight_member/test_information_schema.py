"""The rows of `information_schema`, and queries over them."""

import pyarrow as pa
import pytest
from structlog.testing import capture_logs

from flight_member.errors import NotFoundError, OverloadedError, StatementTimeoutError
from flight_member.information_schema import SHAPES, information_rows
from flight_member.jobrows import JobKind
from flight_member.jobs import Job, statement_digest
from flight_member.listing import ListedTable
from flight_member.livequery import LiveRunner
from flight_member.livetables import LiveTables
from flight_member.settings import LimitsSection
from flight_sql import Call
from planner import (
    Defaults,
    LiveQuery,
    PlannerError,
    parse_statement,
)
from planner.rules.live_tables import INFORMATION_TABLES
from storage.names import ObjectName
from tests.flight_member.factories import make_identity, make_jobs
from tests.flight_member.listed import LISTED, make_listed

READER = make_identity("user1@shanghai")
TYPED = pa.schema(
    [
        pa.field("flag", pa.bool_()),
        pa.field("small", pa.uint16()),
        pa.field("whole", pa.int64(), nullable=False),
        pa.field("real", pa.float32()),
        pa.field("price", pa.decimal128(15, 2)),
        pa.field("text", pa.large_utf8()),
        pa.field("view", pa.string_view()),
        pa.field("bytes", pa.binary(4)),
        pa.field("at", pa.timestamp("us", "UTC")),
        pa.field("clock", pa.time32("ms")),
        pa.field("date", pa.date32()),
        pa.field("tags", pa.list_(pa.int8())),
    ]
)
FOR_EVER = """
    select count(*) from information_schema.tables
    union all
    select count(*) from generate_series(1, 1000000000000) a (x) where x * x % 1009 = 7
"""


def read(sql: str) -> LiveQuery:
    statement = parse_statement(sql, Defaults("shanghai", "trading", "stock"), home="shanghai")
    assert isinstance(statement, LiveQuery)
    return statement


def listing(parent: ObjectName | None) -> list[ListedTable]:
    return [one for one in LISTED if parent is None or parent.covers(one.table.name)]


def make_job(sql: str = "select 1") -> Job:
    return make_jobs().start(Call(), READER.name, sql, kind=JobKind.QUERY)


def ask(sql: str, schema: LiveRunner | None = None, timeout_s: float = 60) -> pa.Table:
    schema = schema or LiveRunner(LimitsSection(), LiveTables(), "hangzhou")
    stream = schema.run(Call(), READER, read(sql), listing, make_job(sql), timeout_s=timeout_s)
    return pa.Table.from_batches(stream.batches, stream.arrow_schema)


def test_there_are_shapes_for_exactly_the_tables_that_can_be_named() -> None:
    assert set(SHAPES) == set(INFORMATION_TABLES)


@pytest.mark.parametrize("table", INFORMATION_TABLES)
def test_rows_have_the_shape_that_is_promised_also_without_any(table: str) -> None:
    rows = information_rows(table, [])
    assert (rows.num_rows, rows.schema) == (0, SHAPES[table])
    rows = information_rows(table, LISTED)
    rows.validate(full=True)
    assert rows.schema == SHAPES[table]
    assert all(rows[f.name].null_count == 0 for f in rows.schema if not f.nullable)


def test_rows_are_those_of_the_listing() -> None:
    assert information_rows("schemata", LISTED).select(
        ["catalog_name", "schema_name"]
    ).to_pylist() == [
        {"catalog_name": "aviation", "schema_name": "nyc"},
        {"catalog_name": "trading@hangzhou", "schema_name": "bonds"},
        {"catalog_name": "trading@hangzhou", "schema_name": "stock"},
    ]
    tables = information_rows("tables", LISTED).to_pylist()
    assert tables[0] == {
        "table_catalog": "aviation",
        "table_schema": "nyc",
        "table_name": "flights",
        "table_type": "BASE TABLE",
        "is_insertable_into": "NO",
        "cluster_name": "shanghai",
        "row_count": 3,
        "byte_count": 2,
        "file_count": 1,
    }
    columns = information_rows("columns", LISTED)
    assert columns["column_name"].to_pylist() == ["symbol", "day"] * 3
    assert columns["ordinal_position"].to_pylist() == [1, 2] * 3
    assert columns["is_nullable"].to_pylist() == ["NO", "YES"] * 3
    assert columns["is_partition_column"].to_pylist() == ["NO", "YES"] * 3


def test_types_are_named_as_flight_sql_names_them() -> None:
    rows = information_rows("columns", [make_listed("a.b.c@d", arrow_schema=TYPED)])
    told = ("data_type", "numeric_precision", "numeric_precision_radix", "numeric_scale")
    assert list(zip(*(rows[name].to_pylist() for name in told), strict=True)) == [
        ("BOOLEAN", None, None, None),
        ("SMALLINT UNSIGNED", 5, 10, 0),
        ("BIGINT", 19, 10, 0),
        ("REAL", 24, 2, None),
        ("DECIMAL", 15, 10, 2),
        ("VARCHAR", None, None, None),
        ("VARCHAR", None, None, None),
        ("BYTEA", None, None, None),
        ("TIMESTAMP", None, None, None),
        ("TIME", None, None, None),
        ("DATE", None, None, None),
        ("ARRAY", None, None, None),
    ]
    assert rows["datetime_precision"].to_pylist()[8:11] == [6, 3, 0]
    assert rows["arrow_type"].to_pylist()[5] == "large_string"


@pytest.mark.parametrize(
    "sql, values",
    [
        (
            "select table_name from information_schema.tables where table_schema = 'stock'",
            ["quote"],
        ),
        ("select count(*) from information_schema.columns", [6]),
        ("select Table_Name from INFORMATION_SCHEMA.TABLES order by 1 desc limit 1", ["quote"]),
        ("select t.table_name from system.information_schema.tables t order by 1", None),
        ('select count(*) from "trading@hangzhou".information_schema.tables', [2]),
        ('select count(*) from "trading@hangzhou"."information_schema"."columns" c', [4]),
        ("select count(*) from trading.information_schema.tables@hangzhou", [2]),
        ("select count(*) from information_schema.tables@hangzhou", [2]),
        ("select count(*) from information_schema.schemata@shanghai", [1]),
        (
            "select information_schema.tables.table_name from information_schema.tables@hangzhou",
            ["quote", "quote"],
        ),
        (
            (
                "with t as (select * from information_schema.tables), u as (select * from t) "
                "select sum(row_count) from u"
            ),
            [9],
        ),
        (
            (
                "select table_name as n from information_schema.tables union all "
                "select column_name from information_schema.columns order by n limit 2"
            ),
            ["day", "day"],
        ),
        (
            (
                "select (select count(*) from information_schema.tables) + count(*) "
                "from information_schema.schemata"
            ),
            [6],
        ),
        (
            (
                "select count(*) from information_schema.tables union all "
                "select count(*) from aviation.information_schema.tables order by 1"
            ),
            [1, 3],
        ),
        ("select table_name from information_schema.tables where table_name like 'x%'", []),
    ],
)
def test_queries_are_answered_of_what_is_listed(sql: str, values: list[object] | None) -> None:
    values = ["flights", "quote", "quote"] if values is None else values
    assert ask(sql).column(0).to_pylist() == values


def test_result_has_the_schema_that_was_promised() -> None:
    sql = "select table_name, upper(table_schema) u, row_count * 2 d from information_schema.tables"
    planned = LiveRunner(LimitsSection(), LiveTables(), "hangzhou").plan(read(sql))
    assert ask(sql).schema == planned.arrow_schema
    assert planned.arrow_schema.names == ["table_name", "u", "d"]


@pytest.mark.parametrize(
    "sql",
    [
        (
            "select * from information_schema.tables a join information_schema.columns b "
            "on a.table_name = b.table_name"
        ),
        "select * from information_schema.tables, information_schema.columns",
        (
            "select * from information_schema.tables where table_name in "
            "(select table_name from information_schema.columns)"
        ),
        (
            "select * from information_schema.tables t where exists "
            "(select 1 from information_schema.columns c where c.table_name = t.table_name)"
        ),
        (
            "select table_name from information_schema.tables intersect "
            "select column_name from information_schema.columns"
        ),
    ],
)
def test_joins_are_refused_at_home_too(sql: str) -> None:
    with pytest.raises(PlannerError, match=r"^join-not-supported"):
        ask(sql)


def test_unknown_column_is_told_with_a_near_one() -> None:
    with pytest.raises(PlannerError, match="did you mean table_name"):
        ask("select tablename from information_schema.tables")


def test_refusal_of_the_listing_gives_the_place_back() -> None:
    schema = LiveRunner(LimitsSection(max_running=1, max_queued=0), LiveTables(), "hangzhou")

    def refuse(parent: ObjectName | None) -> list[ListedTable]:
        raise NotFoundError.of(parent)

    statement = read("select * from trading.information_schema.tables")
    for _ in range(2):
        with pytest.raises(NotFoundError, match="trading@shanghai"):
            schema.run(Call(), READER, statement, refuse, make_job(), timeout_s=60)


def test_places_are_limited_and_given_back() -> None:
    schema = LiveRunner(LimitsSection(max_running=1, max_queued=0), LiveTables(), "hangzhou")
    statement = read("select * from information_schema.tables")
    first = schema.run(Call(), READER, statement, listing, make_job(), timeout_s=60)
    with pytest.raises(OverloadedError):
        schema.run(Call(), READER, statement, listing, make_job(), timeout_s=60)
    first.batches.close()  # type: ignore[attr-defined]  # ours has one
    assert ask("select * from information_schema.tables", schema).num_rows == 3


def test_statement_ends_when_its_time_is_over() -> None:
    schema = LiveRunner(LimitsSection(max_running=1, max_queued=0), LiveTables(), "hangzhou")
    with pytest.raises(StatementTimeoutError, match=r"stopped after 0\.2 s"):
        ask(FOR_EVER, schema, timeout_s=0.2)
    assert ask("select 1 from information_schema.tables", schema).num_rows == 3


def test_end_is_logged_once_with_caller_and_digest() -> None:
    sql = "select table_name from information_schema.tables"
    with capture_logs() as lines:
        ask(sql)
    (line,) = [line for line in lines if line["event"] == "statement_ended"]
    told = line["user"], line["outcome"], line["row_count"], line["digest"]
    assert told == ("user1@shanghai", "finished", 3, statement_digest(sql))
