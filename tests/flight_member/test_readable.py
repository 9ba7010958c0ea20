"""Listing what may be read: the same answers as deciding one by one, and no look at the rest."""

from types import MappingProxyType

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from auth import Effect, Grant, GrantSet, HomeRules, Principal, Privilege
from flight_member.gatekeeper import Gatekeeper
from flight_member.memberstate import MemberSnapshot
from storage.metastore import Metastore
from storage.names import Level, ObjectName
from tests.flight_member.factories import NOW, make_identity
from tests.flight_member.listed import make_listed

CLUSTER = "shanghai"
NAMES = [
    ObjectName(CLUSTER, catalog, schema, table)
    for catalog in ("a", "ab", "b")
    for schema in ("s", "s2")
    for table in ("t", "t2")
]
PLACES = sorted({place for name in NAMES for place in name.ancestors()})
METASTORE = Metastore(CLUSTER, 1, [make_listed(str(name)).table for name in NAMES])
PRIVILEGES = {
    Level.CLUSTER: Privilege.CATALOG_READ,
    Level.CATALOG: Privilege.CATALOG_READ,
    Level.SCHEMA: Privilege.SCHEMA_READ,
    Level.TABLE: Privilege.TABLE_READ,
}


def make_rules(held: list[tuple[ObjectName, Effect]]) -> GrantSet:
    return GrantSet(
        Grant(
            id=number,
            principal=Principal.parse("user1@shanghai"),
            effect=effect,
            privilege=PRIVILEGES[place.level],
            securable=place,
            granted_by="terminal",
            granted_at=NOW,
        )
        for number, (place, effect) in enumerate(held)
    )


@pytest.mark.parametrize("place", [None, *PLACES], ids=str)
def test_below_a_place_lie_the_tables_that_it_covers(place: ObjectName | None) -> None:
    below = [table.name for table in METASTORE.below(place)]
    assert below == [name for name in sorted(NAMES) if place is None or place.covers(name)]


def test_below_a_place_that_is_not_there_lies_nothing() -> None:
    assert METASTORE.below(ObjectName(CLUSTER, "aa")) == ()
    assert METASTORE.below(ObjectName(CLUSTER, "b", "s", "t9")) == ()


@settings(max_examples=200, deadline=None)
@given(
    held=st.lists(st.tuples(st.sampled_from(PLACES), st.sampled_from(list(Effect))), max_size=6),
    owned=st.sets(st.sampled_from([place for place in PLACES if place.catalog]), max_size=2),
    parent=st.none() | st.sampled_from(PLACES),
)
def test_what_is_listed_is_what_would_be_allowed(
    held: list[tuple[ObjectName, Effect]], owned: set[ObjectName], parent: ObjectName | None
) -> None:
    caller = make_identity()
    rules = HomeRules(make_rules(held), [(place, caller.name) for place in owned])
    snapshot = MemberSnapshot(METASTORE, MappingProxyType({}), rules)
    gatekeeper = Gatekeeper(lambda: snapshot, None, lambda: NOW)  # type: ignore[arg-type]  # listings are not audited
    listed = [table.name for table in gatekeeper.readable(caller, [METASTORE], parent)]
    assert listed == [
        name
        for name in sorted(NAMES)
        if gatekeeper.may_read(caller, name) and (parent is None or parent.covers(name))
    ]
