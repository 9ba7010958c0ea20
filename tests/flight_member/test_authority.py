from datetime import UTC, datetime, timedelta

import pytest

from auth import (
    AuditUnavailableError,
    ExpiredTokenError,
    Identity,
    InvalidTokenError,
    KeyRing,
    LockedError,
    SigningKey,
    hash_password,
    seal_identity_token,
)
from flight_member.audit import AuditTrail
from flight_member.authority import MemberAuthority, ServiceCaller, service_token
from flight_member.clock import utc_now
from flight_member.errors import RevokedTokenError
from flight_member.memberhome import MemberHome
from flight_member.memberstate import MemberState
from flight_member.settings import AuditSection, AuthSection
from flight_member.statestore import Database
from flight_sql import Call
from tests.flight_member.factories import (
    HANGZHOU,
    PASSWORD,
    SHANGHAI,
    Clock,
    add_user,
    audited,
    break_audit,
    change_users,
)

MOM = "headquarters"
MOM_KEY = SigningKey.generate()
PEER = "ipv4:127.0.0.1:4000"


class Desk:
    """One member's authority with everything around it."""

    def __init__(self, home: MemberHome, database: Database, audit: AuditTrail) -> None:
        add_user(home, groups=("analysts",))
        add_user(home, "gone")
        change_users(home, "set_locked", "gone", is_locked=True)
        self.home = home
        self.clock = Clock(datetime.now(UTC))
        self.key = home.load_key()
        self.state = MemberState(SHANGHAI, database)
        self.ring = (
            KeyRing().with_key(SHANGHAI, self.key.public_key).with_key(MOM, MOM_KEY.public_key)
        )
        self.authority = MemberAuthority(
            SHANGHAI,
            self.key,
            database,
            self.state,
            lambda: self.ring,
            audit,
            AuthSection(),
            self.clock,
        )

    def identity_token(self, key: SigningKey, issuer: str, user: str = "user1") -> str:
        return seal_identity_token(
            user=user, groups=(), key=key, issuer=issuer, now=self.clock(), ttl_s=60
        )


@pytest.fixture
def desk(home: MemberHome, database: Database, audit: AuditTrail) -> Desk:
    return Desk(home, database, audit)


@pytest.mark.parametrize("name", ["user1", "USER1", "user1@shanghai", " user1@Shanghai"])
def test_right_password_gives_a_token_that_is_recognised(desk: Desk, name: str) -> None:
    token = desk.authority.sign_in(name, PASSWORD, Call(peer=PEER))
    identity = desk.authority.authenticate(token, PEER)
    assert isinstance(identity, Identity)
    assert identity.name == "user1@shanghai"
    assert identity.groups == {"analysts"}
    assert not identity.is_admin
    assert desk.authority.renew(token, identity) is None


@pytest.mark.parametrize(
    "user, password",
    [
        ("user1", "wrong"),
        ("nobody", PASSWORD),
        ("gone", PASSWORD),
        ("user1@hangzhou", PASSWORD),
        ("", ""),
        ("x" * 5000, PASSWORD),
    ],
)
def test_every_failed_sign_in_has_the_same_words_and_an_audit_row(
    desk: Desk, database: Database, user: str, password: str
) -> None:
    with pytest.raises(InvalidTokenError) as caught:
        desk.authority.sign_in(user, password, Call(peer=PEER))
    assert str(caught.value) == "invalid-token: user or password is wrong"
    row = audited(database)[-1]
    assert (row.action, row.allowed, row.source) == ("sign_in", False, "127.0.0.1")
    assert row.actor.startswith(user.strip()[:60])


def test_five_failures_lock_a_user_for_one_source(desk: Desk) -> None:
    for _ in range(5):
        with pytest.raises(InvalidTokenError):
            desk.authority.sign_in("user1", "wrong", Call(peer=PEER))
    with pytest.raises(LockedError):
        desk.authority.sign_in("user1", PASSWORD, Call(peer=PEER))
    assert desk.authority.sign_in("user1", PASSWORD, Call(peer="ipv4:127.0.0.2:4000"))
    desk.clock.move(601)
    assert desk.authority.sign_in("user1", PASSWORD, Call(peer=PEER))


def test_client_that_cannot_renew_gets_a_long_token_at_once(desk: Desk) -> None:
    jdbc = Call(peer=PEER, headers={"user-agent": "grpc-java-netty/1.65.0"})
    identity = desk.authority.authenticate(desk.authority.sign_in("user1", PASSWORD, jdbc), PEER)
    assert isinstance(identity, Identity)
    assert identity.expires_at - identity.issued_at == timedelta(hours=12)


def test_password_changed_a_moment_ago_counts_before_anybody_looked(desk: Desk) -> None:
    change_users(desk.home, "set_password", "user1", hash_password("new"), now=desk.clock())
    with pytest.raises(InvalidTokenError):
        desk.authority.sign_in("user1", PASSWORD, Call(peer=PEER))
    token = desk.authority.sign_in("user1", "new", Call(peer=PEER))
    assert desk.authority.authenticate(token, PEER)


@pytest.mark.parametrize("change", ["set_locked", "set_groups", "set_password", "remove"])
def test_token_from_before_a_change_is_revoked(desk: Desk, change: str) -> None:
    token = desk.authority.sign_in("user1", PASSWORD, Call(peer=PEER))
    assert desk.authority.authenticate(token, PEER)
    desk.clock.move(1)
    arguments = {
        "set_locked": (False,),
        "set_groups": (("traders",),),
        "set_password": (hash_password("another password"),),
        "remove": (),
    }[change]
    options = {} if change == "remove" else {"now": desk.clock()}
    change_users(desk.home, change, "user1", *arguments, **options)
    desk.state.refresh()
    with pytest.raises(RevokedTokenError):
        desk.authority.authenticate(token, PEER)


def test_token_made_right_after_a_change_counts(desk: Desk) -> None:
    change_users(desk.home, "set_groups", "user1", ("traders",), now=desk.clock())
    desk.state.refresh()
    token = desk.authority.sign_in("user1", PASSWORD, Call(peer=PEER))
    assert desk.authority.authenticate(token, PEER)


def test_token_expires_though_it_is_remembered(desk: Desk) -> None:
    token = desk.identity_token(desk.key, SHANGHAI)
    assert desk.authority.authenticate(token, PEER)
    desk.clock.move(61)
    with pytest.raises(ExpiredTokenError):
        desk.authority.authenticate(token, PEER)


def test_tokens_of_others_are_refused(desk: Desk) -> None:
    stranger = SigningKey.generate()
    for token in (
        "",
        "nonsense",
        desk.identity_token(stranger, SHANGHAI),
        desk.identity_token(stranger, HANGZHOU),
        desk.identity_token(MOM_KEY, SHANGHAI),
        # The MoM is known here, and its own users are still none of this member's.
        desk.identity_token(MOM_KEY, MOM),
        service_token(stranger, issuer=MOM, audience=SHANGHAI, now=desk.clock()),
        service_token(MOM_KEY, issuer=MOM, audience=HANGZHOU, now=desk.clock()),
    ):
        with pytest.raises(InvalidTokenError):
            desk.authority.authenticate(token, PEER)


def test_the_mom_is_recognised_by_its_service_token_for_a_minute(desk: Desk) -> None:
    token = service_token(MOM_KEY, issuer=MOM, audience=SHANGHAI, now=desk.clock())
    assert desk.authority.authenticate(token, PEER) == ServiceCaller(MOM)
    desk.clock.move(61)
    with pytest.raises(ExpiredTokenError):
        desk.authority.authenticate(token, PEER)


def test_failed_sign_in_that_cannot_be_audited_is_refused_all_the_same(
    desk: Desk, database: Database
) -> None:
    break_audit(database)
    with pytest.raises(AuditUnavailableError):
        desk.authority.sign_in("user1", "wrong", Call(peer=PEER))


def test_refusal_goes_on_without_an_audit_that_is_not_required(
    home: MemberHome, database: Database
) -> None:
    break_audit(database)
    trail = AuditTrail("hangzhou", database, AuditSection(required=False), utc_now)
    # Adding a user is an administrative act: it needs the audit whatever the setting says.
    with pytest.raises(AuditUnavailableError):
        add_user(home)
    with database.read() as connection:
        assert not connection.exec_driver_sql("SELECT * FROM users").all()
    authority = MemberAuthority(
        SHANGHAI,
        home.load_key(),
        database,
        MemberState(SHANGHAI, database),
        KeyRing,
        trail,
        AuthSection(),
        Clock(),
    )
    with pytest.raises(InvalidTokenError):
        authority.sign_in("user1", PASSWORD, Call(peer=PEER))
    trail.close()
