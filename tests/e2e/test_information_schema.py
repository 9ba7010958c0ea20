"""`information_schema`, SHOW and DESCRIBE over real servers: what is listed is what may be read."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest
from adbc_driver_flightsql import dbapi

from flight_mom.demo.federation import HANGZHOU, MOM, SHANGHAI, DemoFederation
from flight_sql import Client
from tests.e2e.factories import make_flights
from tests.e2e.federation import (
    FLIGHTS_AT,
    QUOTES_AT,
    READER,
    SALARIES_AT,
    STRANGER,
    refused_sql,
    refused_ticket,
)

TABLES = "select table_catalog, table_schema, table_name from information_schema.tables"
CATALOG_AT = f"aviation@{HANGZHOU}"
GRANT = f"GRANT TABLE_READ ON {FLIGHTS_AT} TO {READER}"
REVOKE = f"REVOKE TABLE_READ ON {FLIGHTS_AT} FROM {READER}"
# Everybody may read these, each their own part.
SYSTEM = [
    ("system", "federation", name)
    for name in (
        "audit",
        "cluster_states",
        "clusters",
        "grants",
        "heartbeat_handlers",
        "jobs",
        "nodes",
        "tables",
    )
]
DENY = f"DENY CATALOG_READ ON {CATALOG_AT} TO {READER}"
# Names of hangzhou that a caller without a grant must never meet.
FORBIDDEN = ("payroll", "salaries", "salary", "aviation", "flights", "arr_delay")


@pytest.fixture(params=["at_mom", "at_home"])
def reader(request: pytest.FixtureRequest) -> Client:
    """user1@shanghai, at the MoM and at home."""
    client: Client = request.getfixturevalue(request.param)
    return client


@contextmanager
def connected(federation: DemoFederation, at: str) -> Iterator[Any]:
    sign_in = {"username": READER, "password": federation.password("user1")}
    with dbapi.connect(federation.uri(at), db_kwargs=sign_in, autocommit=True) as connection:
        yield connection


def names(client: Client, sql: str = f"{TABLES} order by 1, 2, 3") -> list[tuple[Any, ...]]:
    return [tuple(row.values()) for row in client.query(sql).read_all().to_pylist()]


def own(client: Client, at_mom: Client) -> str:
    """Return how the reader's own catalog is listed there."""
    return f"trading@{SHANGHAI}" if client is at_mom else "trading"


def test_tables_follow_grants_and_denials(admin: Client, reader: Client, at_mom: Client) -> None:
    home = (own(reader, at_mom), "stock", "quote")
    flights = (CATALOG_AT, "nyc", "flights")
    assert names(reader) == sorted([*SYSTEM, home])
    admin.update(GRANT)
    assert names(reader) == sorted([*SYSTEM, flights, home])
    admin.update(REVOKE)
    assert names(reader) == sorted([*SYSTEM, home])
    admin.update(f"GRANT SCHEMA_READ ON aviation.nyc@{HANGZHOU} TO {READER}")
    assert names(reader) == sorted([*SYSTEM, flights, home])
    admin.update(DENY)
    assert names(reader) == sorted([*SYSTEM, home])


@pytest.mark.usefixtures("granted")
def test_what_it_tells_equals_the_metadata_commands_and_show(reader: Client) -> None:
    entries = reader.tables(include_schema=True).to_pylist()
    listed = [(e["catalog_name"], e["db_schema_name"], e["table_name"]) for e in entries]
    assert names(reader) == listed
    assert len(listed) == 2 + len(SYSTEM)
    sizes = ", row_count, byte_count, file_count"
    order = " order by 1, 2, 3"
    select = f"select table_catalog, table_schema, table_name{sizes} from information_schema.tables"
    assert names(reader, select + order) == names(reader, "SHOW TABLES")
    pairs = "select catalog_name, schema_name from information_schema.schemata order by 1, 2"
    assert names(reader, pairs) == names(reader, "SHOW SCHEMAS")
    catalogs = "select distinct catalog_name from information_schema.schemata order by 1"
    assert names(reader, catalogs) == names(reader, "SHOW CATALOGS")
    assert [name for (name,) in names(reader, catalogs)] == reader.catalogs()
    for entry in entries:
        schema = pa.ipc.read_schema(pa.py_buffer(entry["table_schema"]))
        told = names(
            reader,
            "select column_name, data_type from information_schema.columns "
            f"where table_catalog = '{entry['catalog_name']}' "
            f"and table_name = '{entry['table_name']}' order by ordinal_position",
        )
        key = b"ARROW:FLIGHT:SQL:TYPE_NAME"
        assert told == [(field.name, field.metadata[key].decode()) for field in schema]


def test_adbc_lists_the_same_objects(
    federation: DemoFederation, granted: None, reader: Client, at_mom: Client
) -> None:
    del granted
    with connected(federation, MOM if reader is at_mom else SHANGHAI) as connection:
        objects = connection.adbc_get_objects(depth="tables").read_all().to_pylist()
        listed = [
            (catalog["catalog_name"], schema["db_schema_name"], table["table_name"])
            for catalog in objects
            for schema in catalog["catalog_db_schemas"]
            for table in schema["db_schema_tables"]
        ]
        assert sorted(listed) == names(reader)
        with connection.cursor() as cursor:
            cursor.execute(f"{TABLES} where table_schema = ?", parameters=["nyc"])
            assert cursor.fetchall() == [(CATALOG_AT, "nyc", "flights")]
            promised = cursor.adbc_execute_schema(TABLES)
            cursor.execute(TABLES)
            assert cursor.fetch_arrow_table().schema == promised
        frame = pd.read_sql(
            "select table_catalog, count(*) as n from information_schema.columns "
            "where table_catalog <> 'system' group by table_catalog order by n desc",
            connection,
        )
    assert frame["table_catalog"].tolist()[0] == CATALOG_AT
    assert frame["n"].tolist()[0] == len(make_flights().schema)


@pytest.mark.usefixtures("granted")
def test_every_form_narrows_to_its_place(reader: Client) -> None:
    flights = [("flights",)]
    for source in (
        f"information_schema.tables@{HANGZHOU}",
        f"aviation.information_schema.tables@{HANGZHOU}",
        f'"{CATALOG_AT}".information_schema.tables',
        f'"{CATALOG_AT}"."information_schema"."tables" t',
    ):
        assert names(reader, f"select table_name from {source}") == flights
    home = "select table_name from trading.information_schema.tables"
    assert names(reader, home) == [("quote",)]
    for statement in (
        f"SHOW TABLES FROM *@{HANGZHOU}",
        f'SHOW TABLES FROM "{CATALOG_AT}".nyc',
        f"SHOW TABLES IN {CATALOG_AT} LIKE 'fl%'",
        "SHOW TABLES ILIKE 'FL%'",
    ):
        assert [row[2] for row in names(reader, statement)] == ["flights"]


def test_session_defaults_do_not_narrow_a_listing(reader: Client, granted: None) -> None:
    del granted
    headers = (("x-cluster", HANGZHOU), ("x-catalog", "aviation"), ("x-schema", "nyc"))
    rows = reader.query(TABLES, headers=headers).read_all()
    assert rows.num_rows == 2 + len(SYSTEM)
    described = reader.query("SHOW COLUMNS FROM flights LIKE 'T%'", headers=headers).read_all()
    assert described["column_name"].to_pylist() == ["Tail"]


@pytest.mark.usefixtures("granted")
def test_sizes_of_other_clusters_are_known_at_home(at_mom: Client, at_home: Client) -> None:
    statement = f"SHOW TABLES FROM *@{HANGZHOU}"
    shown = names(at_home, statement)
    assert shown == names(at_mom, statement)
    assert shown[0][3] == make_flights().num_rows
    partitions = (
        f"select column_name from information_schema.columns@{HANGZHOU} "
        "where is_partition_column = 'YES' order by 1"
    )
    assert names(at_home, partitions) == [("month",), ("origin",)]


def test_the_owner_sees_their_own_bare(federation: DemoFederation) -> None:
    with federation.client("user2", HANGZHOU, at=HANGZHOU) as owner:
        own = {("aviation", "nyc", "flights"), ("payroll", "hr", "salaries")}
        assert own <= set(names(owner))
        catalogs = [catalog for (catalog,) in names(owner, "SHOW CATALOGS")]
        assert {"aviation", "payroll", "system"} <= set(catalogs)
        assert not [catalog for catalog in catalogs if "@" in catalog]


def test_who_may_read_nothing_sees_nothing_but_the_system(
    federation: DemoFederation, admin: Client
) -> None:
    del admin
    for at in (MOM, SHANGHAI):
        with federation.client(STRANGER, SHANGHAI, at=at) as stranger:
            assert names(stranger) == SYSTEM
            counted = (
                "select count(*) from information_schema.columns where table_catalog <> 'system'"
            )
            assert names(stranger, counted) == [(0,)]
            assert names(stranger, f"SHOW TABLES FROM *@{SHANGHAI}") == []


@pytest.mark.parametrize(
    "statement",
    [
        "SHOW TABLES FROM {}",
        "SHOW SCHEMAS FROM {}",
        "select * from {}",
    ],
)
def test_unknown_and_unreadable_places_are_refused_in_the_same_words(
    admin: Client, reader: Client, statement: str
) -> None:
    del admin

    def words(catalog: str, cluster: str) -> str:
        place = f"{catalog}@{cluster}"
        is_query = statement.startswith("select")
        written = f"{catalog}.information_schema.tables@{cluster}" if is_query else place
        refusal = refused_sql(reader, statement.format(written))
        assert refusal.code == "not-found"
        return str(refusal).replace(place, "PLACE")

    unknown = words("nothing", HANGZHOU)
    assert words("payroll", HANGZHOU) == unknown
    assert words("aviation", HANGZHOU) == unknown
    assert words("payroll", "nowhere") == unknown


def test_no_statement_tells_of_what_may_not_be_read(admin: Client, reader: Client) -> None:
    del admin
    for sql in (
        "select * from information_schema.columns",
        "select count(*) from information_schema.tables where table_name like 'sal%'",
        "select count(*) from information_schema.columns where column_name = 'salary'",
        "select max(table_name) from information_schema.tables group by cluster_name",
        "SHOW TABLES LIKE 'sal%'",
        "SHOW TABLES LIKE '%'",
        "SHOW SCHEMAS",
        "SHOW CATALOGS ILIKE 'PAY%'",
        "SHOW CLUSTERS",
        "SHOW GRANTS",
        "SHOW JOBS",
    ):
        answered = reader.query(sql).read_all()
        assert not [word for word in FORBIDDEN if word in str(answered.to_pylist())]
        if "count" in sql:
            assert answered.column(0).to_pylist() == [0]
    for sql in (
        "select cast(table_name as int) from information_schema.tables",
        "select 1 / (row_count - row_count) from information_schema.tables",
        "select tabel_name from information_schema.tables",
        "select * from information_schema.salaries",
        "select (select table_name from information_schema.columns) from information_schema.tables",
        "explain select * from information_schema.tables",
        "select * from system.federation.tickets",
        "DESCRIBE information_schema.nothing",
    ):
        said = str(refused_sql(reader, sql))
        assert not [
            word for word in FORBIDDEN if word in said.replace("information_schema.salaries", "")
        ]


@pytest.mark.usefixtures("granted")
def test_rows_are_decided_when_they_are_fetched_and_for_their_caller_alone(
    federation: DemoFederation, admin: Client, reader: Client, at_mom: Client
) -> None:
    at = MOM if reader is at_mom else SHANGHAI
    (endpoint,) = reader.get_info(TABLES).endpoints
    assert reader.open_ticket(endpoint.handle).read_all().num_rows == 2 + len(SYSTEM)
    admin.update(REVOKE)
    assert reader.open_ticket(endpoint.handle).read_all().num_rows == 1 + len(SYSTEM)
    with federation.client(STRANGER, SHANGHAI, at=at) as stranger:
        assert refused_ticket(stranger, endpoint.handle).code == "invalid-ticket"


def test_information_schema_is_described(reader: Client) -> None:
    described = names(reader, "DESCRIBE information_schema.tables")
    assert described[0] == ("table_catalog", "VARCHAR", False, False, "string")
    columns = reader.query("select * from information_schema.tables").read_all().schema.names
    assert [row[0] for row in described] == columns


@pytest.mark.usefixtures("granted")
def test_a_place_that_is_nearly_right_is_suggested(reader: Client) -> None:
    assert f"did you mean {CATALOG_AT}?" in str(refused_sql(reader, "SHOW TABLES FROM aviation"))
    said = str(refused_sql(reader, f"SHOW TABLES FROM {HANGZHOU}"))
    assert f"did you mean *@{HANGZHOU}?" in said
    assert SALARIES_AT not in said
    assert QUOTES_AT not in said
