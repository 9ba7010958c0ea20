"""SHOW and DESCRIBE over what a caller may read, and how it travels between servers."""

import pytest

from flight_member.errors import BadRequestError
from flight_member.listing import (
    describe_table,
    not_found,
    read_listing,
    show_catalogs,
    show_schemas,
    show_tables,
    write_listing,
)
from planner import NamePattern
from storage.names import ObjectName
from tests.flight_member.listed import LISTED, make_listed


def test_listings_are_ordered() -> None:
    assert show_catalogs(LISTED)["catalog_name"].to_pylist() == ["aviation", "trading@hangzhou"]
    assert show_schemas(LISTED)["schema_name"].to_pylist() == ["nyc", "bonds", "stock"]
    assert show_tables(LISTED)["table_name"].to_pylist() == ["flights", "quote", "quote"]
    assert show_tables([]).num_rows == 0


@pytest.mark.parametrize(
    "pattern, catalogs",
    [
        (NamePattern("trading"), ["trading@hangzhou"]),
        (NamePattern("%@hangzhou"), ["trading@hangzhou"]),
        (NamePattern("%@shanghai"), ["aviation"]),
        (NamePattern("a%"), ["aviation"]),
        (NamePattern("A%"), []),
        (NamePattern("A%", ignores_case=True), ["aviation"]),
        (NamePattern("_viation"), ["aviation"]),
        (NamePattern("\\_viation"), []),
        (NamePattern(""), []),
    ],
)
def test_pattern_narrows_catalogs_with_and_without_their_cluster(
    pattern: NamePattern, catalogs: list[str]
) -> None:
    assert show_catalogs(LISTED, pattern)["catalog_name"].to_pylist() == catalogs


def test_pattern_narrows_schemas_tables_and_columns() -> None:
    assert show_schemas(LISTED, NamePattern("%ck"))["schema_name"].to_pylist() == ["stock"]
    assert show_tables(LISTED, NamePattern("f%"))["table_name"].to_pylist() == ["flights"]
    described = describe_table(make_listed().table, NamePattern("D%", ignores_case=True))
    assert described["column_name"].to_pylist() == ["day"]


def test_description_shows_columns_in_order_and_no_place() -> None:
    described = describe_table(make_listed().table)
    assert described.to_pylist() == [
        {
            "column_name": "symbol",
            "data_type": "VARCHAR",
            "is_nullable": False,
            "is_partition_column": False,
            "arrow_type": "string",
        },
        {
            "column_name": "day",
            "data_type": "BIGINT",
            "is_nullable": True,
            "is_partition_column": True,
            "arrow_type": "int64",
        },
    ]
    assert "/secret/place" not in str(described)


@pytest.mark.parametrize(
    "asked, privilege, meant",
    [
        ("trading.stok@hangzhou", "SCHEMA_READ", ""),
        ("stock@hangzhou", "CATALOG_READ", "did you mean trading.stock@hangzhou? "),
        ("trading@shanghai", "CATALOG_READ", "did you mean trading@hangzhou? "),
        ("hangzhou@shanghai", "CATALOG_READ", "did you mean *@hangzhou? "),
        ("*@wuhan", "CATALOG_READ", ""),
    ],
)
def test_refusal_of_a_place_suggests_readable_ones_of_its_name(
    asked: str, privilege: str, meant: str
) -> None:
    assert str(not_found(ObjectName.parse(asked), LISTED)) == (
        f"not-found: {asked} does not exist, or you may not read it; {meant}SHOW TABLES lists "
        f"what you may read, and an administrator can grant {privilege} on it"
    )


def test_listing_travels_with_all_but_where_files_lie() -> None:
    data = write_listing(LISTED)
    assert b"/secret/place" not in data
    read = list(read_listing(data))
    assert [one.catalog for one in read] == [
        "trading@hangzhou",
        "trading@hangzhou",
        "aviation@shanghai",
    ]
    assert show_tables(read)["row_count"].to_pylist() == [3, 3, 3]
    assert [one.table.partition_columns for one in read] == [("day",)] * 3
    assert all(
        mine.table.arrow_schema == theirs.table.arrow_schema
        for mine, theirs in zip(LISTED, read, strict=True)
    )
    assert list(read_listing(write_listing([]))) == []


@pytest.mark.parametrize("data", [b"", b"nonsense", write_listing(LISTED)[:200]])
def test_what_is_no_listing_is_refused_whole(data: bytes) -> None:
    with pytest.raises(BadRequestError):
        list(read_listing(data))
