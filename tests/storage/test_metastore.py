import json
from dataclasses import replace
from typing import Any

import pyarrow as pa
import pytest

from storage.metastore import Metastore, Place, Table, TableKind
from storage.names import ObjectName

SCHEMA = pa.schema(
    [
        pa.field("Bid", pa.decimal128(15, 2), nullable=False),
        pa.field("at", pa.timestamp("us", tz="UTC")),
        pa.field("tags", pa.list_(pa.struct([pa.field("key", pa.utf8())]))),
        pa.field("day", pa.date32(), nullable=False),
    ]
)
QUOTE = Table(
    id="1" * 32,
    name=ObjectName("hangzhou", "trading", "stock", "quote"),
    arrow_schema=SCHEMA,
    partition_columns=("day",),
    schema_version=3,
    snapshot="2" * 32,
    row_count=12,
    byte_count=3_000_000_000,
    file_count=2,
    location="/secret/place",
)
TRADE = replace(QUOTE, id="3" * 32, name=ObjectName("hangzhou", "trading", "stock", "trade"))


def test_replica_knows_everything_but_the_location() -> None:
    wire = Metastore("hangzhou", 7, [TRADE, QUOTE]).to_wire()
    replica = Metastore.from_wire(wire, cluster="hangzhou")

    assert b"secret" not in wire
    assert replica.version == 7
    assert replica.all_tables() == (replace(QUOTE, location=None), replace(TRADE, location=None))
    assert replica.to_wire() == wire


def test_replica_knows_kinds_owners_and_places_and_no_view_is_told_of_what_it_is_made() -> None:
    name = ObjectName("hangzhou", "trading", "stock", "secret_view")
    view = replace(
        QUOTE, id="5" * 32, name=name, kind=TableKind.VIEW, definition="select 'secret'", owner="u"
    )
    empty = Place(ObjectName("hangzhou", "research", "empty"), "user1@hangzhou")
    wire = Metastore("hangzhou", 1, [view], [empty]).to_wire()
    replica = Metastore.from_wire(wire, cluster="hangzhou")

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
    document = json.loads(Metastore("hangzhou", 1, [QUOTE]).to_wire())
    del document["places"], document["tables"][0]["kind"], document["tables"][0]["owner"]

    replica = Metastore.from_wire(json.dumps(document).encode(), cluster="hangzhou")
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
    document = json.loads(Metastore("hangzhou", 1, [QUOTE]).to_wire())
    document["places"].append(place)

    with pytest.raises(ValueError, match=r"\w"):
        Metastore.from_wire(json.dumps(document).encode(), cluster="hangzhou")


def test_order_of_tables_does_not_change_what_is_sent() -> None:
    assert (
        Metastore("hangzhou", 1, [QUOTE, TRADE]).to_wire()
        == Metastore("hangzhou", 1, [TRADE, QUOTE]).to_wire()
    )


def test_table_is_found_by_its_name_alone() -> None:
    metastore = Metastore("hangzhou", 1, [QUOTE])

    assert metastore.table(ObjectName.parse("TRADING.stock.quote@hangzhou")) is QUOTE
    assert metastore.table(TRADE.name) is None


def test_cluster_speaks_for_itself_only() -> None:
    wire = Metastore("hangzhou", 1, [QUOTE]).to_wire()

    with pytest.raises(ValueError, match="not that of shanghai"):
        Metastore.from_wire(wire, cluster="shanghai")
    with pytest.raises(ValueError, match="must lie in"):
        Metastore("shanghai", 1, [QUOTE])


def test_two_tables_of_one_name_are_refused() -> None:
    with pytest.raises(ValueError, match="one name"):
        Metastore("hangzhou", 1, [QUOTE, QUOTE])


@pytest.mark.parametrize(
    "key, value",
    [
        ("name", "trading.stock"),
        ("name", "trading.stock.quote@shanghai"),
        ("name", "../etc"),
        ("name", None),
        ("id", 7),
        ("arrow_schema", "AAAA"),
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
    document = json.loads(Metastore("hangzhou", 1, [QUOTE]).to_wire())
    document["tables"][0][key] = value

    with pytest.raises(ValueError, match=r"\w"):
        Metastore.from_wire(json.dumps(document).encode(), cluster="hangzhou")


@pytest.mark.parametrize(
    "data",
    [b"", b"[]", b"null", b"\xff", b"{}", b'{"tables": 3}', b'{"tables": [[]]}', b"[" * 100_000],
)
def test_anything_else_is_no_metastore(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        Metastore.from_wire(data, cluster="hangzhou")
