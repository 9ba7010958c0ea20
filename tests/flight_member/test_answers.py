from datetime import UTC, datetime

import pyarrow as pa
import pytest

from auth import Effect, Grant, Principal, Privilege
from flight_member.answers import (
    ListedTable,
    answer,
    answer_schema,
    describe_table,
    show_catalogs,
    show_grants,
    show_schemas,
    show_tables,
)
from planner import Defaults, ShowCatalogs, parse_statement
from storage.metastore import Table
from storage.names import ObjectName
from tests.flight_member.factories import NOW


def make_listed(text: str = "trading.stock.quote@hangzhou") -> ListedTable:
    name = ObjectName.parse(text)
    table = Table(
        id="0" * 32,
        name=name,
        arrow_schema=pa.schema(
            [pa.field("symbol", pa.utf8(), nullable=False), pa.field("day", pa.int64())]
        ),
        partition_columns=("day",),
        schema_version=1,
        snapshot="s",
        row_count=3,
        byte_count=2,
        file_count=1,
        location="/secret/place",
    )
    return ListedTable(f"{name.catalog}@{name.cluster}", table)


LISTED = [
    make_listed("trading.stock.quote@hangzhou"),
    make_listed("trading.bonds.quote@hangzhou"),
    make_listed("aviation.nyc.flights@shanghai"),
]


@pytest.mark.parametrize(
    "sql",
    [
        "SHOW CLUSTERS",
        "SHOW CATALOGS",
        "SHOW SCHEMAS",
        "SHOW TABLES",
        "SHOW GRANTS",
        "DESCRIBE a.b.c",
        "EXPLAIN SELECT 1",
        "EXPLAIN ACCESS OF u@c TO a.b.c",
        "GRANT TABLE_READ ON a.b.c TO u@d",
    ],
)
def test_empty_answer_has_the_schema_that_was_promised(sql: str) -> None:
    statement = parse_statement(sql, Defaults("shanghai"))
    empty = answer(type(statement), [])
    assert empty.num_rows == 0
    assert empty.schema == answer_schema(statement)


def test_listings_are_ordered_and_narrowed_to_what_was_asked() -> None:
    hangzhou = ObjectName.parse("trading@hangzhou")
    assert show_catalogs(LISTED, None).column(0).to_pylist() == [
        "aviation@shanghai",
        "trading@hangzhou",
    ]
    assert show_catalogs(LISTED, "hangzhou").column(0).to_pylist() == ["trading@hangzhou"]
    assert show_schemas(LISTED, hangzhou).column(1).to_pylist() == ["bonds", "stock"]
    assert show_tables(LISTED, hangzhou).num_rows == 2
    assert show_tables(LISTED, None).column(2).to_pylist() == ["flights", "quote", "quote"]
    assert answer(ShowCatalogs, []).num_rows == 0


def test_description_shows_columns_in_order_and_no_place() -> None:
    described = describe_table(make_listed().table)
    assert described.to_pylist() == [
        {
            "column_name": "symbol",
            "data_type": "string",
            "is_nullable": False,
            "is_partition_column": False,
        },
        {
            "column_name": "day",
            "data_type": "int64",
            "is_nullable": True,
            "is_partition_column": True,
        },
    ]
    assert "/secret/place" not in str(described)


def test_grants_are_ordered_by_what_they_are_on() -> None:
    def make(number: int, on: str, effect: Effect, until: datetime | None = None) -> Grant:
        return Grant(
            id=number,
            principal=Principal.parse("user1@shanghai"),
            effect=effect,
            privilege=Privilege.TABLE_READ,
            securable=ObjectName.parse(on),
            granted_by="admin@mom",
            granted_at=NOW,
            until=until,
        )

    until = datetime(2027, 1, 1, tzinfo=UTC)
    shown = show_grants(
        [
            make(2, "b.b.b@hangzhou", Effect.DENY),
            make(3, "a.b.c@hangzhou", Effect.DENY),
            make(1, "a.b.c@hangzhou", Effect.ALLOW, until),
        ]
    ).to_pylist()
    assert [(row["securable"], row["effect"]) for row in shown] == [
        ("a.b.c@hangzhou", "ALLOW"),
        ("a.b.c@hangzhou", "DENY"),
        ("b.b.b@hangzhou", "DENY"),
    ]
    assert shown[0]["until"] == until
