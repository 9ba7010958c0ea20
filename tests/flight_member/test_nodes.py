"""Who of a cluster's nodes lives, and who gets the next statement."""

from collections import Counter

from flight_member.noderow import NodeRow
from flight_member.nodes import Nodes
from tests.flight_member.factories import HANGZHOU

_INTERVAL_S = 5.0


class Ticks:
    """A clock that goes on when it is told to."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def make_row(node: str, running: int = 0, **changes: object) -> NodeRow:
    row = NodeRow(
        node=node,
        uri=f"grpc://127.0.0.1:4000{node[-1]}",
        mode="node",
        is_leader=False,
        cpu_percent=0,
        load_1m=0,
        memory_used_bytes=0,
        memory_total_bytes=0,
        disk_total_bytes=0,
        disk_free_bytes=0,
        running_statements=running,
        queued_statements=0,
    )
    return row.model_copy(update=changes)


def make_nodes(ticks: Ticks, busy: int = 0) -> Nodes:
    return Nodes(HANGZHOU, _INTERVAL_S, lambda: busy, ticks)


def names(nodes: Nodes) -> list[str]:
    return [one.name for one in nodes.live()]


def test_a_controller_alone_is_the_one_node() -> None:
    nodes = make_nodes(Ticks(), busy=2)
    nodes.uri = "grpc://127.0.0.1:4000"
    (own,) = nodes.live()
    assert (own.name, own.uri, own.running, own.is_controller) == (HANGZHOU, nodes.uri, 2, True)
    assert nodes.choose() == [own]


def test_a_silent_node_is_lost_within_three_heartbeats_and_not_after_two() -> None:
    ticks = Ticks()
    nodes = make_nodes(ticks)
    nodes.hear(make_row("n1", running=3))
    ticks.now += 2 * _INTERVAL_S
    assert names(nodes) == [HANGZHOU, "n1"]
    ticks.now += _INTERVAL_S
    assert names(nodes) == [HANGZHOU]
    assert nodes.lost() == {"n1"}
    (row,) = nodes.rows()
    assert (row.state, row.running_statements) == ("lost", 0)
    assert nodes.hear(make_row("n1"))
    assert names(nodes) == [HANGZHOU, "n1"]


def test_news_is_a_new_state_or_a_new_address_only() -> None:
    nodes = make_nodes(Ticks())
    assert nodes.hear(make_row("n1"))
    assert not nodes.hear(make_row("n1", running=4))
    assert nodes.hear(make_row("n1", state="draining"))
    assert nodes.hear(make_row("n1", state="draining", uri="grpc://127.0.0.1:5"))


def test_a_draining_node_lives_and_gets_nothing() -> None:
    nodes = make_nodes(Ticks(), busy=50)
    nodes.hear(make_row("n1", state="draining"))
    nodes.hear(make_row("n2", state="waiting"))
    assert names(nodes) == [HANGZHOU, "n1"]
    assert [one.name for one in nodes.choose()] == [HANGZHOU]


def test_the_least_loaded_gets_the_next_and_what_was_given_counts() -> None:
    nodes = make_nodes(Ticks(), busy=5)
    nodes.hear(make_row("n1", running=4))
    nodes.hear(make_row("n2", running=1))
    chosen = [nodes.choose()[0].name for _ in range(3)]
    assert chosen == ["n2"] * 3
    assert [one.name for one in nodes.choose()][2:] == [HANGZHOU]
    # What it says that it runs is what it was given.
    nodes.hear(make_row("n2", running=1))
    assert nodes.choose()[0].name == "n2"


def test_of_equals_each_gets_its_part() -> None:
    nodes = make_nodes(Ticks())
    for node in ("n1", "n2"):
        nodes.hear(make_row(node))
    counted = Counter(nodes.choose()[0].name for _ in range(300))
    assert set(counted.values()) == {100}


def test_a_node_that_does_not_fit_is_not_chosen_but_the_controller_always_is() -> None:
    nodes = make_nodes(Ticks(), busy=9)
    nodes.hear(make_row("n1"))
    assert [one.name for one in nodes.choose(lambda _: False)] == [HANGZHOU]


def test_a_node_that_left_is_not_known() -> None:
    nodes = make_nodes(Ticks())
    nodes.hear(make_row("n1"))
    nodes.forget("n1")
    assert names(nodes) == [HANGZHOU]
    assert nodes.rows() == ()
    assert not nodes.lost()
