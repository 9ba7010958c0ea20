"""Who is suspended or removed: no new tickets at once, no more rows within one heartbeat."""

from collections.abc import Iterator
from datetime import UTC, datetime
from functools import partial
from uuid import uuid4

import pytest

from flight_member.authority import service_token
from flight_mom.demo.federation import HANGZHOU, MOM, SHANGHAI, DemoFederation
from flight_sql import Client, Endpoint, RemoteError, Rows
from tests.e2e.commands import try_member
from tests.e2e.federation import FLIGHTS_AT, count, refused_sql, refused_ticket
from tests.security.guest import USER, Guest, visiting
from tests.waiting import wait_until

# The federation of the tests beats every second.
SOON_S = 4.0
REFUSED = {"suspend": "cluster-suspended", "remove": "not-found"}


@pytest.fixture
def guest(federation: DemoFederation, admin: Client) -> Iterator[Guest]:
    with visiting(federation, admin, f"guest{uuid4().hex[:8]}") as guest:
        guest.join()
        guest.start()
        yield guest


@pytest.fixture
def reader(federation: DemoFederation, guest: Guest) -> Iterator[Client]:
    """user1@shanghai, who may read the guest's table, at the MoM."""
    assert guest.table
    with federation.client("user1", SHANGHAI, at=MOM) as client:
        yield client


def long(guest: Guest) -> str:
    return f"select carrier, unnest(range(1, 20000)) as n from {guest.table}"


def sealed(client: Client, sql: str) -> Endpoint:
    return client.get_info(sql).endpoints[0]


def is_dead(at_member: Client, handle: bytes) -> bool:
    try:
        with at_member.open_ticket(handle) as rows:
            next(rows)
    except RemoteError as error:
        return error.code == "revoked-ticket"
    return False


def ended_with(rows: Rows) -> str:
    with pytest.raises(RemoteError) as refused:
        for _ in rows:
            pass
    return refused.value.code


@pytest.mark.parametrize("action", ["suspend", "remove"])
def test_no_ticket_at_once_and_no_row_within_a_heartbeat(
    guest: Guest, reader: Client, action: str
) -> None:
    counted = f"select count(*) as n from {guest.table}"
    assert count(reader, counted) == 4_000
    endpoint, long_one = sealed(reader, counted), sealed(reader, long(guest))
    with Client(guest.uri) as at_member:
        rows = at_member.open_ticket(long_one.handle)
        next(rows)
        guest.change(action)
        assert refused_sql(reader, counted).code == REFUSED[action]
        wait_until(partial(is_dead, at_member, endpoint.handle), SOON_S)
        assert ended_with(rows) == "revoked-ticket"


@pytest.mark.parametrize(
    "action, code", [("suspend", "cluster-suspended"), ("remove", "invalid-ticket")]
)
def test_what_the_mom_relays_ends_without_the_members_help(
    guest: Guest, reader: Client, action: str, code: str
) -> None:
    endpoint = sealed(reader, long(guest))
    rows = reader.open_ticket(endpoint.handle)
    next(rows)
    guest.change(action)
    assert refused_ticket(reader, endpoint.handle).code == code
    assert ended_with(rows) in {code, "revoked-ticket"}


def test_relayed_rows_end_when_their_right_is_taken_back(
    admin: Client, guest: Guest, reader: Client
) -> None:
    rows = reader.open_ticket(sealed(reader, long(guest)).handle)
    next(rows)
    admin.update(f"REVOKE TABLE_READ ON {guest.table} FROM user1@shanghai")
    assert ended_with(rows) == "revoked-ticket"


def test_users_of_a_removed_member_are_out_everywhere(
    federation: DemoFederation, admin: Client, guest: Guest
) -> None:
    wanted = f"select count(*) as n from {FLIGHTS_AT}"
    admin.update(f"GRANT TABLE_READ ON {FLIGHTS_AT} TO {USER}@{guest.name}")
    with (
        federation.client(USER, guest.name, at=MOM) as rider,
        Client(federation.uri(HANGZHOU)) as at_member,
    ):
        endpoint = sealed(rider, wanted)
        assert at_member.open_ticket(endpoint.handle).read_all()["n"].to_pylist() == [4_000]
        guest.change("remove")
        assert refused_sql(rider, wanted).code in {"invalid-token", "revoked-token"}
        assert refused_ticket(rider, endpoint.handle).code in {"invalid-token", "revoked-token"}
        wait_until(partial(is_dead, at_member, endpoint.handle), SOON_S)


def test_a_suspended_member_serves_again_once_it_is_resumed(guest: Guest, reader: Client) -> None:
    counted = f"select count(*) as n from {guest.table}"
    guest.change("suspend")
    assert refused_sql(reader, counted).code == "cluster-suspended"
    guest.change("resume")
    assert count(reader, counted) == 4_000


def test_whoever_joins_under_a_removed_name_gets_nothing_of_it(
    guest: Guest, reader: Client
) -> None:
    counted = f"select count(*) as n from {guest.table}"
    old = sealed(reader, counted)
    guest.change("remove")
    with Client(guest.uri) as at_member:
        wait_until(partial(is_dead, at_member, old.handle), SOON_S)
    guest.stop()
    guest.join()
    guest.start()
    with Client(guest.uri) as at_member:
        assert refused_ticket(at_member, old.handle).code == "revoked-ticket"
    assert count(reader, counted) == 4_000


def test_a_member_that_serves_notices_that_it_joined_again(guest: Guest, reader: Client) -> None:
    counted = f"select count(*) as n from {guest.table}"
    old = sealed(reader, counted)
    guest.change("remove")
    with Client(guest.uri) as at_member:
        wait_until(partial(is_dead, at_member, old.handle), SOON_S)
        stolen = guest.home.load_key()
        directory = str(guest.home.directory)
        rotated = try_member("keys", "rotate", "--overlap-h", "0", "--dir", directory)
        assert rotated.returncode == 0, rotated.stderr
        guest.join()
        token = service_token(stolen, issuer=guest.name, audience=MOM, now=datetime.now(UTC))
        with Client(guest.federation.uri(MOM), token=token) as thief:
            assert refused_sql(thief, "select 1").code == "invalid-token"
        wait_until(guest.is_granted, 2 * SOON_S)
        assert count(reader, counted) == 4_000
        assert refused_ticket(at_member, old.handle).code == "revoked-ticket"
        fresh = sealed(reader, counted)
        assert at_member.open_ticket(fresh.handle).read_all()["n"].to_pylist() == [4_000]
