from itertools import product

import pytest

from auth import VISITORS, Effect, Grant, GrantSet, Principal, UnsupportedGrantError, VisitorRules
from auth.vetoes import check_veto
from storage.names import ObjectName
from tests.auth.factories import NOW, later, make_grant, make_identity

QUOTE = ObjectName.parse("trading.stock.quote@hangzhou")
VISITOR = make_identity(groups=("analysts",))


def rules(*vetoes: Grant, grants: tuple[Grant, ...] = ()) -> VisitorRules:
    allowed = (make_grant(on="*@hangzhou"), *grants)
    return VisitorRules(GrantSet(allowed), GrantSet(vetoes))


def veto(to: str, on: str, **options: object) -> Grant:
    return make_grant(to, on=on, effect=Effect.DENY, **options)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "to, on",
    list(
        product(
            ["VISITORS", "user1@shanghai", "GROUP analysts@shanghai"],
            ["trading.stock.quote@hangzhou", "trading.stock@hangzhou", "*@hangzhou"],
        )
    ),
)
def test_veto_is_the_last_word_and_is_named(to: str, on: str) -> None:
    decision = rules(veto(to, on)).decide(VISITOR, QUOTE, NOW)
    assert not decision.is_allowed
    assert decision.rule.startswith("the owner's DENY")
    assert decision.rule.endswith(f" ON {on} TO {to}")
    assert not rules(veto(to, on)).reader(VISITOR, NOW)(QUOTE)


@pytest.mark.parametrize(
    "to, on",
    [
        ("user2@shanghai", "*@hangzhou"),
        ("user1@beijing", "*@hangzhou"),
        ("GROUP others@shanghai", "*@hangzhou"),
        ("VISITORS", "trading.stock.trade@hangzhou"),
        ("VISITORS", "trading.bond@hangzhou"),
    ],
)
def test_veto_on_others_or_other_objects_changes_nothing(to: str, on: str) -> None:
    assert rules(veto(to, on)).decide(VISITOR, QUOTE, NOW).is_allowed
    assert rules(veto(to, on)).reader(VISITOR, NOW)(QUOTE)
    assert rules(veto(to, on)).places(VISITOR, NOW) == [ObjectName.parse("*@hangzhou")]


def test_veto_ends_by_itself() -> None:
    held = rules(veto("VISITORS", "*@hangzhou", until=later(60)))
    assert not held.decide(VISITOR, QUOTE, NOW).is_allowed
    assert held.decide(VISITOR, QUOTE, later(60)).is_allowed


def test_absence_of_a_veto_allows_nothing() -> None:
    held = VisitorRules(GrantSet(), GrantSet([veto("user2@shanghai", "*@hangzhou")]))
    assert held.decide(VISITOR, QUOTE, NOW).rule == "no grant allows it"


def test_grant_that_a_veto_makes_useless_is_known() -> None:
    grant = make_grant(on="trading.stock.quote@hangzhou")
    held = rules(veto("VISITORS", "trading@hangzhou"))
    assert (
        held.useless(grant, NOW) == "the owner's DENY CATALOG_READ ON trading@hangzhou TO VISITORS"
    )
    assert rules().useless(grant, NOW) is None
    denied = rules(grants=(veto("user1@shanghai", "trading@hangzhou"),))
    assert str(denied.useless(grant, NOW)).startswith("DENY CATALOG_READ")


@pytest.mark.parametrize(
    "said",
    [
        make_grant("user1@shanghai"),
        veto("user1@hangzhou", "*@hangzhou"),
        veto("GROUP traders", "*@hangzhou"),
        veto("VISITORS", "*@beijing"),
    ],
    ids=str,
)
def test_owner_denies_visitors_their_own_objects_and_nothing_else(said: Grant) -> None:
    with pytest.raises(UnsupportedGrantError):
        check_veto(said, "hangzhou")


def test_visitors_are_no_user_and_no_group() -> None:
    assert Principal.parse("visitors") == VISITORS == Principal.parse(str(VISITORS))
    assert str(VISITORS) == "VISITORS"
    for text in ("visitors@shanghai", "GROUP visitors", "GROUP visitors@shanghai"):
        assert Principal.parse(text) != VISITORS
        assert str(Principal.parse(text)) == text
    assert Principal.parse("visitors", cluster="shanghai").kind == "user"
