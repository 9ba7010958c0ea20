"""Who is removed, locked, regrouped or given another password is out: everywhere, and soon."""

import contextlib
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from uuid import uuid4

import pytest

from flight_mom.demo.federation import HANGZHOU, MOM, SHANGHAI, DemoFederation
from flight_sql import Client, Endpoint, RemoteError
from tests.e2e.federation import (
    COUNT_FLIGHTS,
    FLIGHTS_AT,
    count,
    refusal,
    refused_sql,
    refused_ticket,
)
from tests.security.factories import TerminalUser
from tests.waiting import wait_until

CHANGES = ("lock", "groups", "password", "remove")
# The federation of the tests beats every second.
SOON_S = 4.0
LONG = f"select carrier, unnest(range(1, 20000)) as n from {FLIGHTS_AT}"


@pytest.fixture
def joe(federation: DemoFederation, admin: Client, tmp_path: Path) -> Iterator[TerminalUser]:
    """A user of shanghai, added while it serves, who may read hangzhou's flights."""
    user = TerminalUser(federation, f"joe{uuid4().hex[:8]}", SHANGHAI, tmp_path)
    user.add("--group", "analysts", "--read", "*")
    wait_until(lambda: _grants(admin, user), SOON_S)
    yield user
    federation.check_alive()


@pytest.fixture
def auditor(federation: DemoFederation, tmp_path: Path) -> TerminalUser:
    """A user of the MoM itself, added while it serves."""
    user = TerminalUser(federation, f"auditor{uuid4().hex[:8]}", MOM, tmp_path)
    user.add()
    return user


def _grants(admin: Client, user: TerminalUser) -> bool:
    """Whether the MoM knows the user, who is granted the flights then."""
    with contextlib.suppress(RemoteError):
        admin.update(f"GRANT TABLE_READ ON {FLIGHTS_AT} TO {user.full_name}")
        return True
    return False


def _is_refused(client: Client, sql: str, code: str = "revoked-token") -> bool:
    try:
        client.query(sql).read_all()
    except RemoteError as error:
        return error.code == code
    return False


@pytest.mark.parametrize("change", CHANGES)
def test_session_and_ticket_from_before_a_change_die_everywhere(
    federation: DemoFederation, joe: TerminalUser, change: str
) -> None:
    with joe.client(MOM) as at_mom, joe.client(SHANGHAI) as at_home:
        assert count(at_mom, COUNT_FLIGHTS) == 4_000
        assert count(at_home, "select 1 as n") == 1
        with Client(federation.uri(MOM), token=at_home.token) as with_identity:
            assert count(with_identity, COUNT_FLIGHTS) == 4_000
            endpoint = _sealed(at_mom)
            joe.change(change)
            for client in (at_home, at_mom, with_identity):
                wait_until(partial(_is_refused, client, "select 1"), SOON_S)
            assert refused_sql(at_mom, COUNT_FLIGHTS).code == "revoked-token"
    with Client(federation.uri(HANGZHOU)) as at_member:
        wait_until(lambda: _is_dead(at_member, endpoint), SOON_S)
        assert refused_ticket(at_member, endpoint.handle).code == "revoked-ticket"


@pytest.mark.parametrize("change", ["lock", "remove"])
def test_running_streams_of_a_changed_user_end(
    federation: DemoFederation, joe: TerminalUser, change: str
) -> None:
    with joe.client(MOM) as at_mom:
        endpoint = _sealed(at_mom, LONG)
    with Client(federation.uri(HANGZHOU)) as at_member:
        rows = at_member.open_ticket(endpoint.handle)
        next(rows)
        joe.change(change)
        wait_until(lambda: _is_dead(at_member, endpoint), SOON_S)
        with pytest.raises(RemoteError) as refused:
            for _ in rows:
                pass
    assert refused.value.code == "revoked-ticket"


def test_home_streams_of_a_changed_user_end(joe: TerminalUser) -> None:
    long = "select symbol, unnest(range(1, 20000)) as n from trading.stock.quote"
    with joe.client(SHANGHAI) as at_home:
        rows = at_home.query(long)
        next(rows)
        joe.change("lock")
        wait_until(lambda: _is_refused(at_home, "select 1"), SOON_S)
        with pytest.raises(RemoteError) as refused:
            for _ in rows:
                pass
    assert refused.value.code == "revoked-ticket"


def test_who_was_changed_signs_in_anew(joe: TerminalUser) -> None:
    joe.change("password")
    wait_until(lambda: _signs_in(joe, "another password"), SOON_S)
    joe.change("lock")
    with Client(joe.federation.uri(SHANGHAI)) as client:
        wait_until(lambda: not _signs_in(joe, "another password"), SOON_S)
        refused = refusal(client.sign_in, joe.full_name, "another password")
        assert str(refused) == "invalid-token: user or password is wrong"
    joe.change("unlock")
    wait_until(lambda: _signs_in(joe, "another password"), SOON_S)


def test_allows_of_a_removed_user_go_with_them_and_denials_stay(
    admin: Client, joe: TerminalUser
) -> None:
    admin.update(f"DENY CATALOG_READ ON payroll@hangzhou TO {joe.full_name}")
    joe.change("remove")
    shown = f"SHOW GRANTS FOR {joe.full_name}"
    wait_until(lambda: admin.query(shown).read_all().num_rows == 1, SOON_S)
    assert admin.query(shown).read_all().to_pylist()[0]["effect"] == "DENY"
    # Whoever is called so later is somebody else.
    joe.add()
    wait_until(lambda: _signs_in(joe), SOON_S)
    with joe.client(MOM) as again:
        # The MoM knows them as soon as home has reported.
        wait_until(lambda: refused_sql(again, COUNT_FLIGHTS).code == "not-found", SOON_S)


def test_who_is_removed_and_added_again_at_once_inherits_nothing(
    admin: Client, joe: TerminalUser
) -> None:
    admin.update(f"DENY CATALOG_READ ON payroll@hangzhou TO {joe.full_name}")
    with joe.client(MOM) as at_mom, joe.client(SHANGHAI) as at_home:
        assert count(at_mom, COUNT_FLIGHTS) == 4_000
        joe.run("remove")
        joe.add()
        for old in (at_mom, at_home):
            wait_until(partial(_is_refused, old, "select 1"), SOON_S)
        with joe.client(MOM) as again:
            assert refused_sql(again, COUNT_FLIGHTS).code == "not-found"
        assert refused_sql(at_mom, COUNT_FLIGHTS).code == "revoked-token"
    held = admin.query(f"SHOW GRANTS FOR {joe.full_name}").read_all().to_pylist()
    assert [row["effect"] for row in held] == ["DENY"]


def test_who_was_added_a_moment_ago_is_known_at_the_mom_when_they_sign_in(
    federation: DemoFederation, tmp_path: Path
) -> None:
    for number in range(3):
        new = TerminalUser(federation, f"new{number}{uuid4().hex[:8]}", SHANGHAI, tmp_path)
        new.add()
        with new.client(MOM) as client:
            assert count(client, "select 1 as n") == 1
        new.run("lock")
        new.run("unlock")
        with new.client(MOM) as client:
            assert count(client, "select 1 as n") == 1
        new.run("remove")


def test_token_of_who_was_added_a_moment_ago_is_asked_to_come_again_at_most(
    federation: DemoFederation, tmp_path: Path
) -> None:
    new = TerminalUser(federation, f"new{uuid4().hex[:8]}", SHANGHAI, tmp_path)
    new.add()
    with new.client(SHANGHAI) as at_home:
        token = at_home.token

    refused: set[tuple[str, bool]] = set()

    def is_known() -> bool:
        try:
            with Client(federation.uri(MOM), token=token) as client:
                return count(client, "select 1 as n") == 1
        except RemoteError as error:
            refused.add((error.code, error.retryable))
            return False

    wait_until(is_known, SOON_S)
    assert refused <= {("user-not-reported", True)}


@pytest.mark.parametrize("change", CHANGES)
def test_tokens_of_the_moms_own_users_die_at_once(auditor: TerminalUser, change: str) -> None:
    with auditor.client(MOM) as client:
        assert count(client, "select 1 as n") == 1
        auditor.change(change)
        assert refused_sql(client, "select 1").code == "revoked-token"


@pytest.mark.parametrize("change", CHANGES)
def test_tickets_of_the_moms_own_users_die_with_them(
    federation: DemoFederation, admin: Client, auditor: TerminalUser, change: str
) -> None:
    admin.update(f"GRANT TABLE_READ ON {FLIGHTS_AT} TO {auditor.full_name}")
    with auditor.client(MOM) as client:
        endpoint = _sealed(client)
    auditor.change(change)
    with Client(federation.uri(HANGZHOU)) as at_member:
        wait_until(lambda: _is_dead(at_member, endpoint), SOON_S)
        assert refused_ticket(at_member, endpoint.handle).code == "revoked-ticket"


def test_removing_an_own_user_takes_their_allows_out_of_the_running_mom(
    admin: Client, auditor: TerminalUser
) -> None:
    admin.update(f"GRANT TABLE_READ ON {FLIGHTS_AT} TO {auditor.full_name}")
    auditor.change("remove")
    shown = "SHOW GRANTS"
    wait_until(lambda: admin.query(shown).read_all().num_rows == 0, SOON_S)


def _sealed(client: Client, sql: str = COUNT_FLIGHTS) -> Endpoint:
    return client.get_info(sql).endpoints[0]


def _is_dead(at_member: Client, endpoint: Endpoint) -> bool:
    try:
        with at_member.open_ticket(endpoint.handle) as rows:
            next(rows)
    except RemoteError as error:
        return error.code == "revoked-ticket"
    return False


def _signs_in(user: TerminalUser, password: str = "correct horse battery") -> bool:
    try:
        user.client(SHANGHAI, password).close()
    except RemoteError:
        return False
    return True
