from collections.abc import Iterator

import pyarrow as pa
import pytest
from pyarrow import flight

from auth import SigningKey
from flight_member import protocol
from flight_member.errors import ConfigurationError
from flight_member.memberhome import MemberHome
from flight_member.membership import Membership
from flight_member.server import MemberServer
from flight_member.settings import MomSection
from flight_sql import Client, RemoteError
from tests.e2e.federation import bearer
from tests.e2e.flightcalls import ask
from tests.flight_member.factories import (
    PASSWORD,
    QUOTE,
    add_user,
    change_users,
    load_quotes,
    make_home,
)
from tests.waiting import wait_until

JOINED_AT, SETTING = "grpc://127.0.0.1:1", "grpc://127.0.0.1:2"
LEARNED_AT = "grpc://127.0.0.1:3"
COUNT = f"select count(*) as n from {QUOTE}"


@pytest.fixture
def server(home: MemberHome) -> Iterator[MemberServer]:
    """shanghai with two users, one of whom may read nothing; one place for statements."""
    load_quotes(home)
    add_user(home)
    add_user(home, "user2", readable=())
    add_user(home, "user3")
    limits = home.settings.limits.model_copy(update={"max_running": 1, "max_queued": 0})
    server = MemberServer(home.settings.model_copy(update={"limits": limits}))
    server.start()
    yield server
    server.stop(1)


def uri(server: MemberServer) -> str:
    return server._flight.uri


def sign_in(server: MemberServer, user: str = "user1") -> Client:
    client = Client(uri(server))
    client.sign_in(user, PASSWORD)
    return client


def test_clients_that_leave_before_the_first_row_take_no_place_with_them(
    server: MemberServer,
) -> None:
    with sign_in(server) as client:
        for _ in range(10):
            client.query(f"select * from {QUOTE}").close()
            wait_until(lambda: not server._admission.running)
        assert client.query(COUNT).read_all().to_pylist() == [{"n": 100}]
    wait_until(lambda: not server._admission.running)


def test_ticket_counts_for_the_user_it_was_made_for_alone(server: MemberServer) -> None:
    with sign_in(server) as one, sign_in(server, "user3") as other, Client(uri(server)) as nobody:
        (endpoint,) = one.get_info(COUNT).endpoints
        assert one.open_ticket(endpoint.handle).read_all().to_pylist() == [{"n": 100}]
        for client in (other, nobody):
            with pytest.raises(RemoteError) as caught:
                client.open_ticket(endpoint.handle)
            assert caught.value.status == "UNAUTHENTICATED"


def test_answer_counts_for_the_user_it_was_made_for_alone(server: MemberServer) -> None:
    with sign_in(server) as one, sign_in(server, "user3") as other:
        (endpoint,) = one.get_info("show tables").endpoints
        with pytest.raises(RemoteError) as caught:
            other.open_ticket(endpoint.handle)
        assert caught.value.code == "invalid-ticket"


def test_table_that_may_not_be_read_is_refused_as_one_that_is_not_there(
    server: MemberServer,
) -> None:
    texts = []
    with sign_in(server, "user2") as client:
        assert client.tables().num_rows == 0
        for name in (QUOTE, "trading.stock.nothing"):
            for sql in (
                f"select * from {name}",
                f"describe {name}",
                f"explain select 1 from {name}",
            ):
                with pytest.raises(RemoteError) as caught:
                    client.query(sql).read_all()
                assert caught.value.code == "not-found"
                texts.append(caught.value.text.replace(name, "NAME"))
    assert len(set(texts)) == 1


def test_ticket_dies_with_its_users_change(server: MemberServer, home: MemberHome) -> None:
    with sign_in(server) as client:
        (endpoint,) = client.get_info(COUNT).endpoints
        change_users(home, "set_locked", "user1", is_locked=True)
        server._state.refresh()
        with pytest.raises(RemoteError) as caught:
            client.open_ticket(endpoint.handle)
    assert caught.value.code == "revoked-token"


def test_users_pass_no_passwords_on(server: MemberServer) -> None:
    request = protocol.SignInRequest(user="user3", password=PASSWORD, source="x")
    with sign_in(server) as client, pytest.raises(RemoteError) as caught:
        client.action(protocol.SIGN_IN, request.write())
    assert caught.value.code == "permission-denied"


def test_statement_of_the_federation_needs_one(server: MemberServer) -> None:
    with sign_in(server) as client:
        for sql in ("show readers of a.b.c@x", "select * from a.b.c@hangzhou", "show clusters"):
            with pytest.raises(RemoteError) as caught:
                client.query(sql)
            assert caught.value.code == "cluster-unavailable"
            assert "flight-member join" in caught.value.text


def test_spill_and_state_are_the_owners_alone(server: MemberServer, home: MemberHome) -> None:
    del server
    wide = [file for file in home.directory.iterdir() if file.stat().st_mode & 0o077]
    assert not wide


def test_member_with_a_damaged_membership_does_not_start(home: MemberHome) -> None:
    (home.directory / "membership.json").write_text("{}")
    with pytest.raises(ConfigurationError, match="join again"):
        MemberServer(home.settings)


def test_member_beyond_loopback_does_not_start_without_a_certificate(home: MemberHome) -> None:
    other = make_home(home.directory.parent / "tls", server__tls=True)
    with pytest.raises(ConfigurationError, match="TLS certificate"):
        MemberServer(other.settings)


def test_keys_of_the_mom_that_cannot_be_read_are_not_learned(server: MemberServer) -> None:
    for keys in ((), ("nonsense",), ("ed25519:AAAA",)):
        server._learn_of_mom(reply(keys))
    assert server._membership is None
    with sign_in(server) as client:
        assert isinstance(client.query(COUNT).read_all(), pa.Table)


def test_learning_the_moms_keys_keeps_the_address_of_joining(home: MemberHome) -> None:
    joined = Membership(
        federation="f", mom="headquarters", uri=JOINED_AT, mom_keys=(key_text(),), ca_certificate=""
    )
    joined.save(home.directory)
    settings = home.settings.model_copy(update={"mom": MomSection(address=SETTING)})
    server, learned = MemberServer(settings), (key_text(), key_text())
    try:
        server._learn_of_mom(reply(learned, LEARNED_AT))
        told = joined.model_copy(update={"mom_keys": learned, "learned": (LEARNED_AT,)})
        membership = server._joined()
        assert membership == told.model_copy(update={"uri": SETTING})
        assert membership is not None
        assert membership.uris == (SETTING, LEARNED_AT)
    finally:
        server.stop(0)
    assert Membership.load(home.directory) == told


def test_addresses_that_the_settings_name_come_before_those_that_are_learned() -> None:
    joined = Membership(
        federation="f",
        mom="headquarters",
        uri="grpc+tls://mom:32010",
        mom_keys=(key_text(),),
        ca_certificate="",
        named=("grpc+tls://other:32010",),
        # No token travels readable to one of several addresses.
        learned=("grpc+tls://third:32010", "grpc://127.0.0.1:1", "grpc+tls://mom:32010"),
    )
    assert joined.uris == (joined.uri, *joined.named, "grpc+tls://third:32010")


def reply(mom_keys: tuple[str, ...], *addresses: str) -> protocol.HeartbeatReply:
    return protocol.HeartbeatReply(
        state="alive",
        policy_epoch=0,
        mom_keys=mom_keys,
        wants_report=False,
        mom_addresses=addresses,
    )


def key_text() -> str:
    (key,) = SigningKey.generate().ring("headquarters").keys_of("headquarters")
    return key.to_text()


def test_member_alone_lists_its_own_tables_and_says_that_it_knows_no_others(
    server: MemberServer,
) -> None:
    tables = "select table_catalog, table_name from information_schema.tables"
    with sign_in(server) as client, sign_in(server, "user2") as stranger:
        shown = client.query(tables).read_all().to_pylist()
        assert shown == [{"table_catalog": "trading", "table_name": "quote"}]
        assert stranger.query(tables).read_all().num_rows == 0
        for sql in (f"{tables}@hangzhou", "SHOW SCHEMAS FROM trading@hangzhou"):
            with pytest.raises(RemoteError, match="cluster-unavailable: shanghai has not joined"):
                client.query(sql).read_all()
        for sql in ("SHOW TABLES FROM trading", "SHOW TABLES FROM tradings"):
            with pytest.raises(RemoteError, match="not-found"):
                stranger.query(sql).read_all()


def test_member_alone_answers_metadata_of_its_own_catalogs_only(server: MemberServer) -> None:
    with sign_in(server) as client, flight.FlightClient(client.uri) as raw:
        options = bearer(str(client.token))
        for catalog, count in (({}, 1), ({"catalog": "trading"}, 1), ({"catalog": "other"}, 0)):
            for name in ("CommandGetTables", "CommandGetDbSchemas"):
                assert ask(raw, options, name, **catalog).num_rows == count
        with pytest.raises(flight.FlightUnavailableError, match=r"^cluster-unavailable: shanghai "):
            ask(raw, options, "CommandGetTables", catalog="trading@hangzhou")
        (listed,) = raw.list_flights(b"", options)
        assert listed.schema.equals(client.query("SELECT * FROM trading.stock.quote").arrow_schema)
