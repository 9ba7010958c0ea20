import json
from dataclasses import replace
from typing import Any

import pytest

from storage.metastore import Metastore, Place, TableKind
from storage.names import ObjectName
from storage.replica import read_replica, write_replica
from tests.storage.metastores import QUOTE, SCHEMA, TRADE


def one_by_one(document: dict[str, Any]) -> dict[str, Any]:
    """Return the same state with its tables in the form of older members."""
    columns = document["tables"]
    rows = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
    return {**document, "tables": rows}


def test_replica_knows_everything_but_the_location() -> None:
    wire = write_replica(Metastore("hangzhou", 7, [TRADE, QUOTE]))
    replica = read_replica(wire, cluster="hangzhou")

    assert b"secret" not in wire
    assert replica.version == 7
    assert replica.all_tables() == (replace(QUOTE, location=None), replace(TRADE, location=None))
    assert write_replica(replica) == wire


def test_replica_knows_kinds_owners_and_places_and_no_view_is_told_of_what_it_is_made() -> None:
    name = ObjectName("hangzhou", "trading", "stock", "secret_view")
    view = replace(
        QUOTE, id="5" * 32, name=name, kind=TableKind.VIEW, definition="select 'secret'", owner="u"
    )
    empty = Place(ObjectName("hangzhou", "research", "empty"), "user1@hangzhou")
    wire = write_replica(Metastore("hangzhou", 1, [view], [empty]))
    replica = read_replica(wire, cluster="hangzhou")

    assert b"select" not in wire
    assert replica.all_tables() == (replace(view, definition=None, location=None),)
    assert replica.place(empty.name) == empty
    assert [name.local for name in replica.places] == [
        "research",
        "research.empty",
        "trading",
        "trading.stock",
    ]


def test_replica_of_an_older_member_has_external_tables_in_places_without_owners() -> None:
    document = one_by_one(json.loads(write_replica(Metastore("hangzhou", 1, [QUOTE]))))
    del document["places"], document["tables"][0]["kind"], document["tables"][0]["owner"]

    replica = read_replica(json.dumps(document).encode(), cluster="hangzhou")
    assert replica.all_tables() == (replace(QUOTE, location=None),)
    assert list(replica.places.values()) == [
        Place(ObjectName("hangzhou", "trading")),
        Place(ObjectName("hangzhou", "trading", "stock")),
    ]


@pytest.mark.parametrize(
    "place",
    [
        {"name": "trading.stock.quote"},
        {"name": "*"},
        {"name": None},
        {"name": "trading", "owner": 7},
        7,
    ],
)
def test_damaged_place_is_refused(place: Any) -> None:
    document = json.loads(write_replica(Metastore("hangzhou", 1, [QUOTE])))
    document["places"].append(place)

    with pytest.raises(ValueError, match=r"\w"):
        read_replica(json.dumps(document).encode(), cluster="hangzhou")


def test_order_of_tables_does_not_change_what_is_sent() -> None:
    assert write_replica(Metastore("hangzhou", 1, [QUOTE, TRADE])) == write_replica(
        Metastore("hangzhou", 1, [TRADE, QUOTE])
    )


def test_cluster_speaks_for_itself_only() -> None:
    wire = write_replica(Metastore("hangzhou", 1, [QUOTE]))

    with pytest.raises(ValueError, match="not that of shanghai"):
        read_replica(wire, cluster="shanghai")


@pytest.mark.parametrize(
    "key, value",
    [
        ("name", "trading.stock"),
        ("name", "trading.stock.quote@shanghai"),
        ("name", "../etc"),
        ("name", None),
        ("id", 7),
        ("arrow_schema", "AAAA"),
        ("arrow_schema", 1),
        ("arrow_schema", -1),
        ("arrow_schema", True),
        ("arrow_schema", 0.0),
        ("arrow_schema", [0]),
        ("arrow_schema", None),
        ("arrow_schema", "not base64"),
        ("arrow_schema", ""),
        ("partition_columns", ["Bid"]),
        ("partition_columns", None),
        ("row_count", -1),
        ("row_count", 2**63),
        ("row_count", "12"),
        ("row_count", True),
        ("byte_count", 1e300),
        ("schema_version", None),
        ("kind", "something"),
        ("owner", 7),
    ],
)
def test_damaged_table_is_refused(key: str, value: Any) -> None:
    document = json.loads(write_replica(Metastore("hangzhou", 1, [QUOTE])))
    older = one_by_one(document)
    older["tables"][0][key] = document["tables"][key][0] = value

    for damaged in (document, older):
        with pytest.raises(ValueError, match=r"\w"):
            read_replica(json.dumps(damaged).encode(), cluster="hangzhou")


@pytest.mark.parametrize("values", [[], ["a", "b"], "a", {"a": "b"}, None, 7])
@pytest.mark.parametrize("key", ["id", "kind", "arrow_schema", "row_count"])
def test_column_of_another_length_is_refused(key: str, values: Any) -> None:
    document = json.loads(write_replica(Metastore("hangzhou", 1, [QUOTE])))
    document["tables"][key] = values

    with pytest.raises(ValueError, match=r"\w"):
        read_replica(json.dumps(document).encode(), cluster="hangzhou")


@pytest.mark.parametrize(
    "data",
    [
        *(b"", b"[]", b"null", b"\xff", b"{}", b'{"tables": 3}', b'{"tables": [[]]}'),
        *(b'{"arrow_schemas": 3, "tables": []}', b"[" * 100_000),
    ],
)
def test_anything_else_is_no_metastore(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        read_replica(data, cluster="hangzhou")


def test_what_tables_share_is_sent_and_held_once() -> None:
    document = json.loads(write_replica(Metastore("hangzhou", 1, [QUOTE, TRADE])))
    replica = read_replica(json.dumps(document).encode(), cluster="hangzhou")

    assert len(document["arrow_schemas"]) == 1
    quote, trade = replica.all_tables()
    assert quote.arrow_schema is trade.arrow_schema
    assert quote.partition_columns is trade.partition_columns
    assert quote.name.schema is trade.name.schema


def test_replica_of_an_older_member_has_the_columns_written_out_at_each_table() -> None:
    document = one_by_one(json.loads(write_replica(Metastore("hangzhou", 1, [QUOTE, TRADE]))))
    (encoded,) = document.pop("arrow_schemas")
    for table in document["tables"]:
        table["arrow_schema"] = encoded

    replica = read_replica(json.dumps(document).encode(), cluster="hangzhou")
    assert [table.arrow_schema for table in replica.all_tables()] == [SCHEMA, SCHEMA]


@pytest.mark.parametrize("encoded", ["AAAA", "not base64", "", None, 7, {}])
def test_damaged_columns_are_refused(encoded: Any) -> None:
    document = json.loads(write_replica(Metastore("hangzhou", 1, [QUOTE])))
    document["arrow_schemas"] = [encoded]

    with pytest.raises(ValueError, match=r"\w"):
        read_replica(json.dumps(document).encode(), cluster="hangzhou")
