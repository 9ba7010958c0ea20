"""Keys change while the federation runs, and nothing breaks; a stolen key is dead at once."""

from collections.abc import Callable, Iterator
from pathlib import Path

import jwt
import pytest

from flight_mom.demo.federation import HANGZHOU, MOM, SHANGHAI, DemoFederation
from flight_sql import Client, RemoteError
from tests.e2e.commands import try_member, try_mom
from tests.e2e.federation import (
    ADMIN,
    COUNT_FLIGHTS,
    FLIGHTS_AT,
    READER,
    count,
    environment,
    make_federation,
    refused_sql,
    refused_ticket,
)
from tests.waiting import wait_until

# What the MoM waits until every member that is alive has heard of a new key.
TIMEOUT_S = 3.0
SOON_S = 10.0


@pytest.fixture(scope="module")
def rotating(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DemoFederation]:
    """A federation of its own: what others signed in to would die with the keys."""
    federation = make_federation(tmp_path_factory.mktemp("rotating"))
    with environment({"FLIGHT_MOM_HEARTBEAT__TIMEOUT_S": str(TIMEOUT_S)}), federation.running():
        with federation.client(ADMIN, MOM, at=MOM) as admin:
            admin.update(f"GRANT TABLE_READ ON {FLIGHTS_AT} TO {READER}")
        with environment({"FLIGHT_MOM_HEARTBEAT__TIMEOUT_S": str(TIMEOUT_S)}):
            yield federation
        federation.check_alive()


def rotate(federation: DemoFederation, cluster: str, *arguments: str) -> None:
    run = try_mom if cluster == MOM else try_member
    directory = str(federation.directory / cluster)
    done = run("keys", "rotate", "--dir", directory, *arguments)
    assert done.returncode == 0, done.stderr


def signing_kid(federation: DemoFederation, at: str) -> str:
    """Return the key that signs a fresh token."""
    with federation.client("user1", SHANGHAI, at=at) as client:
        return str(jwt.get_unverified_header(str(client.token))["kid"])


def is_replaced(federation: DemoFederation, at: str, kid: str) -> Callable[[], bool]:
    return lambda: signing_kid(federation, at) != kid


def is_refused(client: Client) -> bool:
    try:
        client.query("select 1").read_all()
    except RemoteError:
        return True
    return False


@pytest.mark.parametrize("cluster", [SHANGHAI, MOM])
def test_new_key_signs_and_what_the_old_one_signed_counts_on(
    rotating: DemoFederation, cluster: str
) -> None:
    kid = signing_kid(rotating, cluster)
    with rotating.client("user1", SHANGHAI, at=cluster) as before:
        with Client(rotating.uri(MOM), token=before.token) as at_mom:
            endpoint = at_mom.get_info(COUNT_FLIGHTS).endpoints[0]
            rotate(rotating, cluster)
            wait_until(is_replaced(rotating, cluster, kid), SOON_S)
            # The old token and ticket, and new ones, at once and everywhere.
            assert count(at_mom, COUNT_FLIGHTS) == 4_000
            assert at_mom.open_ticket(endpoint.handle).read_all().num_rows == 1
        assert count(before, "select 1 as n") == 1
        with Client(rotating.uri(HANGZHOU)) as at_member:
            assert at_member.open_ticket(endpoint.handle).read_all().num_rows == 1
    for at in (MOM, SHANGHAI):
        with rotating.client("user1", SHANGHAI, at=at) as after:
            assert count(after, COUNT_FLIGHTS) == 4_000


@pytest.mark.parametrize("cluster", [SHANGHAI, MOM])
def test_stolen_key_is_dead_at_once_and_everywhere(rotating: DemoFederation, cluster: str) -> None:
    kid = signing_kid(rotating, cluster)
    with rotating.client("user1", SHANGHAI, at=cluster) as before:
        with Client(rotating.uri(MOM), token=before.token) as at_mom:
            endpoint = at_mom.get_info(COUNT_FLIGHTS).endpoints[0]
            rotate(rotating, cluster, "--overlap-h", "0")
            wait_until(is_replaced(rotating, cluster, kid), SOON_S)
            wait_until(lambda: is_refused(at_mom), SOON_S)
            assert refused_sql(at_mom, "select 1").code == "invalid-token"
        assert refused_sql(before, "select 1").code == "invalid-token"
    if cluster == MOM:
        with Client(rotating.uri(HANGZHOU)) as at_member:
            wait_until(lambda: _is_dead(at_member, endpoint.handle), SOON_S)
            assert refused_ticket(at_member, endpoint.handle).code == "invalid-ticket"
    for at in (MOM, SHANGHAI):
        wait_until(lambda at=at: _counts(rotating, at), SOON_S)  # type: ignore[misc]  # the loop's


def test_rotation_is_audited_and_survives_a_restart(
    rotating: DemoFederation, tmp_path: Path
) -> None:
    del tmp_path
    listed = try_member("keys", "list", "--dir", str(rotating.directory / SHANGHAI), "--json")
    assert signing_kid(rotating, SHANGHAI) in listed.stdout
    for run, cluster in ((try_member, SHANGHAI), (try_mom, MOM)):
        shown = run("audit", "show", "--dir", str(rotating.directory / cluster), "--json")
        assert "rotate key" in shown.stdout
    shown = try_mom("audit", "show", "--dir", str(rotating.directory / MOM), "--json")
    assert "member keys" in shown.stdout


def _is_dead(at_member: Client, handle: bytes) -> bool:
    try:
        at_member.open_ticket(handle).read_all()
    except RemoteError:
        return True
    return False


def _counts(federation: DemoFederation, at: str) -> bool:
    try:
        with federation.client("user1", SHANGHAI, at=at) as client:
            return count(client, COUNT_FLIGHTS) == 4_000
    except RemoteError:
        return False
