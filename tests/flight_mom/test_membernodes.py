"""Where the MoM sends a member's tickets: to whom it may, and to whom has least to do."""

from flight_member import protocol
from flight_member.authority import ServiceCaller
from flight_member.nodes import Nodes
from flight_mom.membernodes import MemberNodes
from tests.flight_member.factories import HANGZHOU
from tests.flight_member.test_nodes import make_row
from tests.flight_mom.factories import URI, Mom

INTERVAL_S = 5.0


def names(mom: Mom) -> list[str]:
    member = mom.member(HANGZHOU)
    return sorted(one.name for one in mom.topology.nodes.order(member))


def beat(mom: Mom, *rows: object) -> None:
    message = protocol.Heartbeat(uri=URI, nodes=rows, report_version="", policy_epoch=0)
    mom.act(protocol.HEARTBEAT, message, ServiceCaller(HANGZHOU))


def test_nodes_of_a_heartbeat_get_tickets_where_the_administrator_named_their_host(
    mom: Mom,
) -> None:
    mom.join(HANGZHOU)
    assert names(mom) == [HANGZHOU]
    beat(
        mom,
        make_row(HANGZHOU, mode="single"),
        make_row("n1"),
        make_row("n2", uri="grpc://10.0.0.9:4000"),
        make_row("n3", uri="http://127.0.0.1:4000"),
        make_row("n4", state="draining"),
        make_row("n5", state="lost"),
    )
    assert names(mom) == [HANGZHOU, "n1"]
    beat(mom, make_row(HANGZHOU, mode="single"))
    assert names(mom) == [HANGZHOU]


def test_least_loaded_comes_first_and_one_that_was_not_reached_not_at_all(mom: Mom) -> None:
    member = mom.join(HANGZHOU)
    ticks = [0.0]
    nodes = MemberNodes(INTERVAL_S, lambda: ticks[0])
    rows = [make_row("n1", running=9), make_row("n2", running=1)]
    nodes.note(HANGZHOU, make_row(HANGZHOU, running=5, mode="single"), rows)
    order = nodes.order(member)
    assert [one.name for one in order] == ["n2", HANGZHOU, "n1"]
    assert [one.audience for one in order] == [f"{HANGZHOU}/n2", HANGZHOU, f"{HANGZHOU}/n1"]
    nodes.avoid(order[0])
    assert [one.name for one in nodes.order(member)] == [HANGZHOU, "n1"]
    ticks[0] += 3 * INTERVAL_S
    assert nodes.order(member)[0].name == "n2"
    # The controller is there even when it was not reached: nobody else speaks for the member.
    nodes.avoid(order[1])
    assert HANGZHOU in {one.name for one in nodes.order(member)}


def test_a_node_is_lost_when_its_member_says_so(mom: Mom) -> None:
    member = mom.join(HANGZHOU)
    nodes = MemberNodes(INTERVAL_S)
    nodes.note(HANGZHOU, None, [make_row("n1"), make_row("n2")])
    addresses = {one.name: one for one in nodes.order(member)}
    nodes.note(HANGZHOU, None, [make_row("n1", state="lost"), make_row("n2", state="draining")])
    assert nodes.is_lost(addresses["n1"])
    assert not nodes.is_lost(addresses["n2"])
    assert not nodes.is_lost(addresses[HANGZHOU])


def test_what_was_given_counts_until_the_node_must_have_said_so(mom: Mom) -> None:
    member = mom.join(HANGZHOU)
    ticks = [100.0]
    nodes = MemberNodes(INTERVAL_S, lambda: ticks[0])
    nodes.note(HANGZHOU, make_row(HANGZHOU, running=1, mode="single"), [make_row("n1")])
    assert nodes.order(member)[0].name == "n1"
    # What the member tells now, it may have heard before that.
    nodes.note(HANGZHOU, make_row(HANGZHOU, running=1, mode="single"), [make_row("n1")])
    chosen = [nodes.order(member)[0].name for _ in range(2)]
    assert sorted(chosen) == sorted([HANGZHOU, "n1"])


def test_registry_of_the_member_tells_what_the_mom_takes_in(mom: Mom) -> None:
    mom.join(HANGZHOU)
    nodes = Nodes(HANGZHOU, INTERVAL_S, lambda: 0)
    nodes.hear(make_row("n1"))
    beat(mom, *nodes.rows())
    assert names(mom) == [HANGZHOU, "n1"]
