"""A member that is restarted or cut off serves nothing for long that was taken back."""

import contextlib
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from uuid import uuid4

import pytest

from auth import seal_ticket
from flight_member.tables import TableDesk
from flight_mom.demo.federation import MOM, SHANGHAI, DemoFederation
from flight_sql import Client, RemoteError
from tests.e2e.factories import make_ticket
from tests.e2e.federation import READER, mom_key, refused_ticket
from tests.security.forwarder import coming_from
from tests.security.guest import TABLE, Guest, visiting
from tests.security.test_leaving import ended_with, is_dead, long, sealed
from tests.waiting import wait_until

SOON_S = 4.0
TICKET_S = 5.0
NOWHERE = "grpc://127.0.0.1:1"


@pytest.fixture
def guest(federation: DemoFederation, admin: Client) -> Iterator[Guest]:
    with visiting(federation, admin, f"guest{uuid4().hex[:8]}") as guest:
        guest.join()
        guest.start()
        yield guest


def restart_away(guest: Guest) -> None:
    """Start the member again where it does not reach the MoM."""
    guest.stop()
    restart_at(guest, NOWHERE)


def restart_at(guest: Guest, mom: str) -> None:
    """Start the member with the MoM at some address."""
    address = {"FLIGHT_MEMBER_MOM__ADDRESS": mom}
    guest.federation._start(guest.name, "flight_member", ["--port", "0"], address)


@contextlib.contextmanager
def reaching_mom(guest: Guest) -> Iterator[contextlib.ExitStack]:
    """Start the member again with a way to the MoM that ends when the stack is closed."""
    guest.stop()
    with contextlib.ExitStack() as way:
        restart_at(guest, way.enter_context(coming_from("127.0.0.1", guest.federation.uri(MOM))))
        handle = make_handle(guest, f"select count(*) as n from {guest.table}")
        with Client(guest.uri) as client:
            wait_until(partial(is_honoured, client, handle), SOON_S)
        yield way


def is_honoured(client: Client, handle: bytes) -> bool:
    try:
        client.open_ticket(handle).close()
    except RemoteError:
        return False
    return True


def make_handle(guest: Guest, sql: str, seconds: float = TICKET_S) -> bytes:
    """Return a genuine ticket for user1@shanghai that lasts so long."""
    table = TableDesk.open(guest.home).find(TABLE)
    assert table is not None
    ends = datetime.now(UTC) + timedelta(seconds=seconds)
    ticket = make_ticket(table, sql, expires_at=ends)
    return seal_ticket(ticket, mom_key(guest.federation), issuer=MOM)


def has_expired(client: Client, handle: bytes) -> bool:
    try:
        client.open_ticket(handle).close()
    except RemoteError as error:
        return error.code == "expired-ticket"
    return False


def test_revoked_ticket_is_refused_by_a_member_that_was_restarted(
    federation: DemoFederation, admin: Client, guest: Guest
) -> None:
    with federation.client("user1", SHANGHAI, at=MOM) as reader:
        endpoint = sealed(reader, f"select count(*) as n from {guest.table}")
    admin.update(f"REVOKE TABLE_READ ON {guest.table} FROM {READER}")
    with Client(guest.uri) as client:
        wait_until(partial(is_dead, client, endpoint.handle), SOON_S)
    restart_away(guest)
    with Client(guest.uri) as client:
        assert refused_ticket(client, endpoint.handle).code == "revoked-ticket"


@pytest.mark.parametrize("act", ["revoke", "suspend", "remove"])
def test_ticket_that_was_revoked_while_the_member_was_down_is_never_honoured(
    federation: DemoFederation, admin: Client, guest: Guest, act: str
) -> None:
    with federation.client("user1", SHANGHAI, at=MOM) as reader:
        endpoint = sealed(reader, f"select count(*) as n from {guest.table}")
    guest.stop()
    if act == "revoke":
        admin.update(f"REVOKE TABLE_READ ON {guest.table} FROM {READER}")
    else:
        guest.change(act)
    # Where it does not reach the MoM it cannot know, so it honours nothing.
    restart_at(guest, NOWHERE)
    with Client(guest.uri) as client:
        for pause_s in (0, 1, 1):
            time.sleep(pause_s)
            refused = refused_ticket(client, endpoint.handle)
            assert (refused.code, refused.retryable) == ("cluster-unavailable", True)
    guest.stop()
    # Where it does, whoever asks again and again from the first moment on never gets through.
    restart_at(guest, federation.uri(MOM))
    with Client(guest.uri) as client:
        codes: list[str] = []
        while not codes or codes[-1] == "cluster-unavailable":
            codes.append(refused_ticket(client, endpoint.handle).code)
            time.sleep(0.02)
            assert len(codes) < 1_000
        assert set(codes) <= {"cluster-unavailable", "revoked-ticket"}
        assert codes[-1] == "revoked-ticket"


def test_member_that_is_cut_off_serves_until_the_ticket_expires_and_no_longer(
    admin: Client, guest: Guest
) -> None:
    with reaching_mom(guest) as way:
        way.close()
        counted = make_handle(guest, f"select count(*) as n from {guest.table}")
        running = make_handle(guest, long(guest))
        with Client(guest.uri) as client, Client(guest.uri) as other:
            rows = client.open_ticket(running)
            next(rows)
            admin.update(f"REVOKE TABLE_READ ON {guest.table} FROM {READER}")
            # Documented: it cannot know.
            assert other.open_ticket(counted).read_all()["n"].to_pylist() == [4_000]
            wait_until(partial(has_expired, other, running), TICKET_S + SOON_S)
            assert ended_with(rows) == "revoked-ticket"


def test_stream_of_an_expired_ticket_runs_on_while_the_mom_is_heard(guest: Guest) -> None:
    handle = make_handle(guest, f"select carrier, unnest(range(1, 500)) as n from {guest.table}", 2)
    with Client(guest.uri) as client, Client(guest.uri) as other:
        rows = client.open_ticket(handle)
        first = next(rows).num_rows
        wait_until(partial(has_expired, other, handle), SOON_S)
        assert first + rows.read_all().num_rows == 4_000 * 499
