"""People with tokens of an outside identity provider, at a real MoM."""

import base64
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from flight_mom.demo.federation import HANGZHOU, MOM, SHANGHAI, DemoFederation
from flight_mom.settings import SETTINGS_FILE
from flight_sql import Client
from tests.e2e.federation import (
    ADMIN,
    COUNT_FLIGHTS,
    FLIGHTS_AT,
    STRANGER,
    count,
    make_federation,
    refusal,
)
from tests.e2e.token_endpoint import TokenEndpoint, running_token_endpoint


@dataclass(frozen=True)
class Outside:
    """A federation that believes one token endpoint about shanghai's users."""

    federation: DemoFederation
    endpoint: TokenEndpoint

    def client(self, token: str) -> Client:
        return Client(self.federation.uri(MOM), token=token)


@pytest.fixture(scope="module")
def outside(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Outside]:
    directory: Path = tmp_path_factory.mktemp("outside")
    federation = make_federation(directory)
    with running_token_endpoint() as endpoint:
        with (directory / MOM / SETTINGS_FILE).open("a", encoding="utf-8") as settings:
            settings.write(
                "\n[[auth.issuer]]\n"
                f'issuer = "{endpoint.uri}"\naudience = "flight-mom"\nclusters = ["{SHANGHAI}"]\n'
                f'jwks_url = "{endpoint.uri}/keys"\n'
                'user_claim = "email"\nuser_suffix = "@example.org"\ngroups_claim = "roles"\n'
            )
        with federation.running():
            with federation.client(ADMIN, MOM, at=MOM) as admin:
                admin.update(f"GRANT TABLE_READ ON {FLIGHTS_AT} TO GROUP analysts@{SHANGHAI}")
            yield Outside(federation, endpoint)
            federation.check_alive()


def test_token_of_the_endpoint_reads_what_its_user_and_groups_may(outside: Outside) -> None:
    token = outside.endpoint.token(email=f"{STRANGER}@example.org", roles=["analysts"])
    with outside.client(token) as client:
        assert count(client, COUNT_FLIGHTS) > 0
    # Without the role, nothing is granted to them.
    with outside.client(outside.endpoint.token(email=f"{STRANGER}@example.org")) as client:
        assert refusal(count, client, COUNT_FLIGHTS).code == "not-found"


def test_keys_are_fetched_once(outside: Outside) -> None:
    def ask() -> int:
        token = outside.endpoint.token(email=f"{STRANGER}@example.org", roles=["analysts"])
        with outside.client(token) as client:
            return count(client, COUNT_FLIGHTS)

    ask()
    asked = outside.endpoint.key_requests
    ask()
    assert outside.endpoint.key_requests == asked


@pytest.mark.parametrize(
    "claims",
    [
        {"email": f"{STRANGER}@elsewhere.org"},
        {"email": "nobody@example.org"},
        {"email": f"{ADMIN}@example.org", "admin": True},
        {"email": f"user2@{HANGZHOU}@example.org"},
        {"aud": "somebody"},
        {"iss": "https://elsewhere.org"},
        {"exp": 1},
    ],
    ids=str,
)
def test_token_that_does_not_count_is_unauthenticated(
    outside: Outside, claims: dict[str, object]
) -> None:
    token = outside.endpoint.token(**{"email": f"{STRANGER}@example.org", **claims})
    with outside.client(token) as client:
        refused = refusal(client.query, "select 1")
    assert refused.code in {"invalid-token", "expired-token", "revoked-token"}


def test_token_signed_by_somebody_else_is_unauthenticated(outside: Outside) -> None:
    with running_token_endpoint() as impostor:
        token = impostor.token(email=f"{STRANGER}@example.org", iss=outside.endpoint.uri)
    with outside.client(token) as client:
        assert refusal(client.query, "select 1").code == "invalid-token"


def test_token_is_exchanged_for_a_session(outside: Outside) -> None:
    token = outside.endpoint.token(email=f"{STRANGER}@example.org", roles=["analysts"])
    header = json.loads(base64.urlsafe_b64decode(token.split(".")[0] + "=="))
    assert header["alg"] == "RS256"
    with outside.client(token) as client:
        assert client.query("select 1 as one").read_all()["one"].to_pylist() == [1]
