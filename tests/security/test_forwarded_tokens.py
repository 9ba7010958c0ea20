"""Clients send their token where they are sent: what a member's operator gets, and can do."""

import contextlib
from collections.abc import Iterator
from uuid import uuid4

import pytest
from adbc_driver_flightsql import DatabaseOptions, dbapi
from pyarrow import flight

from auth import TokenKind, kind_of
from flight_mom.demo.federation import HANGZHOU, MOM, SHANGHAI, DemoFederation
from flight_sql import REUSE_CONNECTION, Client, RemoteError
from flight_sql.messages import pack, sql_message
from tests.e2e.federation import (
    ADMIN,
    COUNT_FLIGHTS,
    FLIGHTS_AT,
    READER,
    count,
    environment,
    kill,
    make_federation,
    refused_sql,
    restart,
)
from tests.security.forwarder import coming_from
from tests.security.guest import Guest, visiting
from tests.security.operator import ANSWER, Recorder, in_place_of
from tests.security.test_refused_credentials import recorded
from tests.waiting import wait_until

ELSEWHERE = "127.0.0.9"
HEADER = DatabaseOptions.RPC_CALL_HEADER_PREFIX.value


@pytest.fixture(scope="module")
def bound(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DemoFederation]:
    """Another federation, whose sessions count from one address."""
    federation = make_federation(tmp_path_factory.mktemp("bound"))
    setting = {"FLIGHT_MOM_AUTH__BIND_ADDRESS": "true"}
    with environment(setting), federation.running():
        yield federation
        federation.check_alive()


@contextlib.contextmanager
def listening(federation: DemoFederation, admin: Client) -> Iterator[tuple[Guest, Recorder]]:
    """A member on `direct`, whose table user1@shanghai may read and whose operator listens."""
    admin.update(f"GRANT TABLE_READ ON {FLIGHTS_AT} TO {READER}")
    with visiting(federation, admin, f"guest{uuid4().hex[:8]}") as guest:
        guest.join()
        guest.start()
        with in_place_of(guest) as recorder:
            yield guest, recorder


@pytest.fixture
def listened(federation: DemoFederation, admin: Client) -> Iterator[tuple[Guest, Recorder]]:
    with listening(federation, admin) as pair:
        yield pair


@pytest.fixture
def listened_in_bound(bound: DemoFederation) -> Iterator[tuple[Guest, Recorder]]:
    with bound.client(ADMIN, MOM, at=MOM) as admin, listening(bound, admin) as pair:
        yield pair


def visit(guest: Guest, **options: str) -> None:
    """Read the guest's table as user1@shanghai with ADBC, signed in by password."""
    federation = guest.federation
    credentials = {"username": READER, "password": federation.password("user1")}
    with (
        dbapi.connect(federation.uri(MOM), db_kwargs=credentials | options, autocommit=True) as it,
        it.cursor() as cursor,
    ):
        cursor.execute(f"select count(*) as n from {guest.table}")
        assert cursor.fetchall() == [(ANSWER,)]


def locations(guest: Guest, at: str, agent: str) -> list[str]:
    """Return where user1@shanghai is told to fetch the guest's rows."""
    federation = guest.federation
    options = [("grpc.primary_user_agent", agent)]
    sql = f"select count(*) as n from {guest.table}"
    asked = pack(sql_message("CommandStatementQuery", query=sql))
    with flight.FlightClient(federation.uri(at), generic_options=options) as client:
        header = client.authenticate_basic_token(READER, federation.password("user1"))
        info = client.get_flight_info(
            flight.FlightDescriptor.for_command(asked),
            flight.FlightCallOptions(timeout=30, headers=[header]),
        )
        return [where.uri.decode() for one in info.endpoints for where in one.locations]


def sessions(recorder: Recorder) -> list[str]:
    return [token for token in recorder.bearers if kind_of(token) is TokenKind.SESSION]


def test_operator_of_a_direct_member_can_use_its_visitors_tokens(
    federation: DemoFederation, listened: tuple[Guest, Recorder]
) -> None:
    guest, recorder = listened
    visit(guest)
    stolen = sessions(recorder)[-1]
    with coming_from(ELSEWHERE, federation.uri(MOM)) as uri, Client(uri, token=stolen) as thief:
        # Documented: what `direct` trusts the operator with.
        assert count(thief, COUNT_FLIGHTS) == 4_000


@pytest.mark.parametrize("chosen_by", ["member", "client"])
def test_what_is_relayed_brings_the_operator_no_token_of_a_visitor(
    federation: DemoFederation, listened: tuple[Guest, Recorder], chosen_by: str
) -> None:
    guest, recorder = listened
    if chosen_by == "member":
        guest.change("set", route="relay")
        visit(guest)
    else:
        visit(guest, **{f"{HEADER}x-route": "relay"})
    assert recorder.bearers
    assert {kind_of(token) for token in recorder.bearers} == {TokenKind.SERVICE}
    # The MoM's own token is for this member and nobody else.
    for at in (MOM, HANGZHOU, SHANGHAI):
        with Client(federation.uri(at), token=recorder.bearers[-1]) as thief:
            assert refused_sql(thief, "select 1").code == "invalid-token"


def test_client_that_would_send_its_password_is_told_no_members_address(
    federation: DemoFederation, listened: tuple[Guest, Recorder]
) -> None:
    guest, _ = listened
    jdbc, mom = "grpc-java-netty/1.65.0", federation.uri(MOM)
    member, same = locations(guest, MOM, "another")
    assert same == REUSE_CONNECTION
    assert locations(guest, MOM, jdbc) == []
    assert locations(guest, SHANGHAI, "another") == [member, mom]
    assert locations(guest, SHANGHAI, jdbc) == [mom]


def test_bound_session_is_refused_from_elsewhere_and_counts_at_home(
    bound: DemoFederation, listened_in_bound: tuple[Guest, Recorder]
) -> None:
    guest, recorder = listened_in_bound
    visit(guest)
    stolen = sessions(recorder)[-1]
    with coming_from(ELSEWHERE, bound.uri(MOM)) as uri, Client(uri, token=stolen) as thief:
        refused = refused_sql(thief, COUNT_FLIGHTS)
        assert (refused.code, "another address" in refused.text) == ("invalid-token", True)
    row = recorded(bound, MOM, f"{ELSEWHERE}:", actor=READER)
    assert (row["action"], row["rule"]) == ("authenticate", "invalid-token")
    with Client(bound.uri(MOM), token=stolen) as owner:
        assert count(owner, COUNT_FLIGHTS) == 4_000


def test_token_that_cannot_be_bound_is_not_sent_to_a_member(
    bound: DemoFederation, listened_in_bound: tuple[Guest, Recorder]
) -> None:
    guest, recorder = listened_in_bound
    with bound.client("user1", SHANGHAI, at=SHANGHAI) as at_home:
        identity = str(at_home.token)
        assert count(at_home, f"select count(*) as n from {guest.table}") == ANSWER
    with Client(bound.uri(MOM), token=identity) as at_mom:
        assert count(at_mom, f"select count(*) as n from {guest.table}") == ANSWER
    assert {kind_of(token) for token in recorder.bearers} == {TokenKind.SERVICE}


def test_unused_session_is_bound_to_whoever_uses_it_first(bound: DemoFederation) -> None:
    with bound.client("user1", SHANGHAI, at=MOM) as fresh:
        session = str(fresh.token)
    with coming_from(ELSEWHERE, bound.uri(MOM)) as uri, Client(uri, token=session) as first:
        assert count(first, "select 1 as n") == 1
    with Client(bound.uri(MOM), token=session) as second:
        assert refused_sql(second, "select 1").code == "invalid-token"


def test_binding_outlives_a_restart_of_the_mom(bound: DemoFederation) -> None:
    with bound.client("user1", SHANGHAI, at=MOM) as owner:
        assert count(owner, "select 1 as n") == 1
        session = str(owner.token)
        kill(bound, MOM)
        with environment({"FLIGHT_MOM_AUTH__BIND_ADDRESS": "true"}):
            restart(bound, MOM)
        with coming_from(ELSEWHERE, bound.uri(MOM)) as uri, Client(uri, token=session) as thief:
            wait_until(lambda: refused_sql(thief, "select 1").code == "invalid-token", 15)
        wait_until(lambda: answers(owner), 15)


def answers(client: Client) -> bool:
    try:
        return count(client, "select 1 as n") == 1
    except RemoteError as error:
        if error.status == "UNAVAILABLE":
            return False
        raise
