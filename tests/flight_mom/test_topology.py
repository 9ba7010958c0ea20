import base64
import json
from typing import Any

import pytest

from flight_member import protocol
from flight_member.authority import ServiceCaller
from flight_member.errors import BadRequestError
from flight_mom.memberstore import MemberStore
from flight_mom.topology import MemberStatus, Topology
from storage.names import ObjectName
from tests.flight_member.factories import HANGZHOU, SHANGHAI, make_identity
from tests.flight_mom.factories import (
    FLIGHTS,
    MOM,
    Mom,
    make_report,
    make_rule,
    make_table,
    make_user,
)


def status(mom: Mom, cluster: str = SHANGHAI) -> MemberStatus:
    return mom.topology.status(mom.member(cluster))


def test_member_goes_from_joining_through_alive_and_suspect_to_dead_and_back(mom: Mom) -> None:
    mom.add(SHANGHAI)
    assert status(mom) is MemberStatus.JOINING
    mom.join(SHANGHAI)
    assert status(mom) is MemberStatus.ALIVE
    mom.clock.move(7)
    assert status(mom) is MemberStatus.ALIVE
    mom.clock.move(1)
    assert status(mom) is MemberStatus.SUSPECT
    mom.clock.move(7)
    assert status(mom) is MemberStatus.SUSPECT
    mom.clock.move(0.1)
    assert status(mom) is MemberStatus.DEAD
    mom.beat(SHANGHAI)
    assert status(mom) is MemberStatus.ALIVE


def test_suspended_member_stays_so_however_it_beats(mom: Mom) -> None:
    mom.join(SHANGHAI)
    mom.change_members("suspend", SHANGHAI)
    mom.beat(SHANGHAI)
    assert status(mom) is MemberStatus.SUSPENDED
    mom.clock.move(60)
    mom.change_members("resume", SHANGHAI)
    assert status(mom) is MemberStatus.DEAD


def test_alive_and_suspect_members_alone_are_served() -> None:
    assert {one for one in MemberStatus if one.is_served} == {
        MemberStatus.ALIVE,
        MemberStatus.SUSPECT,
    }


def test_members_get_the_timeout_to_be_heard_after_a_restart(mom: Mom) -> None:
    mom.join(SHANGHAI)
    mom.clock.move(3600)
    mom.topology = Topology(MOM, mom.database, mom.settings.heartbeat, mom.clock, mom.clock.ticks)
    assert status(mom) is MemberStatus.ALIVE
    assert mom.topology.heard_at(SHANGHAI) is None
    mom.clock.move(15.1)
    assert status(mom) is MemberStatus.DEAD


def test_replicas_share_who_was_heard_from(mom: Mom) -> None:
    mom.join(SHANGHAI)
    other = Topology(MOM, mom.database, mom.settings.heartbeat, mom.clock, mom.clock.ticks)
    for _ in range(4):
        mom.clock.move(5)
        mom.beat(SHANGHAI)
        mom.topology.hearing.share()
        other.hearing.share()
        assert other.heard_at(SHANGHAI) == mom.clock.now
        assert other.status(mom.member(SHANGHAI)) is MemberStatus.ALIVE
    mom.clock.move(15.1)
    assert other.status(mom.member(SHANGHAI)) is status(mom) is MemberStatus.DEAD


def test_replica_lowers_no_later_beat_that_another_took(mom: Mom) -> None:
    mom.join(SHANGHAI)
    other = Topology(MOM, mom.database, mom.settings.heartbeat, mom.clock, mom.clock.ticks)
    mom.clock.move(5)
    mom.beat(SHANGHAI)
    mom.clock.move(5)
    other.hear(SHANGHAI)
    other.hearing.share()
    mom.topology.hearing.share()
    assert mom.topology.heard_at(SHANGHAI) == other.heard_at(SHANGHAI) == mom.clock.now
    mom.change_members("remove", SHANGHAI)
    with mom.database.read() as connection:
        assert MemberStore(connection).heard() == {}


def test_report_is_there_after_a_restart(federation: Mom) -> None:
    again = Topology(
        MOM,
        federation.database,
        federation.settings.heartbeat,
        federation.clock,
        federation.clock.ticks,
    )
    assert again.federation.table(ObjectName.parse(FLIGHTS)) is not None
    assert set(again.federation.members[SHANGHAI].users) == {"user1", "user3"}


def with_metastore(report: protocol.Report, **changes: Any) -> protocol.Report:
    wire = json.loads(base64.b64decode(report.metastore)) | changes
    return report.model_copy(
        update={"metastore": base64.b64encode(json.dumps(wire).encode()).decode()}
    )


def hostile_reports() -> dict[str, protocol.Report]:
    sound = make_report(SHANGHAI, [make_table("a.b.c@shanghai")], [make_user("user1")])
    (user,) = sound.users
    rule = make_report(SHANGHAI, rules=[make_rule("user1@shanghai", "*@shanghai")]).grants[0]
    return {
        "another cluster's tables": make_report(HANGZHOU, [make_table()]),
        "another cluster's metastore": with_metastore(sound, cluster=HANGZHOU),
        "a table of another cluster": with_metastore(sound, tables=[{"name": FLIGHTS}]),
        "no metastore": sound.model_copy(update={"metastore": ""}),
        "no base64": sound.model_copy(update={"metastore": "%%%"}),
        "a list": sound.model_copy(update={"metastore": base64.b64encode(b"[]").decode()}),
        "a rule on another's": sound.model_copy(
            update={"grants": (rule.model_copy(update={"securable": "*@hangzhou"}),)}
        ),
        "a rule for another's": sound.model_copy(
            update={"grants": (rule.model_copy(update={"principal": "user2@hangzhou"}),)}
        ),
        "an unknown effect": sound.model_copy(
            update={"grants": (rule.model_copy(update={"effect": "MAYBE"}),)}
        ),
        "a privilege that does not fit": sound.model_copy(
            update={"grants": (rule.model_copy(update={"privilege": "TABLE_READ"}),)}
        ),
        "an end beyond time": sound.model_copy(
            update={"grants": (rule.model_copy(update={"until": 1e300}),)}
        ),
        "a user of another": sound.model_copy(
            update={"users": (user.model_copy(update={"name": "user2@hangzhou"}),)}
        ),
        "a user twice": sound.model_copy(
            update={"users": (user, user.model_copy(update={"name": "USER1"}))}
        ),
    }


@pytest.mark.parametrize("what", hostile_reports())
def test_hostile_report_is_refused_and_the_last_one_stays(federation: Mom, what: str) -> None:
    before = federation.topology.federation
    with pytest.raises(BadRequestError, match="the report of shanghai cannot be read"):
        federation.act(protocol.REPORT, hostile_reports()[what], ServiceCaller(SHANGHAI))
    federation.topology.refresh()
    assert federation.topology.federation.members == before.members


def test_unusable_report_on_record_takes_nobody_else_down(federation: Mom) -> None:
    for body in (b"{}", b"nonsense", hostile_reports()["no metastore"].write()):
        with federation.database.change() as connection:
            MemberStore(connection).set_report(SHANGHAI, body)
        federation.topology.refresh()
        assert not federation.member(SHANGHAI).users
        assert federation.member(SHANGHAI).report_version == ""
        assert federation.topology.federation.table(ObjectName.parse(FLIGHTS)) is not None
        Topology(
            MOM,
            federation.database,
            federation.settings.heartbeat,
            federation.clock,
            federation.clock.ticks,
        )


def test_another_report_under_an_old_version_is_read(federation: Mom) -> None:
    first = make_report(SHANGHAI, users=[make_user("user1")])
    second = make_report(SHANGHAI, users=[make_user("user1", is_locked=True)])
    federation.act(protocol.REPORT, first, ServiceCaller(SHANGHAI))
    lied = second.model_copy(update={"version": first.version})
    federation.act(protocol.REPORT, lied, ServiceCaller(SHANGHAI))
    assert federation.member(SHANGHAI).users["user1"].is_locked


def test_reports_of_the_past_are_not_kept_in_memory(federation: Mom) -> None:
    for number in range(5):
        report = make_report(SHANGHAI, users=[make_user(f"user{number}")])
        federation.act(protocol.REPORT, report, ServiceCaller(SHANGHAI))
    assert set(federation.topology._members._reports) == {HANGZHOU, SHANGHAI}
    federation.change_members("remove", SHANGHAI)
    assert set(federation.topology._members._reports) == {HANGZHOU}


def test_home_rules_decide_at_home_and_grants_elsewhere(federation: Mom) -> None:
    rules_for = federation.topology.federation.rules_for
    name, now = ObjectName.parse(FLIGHTS), federation.clock()
    user1, user2 = make_identity(), make_identity("user2@hangzhou")
    assert rules_for(HANGZHOU, name).decide(user2, name, now).is_allowed
    assert not rules_for(SHANGHAI, name).decide(user1, name, now).is_allowed
    federation.ask(f"GRANT TABLE_READ ON {FLIGHTS} TO user1@shanghai")
    rules_for = federation.topology.federation.rules_for
    assert rules_for(SHANGHAI, name).decide(user1, name, now).is_allowed


def test_namesakes_are_asked_of_all_clusters_whether_or_not_they_have_one(
    federation: Mom,
) -> None:
    found = federation.topology.federation.namesakes(ObjectName.parse("aviation.nyc.flights@x"))
    assert [str(one) for one in found] == [
        FLIGHTS,
        f"aviation.nyc.flights@{MOM}",
        "aviation.nyc.flights@shanghai",
    ]
