"""Owning is an ALLOW of everything that never ends; grants decide beside it as they do alone."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from auth import Access, Allowed, Effect, Grant, GrantSet, HomeRules, Privilege
from storage.names import Level, ObjectName
from tests.auth.factories import NOW, later, make_grant, make_identity

CLUSTER = "hangzhou"
OWNER = make_identity("owner@hangzhou", ["analysts"])
OTHER = make_identity("user1@hangzhou", ["analysts"])
NAMESAKE = make_identity("owner@shanghai", ["analysts"])
NAMES = [
    ObjectName(CLUSTER, catalog, schema, table)
    for catalog in ("a", "ab")
    for schema in ("s", "s2")
    for table in ("t", "t2")
]
PLACES = sorted({place for name in NAMES for place in name.ancestors()})
OWNABLE = [place for place in PLACES if place.level is not Level.CLUSTER]
READING_OR_WRITING = (Access.READ, Access.WRITE)


def rule(place: ObjectName, access: Access, effect: Effect = Effect.ALLOW) -> Grant:
    made = make_grant("GROUP analysts@hangzhou", str(place), effect)
    return replace(made, privilege=Privilege.for_level(place.level, access))


grants = st.builds(
    rule,
    st.sampled_from(PLACES),
    st.sampled_from(READING_OR_WRITING),
    st.sampled_from(list(Effect)),
)


@pytest.mark.parametrize("owned", OWNABLE, ids=str)
@pytest.mark.parametrize("access", READING_OR_WRITING)
def test_an_owner_may_do_everything_with_what_is_theirs_and_below(
    owned: ObjectName, access: Access
) -> None:
    rules = HomeRules(owners=[(owned, OWNER.name)])
    for name in PLACES:
        decision = rules.decide(OWNER, name, NOW, access)
        assert decision.is_allowed is owned.covers(name)
        if owned.covers(name):
            assert decision == Allowed(reason=f"owner@hangzhou owns {owned}")
        for other in (OTHER, NAMESAKE):
            assert not rules.decide(other, name, NOW, access).is_allowed
            assert rules.owned(other, name) is None


@pytest.mark.parametrize("access", READING_OR_WRITING)
@pytest.mark.parametrize("wider", list(NAMES[0].ancestors()), ids=str)
def test_a_denial_binds_an_owner_for_its_own_access_alone(
    wider: ObjectName, access: Access
) -> None:
    deny = rule(wider, access, Effect.DENY)
    rules = HomeRules(GrantSet([deny]), [(NAMES[0], OWNER.name)])
    for asked in READING_OR_WRITING:
        decision = rules.decide(OWNER, NAMES[0], NOW, asked)
        assert decision.is_allowed is (asked is not access)
    assert rules.owned(OWNER, NAMES[0]) == NAMES[0]
    ended = HomeRules(GrantSet([replace(deny, until=later(0))]), [(NAMES[0], OWNER.name)])
    assert ended.decide(OWNER, NAMES[0], NOW, access).is_allowed


def test_what_is_owned_does_not_end_with_a_grant() -> None:
    ending = replace(rule(NAMES[0], Access.READ), until=later(10))
    decision = HomeRules(GrantSet([ending]), [(NAMES[0], OWNER.name)]).decide(OWNER, NAMES[0], NOW)
    assert decision.is_allowed
    assert decision.grant is None


@settings(max_examples=300, deadline=None)
@given(
    held=st.lists(grants, max_size=6),
    owned=st.sets(st.sampled_from(OWNABLE), max_size=3),
    access=st.sampled_from(READING_OR_WRITING),
)
def test_owning_decides_as_a_grant_of_the_same_would(
    held: list[Grant], owned: set[ObjectName], access: Access
) -> None:
    rules = HomeRules(GrantSet(held), [(name, OWNER.name) for name in owned])
    same = GrantSet([*held, *(rule(name, access) for name in owned)])
    without = HomeRules(GrantSet(held))
    for name in PLACES:
        wanted = same.decide(OWNER, name, NOW, access).is_allowed
        assert rules.decide(OWNER, name, NOW, access).is_allowed is wanted
        assert rules.decide(OTHER, name, NOW, access) == without.decide(OTHER, name, NOW, access)
    may_read, places = rules.reader(OWNER, NOW), rules.places(OWNER, NOW)
    for name in NAMES:
        assert may_read(name) is rules.decide(OWNER, name, NOW).is_allowed
        assert not may_read(name) or any(place.covers(name) for place in places)
    assert not any(one != two and one.covers(two) for one in places for two in places)
