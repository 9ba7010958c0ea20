"""Who sits on the network: reads nothing, poses as nobody, and is sent nothing in plaintext."""

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pytest
from pyarrow import flight

from auth import InvalidTokenError, JoinToken
from flight_member import protocol
from flight_member.joining import join_federation
from flight_member.memberhome import MemberHome
from flight_member.membership import Membership
from flight_member.server import MemberServer
from flight_mom.demo.federation import MOM as DEMO_MOM
from flight_mom.demo.federation import SHANGHAI as DEMO_SHANGHAI
from flight_mom.demo.federation import DemoFederation
from flight_mom.membercommands import change_member
from flight_mom.momhome import MomHome
from flight_mom.server import MomServer
from flight_sql import Client, RemoteError
from tests.e2e.federation import refusal
from tests.flight_member.factories import (
    HANGZHOU,
    PASSWORD,
    QUOTE,
    SHANGHAI,
    add_user,
    load_quotes,
    make_home,
)
from tests.flight_mom.factories import MOM, make_mom_settings
from tests.flight_mom.test_renewal import Encrypted
from tests.security.forwarder import coming_from
from tests.waiting import wait_until

QUOTE_AT = f"{QUOTE}@shanghai"
ADD_SHANGHAI = protocol.MembersRequest(action="add", cluster=SHANGHAI, hosts=("127.0.0.1",))


@pytest.fixture
def servers(tmp_path: Path) -> Iterator[Encrypted]:
    servers = Encrypted(tmp_path)
    yield servers
    servers.stop()


@pytest.fixture
def impostor(tmp_path: Path) -> Iterator[str]:
    """Another federation's MoM, which poses as ours."""
    home = MomHome.create(make_mom_settings(tmp_path / "impostor", server__tls=True))
    server = MomServer(home.settings)
    yield server.start()
    server.stop(1)


def request_members(servers: Encrypted, **changes: object) -> protocol.MembersReply:
    with Client(servers.mom_uri, tls_root_certs=servers.roots) as admin:
        admin.sign_in(f"admin@{MOM}", servers.mom_home.password_file.read_text().strip())
        request = protocol.MembersRequest.model_validate(changes)
        return protocol.MembersReply.read(admin.action(protocol.MEMBERS, request.write()))


def test_listener_finds_neither_password_nor_token_on_an_encrypted_line(
    servers: Encrypted, federation: DemoFederation
) -> None:
    heard = bytearray()
    with (
        coming_from("127.0.0.9", servers.mom_uri, heard) as uri,
        Client(uri, tls_root_certs=servers.roots) as client,
    ):
        token = client.sign_in(f"user1@{HANGZHOU}", PASSWORD)
        client.query("select 1 as one").read_all()
    assert heard
    assert token.encode() not in heard
    assert b"select 1" not in heard
    # The same ear on a plaintext line of loopback: it does hear.
    heard.clear()
    password = federation.password("user1")
    with coming_from("127.0.0.9", federation.uri(DEMO_MOM), heard) as uri, Client(uri) as client:
        token = client.sign_in(f"user1@{DEMO_SHANGHAI}", password)
        client.query("select 1 as one").read_all()
    assert b"select 1" in heard


def test_server_of_another_ca_is_told_nothing(servers: Encrypted, impostor: str) -> None:
    with Client(impostor, tls_root_certs=servers.roots) as client:
        with pytest.raises(RemoteError) as refused:
            client.sign_in(f"user1@{HANGZHOU}", PASSWORD)
        # Had it heard the password, it would have said that it is wrong.
        assert refused.value.status in {"UNAVAILABLE", "INTERNAL"}


def test_plaintext_gets_no_answer_of_an_encrypted_server(servers: Encrypted) -> None:
    for uri in (servers.mom_uri, servers.uri):
        with Client(uri.replace("grpc+tls", "grpc")) as client, pytest.raises(RemoteError):
            client.sign_in(f"user1@{HANGZHOU}", PASSWORD)


def test_impostor_of_the_mom_gets_no_join_token(
    servers: Encrypted, impostor: str, tmp_path: Path
) -> None:
    reply = request_members(servers, action="add", cluster=SHANGHAI, hosts=("127.0.0.1",))
    token = JoinToken.parse(str(reply.join_token))
    led_astray = JoinToken(token.member, impostor, token.fingerprint, token.secret)
    home = make_home(tmp_path / SHANGHAI, cluster__name=SHANGHAI)
    with pytest.raises(InvalidTokenError, match="another federation answers"):
        join_federation(home, led_astray.text)
    assert Membership.load(home.directory) is None
    # It was not sent: it can still be used.
    join_federation(home, token.text)


@pytest.fixture
def plain(servers: Encrypted, tmp_path: Path) -> Iterator[MemberHome]:
    """shanghai, in plaintext on loopback and on `direct`, under a MoM with TLS."""
    home = make_home(tmp_path / SHANGHAI, cluster__name=SHANGHAI, heartbeat__interval_s=0.5)
    load_quotes(home)
    add_user(home)
    reply = request_members(
        servers, action="add", cluster=SHANGHAI, hosts=("127.0.0.1",), route="direct"
    )
    join_federation(home, str(reply.join_token))
    member = MemberServer(home.settings)
    assert member.start().startswith("grpc://")
    wait_until(lambda: bool(servers.mom._topology.federation.members[SHANGHAI].users))
    yield home
    member.stop(1)


@pytest.mark.usefixtures("plain")
def test_encrypted_mom_sends_nobody_to_a_plaintext_address(servers: Encrypted) -> None:
    with Client(servers.mom_uri, tls_root_certs=servers.roots) as client:
        client.sign_in(f"user1@{SHANGHAI}", PASSWORD)
        sql = f"select count(*) as n from {QUOTE_AT}"
        (endpoint,) = client.get_info(sql).endpoints
        assert endpoint.locations == ()
        assert client.query(sql).read_all()["n"].to_pylist() == [100]


@pytest.fixture
def unencrypted_mom(tmp_path: Path) -> Iterator[str]:
    """shanghai with TLS, under a MoM in plaintext on loopback; yields shanghai's address."""
    mom_home = MomHome.create(make_mom_settings(tmp_path / "mom"))
    mom = MomServer(mom_home.settings)
    home = make_home(tmp_path / SHANGHAI, cluster__name=SHANGHAI, server__tls=True)
    load_quotes(home)
    add_user(home)
    with Client(mom.start()) as admin:
        admin.sign_in(f"admin@{MOM}", mom_home.password_file.read_text().strip())
        join_federation(home, str(change_member(admin, ADD_SHANGHAI).join_token))
        member = MemberServer(home.settings)
        uri = member.start()
        wait_until(lambda: bool(mom._topology.federation.members[SHANGHAI].users))
        yield uri
    member.stop(1)
    mom.stop(1)


def test_encrypted_member_names_no_plaintext_mom(unencrypted_mom: str, tmp_path: Path) -> None:
    roots = (tmp_path / "mom" / "ca.pem").read_bytes()
    with Client(unencrypted_mom, tls_root_certs=roots) as client:
        client.sign_in("user1", PASSWORD)
        elsewhere = "select * from a.b.c@hangzhou"
        for ask in (client.prepare, client.get_info, client.update):
            error = refusal(ask, elsewhere if ask == client.prepare else "SHOW CLUSTERS")
            assert (error.code, error.status) == ("statement-not-supported", "UNIMPLEMENTED")
            assert "an administrator gives the MoM TLS" in error.text
        assert refusal(client.get_info, elsewhere).code == "statement-not-supported"
        # What names nobody else's address is answered.
        assert "trading" in client.catalogs()
        for sql in (QUOTE, QUOTE_AT):
            assert client.query(f"select * from {sql}").read_all().num_rows == 100


class _Misleading(flight.FlightServerBase):  # type: ignore[misc]  # pyarrow ships no types
    """A server with TLS whose answers name a plaintext address."""

    def get_flight_info(self, _context: object, descriptor: object) -> object:
        endpoint = flight.FlightEndpoint(b"ticket", ["grpc://127.0.0.1:9"])
        return flight.FlightInfo(pa.schema([]), descriptor, [endpoint], -1, -1)


def test_our_client_takes_no_token_to_a_plaintext_address(servers: Encrypted) -> None:
    certificate, key = servers.mom_home.tls_files
    pair = (certificate.read_bytes(), key.read_bytes())
    with (
        _Misleading("grpc+tls://127.0.0.1:0", tls_certificates=[pair]) as server,
        Client(
            f"grpc+tls://127.0.0.1:{server.port}", tls_root_certs=servers.roots, token="secret"
        ) as client,
        pytest.raises(RemoteError, match="no token is sent there"),
    ):
        client.query("select 1")
