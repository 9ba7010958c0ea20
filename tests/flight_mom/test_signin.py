from collections.abc import Iterator
from contextlib import closing
from datetime import datetime, timedelta
from typing import Any

import pytest

from auth import (
    FEDERATION,
    ExpiredTokenError,
    InvalidTokenError,
    LockedError,
    SigningKey,
    hash_password,
    open_session_token,
    seal_identity_token,
    seal_session_token,
)
from auth.userstore import UserStore
from flight_member import protocol
from flight_member.audit import AuditTrail
from flight_member.authority import ServiceCaller, service_token
from flight_member.clock import utc_now
from flight_member.errors import (
    ClusterUnavailableError,
    ForwardedError,
    RevokedTokenError,
    UserNotReportedError,
)
from flight_member.settings import AuditSection
from flight_mom.members import Member
from flight_mom.relay import Relay
from flight_mom.signin import MomAuthority
from flight_sql import Call
from tests.flight_member.factories import HANGZHOU, SHANGHAI, make_identity
from tests.flight_mom.factories import MOM, PEER, JoiningMember, Mom, make_report, make_user

PASSWORD = "correct horse battery"


class Gate:
    """A MoM's authority; shanghai's key is at hand to speak for shanghai."""

    def __init__(self, mom: Mom) -> None:
        self.mom = mom
        self.clock = mom.clock
        self.shanghai = SigningKey.generate()
        joining = JoiningMember(SHANGHAI, self.shanghai)
        mom.act(protocol.JOIN, joining.request(mom.add(SHANGHAI)))
        self.report(make_user("user1"))
        self.audit = AuditTrail("mom", mom.database, AuditSection(), utc_now)
        self.relay = Relay(MOM, mom.key, bytes, mom.clock)
        self.authority = MomAuthority(
            MOM,
            mom.key,
            mom.database,
            mom.topology,
            self.relay,
            self.audit,
            mom.settings.auth,
            mom.clock,
        )
        self.change_own("add", "auditor", hash_password(PASSWORD), now=self.clock())

    def report(self, *users: Any) -> None:
        self.mom.act(protocol.REPORT, make_report(SHANGHAI, users=users), ServiceCaller(SHANGHAI))

    def report_at(self, seconds: float, *users: Any) -> None:
        """Report what was read so many seconds from now."""
        report = make_report(SHANGHAI, users=users)
        read_at = self.clock().timestamp() + seconds
        report = report.model_copy(update={"read_at": read_at})
        self.mom.act(protocol.REPORT, report, ServiceCaller(SHANGHAI))

    def change_own(self, change: str, *arguments: Any, **options: Any) -> None:
        with (
            closing(self.mom.home.open_database()) as database,
            database.change() as connection,
        ):
            getattr(UserStore(connection), change)(*arguments, **options)

    def identity_token(self, user: str = "user1", key: SigningKey | None = None) -> str:
        return seal_identity_token(
            user=user,
            groups=(),
            key=key or self.shanghai,
            issuer=SHANGHAI,
            audience=FEDERATION,
            now=self.clock(),
            ttl_s=3600,
        )

    def session(self, token: str) -> Any:
        keys = self.mom.topology.federation.keys
        return open_session_token(token, keys, audience=MOM, now=self.clock())


@pytest.fixture
def gate(mom: Mom) -> Iterator[Gate]:
    gate = Gate(mom)
    yield gate
    gate.relay.close()
    gate.audit.close()


@pytest.mark.parametrize("name", ["auditor", "auditor@headquarters", " Auditor@HeadQuarters "])
def test_own_user_gets_a_session(gate: Gate, name: str) -> None:
    token = gate.authority.sign_in(name, PASSWORD, Call(peer=PEER))
    identity: Any = gate.authority.authenticate(token, PEER)
    assert identity.name == f"auditor@{MOM}"


@pytest.mark.parametrize("user", ["auditor", "nobody", "nobody@nowhere", "@", "", "x" * 5000])
def test_failed_sign_ins_have_the_same_words_and_an_audit_row(gate: Gate, user: str) -> None:
    with pytest.raises(InvalidTokenError) as caught:
        gate.authority.sign_in(user, "wrong", Call(peer=PEER))
    assert str(caught.value) == "invalid-token: user or password is wrong"
    row = gate.mom.audited()[-1]
    assert (row.action, row.allowed, row.source) == ("sign_in", False, "127.0.0.1")
    assert len(row.actor) <= 128


def test_five_failures_lock(gate: Gate) -> None:
    for _ in range(5):
        with pytest.raises(InvalidTokenError):
            gate.authority.sign_in("auditor", "wrong", Call(peer=PEER))
    with pytest.raises(LockedError):
        gate.authority.sign_in("auditor", PASSWORD, Call(peer=PEER))


def test_home_that_does_not_answer_is_said_to_without_its_address(gate: Gate) -> None:
    gate.mom.beat(SHANGHAI, uri="grpc://127.0.0.1:1")
    with pytest.raises(ClusterUnavailableError, match="shanghai does not answer") as caught:
        gate.authority.sign_in("user1@shanghai", PASSWORD, Call(peer=PEER))
    assert "127.0.0.1" not in str(caught.value)


class _Home(Relay):
    """A line to a home cluster whose clock is not the MoM's."""

    def __init__(self, gate: "Gate", answer: str | ForwardedError) -> None:
        super().__init__(MOM, gate.mom.key, bytes, gate.clock)
        self.answer = answer

    def action(self, member: Member, kind: str, body: bytes, *, timeout_s: float = 10.0) -> bytes:
        assert timeout_s
        assert (member.name, kind, bool(body)) == (SHANGHAI, protocol.SIGN_IN, True)
        if isinstance(self.answer, ForwardedError):
            raise self.answer
        return protocol.SignInReply(token=self.answer).write()


@pytest.mark.parametrize("is_ahead", [False, True])
def test_clocks_that_differ_are_no_guesses(gate: Gate, is_ahead: bool) -> None:
    """Neither when home refuses the MoM's token, nor when the MoM does not take home's."""
    now = gate.clock()
    gate.clock.move(1800)
    early = gate.identity_token()
    gate.clock.now = now
    refusal = ForwardedError(
        InvalidTokenError.code, "UNAUTHENTICATED", "it is not valid yet", retryable=False
    )
    gate.authority._relay = home = _Home(gate, refusal if is_ahead else early)
    for _ in range(7):
        with pytest.raises(ClusterUnavailableError, match="compare the servers' clocks"):
            gate.authority.sign_in(f"user1@{SHANGHAI}", PASSWORD, Call(peer=PEER))
    home.answer = gate.identity_token()
    assert gate.authority.sign_in(f"user1@{SHANGHAI}", PASSWORD, Call(peer=PEER))
    home.close()


def test_session_is_renewed_once_half_of_it_is_spent(gate: Gate) -> None:
    token = gate.authority.sign_in("auditor", PASSWORD, Call(peer=PEER))
    identity = gate.authority.authenticate(token, PEER)
    gate.clock.move(1799)
    assert gate.authority.renew(token, identity) is None
    gate.clock.move(2)
    fresh = gate.authority.renew(token, identity)
    assert fresh is not None
    assert gate.session(fresh).proved_at == gate.session(token).proved_at
    assert gate.session(fresh).identity.expires_at > gate.session(token).identity.expires_at
    gate.clock.move(1900)
    with pytest.raises(ExpiredTokenError):
        gate.authority.authenticate(token, PEER)
    assert gate.authority.authenticate(fresh, PEER)


def test_no_session_outlives_twelve_hours_from_its_proof(gate: Gate) -> None:
    token = gate.authority.sign_in("auditor", PASSWORD, Call(peer=PEER))
    signed_in_at: datetime = gate.clock()
    while (gate.clock() - signed_in_at).total_seconds() < 12 * 3600 - 60:
        token = gate.authority.renew(token, gate.authority.authenticate(token, PEER)) or token
        gate.clock.move(55)
    ends_at = gate.session(token).identity.expires_at
    assert (ends_at - signed_in_at).total_seconds() <= 12 * 3600
    gate.clock.move(120)
    with pytest.raises(ExpiredTokenError):
        gate.authority.authenticate(token, PEER)


def test_identity_token_of_the_home_cluster_counts_and_is_not_renewed(gate: Gate) -> None:
    token = gate.identity_token()
    identity: Any = gate.authority.authenticate(token, PEER)
    assert identity.name == "user1@shanghai"
    gate.clock.move(3000)
    assert gate.authority.renew(token, identity) is None


def test_client_that_cannot_renew_gets_the_longest_session_at_once(gate: Gate) -> None:
    jdbc = Call(peer=PEER, headers={"user-agent": "grpc-java-netty/1.65.0"})
    token = gate.authority.sign_in("auditor", PASSWORD, jdbc)
    jdbc.identity = gate.authority.authenticate(gate.identity_token(), PEER)
    exchanged = gate.authority.exchange(gate.identity_token(), jdbc)
    for each in (token, exchanged):
        session = gate.session(each)
        assert session.identity.expires_at - session.proved_at == timedelta(hours=12)


def test_handshake_with_an_identity_token_is_answered_with_a_session(gate: Gate) -> None:
    token = gate.identity_token()
    identity: Any = gate.authority.authenticate(token, PEER)
    session_token = gate.authority.exchange(token, Call(identity=identity))
    session = gate.session(session_token)
    assert session.identity.name == "user1@shanghai"
    assert session.proved_at == identity.issued_at
    again = gate.authority.exchange(
        session_token, Call(identity=gate.authority.authenticate(session_token, PEER))
    )
    assert again == session_token


@pytest.mark.parametrize("change", ["locked", "changed", "removed"])
def test_token_of_a_user_who_changed_at_home_is_revoked_with_the_report(
    gate: Gate, change: str
) -> None:
    identity_token = gate.identity_token()
    session_token = seal_session_token(
        make_identity(),
        gate.mom.key,
        issuer=MOM,
        now=gate.clock(),
        ttl_s=3600,
        proved_at=gate.clock(),
    )
    for token in (identity_token, session_token):
        assert gate.authority.authenticate(token, PEER)
    gate.clock.move(1)
    changed = {
        "locked": (make_user("user1", is_locked=True),),
        "changed": (make_user("user1", changed_at=gate.clock()),),
        "removed": (),
    }[change]
    gate.report(*changed)
    for token in (identity_token, session_token):
        with pytest.raises(RevokedTokenError):
            gate.authority.authenticate(token, PEER)


def test_token_of_an_own_user_who_changed_is_revoked_at_once(gate: Gate) -> None:
    token = gate.authority.sign_in("auditor", PASSWORD, Call(peer=PEER))
    assert gate.authority.authenticate(token, PEER)
    gate.clock.move(1)
    gate.change_own("set_groups", "auditor", ["traders"], now=gate.clock())
    with pytest.raises(RevokedTokenError):
        gate.authority.authenticate(token, PEER)


def test_tokens_of_a_removed_member_die_with_it(gate: Gate) -> None:
    token = gate.identity_token()
    service = service_token(gate.shanghai, issuer=SHANGHAI, audience=MOM, now=gate.clock())
    assert gate.authority.authenticate(token, PEER)
    assert gate.authority.authenticate(service, PEER) == ServiceCaller(SHANGHAI)
    gate.mom.change_members("remove", SHANGHAI)
    for dead in (token, service):
        with pytest.raises(InvalidTokenError):
            gate.authority.authenticate(dead, PEER)
    gate.mom.join(SHANGHAI, make_report(SHANGHAI, users=[make_user("user1")]))
    for dead in (token, service):
        with pytest.raises(InvalidTokenError):
            gate.authority.authenticate(dead, PEER)


def test_members_key_speaks_for_its_own_users_alone(gate: Gate) -> None:
    now = gate.clock()
    forged = [
        seal_session_token(
            make_identity(f"admin@{MOM}", is_admin=True),
            gate.shanghai,
            issuer=issuer,
            audience=MOM,
            now=now,
            ttl_s=60,
            proved_at=now,
        )
        for issuer in (MOM, SHANGHAI)
    ]
    forged += [
        seal_identity_token(
            user="user1", groups=(), key=gate.shanghai, issuer=issuer, now=now, ttl_s=60
        )
        for issuer in (MOM, HANGZHOU)
    ]
    forged.append(service_token(gate.shanghai, issuer=HANGZHOU, audience=MOM, now=now))
    for token in forged:
        with pytest.raises(InvalidTokenError):
            gate.authority.authenticate(token, PEER)


NEWS = {
    "a user that is new": (),
    "a user that was locked": (make_user("user1", is_locked=True),),
}


@pytest.mark.parametrize("users", NEWS.values(), ids=NEWS.keys())
def test_token_that_home_signed_since_its_report_is_asked_to_come_again(
    gate: Gate, users: tuple[Any, ...]
) -> None:
    gate.report_at(-1, *users)
    with pytest.raises(UserNotReportedError) as refused:
        gate.authority.authenticate(gate.identity_token(), PEER)
    assert "try again" in refused.value.text
    gate.report_at(-0.5, make_user("user1"))
    identity: Any = gate.authority.authenticate(gate.identity_token(), PEER)
    assert identity.name == f"user1@{SHANGHAI}"


@pytest.mark.parametrize("users", NEWS.values(), ids=NEWS.keys())
def test_token_from_before_the_report_is_revoked(gate: Gate, users: tuple[Any, ...]) -> None:
    token = gate.identity_token()
    gate.report_at(1, *users)
    with pytest.raises(RevokedTokenError):
        gate.authority.authenticate(token, PEER)


def test_member_that_does_not_say_when_it_looked_is_believed_as_of_now(gate: Gate) -> None:
    gate.report()
    with pytest.raises(RevokedTokenError):
        gate.authority.authenticate(gate.identity_token(), PEER)


def test_service_token_that_is_known_counts_as_long_as_one_that_is_not(gate: Gate) -> None:
    known, *others = (
        service_token(gate.shanghai, issuer=SHANGHAI, audience=MOM, now=gate.clock())
        for _ in range(31)
    )
    assert accepts(gate, known)
    for other in others:
        assert accepts(gate, known) is accepts(gate, other)
        gate.clock.move(5)
    assert not accepts(gate, known)


def accepts(gate: Gate, token: str) -> bool:
    try:
        return gate.authority.authenticate(token, PEER) == ServiceCaller(SHANGHAI)
    except (InvalidTokenError, ExpiredTokenError):
        return False
