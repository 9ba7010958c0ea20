"""Data nodes: statements run on them, and nothing is lost, doubled or left out when one goes."""

import signal
from collections.abc import Iterator
from functools import partial

import pytest
from adbc_driver_flightsql import DatabaseOptions, dbapi

from auth import SigningKey, TokenKind, seal
from flight_member import nodeprotocol
from flight_member.clock import utc_now
from flight_member.nodehome import NodeHome, NodePlace
from flight_member.users import UserDesk
from flight_mom.demo.federation import HANGZHOU, MOM, SHANGHAI, DemoFederation
from flight_sql import REUSE_CONNECTION, CancelStatus, Client, Endpoint, RemoteError, Rows
from tests.e2e.commands import run_member
from tests.e2e.factories import FLIGHTS
from tests.e2e.federation import CHIEF, FLIGHTS_AT, READER, count, refusal, refused_ticket
from tests.e2e.fetching import AT_HANGZHOU, Fetching
from tests.e2e.nodes import SOON_S, NodeProcess, nodes_of, shown, wait_for
from tests.flight_member.test_nodes import make_row
from tests.waiting import wait_until

COUNT = f"select count(*) as n from {FLIGHTS}"
COUNT_AT = f"select count(*) as n from {FLIGHTS_AT}"
FLIGHT_COUNT = 4_000
# Some megabytes more than any buffer on the way holds.
LONG = f"select carrier, unnest(range(1, 4000)) as n from {FLIGHTS_AT}"
LONG_COUNT = FLIGHT_COUNT * 3_999


@pytest.fixture(scope="module")
def nodes(federation: DemoFederation) -> Iterator[list[NodeProcess]]:
    with nodes_of(federation, HANGZHOU, CHIEF, "n1", "n2") as nodes:
        yield nodes


@pytest.fixture
def both(nodes: list[NodeProcess], chief: Client) -> list[NodeProcess]:
    """Both nodes, alive again whatever became of them before."""
    for node in nodes:
        if node.process is None:
            node.start()
    for node in nodes:
        wait_until(lambda node=node: shown(chief)[node.name].uri == node.uri, SOON_S)  # type: ignore[misc]  # bound at once
        wait_for(chief, node.name, "alive")
    return nodes


@pytest.fixture
def chief(federation: DemoFederation) -> Iterator[Client]:
    """Who administers hangzhou, at home."""
    with federation.client(CHIEF, HANGZHOU, at=HANGZHOU) as client:
        yield client


@pytest.fixture
def owner(federation: DemoFederation) -> Iterator[Client]:
    """A user of hangzhou, at home."""
    with federation.client("user2", HANGZHOU, at=HANGZHOU) as client:
        yield client


def locations(client: Client, sql: str, **options: object) -> list[str]:
    (endpoint,) = client.get_info(sql, **options).endpoints  # type: ignore[arg-type]
    return list(endpoint.locations)


def at_node(node: NodeProcess, endpoint: Endpoint, token: str | None = None) -> int:
    """Return the count that a ticket gives at a node."""
    with Client(node.uri, token=token) as client:
        return int(client.open_ticket(endpoint.handle).read_all()["n"][0].as_py())


def test_every_node_is_told_of_and_gets_its_part(
    both: list[NodeProcess], owner: Client, admin: Client
) -> None:
    uris = {node.uri for node in both}
    named = [locations(owner, COUNT) for _ in range(12)]
    # When it is the controller's turn none is named: the connection is there.
    assert {one[0] if one else "" for one in named} == {*uris, ""}
    assert all(set(one) == {*uris, REUSE_CONNECTION} for one in named if one)
    assert locations(owner, COUNT, headers=(("x-route", "relay"),)) == []
    assert locations(owner, "select 1 as n") == []
    sql = "select node, mode, uri, state from system.federation.nodes where cluster_name="
    wait_until(
        lambda: (
            {
                (row["node"], row["mode"], row["uri"], row["state"])
                for row in admin.query(f"{sql}'{HANGZHOU}' and mode = 'node'")
                .read_all()
                .to_pylist()
            }
            == {(node.name, "node", node.uri, "alive") for node in both}
        ),
        SOON_S,
    )


@pytest.mark.usefixtures("granted")
def test_any_node_honours_any_ticket_and_the_job_names_it(
    both: list[NodeProcess], owner: Client, at_mom: Client, query_id: str
) -> None:
    for client, sql in ((owner, COUNT), (at_mom, COUNT_AT)):
        (endpoint,) = client.get_info(sql, headers=(("x-query-id", query_id),)).endpoints
        for node in both:
            assert at_node(node, endpoint) == FLIGHT_COUNT
        rows = client.query("SHOW JOBS").read_all().to_pylist()
        ran = {row["node_name"] for row in rows if row["job_id"] == query_id}
        assert ran == {node.name for node in both}


def test_ticket_of_a_home_user_is_of_no_use_with_somebody_elses_token(
    both: list[NodeProcess], owner: Client, chief: Client
) -> None:
    (endpoint,) = owner.get_info(COUNT).endpoints
    assert at_node(both[0], endpoint, owner.token) == FLIGHT_COUNT
    with Client(both[0].uri, token=chief.token) as client:
        assert refused_ticket(client, endpoint.handle).code == "invalid-ticket"


def test_node_answers_nothing_but_tickets(both: list[NodeProcess], owner: Client) -> None:
    with Client(both[0].uri, token=owner.token) as client:
        assert refusal(client.get_info, COUNT).code == "statement-not-supported"
        assert refusal(client.catalogs).code == "statement-not-supported"
    with Client(both[0].uri) as client:
        error = refusal(client.sign_in, f"user2@{HANGZHOU}", "whatever")
        assert error.code == "invalid-token"
        assert "sign in at" in error.text


def test_table_that_was_made_a_moment_ago_is_read_at_a_node(
    both: list[NodeProcess], chief: Client
) -> None:
    for number in range(3):
        name = f"aviation.nyc.fresh_{number}"
        chief.update(f"create table {name} as select value from generate_series(1, 7)")
        (endpoint,) = chief.get_info(f"select count(*) as n from {name}").endpoints
        assert at_node(both[number % 2], endpoint) == 7
        chief.update(f"drop table {name}")
        gone = {"stale-metastore", "not-found"}
        wait_until(lambda: refused_code(both[0], endpoint) in gone, SOON_S)  # noqa: B023  asked at once


@pytest.mark.usefixtures("granted")
def test_adbc_moves_on_from_a_dead_location_by_itself(
    federation: DemoFederation, both: list[NodeProcess]
) -> None:
    both[0].kill()
    for user, cluster, at, sql in (
        ("user2", HANGZHOU, HANGZHOU, COUNT),
        ("user1", SHANGHAI, MOM, COUNT_AT),
    ):
        options = {
            "username": f"{user}@{cluster}",
            "password": federation.password(user),
            DatabaseOptions.WITH_COOKIE_MIDDLEWARE.value: "true",
        }
        with (
            dbapi.connect(federation.uri(at), db_kwargs=options, autocommit=True) as connection,
            connection.cursor() as cursor,
        ):
            # The dead node is among the locations until it is missed.
            for _ in range(6):
                cursor.execute(sql)
                assert cursor.fetchall() == [(FLIGHT_COUNT,)]


def test_lost_node_is_avoided_and_one_that_is_started_again_is_used(
    both: list[NodeProcess], owner: Client, chief: Client, admin: Client
) -> None:
    lost = both[1]
    lost.kill()
    wait_for(chief, lost.name, "lost")
    assert all(lost.uri not in locations(owner, COUNT) for _ in range(6))
    sql = f"select state from system.federation.nodes where node = '{lost.name}'"
    wait_until(
        lambda: [row["state"] for row in admin.query(sql).read_all().to_pylist()] == ["lost"],
        SOON_S,
    )
    lost.start()
    wait_for(chief, lost.name, "alive")
    wait_until(lambda: locations(owner, COUNT)[:1] == [lost.uri], SOON_S)
    (endpoint,) = owner.get_info(COUNT).endpoints
    assert at_node(lost, endpoint) == FLIGHT_COUNT


@pytest.mark.parametrize("route", ["relay", "direct"])
@pytest.mark.usefixtures("granted")
def test_stream_of_a_node_that_is_killed_is_an_error_and_the_ticket_gives_the_whole_elsewhere(
    both: list[NodeProcess], at_mom: Client, route: str, query_id: str
) -> None:
    headers = (("x-query-id", query_id), ("x-route", route))
    (endpoint,) = at_mom.get_info(LONG, headers=headers).endpoints
    if route == "direct":
        rows = Client(both[0].uri).open_ticket(endpoint.handle)
        read, victim = next(rows).num_rows, both[0]
    else:
        rows, read, victim = relayed_from_a_node(at_mom, both, endpoint, query_id)
    victim.kill()
    more, error = read_to_the_end(rows)
    assert error is not None
    assert (error.code, error.retryable) == ("cluster-unavailable", True)
    assert 0 < read + more < LONG_COUNT
    again = at_mom if route == "relay" else Client(both[1].uri)
    assert sum(batch.num_rows for batch in again.open_ticket(endpoint.handle)) == LONG_COUNT


def read_to_the_end(rows: Rows) -> tuple[int, RemoteError | None]:
    """Return how many rows came, and the error that they ended with, if any."""
    read = 0
    try:
        for batch in rows:
            read += batch.num_rows
    except RemoteError as error:
        return read, error
    return read, None


def relayed_from_a_node(
    client: Client, nodes: list[NodeProcess], endpoint: Endpoint, query_id: str
) -> tuple[Rows, int, NodeProcess]:
    """Relay a ticket until it runs on a node, and say on which."""
    by_name = {node.name: node for node in nodes}
    left: list[Rows] = []
    for _ in range(6):
        rows = client.open_ticket(endpoint.handle)
        read = next(rows).num_rows
        shown_jobs = client.query("SHOW JOBS").read_all().to_pylist()
        live = [row for row in shown_jobs if row["job_id"] == query_id and not row["ended_at"]]
        newest = max(live, key=lambda row: row["started_at"])
        if newest["node_name"] in by_name:
            for one in left:
                one.close()
            return rows, read, by_name[newest["node_name"]]
        left.append(rows)
    raise AssertionError("nothing ran on a node")


@pytest.mark.usefixtures("granted")
def test_relay_reads_from_another_place_while_no_row_has_come(
    both: list[NodeProcess], at_mom: Client
) -> None:
    both[0].kill()
    for _ in range(8):
        assert count(at_mom, COUNT_AT, headers=(("x-route", "relay"),)) == FLIGHT_COUNT


@pytest.mark.usefixtures("granted")
def test_relay_waits_for_no_node_that_hangs(
    both: list[NodeProcess], at_mom: Client, query_id: str
) -> None:
    relay, hung = ("x-route", "relay"), both[0]
    streams: dict[str, Rows] = {}
    read: dict[str, int] = {}
    while hung.name not in (places := running_at(at_mom)).values():
        own_id = f"{query_id}-{len(streams)}"
        streams[own_id] = at_mom.query(LONG, headers=(relay, ("x-query-id", own_id)))
        read[own_id] = next(streams[own_id]).num_rows
        assert len(streams) < 9
    assert hung.process is not None
    hung.process.send_signal(signal.SIGSTOP)
    try:
        # What hangs before the first row is read elsewhere, what hangs after it is an error.
        for _ in range(6):
            assert count(at_mom, COUNT_AT, headers=(relay,)) == FLIGHT_COUNT
        ends = {own_id: read_to_the_end(rows) for own_id, rows in streams.items()}
    finally:
        hung.process.send_signal(signal.SIGCONT)
    for own_id, (more, error) in ends.items():
        if places[own_id] == hung.name:
            assert error is not None
            assert error.code == "cluster-unavailable"
        else:
            assert (read[own_id] + more, error) == (LONG_COUNT, None)


def running_at(client: Client) -> dict[str, str]:
    """Return on which node each job runs, by its id."""
    rows = client.query("SHOW JOBS").read_all().to_pylist()
    return {row["job_id"]: row["node_name"] for row in rows if row["state"] == "running"}


def test_drained_node_ends_what_runs_takes_nothing_new_and_leaves(
    both: list[NodeProcess], owner: Client, chief: Client
) -> None:
    drained = both[0]
    (long_endpoint,) = owner.get_info(
        f"select carrier, unnest(range(1, 4000)) as n from {FLIGHTS}"
    ).endpoints
    (endpoint,) = owner.get_info(COUNT).endpoints
    with Client(drained.uri) as at_drained:
        rows = at_drained.open_ticket(long_endpoint.handle)
        read = next(rows).num_rows
        drain = nodeprotocol.NodesRequest(action="drain", node=drained.name).write()
        assert refusal(owner.action, nodeprotocol.NODES, drain).code == "permission-denied"
        chief.action(nodeprotocol.NODES, drain)
        assert shown(chief)[drained.name].state == "draining"
        assert all(drained.uri not in locations(owner, COUNT) for _ in range(6))
        wait_until(lambda: refused_code(drained, endpoint) == "cluster-unavailable", SOON_S)
        assert drained.process is not None
        assert drained.process.poll() is None
        assert read + sum(batch.num_rows for batch in rows) == LONG_COUNT
    assert drained.wait() == 0
    wait_until(lambda: shown(chief)[drained.name].state == "joining", SOON_S)
    assert refusal(chief.action, nodeprotocol.NODES, drain).code == "not-found"


def refused_code(node: NodeProcess, endpoint: Endpoint) -> str:
    with Client(node.uri) as client:
        try:
            client.open_ticket(endpoint.handle).read_all()
        except RemoteError as error:
            return error.code
    return ""


@pytest.mark.usefixtures("granted")
def test_revocation_ends_streams_on_nodes(
    both: list[NodeProcess], admin: Client, at_mom: Client
) -> None:
    (endpoint,) = at_mom.get_info(LONG).endpoints
    with Client(both[0].uri) as client:
        rows = client.open_ticket(endpoint.handle)
        next(rows)
        admin.update(f"REVOKE TABLE_READ ON {FLIGHTS_AT} FROM {READER}")
        wait_until(lambda: refused_code(both[1], endpoint) == "revoked-ticket", SOON_S)
        _, error = read_to_the_end(rows)
    assert error is not None
    assert error.code == "revoked-ticket"


def test_locked_user_reads_nothing_more_from_a_node(
    federation: DemoFederation, both: list[NodeProcess]
) -> None:
    desk = UserDesk(federation.member_home(HANGZHOU))
    desk.add("leaving", federation.password("leaving"), readable=("*",))
    with federation.client("leaving", HANGZHOU, at=HANGZHOU) as client:
        (endpoint,) = client.get_info(COUNT).endpoints
        assert at_node(both[0], endpoint, client.token) == FLIGHT_COUNT
        desk.set_locked("leaving", is_locked=True)
        wait_until(lambda: refused_code(both[0], endpoint) == "revoked-ticket", SOON_S)


@pytest.mark.usefixtures("granted")
def test_statement_on_a_node_is_cancelled_by_its_ticket_and_by_its_job(
    both: list[NodeProcess], at_mom: Client, owner: Client, query_id: str
) -> None:
    own_sql = AT_HANGZHOU.replace(f"@{HANGZHOU}", "")
    for client, sql in ((at_mom, AT_HANGZHOU), (owner, own_sql)):
        for by_job in (False, True):
            own_id = f"{query_id}-{by_job}"
            info = client.get_info(sql, headers=(("x-query-id", own_id),))
            at_second = Client(both[1].uri)
            fetching = Fetching(partial(at_second.open_ticket, info.endpoints[0].handle))
            wait_until(lambda: own_id in running(client), SOON_S)  # noqa: B023  asked at once
            if by_job:
                client.query(f"CANCEL JOB '{own_id}'").read_all()
            else:
                assert client.cancel(info.endpoints) is CancelStatus.CANCELLED
            assert fetching.refusal().code == "cancelled"


def running(client: Client) -> set[str]:
    rows = client.query("SHOW JOBS").read_all().to_pylist()
    return {row["job_id"] for row in rows if row["state"] == "running"}


def test_join_token_counts_once(federation: DemoFederation, both: list[NodeProcess]) -> None:
    again = run_member(
        *("node", "serve", "--dir", str(federation.directory / "second"), "--port", "0"),
        *("--controller", federation.uri(HANGZHOU)),
        *("--token-file", str(both[0].token_file)),
    )
    assert again.returncode == 1
    assert "invalid-token: the join token does not count" in again.stderr


def test_node_speaks_for_itself_alone(
    federation: DemoFederation, both: list[NodeProcess], owner: Client
) -> None:
    place = NodePlace.load(both[0].directory)
    assert place is not None
    genuine = NodeHome(both[0].directory).load_key()
    for key, name, row, code in (
        (SigningKey.generate(), "n1", make_row("n1"), "invalid-token"),
        (genuine, "n1", make_row("n2"), "permission-denied"),
        (genuine, "n2", make_row("n2"), "invalid-token"),
        (genuine, "n1", make_row("n1", uri="grpc://10.0.0.1:4000"), "permission-denied"),
    ):
        token = seal(
            TokenKind.NODE, {}, key, issuer=name, audience=HANGZHOU, now=utc_now(), ttl_s=60
        )
        beat = nodeprotocol.NodeHeartbeat(row=row).write()
        with Client(federation.uri(HANGZHOU), token=token) as client:
            assert refusal(client.action, nodeprotocol.NODE_HEARTBEAT, beat).code == code
    beat = nodeprotocol.NodeHeartbeat(row=make_row("n1")).write()
    assert refusal(owner.action, nodeprotocol.NODE_HEARTBEAT, beat).code == "permission-denied"


def test_nodes_command_shows_each(federation: DemoFederation, both: list[NodeProcess]) -> None:
    told = run_member("nodes", "--profile", str(federation.profile_file("user2")))
    assert told.returncode == 0, told.stderr
    for node in both:
        line = next(line for line in told.stdout.splitlines() if node.name in line)
        assert "alive" in line
        assert node.uri in line
