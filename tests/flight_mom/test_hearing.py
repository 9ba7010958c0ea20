"""States follow from arrivals by the MoM's own running clock, and are noted once and for good."""

from datetime import timedelta

import pytest

from flight_member import protocol
from flight_member.authority import ServiceCaller
from flight_member.livetables import Wanted
from flight_member.noderow import NodeRow
from flight_mom.memberstatestore import MemberStateStore
from flight_mom.monitortables import ClusterStatesTable, NodesTable
from flight_mom.topology import MemberStatus, Topology
from flight_sql import Call
from storage.needed import EVERYTHING
from tests.flight_member.factories import HANGZHOU, SHANGHAI, make_identity
from tests.flight_member.test_noderow import FIRST_VERSION
from tests.flight_mom.factories import MOM, URI, Mom


def topology(mom: Mom, ticks: list[float]) -> Topology:
    return Topology(MOM, mom.database, mom.settings.heartbeat, mom.clock, lambda: ticks[0])


def states(mom: Mom, cluster: str = SHANGHAI) -> list[str]:
    """Return the states that were noted, but for the first: a member that is added is joining."""
    with mom.database.read() as connection:
        first, *rest = [one.state for one in MemberStateStore(connection).all([cluster])]
    assert first == "joining"
    return rest


@pytest.mark.parametrize("hours", [-48, 48])
def test_mom_whose_clock_is_set_takes_nobody_for_dead_or_alive(mom: Mom, hours: int) -> None:
    mom.join(SHANGHAI)
    ticks = [1000.0]
    here = topology(mom, ticks)
    here.hear(SHANGHAI)
    mom.clock.move(hours * 3600)
    assert here.status(mom.member(SHANGHAI)) is MemberStatus.ALIVE
    ticks[0] += 15.1
    mom.clock.move(-hours * 3600)
    assert here.status(mom.member(SHANGHAI)) is MemberStatus.DEAD


@pytest.mark.parametrize("hours", [-5, 5])
def test_replicas_whose_clocks_differ_hear_each_others_members(mom: Mom, hours: int) -> None:
    mom.join(SHANGHAI)
    ticks = [0.0]
    here, there = topology(mom, ticks), topology(mom, ticks)
    # First one of them takes the beats, then the other.
    for taking, other in ((here, there), (there, here)):
        for _ in range(5):
            ticks[0] += 5
            taking.hear(SHANGHAI)
            taking.hearing.share()
            other.hearing.share()
            assert other.status(mom.member(SHANGHAI)) is MemberStatus.ALIVE
        mom.clock.move(hours * 3600)
    ticks[0] += 15.1
    here.hearing.share()
    there.hearing.share()
    assert {one.status(mom.member(SHANGHAI)) for one in (here, there)} == {MemberStatus.DEAD}


@pytest.mark.parametrize("hours", [-7, 7])
def test_rows_of_a_node_whose_clock_is_hours_off_carry_both_times(mom: Mom, hours: int) -> None:
    mom.join(SHANGHAI)
    off = mom.clock.now + timedelta(hours=hours)
    row = NodeRow(**FIRST_VERSION, sampled_at=off.timestamp())
    beat = protocol.Heartbeat(uri=URI, nodes=(row,), report_version="", policy_epoch=0)
    reply = mom.act(protocol.HEARTBEAT, beat, ServiceCaller(SHANGHAI))
    assert protocol.HeartbeatReply.read(reply).state == "alive"
    (told,) = nodes(mom, f"user1@{SHANGHAI}")
    assert (told["time_stamp"], told["received_at"]) == (off, mom.clock.now)
    assert (told["cluster_name"], told["cluster_state"], told["node"]) == (SHANGHAI, "alive", "n1")


def nodes(mom: Mom, user: str, *, is_admin: bool = False) -> list[dict[str, object]]:
    table = NodesTable(MOM, mom.topology, mom.pulse)
    rows: list[dict[str, object]] = table.rows(wanted(user, is_admin=is_admin)).to_pylist()
    return rows


def wanted(user: str, *, is_admin: bool) -> Wanted:
    caller = make_identity(user, is_admin=is_admin)
    return Wanted(Call(identity=caller), caller, lambda _: [], None, EVERYTHING)


def test_everybody_sees_the_nodes_of_their_own_cluster_and_its_states(mom: Mom) -> None:
    for cluster in (SHANGHAI, HANGZHOU):
        mom.join(cluster)
        mom.pulse.note(cluster, (NodeRow(**FIRST_VERSION),))
    mom.pulse.note(MOM, (NodeRow(**FIRST_VERSION),))
    mom.topology.states.note()
    table = ClusterStatesTable(MOM, mom.database, mom.topology)
    for user, is_admin, seen in (
        (f"user1@{SHANGHAI}", False, [SHANGHAI]),
        (f"chief@{HANGZHOU}", True, [HANGZHOU]),
        (f"clerk@{MOM}", False, [MOM]),
        (f"admin@{MOM}", True, [HANGZHOU, MOM, SHANGHAI]),
    ):
        assert [row["cluster_name"] for row in nodes(mom, user, is_admin=is_admin)] == sorted(seen)
        rows = table.rows(wanted(user, is_admin=is_admin))
        assert set(rows["cluster_name"].to_pylist()) == set(seen) - {MOM}
    mom.change_members("remove", SHANGHAI)
    assert not nodes(mom, f"user1@{SHANGHAI}")


def test_changes_of_state_are_noted_once_with_their_time(mom: Mom) -> None:
    note = mom.topology.states.note
    mom.add(SHANGHAI)
    note()
    mom.join(SHANGHAI)
    for seconds in (0, 1, 7, 1, 8, 1):
        mom.clock.move(seconds)
        note()
    mom.beat(SHANGHAI)
    note()
    mom.change_members("suspend", SHANGHAI)
    mom.change_members("resume", SHANGHAI)
    assert states(mom) == ["alive", "suspect", "dead", "alive", "suspended", "alive"]
    rows = ClusterStatesTable(MOM, mom.database, mom.topology).rows(
        wanted(f"admin@{MOM}", is_admin=True)
    )
    since, until = rows["since"].to_pylist(), rows["until"].to_pylist()
    assert until == [*since[1:], None]
    assert (since[3] - since[2]).total_seconds() == 9
    member = mom.member(SHANGHAI)
    assert mom.topology.state_since(member, mom.topology.status(member)) == mom.clock.now


def test_states_last_over_a_restart_and_nothing_is_noted_until_it_is_known(mom: Mom) -> None:
    mom.join(SHANGHAI)
    mom.topology.states.note()
    mom.clock.move(16)
    mom.topology.states.note()
    again = Topology(MOM, mom.database, mom.settings.heartbeat, mom.clock, mom.clock.ticks)
    # Counted as alive for the time being, which is no change of its state.
    assert again.status(mom.member(SHANGHAI)) is MemberStatus.ALIVE
    again.states.note()
    assert states(mom) == ["alive", "dead"]
    died_at = mom.clock.now
    mom.clock.move(16)
    again.states.note()
    assert states(mom) == ["alive", "dead"]
    assert again.state_since(mom.member(SHANGHAI), MemberStatus.DEAD) == died_at
    again.hear(SHANGHAI)
    again.states.note()
    assert states(mom) == ["alive", "dead", "alive"]


def test_two_replicas_note_one_change_once(mom: Mom) -> None:
    mom.join(SHANGHAI)
    other = Topology(MOM, mom.database, mom.settings.heartbeat, mom.clock, mom.clock.ticks)
    other.hear(SHANGHAI)
    for _ in range(2):
        for topology in (mom.topology, other):
            topology.states.note()
        mom.clock.move(16)
    assert states(mom) == ["alive", "dead"]


def kept(mom: Mom) -> list[str]:
    with mom.database.read() as connection:
        return [one.state for one in MemberStateStore(connection).all([SHANGHAI])]


def test_states_that_ended_long_ago_are_forgotten_and_the_last_one_stays(mom: Mom) -> None:
    mom.join(SHANGHAI)
    for _ in range(3):
        mom.topology.states.note()
        mom.clock.move(10)
    mom.topology.states.forget_before(mom.clock.now)
    assert kept(mom) == ["dead"]


def test_member_that_is_added_again_under_a_name_has_no_history(mom: Mom) -> None:
    mom.join(SHANGHAI)
    mom.topology.states.note()
    mom.change_members("remove", SHANGHAI)
    assert kept(mom) == []
    mom.clock.move(1)
    mom.add(SHANGHAI)
    mom.topology.states.note()
    assert kept(mom) == ["joining"]


def test_member_that_joins_again_under_a_name_has_no_older_rows(mom: Mom) -> None:
    mom.join(SHANGHAI)
    mom.pulse.note(SHANGHAI, (NodeRow(**FIRST_VERSION),))
    assert nodes(mom, f"user1@{SHANGHAI}")
    mom.change_members("remove", SHANGHAI)
    mom.clock.move(1)
    mom.join(SHANGHAI)
    assert not nodes(mom, f"user1@{SHANGHAI}")
