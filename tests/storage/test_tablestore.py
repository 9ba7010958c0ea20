import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pytest
import sqlalchemy as sa

from storage.errors import (
    PlaceExistsError,
    TableExistsError,
    UnknownPlaceError,
    UnknownTableError,
)
from storage.metastore import Place, Table, TableKind
from storage.names import ObjectName
from storage.placestore import PlaceStore
from storage.tablestore import TableStore, metadata
from tests.databases import state_url

QUOTE = Table(
    id="1" * 32,
    name=ObjectName("hangzhou", "trading", "stock", "quote"),
    arrow_schema=pa.schema([pa.field("bid", pa.float64(), nullable=False), ("day", pa.date32())]),
    partition_columns=("day",),
    schema_version=1,
    snapshot="2" * 32,
    row_count=2**40,
    byte_count=2**41,
    file_count=3,
    location="/data/quote",
)
TRADE = replace(QUOTE, id="3" * 32, name=ObjectName("hangzhou", "trading", "stock", "trade"))

DROP_IT = """
import sys
from collections.abc import Iterator
import sqlalchemy as sa
from storage.names import ObjectName
from storage.placestore import PlaceStore
from storage.tablestore import TableStore
with sa.create_engine(sys.argv[1]).begin() as connection:
    TableStore(connection).drop(ObjectName.parse("trading.stock.quote@hangzhou"))
"""


@pytest.fixture
def database(tmp_path: Path) -> Iterator[sa.Engine]:
    engine = sa.create_engine(state_url(tmp_path))
    metadata.create_all(engine)
    yield engine
    engine.dispose()


def test_tables_are_kept_whole_and_ordered(database: sa.Engine) -> None:
    with database.begin() as connection:
        TableStore(connection).add(TRADE)
        TableStore(connection).add(QUOTE)

    with database.begin() as connection:
        assert TableStore(connection).all() == [QUOTE, TRADE]


def test_every_change_bumps_the_version_and_reading_does_not(database: sa.Engine) -> None:
    versions = []
    with database.begin() as connection:
        store = TableStore(connection)
        versions.append(store.version())
        store.add(QUOTE)
        versions.append(store.version())
        store.replace(replace(QUOTE, snapshot="4" * 32))
        versions.append(store.version())
        store.drop(QUOTE.name)
        versions.append(store.version())
        store.all()
        versions.append(store.version())

    assert versions == [0, 1, 2, 3, 3]


def test_undone_change_leaves_table_and_version_as_they_were(database: sa.Engine) -> None:
    with database.connect() as connection:
        TableStore(connection).add(QUOTE)
        connection.rollback()

    with database.begin() as connection:
        assert TableStore(connection).version() == 0
        assert TableStore(connection).all() == []


def test_change_of_another_process_shows_in_the_version(database: sa.Engine) -> None:
    with database.begin() as connection:
        TableStore(connection).add(QUOTE)

    subprocess.run(  # noqa: S603  our own interpreter and text
        [sys.executable, "-c", DROP_IT, str(database.url)],
        check=True,
        cwd=Path(__file__).parents[2],
    )

    with database.begin() as connection:
        assert TableStore(connection).version() == 2
        assert TableStore(connection).all() == []


def test_second_table_of_a_name_is_refused(database: sa.Engine) -> None:
    with database.begin() as connection:
        TableStore(connection).add(QUOTE)
        with pytest.raises(TableExistsError, match=r"trading\.stock\.quote@hangzhou"):
            TableStore(connection).add(replace(QUOTE, id="9" * 32))


def test_renamed_table_keeps_its_id(database: sa.Engine) -> None:
    with database.begin() as connection:
        store = TableStore(connection)
        store.add(QUOTE)
        store.replace(replace(QUOTE, name=TRADE.name))

        assert [(table.id, table.name) for table in store.all()] == [(QUOTE.id, TRADE.name)]


def test_rename_onto_another_table_is_refused(database: sa.Engine) -> None:
    with database.begin() as connection:
        store = TableStore(connection)
        store.add(QUOTE)
        store.add(TRADE)
        with pytest.raises(TableExistsError, match=r"stock\.trade@hangzhou"):
            store.replace(replace(QUOTE, name=TRADE.name))


def test_unknown_table_is_neither_replaced_nor_dropped(database: sa.Engine) -> None:
    with database.begin() as connection:
        with pytest.raises(UnknownTableError):
            TableStore(connection).replace(QUOTE)
        with pytest.raises(UnknownTableError):
            TableStore(connection).drop(QUOTE.name)


def test_view_is_kept_with_its_owner_and_definition(database: sa.Engine) -> None:
    view = replace(
        QUOTE, kind=TableKind.VIEW, owner="user1@hangzhou", definition="select 1", location=None
    )
    with database.begin() as connection:
        TableStore(connection).add(view)
    with database.begin() as connection:
        assert TableStore(connection).all() == [view]


def test_places_are_kept_and_made_for_the_tables_that_need_them(database: sa.Engine) -> None:
    catalog = ObjectName("hangzhou", "trading")
    schema = ObjectName("hangzhou", "trading", "bonds")
    with database.begin() as connection:
        store = PlaceStore(connection)
        store.add(Place(schema, "user1@hangzhou"))
        assert store.all() == [Place(catalog), Place(schema, "user1@hangzhou")]
        with pytest.raises(PlaceExistsError):
            store.add(Place(catalog))
        store.replace(Place(catalog, "user2@hangzhou"))
        TableStore(connection).add(QUOTE)
        stock = ObjectName("hangzhou", "trading", "stock")
        assert store.find(catalog) == Place(catalog, "user2@hangzhou")
        assert store.find(stock) == Place(stock)


def test_places_are_renamed_and_dropped_with_what_lies_below(database: sa.Engine) -> None:
    old, new = ObjectName("hangzhou", "trading"), ObjectName("hangzhou", "markets")
    with database.begin() as connection:
        store = PlaceStore(connection)
        store.add(Place(ObjectName("hangzhou", "trading", "stock"), "user1@hangzhou"))
        store.add(Place(ObjectName("hangzhou", "tradings", "stock")))
        store.rename(old, new)
        assert [place.name.local for place in store.all()] == [
            "markets",
            "markets.stock",
            "tradings",
            "tradings.stock",
        ]
        assert store.all()[1].owner == "user1@hangzhou"
        with pytest.raises(PlaceExistsError):
            store.rename(new, ObjectName("hangzhou", "tradings"))
        store.drop(new)
        assert [place.name.local for place in store.all()] == ["tradings", "tradings.stock"]
        for act in (store.drop, lambda name: store.rename(name, old)):
            with pytest.raises(UnknownPlaceError):
                act(new)
        with pytest.raises(UnknownPlaceError):
            store.replace(Place(new))
