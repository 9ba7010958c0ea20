"""The MoM and two members in this process, over the wire."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from flight_member import protocol
from flight_member.joining import join_federation
from flight_member.memberhome import MemberHome
from flight_member.server import MemberServer
from flight_mom.members import Member
from flight_mom.memberstore import MemberStore
from flight_mom.momhome import MomHome
from flight_mom.server import MomServer
from flight_sql import REUSE_CONNECTION, Client, RemoteError
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
from tests.waiting import wait_until

QUOTES = f"{QUOTE}@{HANGZHOU}"
COUNT = f"select count(*) as n from {QUOTES}"


class Servers:
    """hangzhou holds quotes, user1 is of shanghai; hangzhou has one place for statements."""

    def __init__(self, directory: Path) -> None:
        self.home = MomHome.create(make_mom_settings(directory / "mom"))
        self.mom = MomServer(self.home.settings)
        self.uri = self.mom.start()
        self.members: dict[str, MemberServer] = {}
        self.admin = Client(self.uri)
        self.admin.sign_in(f"admin@{MOM}", self.home.password_file.read_text().strip())
        for cluster in (HANGZHOU, SHANGHAI):
            home = make_home(directory / cluster, cluster__name=cluster, heartbeat__interval_s=0.5)
            if cluster == HANGZHOU:
                load_quotes(home)
            else:
                add_user(home)
            self.start(home, self.change("add", cluster).join_token)
        wait_until(lambda: all(self.member(name).users for name in (SHANGHAI,)))
        wait_until(lambda: bool(self.member(HANGZHOU).metastore.all_tables()))
        self.user = Client(self.uri)
        self.user.sign_in("user1@shanghai", PASSWORD)

    def start(self, home: MemberHome, token: str | None) -> None:
        join_federation(home, str(token))
        limits = home.settings.limits.model_copy(update={"max_running": 1, "max_queued": 0})
        server = MemberServer(home.settings.model_copy(update={"limits": limits}))
        server.start()
        self.members[home.settings.cluster.name] = server

    def change(self, action: str, cluster: str, **options: str) -> protocol.MembersReply:
        request = protocol.MembersRequest.model_validate(
            {"action": action, "cluster": cluster, **options}
        )
        return protocol.MembersReply.read(self.admin.action(protocol.MEMBERS, request.write()))

    def member(self, cluster: str) -> Member:
        return self.mom._topology.federation.members[cluster]

    def stop(self) -> None:
        self.admin.close()
        self.user.close()
        for member in self.members.values():
            member.stop(1)
        self.mom.stop(1)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    servers = Servers(tmp_path_factory.mktemp("federation"))
    yield servers
    servers.stop()


@pytest.fixture
def servers(running: Servers) -> Iterator[Servers]:
    """The federation with hangzhou's quotes granted to user1, relayed."""
    running.admin.query(f"GRANT TABLE_READ ON {QUOTES} TO user1@shanghai").read_all()
    yield running
    running.change("set", HANGZHOU, route="relay")
    running.change("resume", HANGZHOU)
    running.admin.query(f"REVOKE TABLE_READ ON {QUOTES} FROM user1@shanghai").read_all()


def refused(client: Client, sql: str, **options: object) -> RemoteError:
    with pytest.raises(RemoteError) as caught:
        client.query(sql, **options).read_all()  # type: ignore[arg-type]  # headers
    return caught.value


def test_relayed_rows_come_over_the_same_connection(servers: Servers) -> None:
    (endpoint,) = servers.user.get_info(COUNT).endpoints
    assert endpoint.locations == ()
    assert servers.user.query(COUNT).read_all().to_pylist() == [{"n": 100}]


def test_direct_member_is_named_first_and_the_header_may_only_be_stricter(
    servers: Servers,
) -> None:
    relay, direct = (("x-route", "relay"),), (("x-route", "direct"),)
    assert servers.user.get_info(COUNT, headers=direct).endpoints[0].locations == ()
    servers.change("set", HANGZHOU, route="direct")
    (endpoint,) = servers.user.get_info(COUNT).endpoints
    assert endpoint.locations == (servers.member(HANGZHOU).uri, REUSE_CONNECTION)
    assert servers.user.get_info(COUNT, headers=relay).endpoints[0].locations == ()
    assert servers.user.query(COUNT).read_all().to_pylist() == [{"n": 100}]


def test_statement_without_tables_names_nobodys_address(servers: Servers) -> None:
    servers.change("set", HANGZHOU, route="direct")
    # The administrator has no home among the members: hangzhou, direct and first by name, answers.
    assert servers.admin.get_info("select 1 as one").endpoints[0].locations == ()
    for cluster in (HANGZHOU, SHANGHAI, "nowhere"):
        headers = (("x-cluster", cluster),)
        info = servers.user.get_info("select 1 as one", headers=headers)
        assert info.endpoints[0].locations == ()
        rows = servers.user.query("select 1 as one", headers=headers).read_all()
        assert rows.to_pylist() == [{"one": 1}]


def test_statement_without_tables_tells_nothing_of_a_suspended_cluster(servers: Servers) -> None:
    servers.change("suspend", HANGZHOU)
    headers = (("x-cluster", HANGZHOU),)
    assert servers.user.query("select 1 as one", headers=headers).read_all().num_rows == 1
    assert servers.admin.query("select 1 as one").read_all().num_rows == 1


def test_suspended_member_is_said_to_be_so_to_its_readers_alone(servers: Servers) -> None:
    servers.change("suspend", HANGZHOU)
    assert refused(servers.user, COUNT).code == "cluster-suspended"
    assert refused(servers.user, f"explain {COUNT}").code == "cluster-suspended"
    servers.admin.query(f"REVOKE TABLE_READ ON {QUOTES} FROM user1@shanghai").read_all()
    texts = set()
    for name in (QUOTES, f"{QUOTE}x@{HANGZHOU}", "a.b.c@nowhere"):
        for ask in ("select * from", "explain select * from", "describe"):
            error = refused(servers.user, f"{ask} {name}")
            assert error.code == "not-found"
            texts.add(error.text.replace(name, "NAME"))
    assert len(texts) == 1


def test_ticket_is_relayed_to_its_caller_alone_and_not_after_a_revocation(
    servers: Servers,
) -> None:
    (endpoint,) = servers.user.get_info(COUNT).endpoints
    for stranger in (servers.admin, Client(servers.uri)):
        with pytest.raises(RemoteError) as caught:
            stranger.open_ticket(endpoint.handle)
        assert caught.value.status == "UNAUTHENTICATED"
    assert servers.user.open_ticket(endpoint.handle).read_all().to_pylist() == [{"n": 100}]
    servers.admin.query(f"REVOKE TABLE_READ ON {QUOTES} FROM user1@shanghai").read_all()
    with pytest.raises(RemoteError) as caught:
        servers.user.open_ticket(endpoint.handle)
    assert caught.value.code == "revoked-ticket"


def test_clients_that_leave_before_the_first_row_free_the_member(servers: Servers) -> None:
    admission = servers.members[HANGZHOU]._admission
    for _ in range(5):
        servers.user.query(f"select * from {QUOTES}").close()
        wait_until(lambda: admission.running == 0)
    assert servers.user.query(COUNT).read_all().to_pylist() == [{"n": 100}]


def test_client_that_leaves_while_nothing_comes_frees_the_member(servers: Servers) -> None:
    slow = "select count(*) as n from generate_series(1, 1000000000000)"
    for member in servers.members.values():
        assert member._admission.running == 0
    (endpoint,) = servers.user.get_info(slow).endpoints
    rows = servers.user.open_ticket(endpoint.handle)
    running = [member._admission for member in servers.members.values()]
    wait_until(lambda: any(one.running for one in running))
    rows.close()
    wait_until(lambda: not any(one.running for one in running))


def test_what_is_relayed_holds_a_place_of_the_mom_and_waits_for_one(servers: Servers) -> None:
    admission = servers.mom._admission
    wait_until(lambda: admission.running == 0)
    user, most = "user1@shanghai", servers.mom._settings.limits.max_running_per_user
    places = [admission.enter(user, bool) for _ in range(most)]
    with ThreadPoolExecutor(1) as threads:
        asking = threads.submit(servers.user.query, COUNT)
        wait_until(lambda: admission.queued == 1)
        rows = servers.user.query("SHOW JOBS").read_all().to_pylist()
        assert [row["cluster_name"] for row in rows if row["state"] == "queued"] == [HANGZHOU]
        places.pop().leave()
        with asking.result(20) as rows:
            assert rows.read_all().to_pylist() == [{"n": 100}]
    for place in places:
        place.leave()
    wait_until(lambda: admission.running == 0)


def test_wrong_password_of_a_members_user_is_the_moms_own_refusal(servers: Servers) -> None:
    for user in ("user1@shanghai", "nobody@shanghai", "user1@nowhere"):
        with Client(servers.uri) as client, pytest.raises(RemoteError) as caught:
            client.sign_in(user, "wrong")
        assert (caught.value.code, caught.value.text) == (
            "invalid-token",
            "user or password is wrong",
        )


def test_members_are_asked_nothing_by_users(servers: Servers) -> None:
    for kind in (protocol.HEARTBEAT, protocol.REPORT, protocol.MEMBERS):
        with pytest.raises(RemoteError) as caught:
            servers.user.action(kind, b"{}")
        assert caught.value.code in {"permission-denied", "invalid-request"}


def test_join_token_of_another_cluster_is_refused_before_it_is_sent(
    servers: Servers, tmp_path: Path
) -> None:
    token = servers.change("add", "beijing").join_token
    home = make_home(tmp_path / "m", cluster__name="guangzhou")
    with pytest.raises(Exception, match="made for beijing"):
        join_federation(home, str(token))
    servers.change("remove", "beijing")


def test_member_that_is_gone_is_unavailable_without_its_address(servers: Servers) -> None:
    (endpoint,) = servers.user.get_info(COUNT).endpoints
    uri = servers.member(HANGZHOU).uri
    topology = servers.mom._topology
    member = topology.federation.members[HANGZHOU]
    with servers.mom._database.change() as connection:
        MemberStore(connection).set_uri(HANGZHOU, "grpc://127.0.0.1:1")
    topology.refresh()
    with pytest.raises(RemoteError) as caught:
        servers.user.open_ticket(endpoint.handle)
    assert caught.value.code == "cluster-unavailable"
    assert "127.0.0.1" not in caught.value.text
    wait_until(lambda: servers.member(HANGZHOU).uri == uri)
    assert member.uri == uri
    assert servers.user.query(COUNT).read_all().to_pylist() == [{"n": 100}]
