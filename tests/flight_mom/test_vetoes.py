"""What owners deny to visitors, as the MoM knows it from their reports."""

import pytest

from auth import Effect, Grant
from flight_member import protocol
from flight_member.authority import ServiceCaller
from flight_member.errors import BadRequestError, NotFoundError, NotSupportedError
from tests.flight_member.factories import HANGZHOU, make_identity
from tests.flight_mom.factories import (
    FLIGHTS,
    Mom,
    make_report,
    make_rule,
    make_user,
)

GRANT = f"GRANT TABLE_READ ON {FLIGHTS} TO user1@shanghai"
VISITOR = make_identity("user1@shanghai", ("analysts",))


def veto(mom: Mom, *vetoes: Grant) -> None:
    """Have hangzhou report what its owner denies."""
    report = make_report(
        HANGZHOU,
        mom.member(HANGZHOU).metastore.all_tables(),
        [make_user("user2")],
        [make_rule("user2@hangzhou", "*@hangzhou")],
        vetoes,
    )
    mom.act(protocol.REPORT, report, ServiceCaller(HANGZHOU))


def explained(mom: Mom, user: str = "user1@shanghai") -> str:
    (row,) = mom.ask(f"EXPLAIN ACCESS OF {user} TO {FLIGHTS}")
    return ("yes: " if row["is_allowed"] else "no: ") + str(row["rule"])


@pytest.mark.parametrize("to", ["VISITORS", "user1@shanghai", "GROUP analysts@shanghai"])
def test_owner_has_the_last_word(federation: Mom, to: str) -> None:
    federation.ask(GRANT)
    assert explained(federation).startswith("yes")
    veto(federation, make_rule(to, FLIGHTS, Effect.DENY))
    assert explained(federation) == f"no: the owner's DENY TABLE_READ ON {FLIGHTS} TO {to}"
    assert federation.ask("SHOW TABLES FOR user1@shanghai") == []
    readers = federation.ask(f"SHOW READERS OF {FLIGHTS}")
    assert [row["user_name"] for row in readers] == ["user2@hangzhou"]
    veto(federation)
    assert explained(federation).startswith("yes")


def test_vetoed_table_does_not_exist_to_its_visitor(federation: Mom) -> None:
    federation.ask(GRANT)
    veto(federation, make_rule("VISITORS", "*@hangzhou", Effect.DENY))
    with pytest.raises(NotFoundError):
        federation.ask(f"EXPLAIN ACCESS OF user1@shanghai TO {FLIGHTS}", VISITOR)


def test_veto_does_not_touch_home_rules(federation: Mom) -> None:
    veto(federation, make_rule("VISITORS", "*@hangzhou", Effect.DENY))
    assert explained(federation, "user2@hangzhou").startswith("yes")


def test_grant_under_a_veto_is_stored_with_a_warning(federation: Mom) -> None:
    veto(federation, make_rule("VISITORS", "aviation@hangzhou", Effect.DENY))
    (row,) = federation.ask(GRANT)
    assert row["status"] == "granted"
    assert "while this holds: the owner's DENY CATALOG_READ" in row["warning"]


def test_vetoes_are_shown_to_administrators_and_to_their_owner(federation: Mom) -> None:
    veto(federation, make_rule("VISITORS", FLIGHTS, Effect.DENY))
    chief = make_identity("chief@hangzhou", is_admin=True)
    for caller in (None, chief):
        (row,) = federation.ask(f"SHOW GRANTS ON {FLIGHTS}", caller)
        assert (row["principal"], row["effect"]) == ("VISITORS", "DENY")
        assert row["granted_by"] == "the owner, hangzhou"
    assert len(federation.ask("SHOW GRANTS FOR VISITORS")) == 1
    assert federation.ask("SHOW GRANTS", VISITOR) == []
    assert federation.ask("SHOW GRANTS", make_identity("chief@shanghai", is_admin=True)) == []


@pytest.mark.parametrize("action, towards", [("DENY", "TO"), ("REVOKE", "FROM")])
def test_visitors_are_their_owners_to_deny(federation: Mom, action: str, towards: str) -> None:
    with pytest.raises(NotSupportedError, match="type it at hangzhou"):
        federation.ask(f"{action} TABLE_READ ON {FLIGHTS} {towards} VISITORS")


@pytest.mark.parametrize(
    "said",
    [
        make_rule("user1@shanghai", FLIGHTS),
        make_rule("user2@hangzhou", FLIGHTS, Effect.DENY),
        make_rule("GROUP traders", FLIGHTS, Effect.DENY),
        make_rule("VISITORS", "a.b.c@shanghai", Effect.DENY),
    ],
    ids=str,
)
def test_report_that_says_more_than_an_owner_can_is_refused(federation: Mom, said: Grant) -> None:
    with pytest.raises(BadRequestError):
        veto(federation, said)
