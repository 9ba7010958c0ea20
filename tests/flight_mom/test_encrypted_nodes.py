"""A data node joins over TLS: its certificate is signed by the federation, for its host alone."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography import x509

from auth import JoinToken, TlsKey, make_request
from flight_member import protocol
from flight_member.configuration import load_settings
from flight_member.errors import ForwardedError
from flight_member.nodeadding import add_node
from flight_member.nodehome import NodeHome
from flight_member.nodejoining import join_cluster
from flight_member.nodeserver import NodeServer
from flight_member.settings import NodeSettings
from flight_sql import REUSE_CONNECTION, Client, RemoteError
from tests.flight_member.factories import HANGZHOU, PASSWORD, QUOTE
from tests.flight_mom.test_renewal import HOSTS, Encrypted, served_certificate
from tests.waiting import wait_until

SOON_S = 20.0


@pytest.fixture
def servers(tmp_path: Path) -> Iterator[Encrypted]:
    servers = Encrypted(tmp_path)
    yield servers
    servers.stop()


def make_node_settings(directory: Path, **flags: object) -> NodeSettings:
    given = {"cluster.name": HANGZHOU, "server.port": 0, "state.directory": str(directory)}
    given |= {name.replace("__", "."): value for name, value in flags.items()}
    return load_settings(NodeSettings, None, given).settings


def make_token(servers: Encrypted, host: str = "localhost") -> JoinToken:
    token, _ = add_node(servers.home, "n1", host)
    # A server that runs notices what was added at its directory.
    wait_until(lambda: servers.member._roster.find("n1") is not None, SOON_S)
    return token


def test_node_joins_over_tls_and_serves_with_a_certificate_for_its_host(
    servers: Encrypted, tmp_path: Path
) -> None:
    token = make_token(servers)
    settings = make_node_settings(tmp_path / "n1", server__tls=True, server__advertise="localhost")
    home = NodeHome(tmp_path / "n1")
    place = join_cluster(home, settings.server, token.text, None)
    assert (place.cluster, place.node, place.controllers) == (HANGZHOU, "n1", (servers.uri,))
    node = NodeServer(home.directory, settings)
    try:
        uri = node.start()
        certificate = served_certificate(uri, servers.roots)
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        assert names.get_values_for_type(x509.DNSName) == ["localhost"]
        assert names.get_values_for_type(x509.IPAddress) == []
        wait_until(lambda: len(servers.member.nodes.serving()) > 1, SOON_S)
        with Client(servers.uri, tls_root_certs=servers.roots) as client:
            client.sign_in("user1", PASSWORD)
            sql = f"select count(*) as n from {QUOTE}"
            infos = [client.get_info(sql) for _ in range(4)]
            named = {tuple(info.endpoints[0].locations) for info in infos}
            assert named == {(), (uri, REUSE_CONNECTION)}
            with Client(uri, tls_root_certs=servers.roots, token=client.token) as at_node:
                rows = at_node.open_ticket(infos[0].endpoints[0].handle).read_all()
            assert rows["n"].to_pylist() == [100]
    finally:
        node.stop(2)


def test_certificate_is_for_no_host_that_was_not_named(servers: Encrypted, tmp_path: Path) -> None:
    token = make_token(servers, "node.example")
    settings = make_node_settings(
        tmp_path / "n1", server__tls=True, server__advertise="node.example"
    )
    with pytest.raises(ForwardedError, match=r"node\.example was not named by an administrator"):
        join_cluster(NodeHome(tmp_path / "n1"), settings.server, token.text, servers.uri)
    # Nothing was used up by that: the administrator names the host, and it joins.
    elsewhere = make_node_settings(tmp_path / "n1", server__tls=True)
    with pytest.raises(ForwardedError, match="n1 may not answer at that host"):
        join_cluster(NodeHome(tmp_path / "n1"), elsewhere.server, token.text, servers.uri)


def test_renewal_for_some_hosts_names_these_alone(servers: Encrypted) -> None:
    key = TlsKey.load(servers.home.tls_files[1])
    for hosts, named in ((("localhost",), ["localhost"]), ((), ["localhost"]), (HOSTS[:1], [])):
        request = make_request(key, HANGZHOU, hosts).decode()
        asked = protocol.RenewRequest(certificate_request=request, hosts=hosts)
        body = servers.member._mom.action(protocol.RENEW, asked.write())
        signed = protocol.RenewReply.read(body).certificate.encode()
        names = (
            x509.load_pem_x509_certificate(signed)
            .extensions.get_extension_for_class(x509.SubjectAlternativeName)
            .value
        )
        assert names.get_values_for_type(x509.DNSName) == named
    asked = protocol.RenewRequest(
        certificate_request=make_request(key, HANGZHOU, ()).decode(), hosts=("mom.example",)
    )
    with pytest.raises(RemoteError, match=r"permission-denied: mom\.example was not named"):
        servers.member._mom.action(protocol.RENEW, asked.write())
