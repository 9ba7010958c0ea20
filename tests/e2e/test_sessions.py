"""Sessions: USE and session options complete names, at the MoM and at home."""

import datetime as dt
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pyarrow as pa
import pytest
from adbc_driver_flightsql import dbapi
from pyarrow import flight

from auth import SigningKey, TokenKind, seal
from flight_mom.demo.federation import HANGZHOU, MOM, SHANGHAI, DemoFederation
from flight_sql import Client, OptionError
from flight_sql.messages import flight_message, pack, sql_message
from flight_sql.sessions import SESSION_COOKIE, read_answer
from tests.e2e.factories import make_flights, make_quotes
from tests.e2e.federation import (
    FLIGHTS_AT,
    READER,
    STRANGER,
    bearer,
    member_key,
    mom_key,
    refusal,
    require_clean,
)

SERVERS = (MOM, SHANGHAI)
COOKIES = {"adbc.flight.sql.rpc.with_cookie_middleware": "true"}
COUNT = "select count(*) as n from flights"
FLIGHTS = make_flights().num_rows
QUOTES = make_quotes().num_rows
SET_COOKIE = f"{SESSION_COOKIE}="

pytestmark = pytest.mark.usefixtures("granted")


@contextmanager
def connected(federation: DemoFederation, at: str, **options: str) -> Iterator[Any]:
    secrets = {"username": READER, "password": federation.password("user1")}
    with dbapi.connect(
        federation.uri(at), db_kwargs={**secrets, **options}, autocommit=True
    ) as connection:
        yield connection


def use(client: Client, what: str) -> dict[str, Any]:
    (row,) = client.query(f"USE {what}").read_all().to_pylist()
    return dict(row)


def in_effect(cluster: str, catalog: str | None, schema: str | None) -> dict[str, Any]:
    return {"cluster": cluster, "catalog": catalog, "schema": schema}


def count_of(client: Client, table: str = "flights") -> int:
    return int(client.query(f"select count(*) as n from {table}").read_all()["n"][0].as_py())


# What is chosen.


@pytest.mark.parametrize(
    "what",
    [
        "aviation.nyc@hangzhou",
        '"aviation@hangzhou".nyc',
        "SCHEMA aviation.nyc@hangzhou",
        '"AVIATION@hangzhou"."NYC"',
    ],
)
def test_use_completes_names_until_it_is_taken_back(asked: Client, what: str) -> None:
    assert use(asked, what) == in_effect(HANGZHOU, "aviation", "nyc")
    assert count_of(asked) == FLIGHTS
    assert count_of(asked, "nyc.flights") == FLIGHTS
    assert use(asked, "DEFAULT") == in_effect(SHANGHAI, None, None)
    assert refusal(lambda: count_of(asked)).code == "not-found"


def test_use_is_chosen_in_steps(asked: Client) -> None:
    assert use(asked, "CLUSTER hangzhou") == in_effect(HANGZHOU, None, None)
    assert use(asked, "aviation") == in_effect(HANGZHOU, "aviation", None)
    assert use(asked, "SCHEMA nyc") == in_effect(HANGZHOU, "aviation", "nyc")
    assert count_of(asked) == FLIGHTS
    assert use(asked, "CATALOG aviation") == in_effect(HANGZHOU, "aviation", None)
    assert use(asked, "nyc") == in_effect(HANGZHOU, "aviation", "nyc")
    assert use(asked, "trading.stock@shanghai") == in_effect(SHANGHAI, "trading", "stock")
    assert count_of(asked, "quote") == QUOTES


def test_name_in_the_text_wins(asked: Client) -> None:
    use(asked, "aviation.nyc@hangzhou")
    assert count_of(asked, "trading.stock.quote@shanghai") == QUOTES
    assert asked.query("DESCRIBE flights").read_all().num_rows == 6
    assert asked.query(f"{COUNT} where carrier = ?", parameters=["UA"]).read_all().num_rows == 1


def test_use_through_an_update_is_kept_too(asked: Client) -> None:
    assert asked.update("USE aviation.nyc@hangzhou") == 1
    assert count_of(asked) == FLIGHTS


def test_prepared_use_promises_its_columns_and_changes_nothing(asked: Client) -> None:
    prepared = asked.prepare("USE aviation.nyc@hangzhou")
    assert prepared.arrow_schema is not None
    assert prepared.arrow_schema.names == ["cluster", "catalog", "schema"]
    assert asked.session_options() == {"cluster": SHANGHAI}


def test_answer_keeps_the_names_that_it_was_asked_with(at_mom: Client) -> None:
    use(at_mom, "aviation.nyc@hangzhou")
    info = at_mom.get_info("DESCRIBE flights")
    use(at_mom, "DEFAULT")
    assert at_mom.open_ticket(info.endpoints[0].handle).read_all().num_rows == 6


@pytest.mark.parametrize(
    "what",
    ["payroll.hr@hangzhou", "payroll@hangzhou", "nowhere@hangzhou", "aviation.none@hangzhou",
     "CLUSTER nowhere", "SCHEMA aviation.hr@hangzhou", "trading@hangzhou"],
)  # fmt: skip
def test_unknown_and_unreadable_are_not_found_alike(asked: Client, what: str) -> None:
    error = refusal(lambda: asked.query(f"USE {what}"))
    name = what.rpartition(" ")[2]
    shown = name if "CLUSTER" not in what else "*@nowhere"
    assert error.code == "not-found"
    assert str(error).startswith(f"not-found: {shown} does not exist, or you may not read it")
    assert asked.session_options() == {"cluster": SHANGHAI}


def test_session_gives_no_right_and_keeps_none(admin: Client, asked: Client) -> None:
    use(asked, "aviation.nyc@hangzhou")
    admin.update(f"REVOKE TABLE_READ ON {FLIGHTS_AT} FROM {READER}")
    assert refusal(lambda: count_of(asked)).code == "not-found"


def test_sessions_of_one_user_are_apart(federation: DemoFederation, at: str) -> None:
    with (
        federation.client("user1", SHANGHAI, at=at) as one,
        federation.client("user1", SHANGHAI, at=at) as other,
    ):
        use(one, "aviation.nyc@hangzhou")
        assert count_of(one) == FLIGHTS
        assert refusal(lambda: count_of(other)).code == "not-found"


def test_home_session_reaches_the_mom(at_home: Client) -> None:
    """What is chosen at home completes names of statements that are passed on."""
    use(at_home, "CLUSTER hangzhou")
    assert count_of(at_home, "aviation.nyc.flights") == FLIGHTS


# Session options.


def test_options_are_set_one_by_one_or_together(asked: Client) -> None:
    assert asked.session_options() == {"cluster": SHANGHAI}
    assert asked.set_session_options({"catalog": "aviation@hangzhou", "schema": "nyc"}) == {}
    assert asked.session_options() == in_effect(HANGZHOU, "aviation@hangzhou", "nyc")
    assert count_of(asked) == FLIGHTS
    assert asked.set_session_options({"schema": None}) == {}
    assert asked.session_options() == {"cluster": HANGZHOU, "catalog": "aviation@hangzhou"}
    # What is told can be set again.
    assert asked.set_session_options(asked.session_options()) == {}
    assert asked.set_session_options({"cluster": "shanghai"}) == {}
    assert asked.set_session_options({"catalog": "trading"}) == {}
    assert asked.set_session_options({"schema": "stock"}) == {}
    assert count_of(asked, "quote") == QUOTES
    # The current catalog is one of those that the metadata lists.
    assert asked.session_options()["catalog"] in asked.catalogs()


@pytest.mark.parametrize(
    "options, errors",
    [
        ({"timezone": "UTC"}, {"timezone": OptionError.INVALID_NAME}),
        ({"Catalog": "trading"}, {"Catalog": OptionError.INVALID_NAME}),
        ({"catalog": "payroll@hangzhou"}, {"catalog": OptionError.INVALID_VALUE}),
        ({"catalog": "nowhere"}, {"catalog": OptionError.INVALID_VALUE}),
        ({"catalog": "a.b"}, {"catalog": OptionError.INVALID_VALUE}),
        ({"cluster": "'; drop"}, {"cluster": OptionError.INVALID_VALUE}),
        ({"schema": "stock"}, {"schema": OptionError.INVALID_VALUE}),
    ],
)
def test_options_that_cannot_be_set_are_named_and_the_others_are_set(
    asked: Client, options: dict[str, str | None], errors: dict[str, OptionError]
) -> None:
    assert asked.set_session_options(options) == errors
    assert asked.session_options() == {"cluster": SHANGHAI}
    assert asked.set_session_options({"cluster": "hangzhou", "x": "y"}) == {
        "x": OptionError.INVALID_NAME
    }
    assert asked.session_options() == {"cluster": HANGZHOU}


def test_closed_session_is_empty(asked: Client) -> None:
    use(asked, "aviation.nyc@hangzhou")
    asked.action("CloseSession")
    assert asked.session_options() == {"cluster": SHANGHAI}


def test_closing_a_session_that_is_none_closes_nothing(asked: Client) -> None:
    """A client without cookies may close too, and again."""
    assert asked.token is not None
    with flight.connect(asked.uri) as raw:
        for _ in range(2):
            (result,) = raw.do_action(flight.Action("CloseSession", b""), bearer(asked.token))
            answer = read_answer("CloseSessionResult", result.body.to_pybytes())
            assert answer.status == 1


def test_asking_for_options_begins_no_session(asked: Client) -> None:
    """It is also how some clients see whether a server lives."""
    cookies = Cookies("new")
    assert asked.token is not None
    with flight.connect(asked.uri, middleware=[cookies]) as raw:
        (result,) = raw.do_action(flight.Action("GetSessionOptions", b""), bearer(asked.token))
    answer = read_answer("GetSessionOptionsResult", result.body.to_pybytes())
    assert [entry.key for entry in answer.session_options] == ["cluster"]
    assert cookies.handed == []


@pytest.mark.parametrize(
    "value",
    [
        {"bool_value": True},
        {"int64_value": 7},
        {"double_value": 0.5},
        {"string_list_value": flight_message("StringListValue", values=["trading"])},
    ],
    ids=["bool", "int64", "double", "list"],
)
def test_options_of_other_types_than_text_are_invalid(asked: Client, value: dict[str, Any]) -> None:
    assert asked.session_options() == {"cluster": SHANGHAI}
    entry = flight_message(
        "SessionOptionEntry", key="catalog", value=flight_message("SessionOptionValue", **value)
    )
    request = flight_message("SetSessionOptionsRequest", session_options=[entry])
    body = asked.action("SetSessionOptions", request.SerializeToString())
    answer = read_answer("SetSessionOptionsResult", body)
    assert {one.key: one.value.value for one in answer.errors} == {
        "catalog": OptionError.INVALID_VALUE
    }
    assert asked.session_options() == {"cluster": SHANGHAI}


# ADBC.


def test_adbc_with_cookies_uses_what_it_chose(federation: DemoFederation, at: str) -> None:
    with connected(federation, at, **COOKIES) as connection, connection.cursor() as cursor:
        cursor.execute("USE aviation.nyc@hangzhou")
        assert cursor.fetchall() == [(HANGZHOU, "aviation", "nyc")]
        cursor.execute(COUNT)
        assert cursor.fetchall() == [(FLIGHTS,)]
        cursor.execute(f"{COUNT} where carrier = ?", ("UA",))
        assert cursor.fetchall() == [(FLIGHTS // 4,)]


def test_adbc_current_catalog_and_schema_are_session_options(
    federation: DemoFederation, at: str
) -> None:
    with connected(federation, at, **COOKIES) as connection, connection.cursor() as cursor:
        connection.adbc_current_catalog = "aviation@hangzhou"
        connection.adbc_current_db_schema = "nyc"
        assert connection.adbc_current_catalog == "aviation@hangzhou"
        assert connection.adbc_current_db_schema == "nyc"
        cursor.execute(COUNT)
        assert cursor.fetchall() == [(FLIGHTS,)]
        with pytest.raises(dbapi.Error):
            connection.adbc_current_catalog = "payroll@hangzhou"


def test_adbc_with_a_token_alone_begins_a_session_as_it_connects(
    asked: Client,
) -> None:
    options = {"adbc.flight.sql.authorization_header": f"Bearer {asked.token}", **COOKIES}
    with (
        dbapi.connect(asked.uri, db_kwargs=options, autocommit=True) as connection,
        connection.cursor() as cursor,
    ):
        cursor.execute("USE aviation.nyc@hangzhou")
        cursor.execute(COUNT)
        assert cursor.fetchall() == [(FLIGHTS,)]


@pytest.mark.parametrize("way", ["use", "option"])
def test_adbc_without_cookies_is_told_to_switch_them_on(
    federation: DemoFederation, at: str, way: str
) -> None:
    with connected(federation, at) as connection, connection.cursor() as cursor:
        ways: dict[str, Callable[[], None]] = {
            "use": lambda: cursor.execute("USE aviation.nyc@hangzhou"),
            "option": lambda: setattr(connection, "adbc_current_catalog", "aviation@hangzhou"),
        }
        with pytest.raises(dbapi.Error, match="with_cookie_middleware=true") as caught:
            ways[way]()
    require_clean(str(caught.value))


def test_headers_complete_names_without_cookies(federation: DemoFederation, at: str) -> None:
    header = "adbc.flight.sql.rpc.call_header.x-"
    options = {f"{header}catalog": "aviation@hangzhou", f"{header}schema": "nyc"}
    with connected(federation, at, **options) as connection, connection.cursor() as cursor:
        cursor.execute(COUNT)
        assert cursor.fetchall() == [(FLIGHTS,)]


def test_headers_win_over_the_session_and_use_says_so(asked: Client) -> None:
    use(asked, "aviation.nyc@hangzhou")
    sent = [("x-cluster", "shanghai"), ("x-catalog", "trading"), ("x-schema", "stock")]
    rows = asked.query("select count(*) as n from quote", headers=sent).read_all()
    assert rows["n"].to_pylist() == [QUOTES]
    error = refusal(lambda: asked.query("USE DEFAULT", headers=sent[:1]))
    assert error.code == "invalid-request"
    assert "x-cluster, which wins over the session" in str(error)


def test_headers_that_name_two_clusters_are_refused(asked: Client) -> None:
    sent = [("x-cluster", "shanghai"), ("x-catalog", "aviation@hangzhou")]
    assert refusal(lambda: asked.query("select 1", headers=sent)).code == "not-found"


# Cookies that are not what they should be, through a client that only knows Flight.


def cookie_of(
    key: SigningKey,
    issuer: str,
    user: str = READER,
    *,
    age_s: int = 0,
    kind: TokenKind | None = None,
) -> str:
    return seal(
        kind or TokenKind.COOKIE,
        {"sub": user, "names": in_effect(HANGZHOU, "aviation", "nyc")},
        key,
        issuer=issuer,
        audience=issuer,
        now=dt.datetime.now(dt.UTC) - dt.timedelta(seconds=age_s),
        ttl_s=60,
    )


class Cookies(flight.ClientMiddlewareFactory):  # type: ignore[misc]  # pyarrow has no types
    """Sends what it is told to, and remembers what it is handed."""

    def __init__(self, cookie: str) -> None:
        super().__init__()
        self.cookie = cookie
        self.handed: list[str] = []

    def start_call(self, info: Any) -> Any:  # noqa: ARG002  pyarrow's signature
        return CookiesOfCall(self)


class CookiesOfCall(flight.ClientMiddleware):  # type: ignore[misc]  # as above
    def __init__(self, cookies: Cookies) -> None:
        super().__init__()
        self.cookies = cookies

    def sending_headers(self) -> dict[str, str]:
        return {"cookie": f"AWSALB=x; {SESSION_COOKIE}={self.cookies.cookie}"}

    def received_headers(self, headers: Any) -> None:
        self.cookies.handed += headers.get("set-cookie", [])


def ask_with(client: Client, cookies: Cookies, sql: str = COUNT) -> Any:
    descriptor = flight.FlightDescriptor.for_command(
        pack(sql_message("CommandStatementQuery", query=sql))
    )
    assert client.token is not None
    with flight.connect(client.uri, middleware=[cookies]) as raw:
        return raw.get_flight_info(descriptor, bearer(client.token))


def key_of(federation: DemoFederation, server: str) -> SigningKey:
    return mom_key(federation) if server == MOM else member_key(federation, server)


def test_genuine_cookie_counts_at_any_replica(
    federation: DemoFederation, at: str, asked: Client
) -> None:
    """No server has seen it before: the signature alone makes it good."""
    cookies = Cookies(cookie_of(key_of(federation, at), at))
    assert ask_with(asked, cookies).schema.names == ["n"]
    assert cookies.handed == []


@pytest.mark.parametrize("fault", ["expired", "another user's", "another server's", "kind", "cut"])
def test_bad_cookie_is_refused_and_replaced(
    federation: DemoFederation, at: str, asked: Client, fault: str
) -> None:
    key = key_of(federation, at)
    other = MOM if at == SHANGHAI else SHANGHAI
    cookie = {
        "expired": cookie_of(key, at, age_s=120),
        "another user's": cookie_of(key, at, f"{STRANGER}@{SHANGHAI}"),
        "another server's": cookie_of(key_of(federation, other), other),
        "kind": cookie_of(key, at, kind=TokenKind.PREPARED),
        "cut": cookie_of(key, at)[:-4],
    }[fault]
    cookies = Cookies(cookie)
    code = "expired-token" if fault == "expired" else "invalid-token"
    for sql in (COUNT, "select 1", "USE DEFAULT"):
        with pytest.raises(
            flight.FlightUnauthenticatedError, match=f"{code}: the session"
        ) as caught:
            ask_with(asked, cookies, sql)
        require_clean(str(caught.value))
    assert {line.partition(";")[0] for line in cookies.handed} == {f"{SET_COOKIE}new"}


def test_cookie_of_another_server_does_not_hinder_a_ticket(
    federation: DemoFederation, at_mom: Client
) -> None:
    """Drivers may take their cookies to the location of an endpoint."""
    info = at_mom.get_info(f"select count(*) as n from {FLIGHTS_AT}")
    cookies = Cookies(cookie_of(key_of(federation, SHANGHAI), SHANGHAI))
    ticket = flight.Ticket(
        pack(sql_message("TicketStatementQuery", statement_handle=info.endpoints[0].handle))
    )
    with flight.connect(at_mom.uri, middleware=[cookies]) as raw:
        assert at_mom.token is not None
        rows = raw.do_get(ticket, bearer(at_mom.token)).read_all()
    assert rows == pa.table({"n": [FLIGHTS]}, schema=rows.schema)


def test_session_tells_nothing_of_its_holder(asked: Client) -> None:
    """A cookie is signed, not secret: it holds no more than what the client chose and is."""
    cookies = Cookies("new")
    ask_with(asked, cookies, "USE aviation.nyc@hangzhou")
    (line,) = cookies.handed
    assert asked.token is not None
    assert asked.token not in line
    assert "Max-Age=" in line
