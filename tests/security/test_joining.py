"""Join tokens count once, in time, for the member that they name; all else is on record."""

from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import pytest

from auth import (
    FEDERATION,
    JoinToken,
    SigningKey,
    TlsKey,
    make_request,
    seal_identity_token,
)
from flight_member import protocol
from flight_member.authority import service_token
from flight_member.configuration import load_settings
from flight_member.errors import ForwardedError
from flight_member.joining import join_federation
from flight_member.memberhome import MemberHome
from flight_member.membership import Membership
from flight_member.settings import MemberSettings
from flight_mom.demo.federation import MOM, DemoFederation
from flight_mom.memberstore import MemberStore
from flight_mom.momhome import MomHome
from flight_mom.settings import MomSettings
from flight_sql import Client, RemoteError
from tests.e2e.federation import count, refused_sql
from tests.security.guest import USER, Guest, visiting
from tests.security.test_refused_credentials import audited

WORDS = (
    "invalid-token: the join token does not count: it is unknown, used, expired or another "
    "cluster's; ask an administrator for a new one"
)


@pytest.fixture
def guest(federation: DemoFederation, admin: Client) -> Iterator[Guest]:
    """A member that has not joined yet."""
    with visiting(federation, admin, f"guest{uuid4().hex[:8]}") as guest:
        yield guest


@pytest.fixture
def thief(tmp_path: Path, guest: Guest) -> MemberHome:
    """A member's directory elsewhere, under the guest's name, with keys of its own."""
    return make_home(tmp_path / "thief", guest.name)


def make_home(directory: Path, name: str) -> MemberHome:
    flags = {"cluster.name": name, "server.port": 0, "state.directory": str(directory)}
    return MemberHome.create(load_settings(MemberSettings, None, flags).settings)


def refused_join(home: MemberHome, token: str) -> None:
    with pytest.raises(ForwardedError) as refused:
        join_federation(home, token)
    assert str(refused.value) == WORDS
    assert Membership.load(home.directory) is None


def reasons(guest: Guest, name: str | None = None) -> list[str]:
    """Return why joins under a name were refused, as the audit has it."""
    rows = audited(guest.federation, MOM, action="join", object=name or guest.name, allowed="False")
    assert all(row["source"].startswith("ipv4:127.0.0.1:") for row in rows)
    return [row["rule"] for row in rows]


def counts(guest: Guest, key: SigningKey) -> bool:
    """Whether the MoM believes a key about the guest's user."""
    token = seal_identity_token(
        USER, (), key, issuer=guest.name, now=datetime.now(UTC), ttl_s=60, audience=FEDERATION
    )
    with Client(guest.federation.uri(MOM), token=token) as client:
        try:
            return count(client, "select 1 as n") == 1
        except RemoteError as error:
            if error.code == "invalid-token":
                return False
            raise


def test_token_stolen_after_its_use_is_worth_nothing(guest: Guest, thief: MemberHome) -> None:
    token = guest.join_token()
    join_federation(guest.home, token)
    guest.start()
    refused_join(thief, token)
    assert reasons(guest) == ["join token already used"]
    assert counts(guest, guest.home.load_key())
    assert not counts(guest, thief.load_key())


def test_token_stolen_before_its_use_shows_and_the_thief_is_removed(
    guest: Guest, thief: MemberHome
) -> None:
    token = guest.join_token()
    join_federation(thief, token)
    # The member that the token was made for finds it used: that is the alarm.
    refused_join(guest.home, token)
    assert reasons(guest) == ["join token already used"]
    guest.change("remove")
    join_federation(guest.home, guest.join_token())
    guest.start()
    assert not counts(guest, thief.load_key())
    assert counts(guest, guest.home.load_key())


def test_token_counts_for_the_member_that_it_names_alone(guest: Guest) -> None:
    other = f"other{uuid4().hex[:8]}"
    token, key = JoinToken.parse(guest.join_token()), SigningKey.generate()
    # The joining program refuses this by itself; whoever writes another one is refused there.
    request = protocol.JoinRequest(
        token=token.text,
        cluster=other,
        public_key=key.public_key.to_text(),
        certificate_request=make_request(TlsKey.generate(), other, ["127.0.0.1"]).decode(),
        uri="grpc://127.0.0.1:1",
    )
    with Client(guest.federation.uri(MOM)) as client, pytest.raises(RemoteError) as refused:
        client.action(protocol.JOIN, request.write())
    assert str(refused.value) == WORDS
    assert reasons(guest, other) == ["join token unknown"]


def test_token_is_worth_nothing_after_its_time(guest: Guest, thief: MemberHome) -> None:
    guest.join_token()
    late = JoinToken.make(guest.name, guest.federation.uri(MOM), "")
    token = JoinToken(late.member, late.address, fingerprint(guest), late.secret)
    with closing(mom_home(guest).open_database()) as database, database.change() as connection:
        ended = datetime.now(UTC) - timedelta(seconds=1)
        MemberStore(connection).add_join_token(token.digest, guest.name, ended)
    refused_join(thief, token.text)
    assert reasons(guest) == ["join token expired"]


def test_older_token_is_worth_nothing_once_there_is_a_newer(guest: Guest) -> None:
    older = guest.join_token()
    newer = guest.join_token()
    refused_join(guest.home, older)
    join_federation(guest.home, newer)


def test_token_of_a_removed_member_is_worth_nothing(guest: Guest, thief: MemberHome) -> None:
    token = guest.join_token()
    guest.change("remove")
    refused_join(thief, token)
    assert reasons(guest) == ["join token unknown"]


def test_lost_key_is_dead_as_soon_as_its_member_joins_again(
    federation: DemoFederation, guest: Guest, tmp_path: Path
) -> None:
    guest.join()
    guest.start()
    lost = guest.home.load_key()
    assert counts(guest, lost)
    guest.stop()
    again = make_home(tmp_path / "again", guest.name)
    join_federation(again, guest.join_token())
    assert not counts(guest, lost)
    token = service_token(lost, issuer=guest.name, audience=MOM, now=datetime.now(UTC))
    with Client(federation.uri(MOM), token=token) as client:
        assert refused_sql(client, "select 1").code == "invalid-token"


def mom_home(guest: Guest) -> MomHome:
    flags = {"cluster.name": MOM, "state.directory": str(guest.federation.directory / MOM)}
    return MomHome(load_settings(MomSettings, None, flags).settings)


def fingerprint(guest: Guest) -> str:
    return mom_home(guest).load_authority().fingerprint
