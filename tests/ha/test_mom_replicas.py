"""Two replicas of the MoM: what is done at one holds at the other, and either may be lost."""

import json
from collections.abc import Iterator

import pytest

from auth import BoxKey, SigningKey, TlsKey, make_request
from flight_member import protocol
from flight_mom.demo.federation import HANGZHOU, MOM, SHANGHAI
from flight_mom.membercommands import change_member
from flight_sql import Client, RemoteError
from tests.databases import PostgresServer
from tests.e2e.commands import run_mom
from tests.e2e.federation import COUNT_FLIGHTS, FLIGHTS_AT, READER, count
from tests.ha.replicas import PATIENCE_S, SECOND, Replicas, add_replica, running_replicas
from tests.waiting import wait_until

pytestmark = pytest.mark.ha
GRANT = f"GRANT TABLE_READ ON {FLIGHTS_AT} TO {READER}"
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
