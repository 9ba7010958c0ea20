"""An attacker owns one member, its key and its database: shanghai. What they get, and what not.

They are any user of shanghai: that is what a home cluster's word means. They are nobody else, and
the federation believes shanghai about nothing but shanghai.
"""

import base64
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from uuid import uuid4

import pytest

from auth import (
    Identity,
    JoinToken,
    SigningKey,
    TlsKey,
    TokenKind,
    make_request,
    seal,
    seal_identity_token,
    seal_session_token,
    seal_ticket,
)
from flight_member import protocol
from flight_member.authority import service_token
from flight_mom.demo.federation import HANGZHOU, MOM, SHANGHAI, DemoFederation
from flight_sql import Client
from storage.metastore import Metastore, Table
from storage.replica import write_replica
from tests.e2e.commands import try_mom
from tests.e2e.factories import FLIGHTS, make_ticket
from tests.e2e.federation import (
    COUNT_FLIGHTS,
    FLIGHTS_AT,
    QUOTES_AT,
    READER,
    count,
    member_key,
    refusal,
    refused_sql,
    refused_ticket,
    stored_table,
)
from tests.waiting import wait_until

OTHERS = (HANGZHOU, MOM)
OTHER_READER = "user2@hangzhou"
SOON_S = 20


@pytest.fixture(scope="module")
def stolen(federation: DemoFederation) -> SigningKey:
    """shanghai's key, in the attacker's hands."""
    return member_key(federation, SHANGHAI)


@pytest.fixture
def at_mom(federation: DemoFederation) -> Iterator[Client]:
    """The attacker's connection to the MoM, without any token yet."""
    with Client(federation.uri(MOM)) as client:
        yield client
    federation.check_alive()


@pytest.fixture
def at_hangzhou(federation: DemoFederation) -> Iterator[Client]:
    """The attacker's connection to another member."""
    with Client(federation.uri(HANGZHOU)) as client:
        yield client
    federation.check_alive()


def identity_token(key: SigningKey, issuer: str, user: str, *, is_admin: bool = False) -> str:
    return seal_identity_token(
        user=user,
        groups=("analysts",),
        key=key,
        issuer=issuer,
        now=datetime.now(UTC),
        ttl_s=60,
        is_admin=is_admin,
    )


def as_member(key: SigningKey, issuer: str = SHANGHAI, audience: str = MOM) -> str:
    return service_token(key, issuer=issuer, audience=audience, now=datetime.now(UTC))


def report_of(cluster: str, **changes: object) -> protocol.Report:
    empty = base64.b64encode(write_replica(Metastore(cluster, 1, ()))).decode()
    values = {"version": "v", "metastore": empty, "users": (), "grants": ()}
    return protocol.Report.model_validate(values | changes)


def test_its_key_is_any_of_its_own_users(at_mom: Client, stolen: SigningKey, granted: None) -> None:
    del granted
    token = identity_token(stolen, SHANGHAI, READER.partition("@")[0])
    assert count(at_mom, COUNT_FLIGHTS, token=token) == 4_000


@pytest.mark.parametrize("issuer", OTHERS)
@pytest.mark.parametrize("user", ["user2", "admin"])
def test_it_is_no_user_of_another_cluster(
    federation: DemoFederation, stolen: SigningKey, issuer: str, user: str
) -> None:
    token = identity_token(stolen, issuer, user, is_admin=True)
    for at in (MOM, HANGZHOU, SHANGHAI):
        with Client(federation.uri(at), token=token) as client:
            assert refused_sql(client, "select 1").code == "invalid-token"


def test_its_users_are_none_of_another_member(at_hangzhou: Client, stolen: SigningKey) -> None:
    at_hangzhou.token = identity_token(stolen, SHANGHAI, "user1")
    assert refused_sql(at_hangzhou, "select 1").code == "invalid-token"


def test_who_does_not_exist_at_home_is_nobody(at_mom: Client, stolen: SigningKey) -> None:
    at_mom.token = identity_token(stolen, SHANGHAI, f"ghost{uuid4().hex[:8]}")
    # Somebody added a moment ago would look the same, until home has told who there is.
    assert refused_sql(at_mom, "select 1").code in {"user-not-reported", "revoked-token"}
    wait_until(lambda: refused_sql(at_mom, "select 1").code == "revoked-token", SOON_S)


def test_its_administrators_are_none_of_the_federation(at_mom: Client, stolen: SigningKey) -> None:
    at_mom.token = identity_token(stolen, SHANGHAI, "user1", is_admin=True)
    grant = f"GRANT TABLE_READ ON {FLIGHTS_AT} TO {READER}"
    assert refused_sql(at_mom, grant).code == "permission-denied"
    assert refused_sql(at_mom, COUNT_FLIGHTS).code == "not-found"
    request = protocol.MembersRequest(action="set", cluster=SHANGHAI, route="direct")
    assert refusal(at_mom.action, protocol.MEMBERS, request.write()).code == "permission-denied"


@pytest.mark.parametrize("issuer", [SHANGHAI, MOM])
@pytest.mark.parametrize("cluster", [SHANGHAI, HANGZHOU, MOM])
def test_it_makes_no_sessions(
    at_mom: Client, stolen: SigningKey, issuer: str, cluster: str
) -> None:
    now = datetime.now(UTC)
    identity = Identity(
        user="user1",
        cluster=cluster,
        groups=frozenset(),
        is_admin=True,
        token_id="t",
        expires_at=now,
        issued_at=now,
    )
    at_mom.token = seal_session_token(
        identity, stolen, issuer=issuer, audience=MOM, now=now, ttl_s=60, proved_at=now
    )
    assert refused_sql(at_mom, "select 1").code == "invalid-token"


@pytest.mark.parametrize("issuer", [SHANGHAI, HANGZHOU, MOM])
def test_it_makes_no_tickets_for_others(
    federation: DemoFederation, at_hangzhou: Client, stolen: SigningKey, issuer: str
) -> None:
    flights: Table = stored_table(federation, HANGZHOU, FLIGHTS)
    handle = seal_ticket(make_ticket(flights, f"select * from {FLIGHTS}"), stolen, issuer=issuer)
    assert refused_ticket(at_hangzhou, handle).code == "invalid-ticket"
    with Client(federation.uri(MOM), token=identity_token(stolen, SHANGHAI, "user1")) as client:
        assert refused_ticket(client, handle).code == "invalid-ticket"


@pytest.mark.parametrize("kind", [TokenKind.PREPARED, TokenKind.ANSWER])
@pytest.mark.parametrize("issuer", [SHANGHAI, MOM])
def test_it_makes_no_handles_of_the_moms(
    at_mom: Client, stolen: SigningKey, kind: TokenKind, issuer: str
) -> None:
    at_mom.token = identity_token(stolen, SHANGHAI, "user1")
    handle = seal(
        kind,
        {"sql": "SHOW GRANTS", "sub": "admin@headquarters"},
        stolen,
        issuer=issuer,
        audience=MOM,
        now=datetime.now(UTC),
        ttl_s=60,
    )
    assert refused_ticket(at_mom, handle.encode()).code == "invalid-ticket"


@pytest.mark.parametrize("issuer", OTHERS)
def test_it_calls_in_nobody_elses_name(
    federation: DemoFederation, at_mom: Client, stolen: SigningKey, issuer: str
) -> None:
    beat = protocol.Heartbeat(
        uri=federation.uri(SHANGHAI), nodes=(), report_version="", policy_epoch=0
    )
    token = as_member(stolen, issuer)
    for kind, body in (
        (protocol.HEARTBEAT, beat.write()),
        (protocol.REPORT, report_of(issuer).write()),
    ):
        assert refusal(lambda k=kind, b=body: at_mom.action(k, b, token=token)).code in {
            "invalid-token",
            "permission-denied",
        }


def test_it_asks_no_member_for_passwords(at_hangzhou: Client, stolen: SigningKey) -> None:
    request = protocol.SignInRequest(user="user2", password="guess", source="10.0.0.7")
    for issuer in (SHANGHAI, MOM):
        token = as_member(stolen, issuer, HANGZHOU)
        refused = refusal(
            lambda t=token: at_hangzhou.action(protocol.SIGN_IN, request.write(), token=t)
        )
        assert refused.code in {"invalid-token", "permission-denied"}


def test_its_reports_speak_of_itself_alone(
    federation: DemoFederation, admin: Client, at_mom: Client, stolen: SigningKey
) -> None:
    flights = stored_table(federation, HANGZHOU, FLIGHTS)
    foreign = base64.b64encode(write_replica(Metastore(HANGZHOU, 1, [flights]))).decode()
    rule = {"principal": READER, "effect": "ALLOW", "privilege": "TABLE_READ"}
    lies = (
        {"metastore": foreign},
        {"grants": ({**rule, "securable": FLIGHTS_AT},)},
        {
            "grants": (
                {
                    **rule,
                    "principal": OTHER_READER,
                    "securable": QUOTES_AT,
                },
            )
        },
    )
    before = admin.query("SHOW TABLES").read_all()
    for lie in lies:
        body = report_of(SHANGHAI, **lie).write()
        refused = refusal(lambda b=body: at_mom.action(protocol.REPORT, b, token=as_member(stolen)))
        assert refused.code == "invalid-request"
    assert admin.query("SHOW TABLES").read_all().equals(before)


@pytest.mark.parametrize(
    "uri", ["grpc://127.0.0.2:1", "grpc+tls://headquarters:32010", "grpc+tls://hangzhou:1"]
)
def test_it_answers_at_its_own_hosts_alone(at_mom: Client, stolen: SigningKey, uri: str) -> None:
    beat = protocol.Heartbeat(uri=uri, nodes=(), report_version="", policy_epoch=0)
    refused = refusal(
        lambda: at_mom.action(protocol.HEARTBEAT, beat.write(), token=as_member(stolen))
    )
    assert refused.code == "permission-denied"


@pytest.mark.parametrize("cluster", [HANGZHOU, MOM, "another"])
def test_it_joins_under_no_other_name(
    federation: DemoFederation, admin: Client, at_mom: Client, cluster: str
) -> None:
    mine = _join_token(admin, "evil")
    try:
        for token in (mine, JoinToken.make(cluster, federation.uri(MOM), "0" * 64).text):
            refused = refusal(at_mom.action, protocol.JOIN, _join(token, cluster).write())
            assert refused.code in {"invalid-token", "permission-denied"}
    finally:
        _remove(admin, "evil")


def test_it_gets_no_certificate_for_others_hosts_and_the_attempt_is_audited(
    federation: DemoFederation, admin: Client, at_mom: Client
) -> None:
    token = _join_token(admin, "evil")
    try:
        for host in ("headquarters", "hangzhou", "127.0.0.2", "localhost"):
            refused = refusal(at_mom.action, protocol.JOIN, _join(token, "evil", host=host).write())
            assert refused.code == "permission-denied", host
    finally:
        _remove(admin, "evil")
    assert _audited(federation, "join", "evil") >= 4


def _join_token(admin: Client, cluster: str) -> str:
    request = protocol.MembersRequest(action="add", cluster=cluster, hosts=("127.0.0.1",))
    reply = protocol.MembersReply.read(admin.action(protocol.MEMBERS, request.write()))
    return str(reply.join_token)


def _remove(admin: Client, cluster: str) -> None:
    request = protocol.MembersRequest(action="remove", cluster=cluster)
    admin.action(protocol.MEMBERS, request.write())


def _join(token: str, cluster: str, host: str = "127.0.0.1") -> protocol.JoinRequest:
    return protocol.JoinRequest(
        token=token,
        cluster=cluster,
        public_key=SigningKey.generate().public_key.to_text(),
        certificate_request=make_request(TlsKey.generate(), cluster, [host]).decode(),
        uri="grpc://127.0.0.1:1",
    )


def _audited(federation: DemoFederation, action: str, actor: str) -> int:
    """Return how many refusals of an actor the MoM's audit holds."""
    shown = try_mom("audit", "show", "--dir", str(federation.directory / MOM), "--json")
    rows = json.loads(shown.stdout)
    return sum(
        row["action"] == action and row["actor"] == actor and not row["allowed"] for row in rows
    )
