import threading
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509

from auth import AuditUnavailableError, InvalidTokenError, SigningKey
from flight_member import protocol
from flight_member.authority import ServiceCaller
from flight_member.errors import (
    BadRequestError,
    FencedError,
    NotFoundError,
    PermissionDeniedError,
)
from tests.flight_member.factories import HANGZHOU, SHANGHAI, break_audit, make_identity
from tests.flight_mom.factories import MOM, URI, JoiningMember, Mom, make_report, make_table


def make_joining(cluster: str = SHANGHAI, **options: Any) -> JoiningMember:
    return JoiningMember(cluster, SigningKey.generate(), **options)


# Joining


def test_member_that_joins_is_known_by_its_key_and_gets_a_certificate(mom: Mom) -> None:
    joining = make_joining(hosts=("127.0.0.1",))
    request = joining.request(mom.add(SHANGHAI, hosts=("127.0.0.1", "10.0.0.7")))
    reply = protocol.JoinReply.read(mom.act(protocol.JOIN, request))
    assert mom.member(SHANGHAI).keys == (joining.key.public_key,)
    assert mom.member(SHANGHAI).uri == URI
    assert reply.mom == MOM
    certificate = x509.load_pem_x509_certificate(reply.certificate.encode())
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert [str(one) for one in names.get_values_for_type(x509.IPAddress)] == [
        "10.0.0.7",
        "127.0.0.1",
    ]
    assert (mom.audited()[-1].action, mom.audited()[-1].allowed) == ("join", True)


@pytest.mark.parametrize("fault", ["another name", "unknown", "used", "expired", "replaced"])
def test_join_token_that_does_not_count_is_refused_in_the_same_words(mom: Mom, fault: str) -> None:
    token = mom.add(SHANGHAI)
    mom.add(HANGZHOU)
    joining = make_joining(HANGZHOU if fault == "another name" else SHANGHAI)
    if fault == "unknown":
        mom.change_members("remove", SHANGHAI)
    if fault == "used":
        mom.act(protocol.JOIN, joining.request(token))
    if fault == "expired":
        mom.clock.move(24 * 3600 + 1)
    if fault == "replaced":
        mom.add(SHANGHAI)
    before = mom.topology.federation.members
    with pytest.raises(InvalidTokenError) as caught:
        mom.act(protocol.JOIN, make_joining(joining.cluster).request(token))
    assert str(caught.value) == (
        "invalid-token: the join token does not count: it is unknown, used, expired or another "
        "cluster's; ask an administrator for a new one"
    )
    assert mom.topology.federation.members == before
    assert (mom.audited()[-1].action, mom.audited()[-1].allowed) == ("join", False)


@pytest.mark.parametrize(
    "changes, error",
    [
        ({"uri": "grpc://10.9.9.9:1"}, PermissionDeniedError),
        ({"uri": "http://127.0.0.1:1"}, BadRequestError),
        ({"uri": "grpc://user@127.0.0.1:1"}, BadRequestError),
        ({"uri": "grpc://127.0.0.1:1/x?y"}, BadRequestError),
        ({"uri": "grpc://127.0.0.1:99999"}, BadRequestError),
        ({"uri": "grpc://[::1"}, BadRequestError),
        ({"uri": ""}, BadRequestError),
        ({"uri": "arrow-flight-reuse-connection://?"}, BadRequestError),
        ({"public_key": "nonsense"}, BadRequestError),
        ({"public_key": ""}, BadRequestError),
        ({"certificate_request": "nonsense"}, InvalidTokenError),
        ({"protocol": (9, 0)}, BadRequestError),
        ({"token": "nonsense"}, InvalidTokenError),
    ],
)
def test_refused_join_leaves_its_token_unused(
    mom: Mom, changes: dict[str, Any], error: type[Exception]
) -> None:
    token, joining = mom.add(SHANGHAI), make_joining()
    with pytest.raises(error):
        mom.act(protocol.JOIN, joining.request(**({"token": token} | changes)))
    assert mom.member(SHANGHAI).joined_at is None
    mom.act(protocol.JOIN, joining.request(token))
    assert mom.member(SHANGHAI).joined_at is not None


def test_certificate_names_no_host_that_the_administrator_did_not_name(mom: Mom) -> None:
    token, joining = mom.add(SHANGHAI), make_joining(hosts=("127.0.0.1", "bank.example"))
    with pytest.raises(Exception, match=r"bank\.example was not named"):
        mom.act(protocol.JOIN, joining.request(token))
    assert mom.member(SHANGHAI).joined_at is None
    assert not mom.audited()[-1].allowed


def test_plaintext_beyond_loopback_is_refused_unless_its_danger_is_named(tmp_path: Path) -> None:
    for number, (flags, is_accepted) in enumerate(
        [({}, False), ({"server__insecure_plaintext": True}, True)]
    ):
        mom = Mom(tmp_path / f"mom{number}", **flags)
        token = mom.add(SHANGHAI, hosts=("10.0.0.7",))
        joining = make_joining(uri="grpc://10.0.0.7:1", hosts=("10.0.0.7",))
        if is_accepted:
            mom.act(protocol.JOIN, joining.request(token))
        else:
            with pytest.raises(PermissionDeniedError, match="TLS"):
                mom.act(protocol.JOIN, joining.request(token))
            mom.act(protocol.JOIN, joining.request(token, uri="grpc+tls://10.0.0.7:1"))
        mom.database.close()


def test_of_many_who_bring_one_join_token_at_once_one_joins(mom: Mom) -> None:
    token = mom.add(SHANGHAI)
    outcomes: list[str] = []

    def join() -> None:
        try:
            mom.act(protocol.JOIN, make_joining().request(token))
            outcomes.append("joined")
        except InvalidTokenError:
            outcomes.append("refused")

    threads = [threading.Thread(target=join) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["joined", *["refused"] * 5]
    assert len(mom.member(SHANGHAI).keys) == 1


def test_member_that_joins_again_is_known_by_its_new_key_alone(mom: Mom) -> None:
    old = mom.join(SHANGHAI).keys
    new = mom.join(SHANGHAI).keys
    assert old != new
    assert len(new) == 1


# Heartbeats and reports


def test_heartbeat_moves_a_member_to_a_named_host_only(mom: Mom) -> None:
    mom.join(SHANGHAI, hosts=("127.0.0.1", "LocalHost"))
    mom.beat(SHANGHAI, uri="grpc://localhost:7")
    assert mom.member(SHANGHAI).uri == "grpc://localhost:7"
    with pytest.raises(PermissionDeniedError):
        mom.beat(SHANGHAI, uri="grpc://10.9.9.9:7")
    assert mom.member(SHANGHAI).uri == "grpc://localhost:7"


def test_member_is_not_asked_at_a_host_that_is_named_no_more(mom: Mom) -> None:
    mom.join(SHANGHAI)
    mom.change_members("set", SHANGHAI, hosts=("localhost",))
    assert mom.member(SHANGHAI).uri == ""
    assert not mom.topology.status(mom.member(SHANGHAI)).is_served
    with pytest.raises(PermissionDeniedError):
        mom.beat(SHANGHAI)
    mom.beat(SHANGHAI, uri="grpc://localhost:7")
    assert mom.topology.status(mom.member(SHANGHAI)).is_served


@pytest.mark.parametrize("who", [None, make_identity(), ServiceCaller("stranger")])
def test_who_is_no_member_neither_beats_nor_reports(mom: Mom, who: object) -> None:
    mom.join(SHANGHAI)
    beat = protocol.Heartbeat(uri=URI, nodes=(), report_version="", policy_epoch=0)
    for kind, message in ((protocol.HEARTBEAT, beat), (protocol.REPORT, make_report(SHANGHAI))):
        with pytest.raises(PermissionDeniedError):
            mom.act(kind, message, who)


def test_report_is_wanted_until_it_is_there(mom: Mom) -> None:
    mom.join(SHANGHAI)
    report = make_report(SHANGHAI, [make_table("a.b.c@shanghai")])
    assert mom.beat(SHANGHAI, version=report.version).wants_report
    mom.act(protocol.REPORT, report, ServiceCaller(SHANGHAI))
    assert not mom.beat(SHANGHAI, version=report.version).wants_report


def test_heartbeat_of_another_protocol_is_refused_by_name(mom: Mom) -> None:
    mom.join(SHANGHAI)
    beat = protocol.Heartbeat(protocol=(2, 0), uri=URI, nodes=(), report_version="", policy_epoch=0)
    with pytest.raises(BadRequestError, match=r"shanghai speaks protocol 2\.0"):
        mom.act(protocol.HEARTBEAT, beat, ServiceCaller(SHANGHAI))


# Administrators


@pytest.mark.parametrize(
    "who", [make_identity(), make_identity(is_admin=True), make_identity(f"user@{MOM}")]
)
def test_only_the_moms_administrators_change_the_membership_and_tries_are_audited(
    mom: Mom, who: object
) -> None:
    request = protocol.MembersRequest(action="add", cluster=SHANGHAI)
    with pytest.raises(PermissionDeniedError):
        mom.act(protocol.MEMBERS, request, who)
    assert not mom.topology.federation.members
    row = mom.audited()[-1]
    assert (row.action, row.object, row.allowed) == ("member add", SHANGHAI, False)


def test_change_that_cannot_be_audited_is_not_made(mom: Mom) -> None:
    mom.join(SHANGHAI)
    break_audit(mom.database)
    with pytest.raises(AuditUnavailableError):
        mom.change_members("suspend", SHANGHAI)
    mom.topology.refresh()
    assert not mom.member(SHANGHAI).is_suspended


@pytest.mark.parametrize(
    "action, cluster, options, error",
    [
        ("add", MOM, {}, BadRequestError),
        ("add", "9x", {}, BadRequestError),
        ("add", "new", {"route": "fast"}, BadRequestError),
        ("add", "new", {"hosts": ("a b",)}, BadRequestError),
        ("add", "new", {"hosts": ("",)}, BadRequestError),
        ("add", "new", {"hosts": ("host:1/x",)}, BadRequestError),
        ("set", SHANGHAI, {"route": "fast"}, BadRequestError),
        ("explode", SHANGHAI, {}, BadRequestError),
        ("suspend", "nobody", {}, NotFoundError),
        ("remove", "nobody", {}, NotFoundError),
    ],
)
def test_change_that_makes_no_sense_is_refused(
    mom: Mom, action: str, cluster: str, options: dict[str, Any], error: type[Exception]
) -> None:
    mom.join(SHANGHAI)
    before = mom.member(SHANGHAI)
    with pytest.raises(error):
        mom.change_members(action, cluster, **options)
    assert mom.member(SHANGHAI) == before
    assert list(mom.topology.federation.members) == [SHANGHAI]


def test_state_follows_the_administrator(mom: Mom) -> None:
    mom.join(SHANGHAI)
    assert mom.change_members("suspend", SHANGHAI).state == "suspended"
    assert mom.beat(SHANGHAI).state == "suspended"
    assert mom.change_members("resume", SHANGHAI).state == "alive"
    assert mom.change_members("set", SHANGHAI, route="direct").state == "alive"
    assert mom.member(SHANGHAI).route == "direct"
    assert mom.change_members("remove", SHANGHAI).state == "removed"


def test_removed_member_leaves_nothing_allowed_to_whoever_takes_its_name(federation: Mom) -> None:
    flights = "aviation.nyc.flights@hangzhou"
    federation.ask(f"GRANT TABLE_READ ON {flights} TO user1@shanghai")
    federation.ask("GRANT TABLE_READ ON a.b.c@shanghai TO user2@hangzhou")
    federation.ask("DENY SCHEMA_READ ON aviation.nyc@hangzhou TO user3@shanghai")
    epoch = federation.topology.federation.epoch
    key = federation.member(HANGZHOU).keys
    federation.change_members("remove", HANGZHOU)
    assert [row["effect"] for row in federation.ask("SHOW GRANTS")] == ["DENY"]
    assert federation.topology.federation.epoch > epoch
    assert {row.action for row in federation.audited()[-3:]} == {"revoke", "member remove"}
    told = federation.beat(SHANGHAI, epoch=epoch).revocations
    assert {(one.principal, one.securable) for one in told} == {
        (None, "*@hangzhou"),
        ("user2@hangzhou", None),
        ("chief@hangzhou", None),
    }
    federation.join(HANGZHOU)
    assert federation.member(HANGZHOU).keys != key
    assert not federation.member(HANGZHOU).users
    assert not federation.member(HANGZHOU).metastore.all_tables()


# Leaders


def beat_as_leader(mom: Mom, number: int, uri: str = URI) -> protocol.HeartbeatReply:
    beat = protocol.Heartbeat(
        uri=uri, nodes=(), report_version="", policy_epoch=0, leader_number=number
    )
    return protocol.HeartbeatReply.read(mom.act(protocol.HEARTBEAT, beat, ServiceCaller(SHANGHAI)))


def test_member_is_where_its_newest_leader_says(mom: Mom) -> None:
    mom.join(SHANGHAI)
    beat_as_leader(mom, 1)
    beat_as_leader(mom, 2, uri="grpc://127.0.0.1:7001")
    assert mom.member(SHANGHAI).uri == "grpc://127.0.0.1:7001"
    # It was paused, and does not know that another has taken over.
    with pytest.raises(FencedError, match="another controller leads shanghai"):
        beat_as_leader(mom, 1)
    assert mom.member(SHANGHAI).uri == "grpc://127.0.0.1:7001"


def test_what_a_leader_reports_that_was_deposed_is_not_kept(mom: Mom) -> None:
    mom.join(SHANGHAI, make_report(SHANGHAI, [make_table("a.b.c@shanghai")]))
    beat_as_leader(mom, 2)
    late = make_report(SHANGHAI, []).model_copy(update={"leader_number": 1})
    with pytest.raises(FencedError):
        mom.act(protocol.REPORT, late, ServiceCaller(SHANGHAI))
    assert len(mom.member(SHANGHAI).metastore.all_tables()) == 1


def test_leaders_are_numbered_anew_when_a_member_joins_again(mom: Mom) -> None:
    mom.join(SHANGHAI)
    beat_as_leader(mom, 7)
    mom.act(protocol.JOIN, make_joining().request(mom.add(SHANGHAI)))
    beat_as_leader(mom, 0)
    assert mom.member(SHANGHAI).leader_number == 0
