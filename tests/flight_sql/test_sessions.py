"""Sessions: the cookie that a client sends back, and the actions on options."""

from collections.abc import Iterator
from typing import Any

import pytest
from adbc_driver_flightsql import dbapi as adbc

from flight_sql import Client, FlightSqlServer, InvalidRequestError, OptionError
from flight_sql.messages import flight_message
from flight_sql.sessions import (
    EMPTY_SESSION,
    SESSION_COOKIE,
    SessionKeeper,
    read_options,
    read_session,
    request_body,
    session_cookie,
)
from tests.flight_sql.conftest import TOKEN
from tests.flight_sql.memory_backend import MemoryBackend

COOKIES = "adbc.flight.sql.rpc.with_cookie_middleware"
SIGN_IN = {"username": "alice", "password": "wonder:land"}


@pytest.fixture
def connection(server: FlightSqlServer) -> Iterator[Any]:
    options = {**SIGN_IN, COOKIES: "true"}
    with adbc.connect(server.uri, db_kwargs=options, autocommit=True) as connection:
        yield connection


@pytest.mark.parametrize(
    "cookies, session",
    [
        ([], None),
        (["AWSALB=x; other=y"], None),
        ([f"{SESSION_COOKIE}="], None),
        ([f"{SESSION_COOKIE}=abc"], "abc"),
        ([f'AWSALB=x;{SESSION_COOKIE}="a=b" ; z'], "a=b"),
        ([f"{SESSION_COOKIE}=old", f"a=b; {SESSION_COOKIE}=new"], "new"),
        ([f"x{SESSION_COOKIE}=abc"], None),
    ],
)
def test_session_is_found_among_cookies(cookies: list[str], session: str | None) -> None:
    assert read_session(cookies) == session


def test_options_of_every_type_are_read() -> None:
    texts = flight_message("StringListValue", values=["a", "b"])
    values: dict[str, dict[str, Any]] = {
        "text": {"string_value": ""},
        "flag": {"bool_value": False},
        "count": {"int64_value": -1},
        "ratio": {"double_value": 0.0},
        "list": {"string_list_value": texts},
        "erased": {},
    }
    entries = [
        flight_message(
            "SessionOptionEntry", key=name, value=flight_message("SessionOptionValue", **fields)
        )
        for name, fields in values.items()
    ]
    body = flight_message("SetSessionOptionsRequest", session_options=entries)
    assert read_options(body.SerializeToString()) == {
        "text": "",
        "flag": False,
        "count": -1,
        "ratio": 0.0,
        "list": ["a", "b"],
        "erased": None,
    }
    assert read_options(request_body({"a": "b", "c": None})) == {"a": "b", "c": None}
    with pytest.raises(InvalidRequestError):
        read_options(b"\xff\xff")


def test_keeper_takes_the_last_session_and_forgets_one_that_is_over() -> None:
    keeper = SessionKeeper()
    assert keeper.headers() == {}
    keeper.take(["AWSALB=1", session_cookie("a"), session_cookie("b", 60)])
    assert keeper.headers() == {"cookie": f"{SESSION_COOKIE}=b"}
    keeper.take([session_cookie("x", 0)])
    assert not keeper.is_begun


def test_every_call_of_a_client_without_a_session_begins_one(
    client: Client, backend: MemoryBackend
) -> None:
    client.query("SELECT quote").read_all()
    client.query("SELECT quote").read_all()
    assert [call.session for call in backend.calls] == [None] + [EMPTY_SESSION] * 3


def test_handshake_begins_a_session(server: FlightSqlServer, backend: MemoryBackend) -> None:
    with Client(server.uri) as client:
        client.sign_in("alice", "wonder:land")
        client.query("SELECT quote").read_all()
    assert {call.session for call in backend.calls} == {EMPTY_SESSION}


def test_client_that_is_shared_keeps_no_session(
    server: FlightSqlServer, backend: MemoryBackend
) -> None:
    with Client(server.uri, token=TOKEN, keeps_session=False) as client:
        for _ in range(2):
            client.query("SELECT quote").read_all()
    assert {call.session for call in backend.calls} == {None}


def test_options_are_set_and_read_back(client: Client, backend: MemoryBackend) -> None:
    assert client.set_session_options({"catalog": "trading", "schema": None}) == {}
    assert client.session_options() == {"catalog": "trading"}
    assert client.set_session_options({"odd": "x"}) == {"odd": OptionError.INVALID_NAME}
    assert backend.options == [{"catalog": "trading", "schema": None}, {"odd": "x"}]


def test_closed_session_is_forgotten(client: Client, backend: MemoryBackend) -> None:
    client.set_session_options({"catalog": "trading"})
    client.action("CloseSession")
    assert client.session_options() == {}
    client.query("SELECT quote").read_all()
    assert {call.session for call in backend.calls} == {EMPTY_SESSION}


def test_adbc_sends_its_session_back(connection: Any, backend: MemoryBackend) -> None:
    connection.adbc_current_catalog = "trading"
    connection.adbc_current_db_schema = "stock"
    assert connection.adbc_current_catalog == "trading"
    with connection.cursor() as cursor:
        cursor.execute("SELECT quote")
        cursor.fetchall()
    assert {call.session for call in backend.calls} == {"catalog:trading,schema:stock"}


def test_adbc_without_cookies_sends_none(server: FlightSqlServer, backend: MemoryBackend) -> None:
    with (
        adbc.connect(server.uri, db_kwargs=SIGN_IN, autocommit=True) as connection,
        connection.cursor() as cursor,
    ):
        cursor.execute("SELECT quote")
    assert {call.session for call in backend.calls} == {None}
