"""The clients that people use, against the demo on its real data."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from adbc_driver_flightsql import DatabaseOptions, dbapi
from pyarrow import flight

from flight_mom.demo.data import FLIGHT_COUNT, QUOTE_COUNT
from flight_sql import REUSE_CONNECTION
from flight_sql.messages import pack, sql_message
from tests.e2e.conftest import RealDemo
from tests.e2e.federation import bearer

BY_CARRIER = (
    "select carrier, count(*) as flights from aviation.nyc.flights@hangzhou "
    "group by carrier order by flights desc, carrier"
)
COUNT_FLIGHTS = "select count(*) as n from aviation.nyc.flights@hangzhou"
COUNT_QUOTES = "select count(*) as n from trading.stock.quote"
GRANT = "GRANT TABLE_READ ON aviation.nyc.flights@hangzhou TO user1@shanghai"
REVOKE = "REVOKE TABLE_READ ON aviation.nyc.flights@hangzhou FROM user1@shanghai"
JOIN = (
    "select a.carrier from aviation.nyc.flights@hangzhou a "
    "join aviation.nyc.flights@hangzhou b on a.tailnum = b.tailnum"
)
UNION = (
    "select carrier from aviation.nyc.flights@hangzhou "
    "union all select symbol from trading.stock.quote@shanghai"
)


@contextmanager
def connected(demo: RealDemo, user: str = "user1", at: str = "uri") -> Iterator[Any]:
    """Connect as the README says: address, name and password of the profile."""
    me = demo.profile(user)
    with dbapi.connect(
        me[at],
        db_kwargs={"username": me["username"], "password": me["password"]},
        autocommit=True,
    ) as connection:
        yield connection


def run(connection: Any, sql: str) -> pa.Table:
    with connection.cursor() as cursor:
        cursor.execute(sql)
        table: pa.Table = cursor.fetch_arrow_table()
        return table


def command(sql: str) -> Any:
    return flight.FlightDescriptor.for_command(
        pack(sql_message("CommandStatementQuery", query=sql))
    )


@pytest.mark.parametrize("at", ["uri", "home_uri"])
def test_adbc_reads_both_clusters_with_name_and_password(demo: RealDemo, at: str) -> None:
    with connected(demo, at=at) as connection:
        assert run(connection, COUNT_FLIGHTS).to_pydict() == {"n": [FLIGHT_COUNT]}
        assert run(connection, COUNT_QUOTES).to_pydict() == {"n": [QUOTE_COUNT]}


@pytest.mark.parametrize("at", ["uri", "home_uri"])
def test_adbc_reads_with_a_bearer_token_alone(demo: RealDemo, at: str) -> None:
    me = demo.profile("user1")
    option = {DatabaseOptions.AUTHORIZATION_HEADER.value: f"Bearer {me['token']}"}
    assert DatabaseOptions.AUTHORIZATION_HEADER.value == "adbc.flight.sql.authorization_header"
    with dbapi.connect(me[at], db_kwargs=option, autocommit=True) as connection:
        assert run(connection, COUNT_FLIGHTS)["n"].to_pylist() == [FLIGHT_COUNT]


def test_adbc_answers_alike_at_the_mom_and_at_home(demo: RealDemo) -> None:
    with connected(demo) as at_mom, connected(demo, at="home_uri") as at_home:
        first = run(at_mom, BY_CARRIER)
        assert first.equals(run(at_home, BY_CARRIER))
    assert sum(first["flights"].to_pylist()) == FLIGHT_COUNT


def test_adbc_cursor_fetches_rows_and_describes_columns(demo: RealDemo) -> None:
    with connected(demo) as connection, connection.cursor() as cursor:
        cursor.execute(BY_CARRIER)
        assert [column[0] for column in cursor.description] == ["carrier", "flights"]
        assert cursor.fetchone() == ("UA", 58_665)
        assert cursor.fetchmany(2) == [("B6", 54_635), ("EV", 54_173)]
        assert len(cursor.fetchall()) == 13


def test_a_prepared_statement_answers_twice(demo: RealDemo) -> None:
    with connected(demo) as connection, connection.cursor() as cursor:
        cursor.adbc_prepare(COUNT_FLIGHTS)
        for _ in range(2):
            cursor.execute(COUNT_FLIGHTS)
            assert cursor.fetchall() == [(FLIGHT_COUNT,)]


def test_pandas_reads_a_query_into_a_frame(demo: RealDemo) -> None:
    with connected(demo) as connection:
        frame = pd.read_sql(BY_CARRIER, connection)
    assert list(frame.columns) == ["carrier", "flights"]
    assert frame["flights"].sum() == FLIGHT_COUNT


def test_polars_reads_a_query_into_a_frame(demo: RealDemo) -> None:
    with connected(demo) as connection:
        frame = pl.read_database(BY_CARRIER, connection)
    assert frame.columns == ["carrier", "flights"]
    assert frame["flights"].sum() == FLIGHT_COUNT


def test_two_results_are_joined_in_polars_as_the_refusal_says(demo: RealDemo) -> None:
    with connected(demo) as connection:
        flights = pl.read_database(BY_CARRIER, connection)
        days = pl.read_database(
            "select carrier, avg(arr_delay) as delay from aviation.nyc.flights@hangzhou "
            "group by carrier",
            connection,
        )
    assert flights.join(days, on="carrier").height == 16


def test_bare_flight_signs_in_asks_and_reads_at_every_location(demo: RealDemo) -> None:
    me = demo.profile("user1")
    with flight.FlightClient(me["uri"]) as client:
        name, value = client.authenticate_basic_token(me["username"], me["password"])
        assert name == b"authorization"
        options = flight.FlightCallOptions(headers=[(name, value)])
        info = client.get_flight_info(command(COUNT_FLIGHTS), options)
        (endpoint,) = info.endpoints
        locations = [location.uri.decode() for location in endpoint.locations]
        assert locations[-1] == REUSE_CONNECTION
        assert len(locations) == 2
        here = client.do_get(endpoint.ticket, options).read_all()
        with flight.FlightClient(locations[0]) as member:
            there = member.do_get(endpoint.ticket).read_all()
    assert here.equals(there)
    assert here.to_pydict() == {"n": [FLIGHT_COUNT]}
    assert info.schema == here.schema


def test_bare_flight_learns_a_schema_without_running(demo: RealDemo) -> None:
    me = demo.profile("user1")
    with flight.FlightClient(me["uri"]) as client:
        result = client.get_schema(command(COUNT_FLIGHTS), bearer(me["token"]))
    assert result.schema.names == ["n"]


def test_a_whole_table_streams_through_every_path_alike(demo: RealDemo) -> None:
    me = demo.profile("user1")
    sql = "select carrier, flight, arr_delay, origin from aviation.nyc.flights@hangzhou"
    tables = []
    for at, header in (("uri", "direct"), ("uri", "relay"), ("home_uri", "direct")):
        kwargs = {
            "username": me["username"],
            "password": me["password"],
            f"{DatabaseOptions.RPC_CALL_HEADER_PREFIX.value}x-route": header,
        }
        with dbapi.connect(me[at], db_kwargs=kwargs, autocommit=True) as connection:
            tables.append(run(connection, sql))
    assert [table.num_rows for table in tables] == [FLIGHT_COUNT] * 3
    sums = {(sum(t["flight"].to_pylist()), t["arr_delay"].null_count) for t in tables}
    assert len(sums) == 1


@pytest.mark.parametrize("separator", ["", ";"])
def test_administrators_grant_and_revoke_through_cursor_execute(
    demo: RealDemo, separator: str
) -> None:
    with connected(demo, "admin") as admin, connected(demo) as reader:
        assert run(admin, REVOKE + separator)["status"].to_pylist() == ["revoked 1"]
        with pytest.raises(dbapi.ProgrammingError, match="not-found"):
            run(reader, COUNT_FLIGHTS)
        function = 'grant("user1@shanghai", TABLE_READ, "aviation.nyc.flights@hangzhou")'
        assert run(admin, function + separator)["status"].to_pylist() == ["granted"]
        assert run(reader, COUNT_FLIGHTS)["n"].to_pylist() == [FLIGHT_COUNT]


def test_administrators_grant_and_revoke_through_executescript(demo: RealDemo) -> None:
    with connected(demo, "admin") as admin, connected(demo) as reader, admin.cursor() as cursor:
        cursor.executescript(REVOKE)
        with pytest.raises(dbapi.ProgrammingError, match="not-found"):
            run(reader, COUNT_FLIGHTS)
        cursor.executescript(GRANT)
        assert run(reader, COUNT_FLIGHTS)["n"].to_pylist() == [FLIGHT_COUNT]


@pytest.mark.parametrize("at", ["uri", "home_uri"])
def test_adbc_objects_show_exactly_what_the_user_may_read(demo: RealDemo, at: str) -> None:
    own = "trading@shanghai" if at == "uri" else "trading"
    quotes, flights = (own, "stock", "quote"), ("aviation@hangzhou", "nyc", "flights")
    with connected(demo, "admin") as admin, connected(demo, at=at) as reader:
        assert _tables_of(reader) == {quotes, flights}
        run(admin, REVOKE)
        try:
            assert _tables_of(reader) == {quotes}
            assert _catalogs_of(reader) == {own}
        finally:
            run(admin, GRANT)
        assert _tables_of(reader) == {quotes, flights}
        assert _catalogs_of(reader) == {own, "aviation@hangzhou"}


def test_adbc_objects_carry_the_columns(demo: RealDemo) -> None:
    with connected(demo) as connection:
        objects = connection.adbc_get_objects(depth="all", table_name_filter="flights").read_all()
        names = [
            column["column_name"]
            for catalog in objects.to_pylist()
            for schema in catalog["catalog_db_schemas"] or ()
            for table in schema["db_schema_tables"] or ()
            for column in table["table_columns"]
        ]
        table_schema = connection.adbc_get_table_schema(
            "flights", catalog_filter="aviation@hangzhou", db_schema_filter="nyc"
        )
    assert "arr_delay" in names
    assert table_schema.names == names


def test_names_as_bi_tools_quote_them_are_the_same_table(demo: RealDemo) -> None:
    spellings = (
        "aviation.nyc.flights@hangzhou",
        '"aviation@hangzhou".nyc.flights',
        '"aviation@hangzhou"."nyc"."flights"',
        'aviation.nyc."flights@hangzhou"',
        "AVIATION.Nyc.FLIGHTS@Hangzhou",
    )
    with connected(demo) as connection:
        for spelling in spellings:
            counted = run(connection, f"select count(*) as n from {spelling}")
            assert counted["n"].to_pylist() == [FLIGHT_COUNT], spelling


@pytest.mark.parametrize(
    "sql, code",
    [
        (JOIN, "join-not-supported"),
        (UNION, "multi-cluster-query"),
        (
            "insert into aviation.nyc.flights@hangzhou select * from aviation.nyc.flights@hangzhou",
            "cross-cluster-read-only",
        ),
        ("select carier from aviation.nyc.flights@hangzhou", "unknown-column"),
        ("select from from aviation.nyc.flights@hangzhou", "sql-syntax"),
        ("select 1; select 2", "one-statement-only"),
        ("select * from aviation.nyc.planes@hangzhou", "not-found"),
        (GRANT, "permission-denied"),
    ],
)
@pytest.mark.parametrize("at", ["uri", "home_uri"])
def test_adbc_is_told_the_code_of_a_refusal_first(
    demo: RealDemo, at: str, sql: str, code: str
) -> None:
    with connected(demo, at=at) as connection, pytest.raises(dbapi.Error) as caught:
        run(connection, sql)
    assert f"{code}: " in str(caught.value)


def test_home_tables_are_joined_at_home_and_nowhere_else(demo: RealDemo) -> None:
    join = (
        "select count(*) as n from (select distinct symbol from trading.stock.quote) a "
        "join (select distinct symbol from trading.stock.quote) b on a.symbol = b.symbol"
    )
    with connected(demo, at="home_uri") as at_home, connected(demo) as at_mom:
        assert run(at_home, join)["n"].to_pylist() == [50]
        with pytest.raises(dbapi.Error, match="join-not-supported"):
            run(at_mom, join)


def _tables_of(connection: Any) -> set[tuple[str, str, str]]:
    objects = connection.adbc_get_objects(depth="tables").read_all()
    return {
        (catalog["catalog_name"], schema["db_schema_name"], table["table_name"])
        for catalog in objects.to_pylist()
        for schema in catalog["catalog_db_schemas"] or ()
        for table in schema["db_schema_tables"] or ()
        if catalog["catalog_name"] != "system"
    }


def _catalogs_of(connection: Any) -> set[str]:
    objects = connection.adbc_get_objects(depth="catalogs").read_all()
    return set(objects["catalog_name"].to_pylist()) - {"system"}
