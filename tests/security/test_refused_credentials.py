"""Every credential that is refused is on record, with its address, and nobody can flood it."""

import json
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from pyarrow import flight

from auth import FEDERATION, SigningKey, seal_identity_token, seal_session_token
from auth.principals import Identity
from flight_mom.demo.federation import HANGZHOU, MOM, SHANGHAI, DemoFederation
from flight_sql import Client, RemoteError
from tests.e2e.commands import try_member, try_mom
from tests.e2e.federation import COUNT_FLIGHTS, bearer, member_key, refused_sql, refused_ticket
from tests.security.factories import TerminalUser
from tests.security.forwarder import coming_from
from tests.waiting import wait_until

SOON_S = 4.0
EACH_MINUTE = 20


@pytest.fixture(autouse=True)
def _alive(federation: DemoFederation) -> Iterator[None]:
    yield
    federation.check_alive()


def audited(federation: DemoFederation, at: str, **wanted: str) -> list[dict[str, Any]]:
    """Return the newest records of a server that have these values, oldest first."""
    run = try_mom if at == MOM else try_member
    directory = str(federation.directory / at)
    done = run("audit", "show", "--limit", "500", "--json", "--dir", directory)
    assert done.returncode == 0, done.stderr
    rows: list[dict[str, Any]] = json.loads(done.stdout)
    return [row for row in rows if all(str(row[name]) == value for name, value in wanted.items())]


def is_audited(federation: DemoFederation, at: str, **wanted: str) -> bool:
    return bool(audited(federation, at, **wanted))


def recorded(federation: DemoFederation, at: str, marker: str, **wanted: str) -> dict[str, Any]:
    """Wait for the one record whose source is that of a marked address, and return it."""
    found: list[dict[str, Any]] = []

    def is_there() -> bool:
        found[:] = [row for row in audited(federation, at, **wanted) if marker in row["source"]]
        return bool(found)

    wait_until(is_there, SOON_S)
    assert len(found) == 1
    return found[0]


def identity_token(key: SigningKey, **changes: Any) -> str:
    now = changes.pop("now", datetime.now(UTC))
    values: dict[str, Any] = {"issuer": SHANGHAI, "ttl_s": 600, "audience": FEDERATION, **changes}
    return seal_identity_token("user1", (), key, now=now, **values)


def session_token(key: SigningKey, issuer: str) -> str:
    now = datetime.now(UTC)
    identity = Identity(
        user="user1",
        cluster=SHANGHAI,
        groups=frozenset(),
        is_admin=False,
        token_id="",
        issued_at=now,
        expires_at=now,
    )
    return seal_session_token(identity, key, issuer=issuer, now=now, ttl_s=600, proved_at=now)


TOKENS: dict[str, tuple[Callable[[DemoFederation], str], str, str]] = {
    "nonsense": (lambda _: "nonsense", "invalid-token", "unknown"),
    "forged": (lambda _: identity_token(SigningKey.generate()), "invalid-token", "unknown"),
    "expired": (
        lambda of: identity_token(
            member_key(of, SHANGHAI), now=datetime.now(UTC) - timedelta(hours=1)
        ),
        "expired-token",
        "user1@shanghai",
    ),
    "of a user that is none": (
        lambda of: seal_identity_token(
            "nobody",
            (),
            member_key(of, SHANGHAI),
            issuer=SHANGHAI,
            # Of a moment ago, it might be of somebody whom home has not told of yet.
            now=datetime.now(UTC) - timedelta(seconds=20),
            ttl_s=60,
        ),
        "revoked-token",
        "nobody@shanghai",
    ),
    "wrong audience": (
        lambda of: identity_token(member_key(of, SHANGHAI), audience="elsewhere"),
        "invalid-token",
        "unknown",
    ),
    "another member's": (
        lambda of: identity_token(member_key(of, HANGZHOU)),
        "invalid-token",
        "unknown",
    ),
    "a session of a member's making": (
        lambda of: session_token(member_key(of, SHANGHAI), SHANGHAI),
        "invalid-token",
        "unknown",
    ),
}


@pytest.mark.parametrize("at", [MOM, SHANGHAI])
@pytest.mark.parametrize("kind", TOKENS)
def test_refused_token_is_on_record_without_the_token(
    federation: DemoFederation, at: str, kind: str
) -> None:
    make, code, actor = TOKENS[kind]
    token = make(federation)
    address = f"127.0.{1 + list(TOKENS).index(kind)}.{7 + (at == MOM)}"
    with coming_from(address, federation.uri(at)) as uri, Client(uri, token=token) as client:
        assert refused_sql(client, "select 1").code == code
    row = recorded(federation, at, f"{address}:", rule=code)
    assert (row["actor"], row["action"], row["allowed"]) == (actor, "authenticate", False)
    assert token.rpartition(".")[2] not in json.dumps(row)


def test_forged_token_is_on_record_as_a_claim_only(federation: DemoFederation) -> None:
    token = identity_token(SigningKey.generate())
    with coming_from("127.0.8.8", federation.uri(MOM)) as uri, Client(uri, token=token) as client:
        refused_sql(client, "select 1")
    row = recorded(federation, MOM, "127.0.8.8:")
    assert row["actor"] == "unknown"
    assert row["detail"].startswith("claims to be user1@shanghai: ")


@pytest.mark.usefixtures("granted")
def test_stolen_ticket_is_on_record_with_who_brought_it(
    federation: DemoFederation, at_mom: Client
) -> None:
    (endpoint,) = at_mom.get_info(COUNT_FLIGHTS).endpoints
    with coming_from("127.0.8.9", federation.uri(MOM)) as uri, Client(uri) as thief:
        thief.sign_in("user2@hangzhou", federation.password("user2"))
        assert refused_ticket(thief, endpoint.handle).code == "invalid-ticket"
    row = recorded(federation, MOM, "127.0.8.9:", action="redeem ticket")
    assert (row["actor"], row["rule"]) == ("user2@hangzhou", "invalid-ticket")


def test_visitors_token_that_a_member_cannot_know_is_no_failure(
    federation: DemoFederation, admin: Client, at_mom: Client
) -> None:
    admin.update("GRANT TABLE_READ ON aviation.nyc.flights@hangzhou TO user1@shanghai")
    (endpoint,) = at_mom.get_info(COUNT_FLIGHTS).endpoints
    with (
        coming_from("127.0.8.10", federation.uri(HANGZHOU)) as uri,
        Client(uri, token=at_mom.token) as visitor,
    ):
        assert visitor.open_ticket(endpoint.handle).read_all()["n"].to_pylist() == [4_000]
        # This one is on record, so that the one before would be by now.
        assert refused_sql(visitor, "select 1").code == "invalid-token"
    row = recorded(federation, HANGZHOU, "127.0.8.10:")
    assert row["action"] == "authenticate"


@pytest.mark.parametrize("cluster", [SHANGHAI, MOM])
def test_sign_in_is_on_record(federation: DemoFederation, tmp_path: Path, cluster: str) -> None:
    # Nobody else signs in under the name: of who does so often, the sum alone is on record.
    user = TerminalUser(federation, f"guest{uuid4().hex[:8]}", cluster, tmp_path)
    user.add()
    user.client(MOM).close()
    wanted = {"action": "sign_in", "actor": user.full_name, "allowed": "True"}
    wait_until(partial(is_audited, federation, MOM, **wanted), SOON_S)
    user.run("remove")


def test_wrong_password_is_on_record_where_it_was_typed_and_at_home(
    federation: DemoFederation,
) -> None:
    name = f"nobody{uuid4().hex[:8]}@{SHANGHAI}"
    with Client(federation.uri(MOM)) as client, pytest.raises(RemoteError):
        client.sign_in(name, "a guess")
    for at in (MOM, SHANGHAI):
        wait_until(partial(is_audited, federation, at, actor=name), SOON_S)
        (row,) = audited(federation, at, actor=name)
        assert (row["action"], row["rule"]) == ("sign_in", "invalid-token")
        assert "a guess" not in json.dumps(row)


def test_nobody_fills_the_disk_with_failures(federation: DemoFederation) -> None:
    descriptor = flight.FlightDescriptor.for_command(b"")
    with (
        coming_from("127.0.8.11", federation.uri(HANGZHOU)) as uri,
        flight.FlightClient(uri) as client,
    ):
        for n in range(400):
            with suppress(flight.FlightUnauthenticatedError):
                client.get_flight_info(descriptor, bearer(f"guess-{n}"))
    # Records are written in their order: those of before are there when this one is.
    with coming_from("127.0.8.12", federation.uri(HANGZHOU)) as uri, Client(uri) as last:
        refused_sql(last, "select 1")
    recorded(federation, HANGZHOU, "127.0.8.12:")
    rows = [row for row in audited(federation, HANGZHOU) if "127.0.8.11:" in row["source"]]
    # The minute may turn meanwhile.
    assert EACH_MINUTE <= len(rows) <= 2 * EACH_MINUTE
