"""Certificates are renewed while their servers serve: real TLS, real streams."""

import socket
import ssl
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509

from auth import AuditRecord, TlsKey, make_request
from auth.auditstore import AuditStore
from flight_member import protocol
from flight_member.clock import utc_now
from flight_member.errors import ForwardedError
from flight_member.joining import join_federation
from flight_member.memberhome import MemberHome
from flight_member.server import MemberServer
from flight_mom.momhome import MomHome
from flight_mom.server import MomServer
from flight_sql import Client, RemoteError
from tests.flight_member.factories import (
    HANGZHOU,
    PASSWORD,
    QUOTE,
    add_user,
    load_quotes,
    make_home,
)
from tests.flight_mom.factories import MOM, make_mom_settings
from tests.ports import spare_port
from tests.waiting import wait_until

HOSTS = ("127.0.0.1", "localhost")


class Encrypted:
    """A MoM and hangzhou, both with TLS on loopback."""

    def __init__(self, directory: Path) -> None:
        self.mom_home = MomHome.create(
            make_mom_settings(directory / "mom", server__tls=True, server__port=spare_port())
        )
        self.mom = MomServer(self.mom_home.settings)
        self.mom_uri = self.mom.start()
        self.roots = self.mom_home.authority_files[1].read_bytes()
        self.home = make_home(
            directory / HANGZHOU,
            cluster__name=HANGZHOU,
            server__tls=True,
            server__port=spare_port(),
            heartbeat__interval_s=0.5,
        )
        load_quotes(self.home)
        add_user(self.home)
        with Client(self.mom_uri, tls_root_certs=self.roots) as admin:
            admin.sign_in(f"admin@{MOM}", self.mom_home.password_file.read_text().strip())
            request = protocol.MembersRequest(action="add", cluster=HANGZHOU, hosts=HOSTS)
            reply = protocol.MembersReply.read(admin.action(protocol.MEMBERS, request.write()))
        join_federation(self.home, str(reply.join_token))
        self.member = MemberServer(self.home.settings)
        self.uri = self.member.start()
        wait_until(lambda: bool(self.mom._topology.federation.members[HANGZHOU].users))

    def age(self, home: MemberHome | MomHome, days: int) -> bytes:
        """Give a server a certificate that was signed so long ago, and return it."""
        certificate_file, key_file = home.tls_files
        name = home.settings.cluster.name
        aged = self.mom_home.load_authority().sign_request(
            make_request(TlsKey.load(key_file), name, HOSTS),
            common_name=name,
            hosts=HOSTS,
            now=utc_now() - timedelta(days=days),
            days=365,
        )
        certificate_file.write_bytes(aged)
        return aged

    def audited(self, action: str) -> list[AuditRecord]:
        with self.mom._database.read() as connection:
            return [one for one in AuditStore(connection).tail(100) if one.action == action]

    def stop(self) -> None:
        self.member.stop(2)
        self.mom.stop(2)


@pytest.fixture(name="servers")
def serve(tmp_path: Path) -> Iterator[Encrypted]:
    servers = Encrypted(tmp_path)
    yield servers
    servers.stop()


def served_certificate(uri: str, roots: bytes) -> x509.Certificate:
    """Return what a server presents, checked as a client checks it."""
    host, port = uri.removeprefix("grpc+tls://").rsplit(":", 1)
    context = ssl.create_default_context(cadata=roots.decode())
    with (
        socket.create_connection((host, int(port)), timeout=5) as plain,
        context.wrap_socket(plain, server_hostname=host) as encrypted,
    ):
        return x509.load_der_x509_certificate(encrypted.getpeercert(binary_form=True) or b"")


def test_member_renews_its_certificate_and_its_streams_run_on(servers: Encrypted) -> None:
    before = served_certificate(servers.uri, servers.roots)
    servers.age(servers.home, days=300)
    with Client(servers.uri, tls_root_certs=servers.roots) as client:
        client.sign_in("user1", PASSWORD)
        rows = client.query("select a.value from range(0, 3000000) a")
        first = next(rows)
        assert servers.member._keeper.renew_if_due()
        after = served_certificate(servers.uri, servers.roots)
        assert after.serial_number != before.serial_number
        assert after.public_key() == before.public_key()
        assert after.not_valid_after_utc > utc_now() + timedelta(days=300)
        assert first.num_rows + rows.read_all().num_rows == 3_000_000
        assert client.query(f"select count(*) as n from {QUOTE}").read_all().num_rows == 1
    [record] = servers.audited("renew certificate")
    assert (record.actor, record.object, record.allowed) == (HANGZHOU, " ".join(HOSTS), True)


def test_mom_renews_its_own_certificate(servers: Encrypted) -> None:
    before = served_certificate(servers.mom_uri, servers.roots)
    servers.age(servers.mom_home, days=300)
    assert servers.mom._keeper.renew_if_due()
    after = served_certificate(servers.mom_uri, servers.roots)
    assert after.serial_number != before.serial_number
    with Client(servers.mom_uri, tls_root_certs=servers.roots) as client:
        client.sign_in(f"user1@{HANGZHOU}", PASSWORD)
        assert client.query("select 1 as one").read_all()["one"].to_pylist() == [1]


def test_certificate_with_time_left_stays(servers: Encrypted) -> None:
    assert not servers.member._keeper.renew_if_due()
    kept = servers.age(servers.home, days=200)
    assert not servers.member._keeper.renew_if_due()
    assert servers.home.tls_files[0].read_bytes() == kept
    assert servers.audited("renew certificate") == []


def test_renewal_that_fails_leaves_the_old_certificate(servers: Encrypted) -> None:
    aged = servers.age(servers.home, days=300)
    servers.mom.stop(1)
    with pytest.raises((ForwardedError, RemoteError)):
        servers.member._keeper.renew_if_due()
    assert servers.home.tls_files[0].read_bytes() == aged
    with Client(servers.uri, tls_root_certs=servers.roots) as client:
        client.sign_in("user1", PASSWORD)
        assert client.query("select 1 as one").read_all().num_rows == 1


def test_renewal_gives_no_host_that_was_not_named(servers: Encrypted) -> None:
    request = protocol.RenewRequest(
        certificate_request=make_request(
            TlsKey.load(servers.home.tls_files[1]), HANGZHOU, ["mom.example"]
        ).decode()
    )
    with pytest.raises(RemoteError, match=r"permission-denied: mom\.example was not named"):
        servers.member._mom.action(protocol.RENEW, request.write())
    [record] = servers.audited("renew certificate")
    assert not record.allowed


def test_only_members_renew(servers: Encrypted) -> None:
    with Client(servers.mom_uri, tls_root_certs=servers.roots) as client:
        client.sign_in(f"user1@{HANGZHOU}", PASSWORD)
        with pytest.raises(RemoteError, match="permission-denied: only members"):
            client.action(protocol.RENEW, b"{}")
