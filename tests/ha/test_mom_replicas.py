"""Two replicas of the MoM: what is done at one holds at the other, and either may be lost."""

import base64
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import partial

import pytest

from auth import BoxKey, KeyChain, SigningKey, TlsKey, make_request
from flight_member import protocol
from flight_mom.demo.federation import HANGZHOU, MOM, SHANGHAI
from flight_mom.membercommands import change_member
from flight_sql import CancelStatus, Client, RemoteError, Rows
from tests.databases import PostgresServer
from tests.e2e.commands import run_mom
from tests.e2e.federation import COUNT_FLIGHTS, FLIGHTS_AT, READER, count, kill, restart
from tests.e2e.fetching import Fetching
from tests.ha.replicas import (
    PATIENCE_S,
    SECOND,
    TIMEOUT_S,
    Replicas,
    add_replica,
    running_replicas,
)
from tests.waiting import wait_until

# The first of them starts seven processes.
pytestmark = [pytest.mark.ha, pytest.mark.timeout(300)]
GRANT = f"GRANT TABLE_READ ON {FLIGHTS_AT} TO {READER}"
HEARTBEATS = f"monitor.heartbeat.cluster_perf@{MOM}"
COUNT_FOR_A_MINUTE = f"select count(*) from generate_series(1, {10**12})"
FOR_A_MINUTE = f"select count(*) as n from {HEARTBEATS} union all {COUNT_FOR_A_MINUTE}"
MANY_ROWS = 20_000_000
MANY = (
    f"select flight from {FLIGHTS_AT} union all select value from generate_series(1, {MANY_ROWS})"
)
REVOKE = f"REVOKE TABLE_READ ON {FLIGHTS_AT} FROM {READER}"


@pytest.fixture(scope="module")
def replicas(
    tmp_path_factory: pytest.TempPathFactory, postgresql: PostgresServer
) -> Iterator[Replicas]:
    directory = tmp_path_factory.mktemp("replicas")
    with running_replicas(directory, postgresql.url("mom_replicas")) as replicas:
        yield replicas


@pytest.fixture
def first(replicas: Replicas) -> Iterator[Client]:
    """user1@shanghai at the first replica."""
    with replicas.client("user1", SHANGHAI, replicas.first) as client:
        yield client


@pytest.fixture
def second(replicas: Replicas, first: Client) -> Iterator[Client]:
    """The same session at the second replica."""
    with Client(replicas.second, token=first.token) as client:
        yield client


def test_grants_and_revocations_bind_at_the_other_at_once(
    replicas: Replicas, first: Client, second: Client
) -> None:
    with replicas.admin(replicas.first) as one, replicas.admin(replicas.second) as other:
        wait_until(lambda: is_alive(other), PATIENCE_S)
        for admin, reader in ((one, second), (other, first)) * 3:
            admin.update(GRANT)
            assert count(reader, COUNT_FLIGHTS) == 4_000
            admin.update(REVOKE)
            with pytest.raises(RemoteError, match="not-found"):
                count(reader, COUNT_FLIGHTS)


def is_alive(admin: Client) -> bool:
    """Whether a replica has heard of hangzhou."""
    rows = admin.query("SHOW CLUSTERS").read_all().to_pylist()
    return any(row["cluster_name"] == HANGZHOU and row["state"] == "alive" for row in rows)


def test_replicas_are_listed_with_who_runs_periodic_work(replicas: Replicas) -> None:
    profile = replicas.federation.profile_file("admin")
    replicas.federation.write_profiles()
    listed = run_mom("replicas", "--profile", str(profile), "--json")
    assert listed.returncode == 0, listed.stderr
    rows = json.loads(listed.stdout)
    assert [row["name"] for row in rows] == [MOM, SECOND]
    assert [row["uri"] for row in rows] == [replicas.first, replicas.second]
    assert {row["state"] for row in rows} == {"alive"}
    assert sum(row["periodic_work"] for row in rows) == 1


def test_only_administrators_name_replicas(first: Client) -> None:
    request = protocol.ReplicasRequest(action=protocol.ReplicasRequest.ADD, name="third")
    with pytest.raises(RemoteError, match="permission-denied"):
        first.action(protocol.REPLICAS, request.write())


def join_request(token: str, name: str) -> bytes:
    tls_key = TlsKey.generate()
    return protocol.ReplicaJoinRequest(
        token=token,
        name=name,
        public_key=SigningKey.generate().public_key.to_text(),
        certificate_request=make_request(tls_key, MOM, ["127.0.0.1"]).decode(),
        box_key=BoxKey().public_text,
    ).write()


def test_join_tokens_count_once_and_for_what_they_were_made_for(replicas: Replicas) -> None:
    used = (replicas.federation.directory / f"{SECOND}.token").read_text()
    with replicas.admin(replicas.second) as admin, Client(replicas.second) as stranger:
        member = protocol.MembersRequest(action=protocol.MembersRequest.ADD, cluster="third")
        of_member = str(change_member(admin, member).join_token)
        of_replica = add_replica(admin, "third")
        remove = protocol.ReplicasRequest(action=protocol.ReplicasRequest.REMOVE, name="third")
        for token, name in ((used, SECOND), (of_member, "third"), (of_replica, SECOND)):
            with pytest.raises(RemoteError, match="invalid-token"):
                stranger.action(protocol.REPLICA_JOIN, join_request(token, name))
        body = stranger.action(protocol.REPLICA_JOIN, join_request(of_replica, "third"))
        assert "PRIVATE KEY" not in body.decode()
        # Who was added and never started can be taken out again.
        names = {
            row.name
            for row in protocol.ReplicasReply.read(
                admin.action(protocol.REPLICAS, remove.write())
            ).replicas
        }
        assert names == {MOM, SECOND}
        with pytest.raises(RemoteError, match="not-found"):
            admin.action(protocol.REPLICAS, remove.write())
        change_member(admin, member.model_copy(update={"action": "remove"}))


def test_what_runs_at_one_is_shown_and_cancelled_at_the_other(
    replicas: Replicas, first: Client
) -> None:
    """A statement over the MoM's own tables, which runs at the replica that was asked."""
    with replicas.admin(replicas.first) as one, replicas.admin(replicas.second) as other:
        wait_until(lambda: has_rows(one), PATIENCE_S)
        for here, there, query_id in ((one, other, "replica-own-1"), (other, one, "replica-own-2")):
            info = here.get_info(FOR_A_MINUTE, headers=(("x-query-id", query_id),))
            running = Fetching(partial(here.open_ticket, info.endpoints[0].handle))
            wait_until(partial(is_shown, there, query_id), PATIENCE_S)
            with pytest.raises(RemoteError, match="not-found"):
                first.query(f"CANCEL JOB '{query_id}'").read_all()
            there.query(f"CANCEL JOB '{query_id}'").read_all()
            assert running.refusal().code == "cancelled"
            again = here.get_info(FOR_A_MINUTE)
            running = Fetching(partial(here.open_ticket, again.endpoints[0].handle))
            assert there.cancel(again.endpoints) is not CancelStatus.NOT_CANCELLABLE
            assert running.refusal().code == "cancelled"


def has_rows(admin: Client) -> bool:
    try:
        return count(admin, f"select count(*) as n from {HEARTBEATS}") > 0
    except RemoteError:
        return False


def is_shown(client: Client, query_id: str) -> bool:
    rows = client.query("SHOW JOBS").read_all().to_pylist()
    return any(row["job_id"] == query_id and row["state"] == "running" for row in rows)


def test_nodes_are_shown_at_both_whoever_heard_them(replicas: Replicas) -> None:
    expected = {(HANGZHOU, HANGZHOU), (SHANGHAI, SHANGHAI), (MOM, MOM), (MOM, SECOND)}

    def shows_all(admin: Client) -> bool:
        nodes = admin.query("select cluster_name, node from system.federation.nodes").read_all()
        found = list(zip(*nodes.to_pydict().values(), strict=True))
        return set(found) == expected and len(found) == len(expected)

    for at in (replicas.first, replicas.second):
        with replicas.admin(at) as admin:
            wait_until(partial(shows_all, admin), PATIENCE_S)


def test_only_replicas_ask_each_other(first: Client) -> None:
    for kind in (protocol.REPLICA_CANCEL, protocol.REPLICA_NODES):
        with pytest.raises(RemoteError, match="permission-denied"):
            first.action(kind, b"{}")


def rotate(replicas: Replicas, name: str) -> str:
    """Rotate the key of a replica; returns the name of the next one."""
    directory = replicas.federation.directory / name
    rotated = run_mom("keys", "rotate", "--dir", str(directory))
    assert rotated.returncode == 0, rotated.stderr
    return KeyChain.load(directory).published[1].kid


def kid_of(token: str) -> str:
    header = token.split(".", maxsplit=1)[0]
    return str(json.loads(base64.urlsafe_b64decode(header + "=" * (-len(header) % 4)))["kid"])


@pytest.mark.parametrize("name", [MOM, SECOND])
def test_rotated_key_of_one_counts_at_the_other_and_at_members(
    replicas: Replicas, name: str
) -> None:
    here, there = replicas.first, replicas.second
    if name == SECOND:
        here, there = there, here
    with replicas.admin(here) as admin:
        admin.update(GRANT)
    fresh = rotate(replicas, name)

    def signs() -> bool:
        with replicas.client("user1", SHANGHAI, here) as client:
            return kid_of(str(client.token)) == fresh

    wait_until(signs, PATIENCE_S)
    with (
        replicas.client("user1", SHANGHAI, here) as one,
        Client(there, token=one.token) as other,
    ):
        for route in ("direct", "relay"):
            (endpoint,) = one.get_info(COUNT_FLIGHTS, headers=(("x-route", route),)).endpoints
            assert one.open_endpoint(endpoint).read_all()["n"].to_pylist() == [4_000]
            assert other.open_ticket(endpoint.handle).read_all()["n"].to_pylist() == [4_000]


def begun(client: Client, route: str) -> Rows:
    """Return a stream of many rows that has begun and goes on."""
    info = client.get_info(MANY, headers=(("x-route", route),))
    rows = client.open_endpoint(info.endpoints[0])
    assert next(rows).num_rows
    return rows


def test_losing_a_replica_costs_direct_streams_nothing_and_relayed_ones_a_retry(
    replicas: Replicas,
) -> None:
    federation = replicas.federation
    both = [replicas.first, replicas.second]
    with replicas.admin(replicas.first) as admin:
        admin.update(GRANT)
    with (
        Client(both) as client,
        replicas.admin(replicas.second) as admin,
        replicas.client("user1", SHANGHAI, replicas.balanced) as balanced,
    ):
        client.sign_in(READER, federation.password("user1"))
        wait_until(lambda: is_alive(admin), PATIENCE_S)
        direct, relayed = begun(client, "direct"), begun(client, "relay")
        killed_at = datetime.now(UTC)
        kill(federation, MOM)
        try:
            assert sum(batch.num_rows for batch in direct) > MANY_ROWS // 2
            with pytest.raises(RemoteError) as failed:
                for _ in relayed:
                    pass
            assert (failed.value.status, failed.value.retryable) == ("UNAVAILABLE", True)
            # The same call again is the retry: it finds the other replica by itself.
            assert count(client, COUNT_FLIGHTS, headers=(("x-route", "relay"),)) == 4_000
            assert client.uri == replicas.second
            # So does who knows but the balancer's address, with the same session.
            wait_until(lambda: answers(balanced), PATIENCE_S)
            # Members report to the other one: they stay alive for longer than a silence lasts.
            until = killed_at + timedelta(seconds=TIMEOUT_S + 1)
            wait_until(lambda: heard_at(admin) > until, PATIENCE_S)
            assert is_alive(admin)
        finally:
            restart(federation, MOM)
    with replicas.client("user1", SHANGHAI, replicas.first) as again:
        wait_until(lambda: answers(again), PATIENCE_S)


def answers(client: Client) -> bool:
    try:
        return count(client, COUNT_FLIGHTS) == 4_000
    except RemoteError:
        return False


def heard_at(admin: Client) -> datetime:
    """Return when a replica last heard of the member that it heard of longest ago."""
    rows = admin.query("SHOW CLUSTERS").read_all().to_pylist()
    never = datetime.min.replace(tzinfo=UTC)
    return min(row["last_heartbeat_at"] or never for row in rows)
