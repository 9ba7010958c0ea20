"""Who guesses passwords is locked out, and nobody else is."""

from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest
from adbc_driver_flightsql import dbapi

from flight_mom.demo.federation import MOM, SHANGHAI, DemoFederation
from flight_sql import Client, RemoteError
from tests.e2e.federation import COUNT_QUOTES, count
from tests.security.factories import PASSWORD, TerminalUser
from tests.security.forwarder import coming_from
from tests.waiting import wait_until

GUESSES = 5
ELSEWHERE = "127.0.0.9"
ASKED = f"{COUNT_QUOTES}@{SHANGHAI}"


@pytest.fixture(params=[(SHANGHAI, SHANGHAI), (SHANGHAI, MOM), (MOM, MOM)], ids=str)
def place(request: pytest.FixtureRequest) -> tuple[str, str]:
    """Whose user, and where they sign in."""
    home, at = request.param
    return str(home), str(at)


@pytest.fixture
def victim(
    federation: DemoFederation, place: tuple[str, str], tmp_path: Path
) -> Iterator[TerminalUser]:
    user = TerminalUser(federation, f"victim{uuid4().hex[:8]}", place[0], tmp_path)
    user.add()
    with Client(federation.uri(place[1])) as client:
        wait_until(lambda: guess(client, user.full_name, PASSWORD) == "", 5)
    yield user
    federation.check_alive()


def guess(client: Client, user: str, password: str) -> str:
    """Sign in and ask for nothing; return the code of the refusal, wherever it came."""
    try:
        client.sign_in(user, password)
        client.query("select 1 as n").read_all()
    except RemoteError as error:
        return error.code
    return ""


def test_guesses_lock_the_guesser_out_and_not_the_user(
    federation: DemoFederation, victim: TerminalUser, place: tuple[str, str]
) -> None:
    uri, name = federation.uri(place[1]), victim.full_name
    with coming_from(ELSEWHERE, uri) as far, Client(far) as guesser:
        codes = [guess(guesser, name, f"guess {n}") for n in range(3 * GUESSES)]
        # Five before anybody's address counts, five from this one; then nothing any more.
        assert codes == ["invalid-token"] * (2 * GUESSES) + ["locked"] * GUESSES
        assert guess(guesser, name, PASSWORD) == "locked"
        with Client(uri) as owner:
            assert guess(owner, name, PASSWORD) == ""
            for _ in range(3):
                assert count(owner, "select 1 as n") == 1
            assert guess(owner, name, "mistyped") == "invalid-token"
            assert guess(owner, name, PASSWORD) == ""
        assert guess(guesser, name, PASSWORD) == "locked"


def test_an_unknown_user_is_locked_alike(
    federation: DemoFederation, place: tuple[str, str]
) -> None:
    name = f"nobody{uuid4().hex[:8]}@{place[0]}"
    with coming_from(ELSEWHERE, federation.uri(place[1])) as far, Client(far) as guesser:
        codes = [guess(guesser, name, f"guess {n}") for n in range(3 * GUESSES)]
    assert codes == ["invalid-token"] * (2 * GUESSES) + ["locked"] * GUESSES


def test_a_driver_works_on_while_its_user_is_under_attack(
    federation: DemoFederation, victim: TerminalUser, place: tuple[str, str]
) -> None:
    uri, name = federation.uri(place[1]), victim.full_name
    with coming_from(ELSEWHERE, uri) as far, Client(far) as guesser:
        for n in range(2 * GUESSES):
            guess(guesser, name, f"guess {n}")
    sign_in = {"username": name, "password": PASSWORD}
    with (
        dbapi.connect(uri, db_kwargs=sign_in, autocommit=True) as connection,
        connection.cursor() as cursor,
    ):
        for _ in range(2):
            cursor.execute("select 7 as n")
            assert cursor.fetchall() == [(7,)]


def test_a_deferred_sign_in_counts_from_the_address_that_proved_it_alone(
    federation: DemoFederation, victim: TerminalUser, place: tuple[str, str]
) -> None:
    uri, name = federation.uri(place[1]), victim.full_name
    with coming_from(ELSEWHERE, uri) as far, Client(far) as guesser, Client(uri) as owner:
        for n in range(GUESSES):
            guess(guesser, name, f"guess {n}")
        assert guess(owner, name, PASSWORD) == ""
        guesser.token = owner.token
        with pytest.raises(RemoteError, match="another address"):
            guesser.query("select 1 as n").read_all()
