"""Where the parts of a result are read: each at its own node, and at another when that is gone."""

from hypothesis import given
from hypothesis import strategies as st

from flight_member.resultparts import part_locations, parts_of
from flight_sql import REUSE_CONNECTION

NAMES = st.lists(st.text("abcn123_", min_size=1, max_size=6), min_size=1, max_size=6, unique=True)


def places_of(names: list[str]) -> dict[str, str]:
    return {name: f"grpc://{name}:1" for name in names}


@given(NAMES)
def test_each_part_has_a_place_of_its_own_first_and_all_others_after(names: list[str]) -> None:
    parts = parts_of(places_of(names))
    assert {places[0] for places in parts.values()} == set(places_of(names).values())
    for name, places in parts.items():
        assert places[0] == f"grpc://{name}:1"
        assert set(places) == {*places_of(names).values(), REUSE_CONNECTION}
        assert places[-1] == REUSE_CONNECTION
        assert len(set(places)) == len(places)


@given(NAMES, st.data())
def test_part_of_a_node_that_is_gone_is_read_at_one_that_is_there(
    names: list[str], data: st.DataObject
) -> None:
    gone = data.draw(st.sampled_from(names))
    left = places_of([name for name in names if name != gone])
    places = part_locations(gone, left)
    assert set(places) == {*left.values(), REUSE_CONNECTION}


def test_parts_of_several_nodes_that_are_gone_do_not_all_go_to_one() -> None:
    left = places_of(["b", "d"])
    assert part_locations("a", left)[0] != part_locations("c", left)[0]


def test_the_connection_that_is_there_may_be_a_parts_own_place() -> None:
    places = {"shanghai": REUSE_CONNECTION, "n1": "grpc://n1:1"}
    assert parts_of(places) == {
        "n1": ("grpc://n1:1", REUSE_CONNECTION),
        "shanghai": (REUSE_CONNECTION, "grpc://n1:1"),
    }
