from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from auth import (
    Access,
    Denied,
    Effect,
    Grant,
    GrantSet,
    Identity,
    Principal,
    Privilege,
    UnsupportedGrantError,
    check_cross_cluster,
)
from storage.names import Level, ObjectName
from tests.auth.factories import NOW, QUOTE, later, make_grant, make_identity

A, D = Effect.ALLOW, Effect.DENY
MOM_GROUPS = {"traders": frozenset({"user1@shanghai", "user9@beijing"})}

ANALYST = make_identity("user1@shanghai", ["analysts"])
PLAIN = make_identity("user2@shanghai")
NAMESAKE = make_identity("user1@beijing", ["analysts"])
IMPOSTOR = make_identity("user3@shanghai", ["traders"])

TABLE = "trading.stock.quote@hangzhou"
SIBLING = "trading.stock.trade@hangzhou"
OTHER_SCHEMA = "trading.bond.quote@hangzhou"
OTHER_CATALOG = "research.stock.quote@hangzhou"
OTHER_CLUSTER = "trading.stock.quote@beijing"
SCHEMA, CATALOG, CLUSTER = "trading.stock@hangzhou", "trading@hangzhou", "*@hangzhou"
TABLES = (TABLE, SIBLING, OTHER_SCHEMA, OTHER_CATALOG, OTHER_CLUSTER)

# identity x privilege (by its securable) x table -> who reads what by one ALLOW.
COVERED = {
    TABLE: {TABLE},
    SCHEMA: {TABLE, SIBLING},
    CATALOG: {TABLE, SIBLING, OTHER_SCHEMA},
    CLUSTER: {TABLE, SIBLING, OTHER_SCHEMA, OTHER_CATALOG},
}
HELD = {
    "user1@shanghai": [ANALYST],
    "GROUP analysts@shanghai": [ANALYST],
    "GROUP traders": [ANALYST],
    "user2@shanghai": [PLAIN],
    "GROUP analysts@beijing": [NAMESAKE],
    "GROUP traders@shanghai": [IMPOSTOR],
    "user9@beijing": [],
    "GROUP nobody@shanghai": [],
    "GROUP nobody": [],
}


def decide(
    grants: Sequence[Grant],
    identity: Identity = ANALYST,
    table: str = TABLE,
    now: datetime = NOW,
) -> bool:
    rules = GrantSet(grants, 1, MOM_GROUPS)
    name = ObjectName.parse(table)
    decision = rules.decide(identity, name, now)
    assert rules.reader(identity, now)(name) is decision.is_allowed
    is_within = any(place.covers(name) for place in rules.places(identity, now))
    assert is_within or not decision.is_allowed
    return decision.is_allowed


@pytest.mark.parametrize("identity", [ANALYST, PLAIN, NAMESAKE, IMPOSTOR], ids=lambda i: i.name)
@pytest.mark.parametrize("securable", list(COVERED))
@pytest.mark.parametrize("principal", list(HELD))
def test_an_allow_opens_what_it_covers_to_who_holds_it_and_a_deny_closes_it(
    identity: Identity, securable: str, principal: str
) -> None:
    allow = make_grant(principal, securable, A)
    deny = make_grant(principal, securable, D)
    everything = [make_grant(identity.name, f"*@{name}") for name in ("hangzhou", "beijing")]
    for table in TABLES:
        applies = identity in HELD[principal] and table in COVERED[securable]
        assert decide([allow], identity, table) is applies
        assert decide([deny], identity, table) is False
        assert decide([*everything, deny], identity, table) is not applies


@pytest.mark.parametrize(
    "grants, expected",
    [
        ([], False),
        ([(A, TABLE)], True),
        ([(D, TABLE)], False),
        ([(A, TABLE), (D, TABLE)], False),
        ([(A, TABLE), (D, SCHEMA)], False),
        ([(A, TABLE), (D, CATALOG)], False),
        ([(A, TABLE), (D, CLUSTER)], False),
        ([(A, CLUSTER), (D, TABLE)], False),
        ([(A, SCHEMA), (A, CATALOG), (A, CLUSTER)], True),
        ([(A, CLUSTER), (A, CATALOG), (A, SCHEMA), (D, TABLE)], False),
        ([(A, SCHEMA), (D, SIBLING)], True),
        ([(A, CLUSTER), (D, OTHER_CATALOG.rsplit(".", 2)[0] + "@hangzhou")], True),
        ([(D, OTHER_CLUSTER), (A, TABLE)], True),
    ],
)
def test_any_deny_wins_over_any_allow(grants: list[tuple[Effect, str]], expected: bool) -> None:
    made = [make_grant(on=on, effect=effect) for effect, on in grants]
    assert decide(made) is expected
    assert decide(made[::-1]) is expected


@pytest.mark.parametrize("securable", list(COVERED))
@pytest.mark.parametrize("given", list(Access))
@pytest.mark.parametrize("asked", list(Access))
def test_grants_of_one_access_neither_allow_nor_deny_another(
    securable: str, given: Access, asked: Access
) -> None:
    place = ObjectName.parse(securable)
    if given is Access.USAGE and place.level is not Level.SCHEMA:
        return
    privilege = Privilege.for_level(place.level, given)
    allow = replace(make_grant(on=securable), privilege=privilege)
    deny = replace(allow, effect=D)
    for table in map(ObjectName.parse, TABLES):
        applies = str(table) in COVERED[securable]
        is_asked = given is asked
        rules = GrantSet([allow])
        assert rules.decide(ANALYST, table, NOW, asked).is_allowed is (applies and is_asked)
        assert rules.reader(ANALYST, NOW)(table) is (applies and given is Access.READ)
        rules = GrantSet([allow, deny])
        assert rules.decide(ANALYST, table, NOW, asked).is_allowed is False
        everything = [
            replace(make_grant(on=f"*@{table.cluster}"), privilege=wide)
            for wide in (Privilege.CATALOG_READ, Privilege.CATALOG_WRITE)
        ]
        rules = GrantSet([*everything, deny])
        if asked is not Access.USAGE:
            is_denied = applies and is_asked
            assert rules.decide(ANALYST, table, NOW, asked).is_allowed is not is_denied
    assert bool(GrantSet([allow]).places(ANALYST, NOW)) is (given is Access.READ)
    assert (GrantSet([deny]).useless(allow, NOW) is None) is False


def test_a_deny_to_a_group_wins_over_an_allow_to_the_user_and_the_other_way_round() -> None:
    for group in ("GROUP analysts@shanghai", "GROUP traders"):
        assert not decide([make_grant(effect=A), make_grant(group, effect=D)])
        assert not decide([make_grant(effect=D), make_grant(group, effect=A)])


def test_a_group_of_the_federation_is_not_a_members_group_of_that_name() -> None:
    to_federation, to_member = make_grant("GROUP traders"), make_grant("GROUP traders@shanghai")
    assert decide([to_federation], ANALYST)
    assert not decide([to_federation], IMPOSTOR)
    assert decide([to_member], IMPOSTOR)
    assert not decide([to_member], ANALYST)


def test_a_grant_ends_at_its_until_and_not_before() -> None:
    allow = make_grant(until=later(10))
    assert decide([allow], now=later(9.999999))
    assert not decide([allow], now=later(10))
    deny = make_grant(effect=D, until=later(10))
    for_ever = make_grant(on=SCHEMA)
    assert not decide([for_ever, deny], now=later(9.999999))
    assert decide([for_ever, deny], now=later(10))


def test_names_are_compared_without_case() -> None:
    grant = make_grant("USER1@Shanghai", "Trading.STOCK.Quote@HangZhou")
    assert decide([grant])
    assert decide([make_grant("group ANALYSTS@SHANGHAI")])


def test_a_denied_decision_names_the_widest_deny() -> None:
    denies = [make_grant(on=on, effect=D) for on in (TABLE, CATALOG, SCHEMA)]
    decision = GrantSet(denies).decide(ANALYST, QUOTE, NOW)
    assert isinstance(decision, Denied)
    assert decision.grant == denies[1]
    assert decision.rule == "DENY CATALOG_READ ON trading@hangzhou TO user1@shanghai"


def test_a_decision_without_a_grant_says_so() -> None:
    assert GrantSet().decide(ANALYST, QUOTE, NOW) == Denied("no grant allows it", None)


def test_an_allowed_decision_names_the_narrowest_allow() -> None:
    decision = GrantSet([make_grant(on=CATALOG), make_grant()]).decide(ANALYST, QUOTE, NOW)
    assert decision.is_allowed
    assert decision.rule == f"ALLOW TABLE_READ ON {TABLE} TO user1@shanghai"


GRANTS = st.builds(
    make_grant,
    st.sampled_from(list(HELD)),
    st.sampled_from([*COVERED, SIBLING, OTHER_SCHEMA, OTHER_CLUSTER]),
    st.sampled_from(list(Effect)),
    st.none() | st.sampled_from([later(-1), later(1)]),
    st.integers(1, 9),
)


def decide_by_definition(
    grants: Sequence[Grant], identity: Identity, table: ObjectName, now: datetime
) -> bool:
    """The rule as the specification words it, without an index."""
    mine = set(identity.principals(MOM_GROUPS))
    applying = {
        grant.effect
        for grant in grants
        if grant.principal in mine and grant.securable.covers(table) and grant.holds_at(now)
    }
    return applying == {A}


@settings(max_examples=400, deadline=None)
@given(
    st.lists(GRANTS, max_size=12).flatmap(lambda g: st.tuples(st.just(g), st.permutations(g))),
    st.sampled_from([ANALYST, PLAIN, NAMESAKE, IMPOSTOR]),
    st.sampled_from(TABLES),
)
def test_the_decision_and_its_rule_do_not_depend_on_the_order_of_grants(
    orders: tuple[list[Grant], list[Grant]], identity: Identity, table: str
) -> None:
    name = ObjectName.parse(table)
    first, second = (GrantSet(grants, 1, MOM_GROUPS) for grants in orders)
    decision = first.decide(identity, name, NOW)
    assert decision == second.decide(identity, name, NOW)
    assert decision.is_allowed is decide_by_definition(orders[0], identity, name, NOW)
    assert decide(orders[0], identity, table) is decision.is_allowed


@settings(max_examples=200, deadline=None)
@given(st.lists(GRANTS, max_size=8), GRANTS)
def test_one_more_deny_never_opens_and_one_more_allow_never_closes(
    grants: list[Grant], more: Grant
) -> None:
    before = {table for table in TABLES if decide(grants, table=table)}
    after = {table for table in TABLES if decide([*grants, more], table=table)}
    assert after <= before if more.effect is D else after >= before


@settings(max_examples=200, deadline=None)
@given(st.lists(GRANTS, max_size=8), st.lists(GRANTS, max_size=4), st.lists(GRANTS, max_size=4))
def test_an_updated_set_decides_like_one_made_anew(
    start: list[Grant], added: list[Grant], removed: list[Grant]
) -> None:
    base = GrantSet({grant.key: grant for grant in start}.values(), 1, MOM_GROUPS)
    count = len(base)
    updated = base.updated(2, added=added, removed=removed)
    expected = {grant.key: grant for grant in start}
    for grant in removed:
        expected.pop(grant.key, None)
    expected |= {grant.key: grant for grant in added}
    assert {grant.key: grant for grant in updated} == expected
    assert len(updated) == len(expected)
    assert (updated.epoch, base.epoch, len(base)) == (2, 1, count)
    assert updated.mom_groups == MOM_GROUPS


@pytest.mark.parametrize(
    "deny_to, deny_on, is_useless",
    [
        ("user1@shanghai", TABLE, True),
        ("user1@shanghai", SCHEMA, True),
        ("user1@shanghai", CATALOG, True),
        ("user1@shanghai", CLUSTER, True),
        ("user1@shanghai", SIBLING, False),
        ("user1@shanghai", OTHER_SCHEMA, False),
        ("user2@shanghai", TABLE, False),
        ("GROUP traders", SCHEMA, True),
        ("GROUP analysts@shanghai", SCHEMA, False),
    ],
)
def test_an_allow_under_a_deny_is_useless(deny_to: str, deny_on: str, is_useless: bool) -> None:
    deny = make_grant(deny_to, deny_on, D)
    rules = GrantSet([deny], 1, MOM_GROUPS)
    assert rules.useless(make_grant(), NOW) == (deny if is_useless else None)
    assert rules.useless(make_grant(effect=D), NOW) is None


def test_an_allow_is_useless_by_a_home_group_that_is_known_and_not_after_the_deny_ends() -> None:
    deny = make_grant("GROUP analysts@shanghai", effect=D, until=later(10))
    rules, groups = GrantSet([deny]), [Principal("group", "analysts", "shanghai")]
    assert rules.useless(make_grant(), NOW, groups) == deny
    assert rules.useless(make_grant(), later(10), groups) is None


def test_a_wide_allow_above_a_narrow_deny_is_not_useless() -> None:
    assert GrantSet([make_grant(effect=D)]).useless(make_grant(on=SCHEMA), NOW) is None


def test_grants_are_found_by_principal_by_caller_and_by_securable() -> None:
    mine, group, other = make_grant(), make_grant("GROUP traders"), make_grant("user2@shanghai")
    rules = GrantSet([other, group, mine], 1, MOM_GROUPS)
    assert rules.for_principal(Principal.parse("user1@shanghai")) == [mine]
    assert rules.for_identity(ANALYST) == sorted([group, mine], key=str)
    assert set(rules.on_securable(QUOTE)) == {mine, group, other}
    assert rules.on_securable(ObjectName.parse(SCHEMA)) == []
    assert set(rules) == {mine, group, other}


@pytest.mark.parametrize("privilege", list(Privilege))
@pytest.mark.parametrize("on", [TABLE, SCHEMA, CATALOG, CLUSTER])
def test_a_privilege_is_granted_on_its_own_level_only(privilege: Privilege, on: str) -> None:
    securable = ObjectName.parse(on)
    principal = Principal.parse("user1@shanghai")
    levels = {"TABLE": [TABLE], "SCHEMA": [SCHEMA], "CATALOG": [CATALOG, CLUSTER]}
    if on in levels[privilege.partition("_")[0]]:
        assert Grant(1, principal, A, privilege, securable, "admin@mom", NOW)
    else:
        of_schemas = privilege is Privilege.SCHEMA_USAGE
        kind = securable.level.value.upper().replace("CLUSTER", "CATALOG")
        instead = "name a schema" if of_schemas else f"write {kind}_{privilege.access}"
        with pytest.raises(UnsupportedGrantError, match=instead):
            Grant(1, principal, A, privilege, securable, "admin@mom", NOW)


def test_every_level_has_its_privilege() -> None:
    assert {level: Privilege.for_level(level) for level in Level} == {
        Level.TABLE: Privilege.TABLE_READ,
        Level.SCHEMA: Privilege.SCHEMA_READ,
        Level.CATALOG: Privilege.CATALOG_READ,
        Level.CLUSTER: Privilege.CATALOG_READ,
    }
    assert {level: Privilege.for_level(level, Access.WRITE) for level in Level} == {
        Level.TABLE: Privilege.TABLE_WRITE,
        Level.SCHEMA: Privilege.SCHEMA_WRITE,
        Level.CATALOG: Privilege.CATALOG_WRITE,
        Level.CLUSTER: Privilege.CATALOG_WRITE,
    }
    assert Privilege.for_level(Level.SCHEMA, Access.USAGE) is Privilege.SCHEMA_USAGE


def test_other_privileges_are_refused_with_those_that_there_are() -> None:
    assert Privilege.parse("table_read") is Privilege.TABLE_READ
    known = "these can: TABLE_READ, SCHEMA_READ, CATALOG_READ$"
    for other in ("TABLE_WRITE", "SCHEMA_USAGE", "CATALOG_WRITE", "TABLE_OWN"):
        with pytest.raises(UnsupportedGrantError, match=known):
            Privilege.parse(other)


def test_the_federation_does_not_rule_over_a_clusters_own_users() -> None:
    check_cross_cluster(Principal.parse("user1@shanghai"), QUOTE)
    check_cross_cluster(Principal.parse("GROUP traders"), QUOTE)
    for principal in ("user1@hangzhou", "GROUP analysts@hangzhou"):
        with pytest.raises(UnsupportedGrantError, match="home rules apply"):
            check_cross_cluster(Principal.parse(principal), QUOTE)


def test_places_are_the_widest_that_an_allow_names_and_none_lies_in_another() -> None:
    made = [make_grant(on=on) for on in (TABLE, SCHEMA, OTHER_SCHEMA, OTHER_CLUSTER)]
    ended = make_grant(on=CLUSTER, until=NOW)
    denied = make_grant(on=OTHER_CATALOG, effect=D)
    rules = GrantSet([*made, ended, denied], 1, MOM_GROUPS)
    assert list(map(str, rules.places(ANALYST, NOW))) == [OTHER_CLUSTER, OTHER_SCHEMA, SCHEMA]
    assert rules.places(NAMESAKE, NOW) == []
