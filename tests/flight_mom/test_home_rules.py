"""What the MoM decides of a member's own users is what the member decides, of reading alone."""

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from auth import Access, Effect, Grant, GrantSet, HomeRules, Privilege
from flight_member.errors import BadRequestError
from flight_member.memberstate import MemberSnapshot
from flight_member.protocol import Report, ReportedGrant
from flight_mom.reports import read_report
from storage.metastore import Metastore, Place
from storage.names import Level, ObjectName
from tests.flight_member.factories import HANGZHOU, NOW, make_identity
from tests.flight_mom.factories import FLIGHTS, Mom, make_report, make_rule, make_table, make_user

USERS = [make_identity("user1@hangzhou", ["pilots"]), make_identity("user2@hangzhou")]
VISITOR = make_identity("user1@shanghai", ["pilots"])
HOLDERS = ["user1@hangzhou", "user2@hangzhou", "GROUP pilots@hangzhou"]
NAMES = [
    ObjectName(HANGZHOU, catalog, schema, table)
    for catalog in ("a", "b")
    for schema in ("s", "t")
    for table in ("x", "y")
]
PLACES = sorted({place for name in NAMES for place in name.ancestors()})
OWNERS = [*HOLDERS[:2], None, "user1@shanghai"]


def rule(
    holder: str, privilege: Privilege, place: ObjectName, effect: Effect, has_ended: bool
) -> Grant | None:
    if place.level not in privilege.levels:
        return None
    made = make_rule(holder, str(place), effect)
    until = NOW - timedelta(seconds=1) if has_ended else NOW + timedelta(seconds=1)
    return replace(made, privilege=privilege, until=until)


rules = st.builds(
    rule,
    st.sampled_from(HOLDERS),
    st.sampled_from(list(Privilege)),
    st.sampled_from(PLACES),
    st.sampled_from(list(Effect)),
    st.booleans(),
)


@settings(max_examples=200, deadline=None)
@given(
    held=st.lists(rules, max_size=8),
    owners=st.dictionaries(st.sampled_from(PLACES), st.sampled_from(OWNERS), max_size=3),
)
def test_mom_and_home_decide_alike_on_reading_and_the_mom_on_nothing_else(
    held: list[Grant | None], owners: dict[ObjectName, str | None]
) -> None:
    tables = [replace(make_table(str(n)), name=n, owner=owners.get(n)) for n in NAMES]
    places = [
        Place(name, owner)
        for name, owner in owners.items()
        if name.level in {Level.SCHEMA, Level.CATALOG}
    ]
    metastore = Metastore(HANGZHOU, 1, tables, places)
    grants = GrantSet([one for one in held if one is not None])
    home = HomeRules(grants, metastore.owners())
    report = MemberSnapshot(metastore, {}, home).report()
    known = read_report(HANGZHOU, Report.read(report.write())).rules
    for caller in USERS:
        may_read = known.reader(caller, NOW)
        for name in NAMES:
            wanted = home.decide(caller, name, NOW)
            found = known.decide(caller, name, NOW)
            assert found.is_allowed is wanted.is_allowed is may_read(name)
            assert found.rule == wanted.rule
            owned = home.owned(caller, name) is not None
            assert known.decide(caller, name, NOW, Access.WRITE).is_allowed is owned
    assert not any(known.decide(VISITOR, name, NOW).is_allowed for name in NAMES)


@pytest.mark.parametrize("privilege", [one for one in Privilege if not one.is_federated])
@pytest.mark.parametrize("to", ["user2@hangzhou", "GROUP pilots@hangzhou"])
def test_reported_rule_on_writing_lets_nobody_read(
    federation: Mom, privilege: Privilege, to: str
) -> None:
    place = next(
        one for one in ObjectName.parse(FLIGHTS).ancestors() if one.level in privilege.levels
    )
    report = make_report(HANGZHOU, [make_table(FLIGHTS)], [make_user("user2")])
    forged = ReportedGrant(principal=to, effect="ALLOW", privilege=privilege, securable=str(place))
    federation.join(HANGZHOU, report.model_copy(update={"grants": (forged,)}))
    snapshot = federation.topology.federation
    for caller in (make_identity("user2@hangzhou", ["pilots"]), VISITOR):
        rules = snapshot.rules_for(caller.cluster, ObjectName.parse(FLIGHTS))
        assert not rules.decide(caller, ObjectName.parse(FLIGHTS), NOW).is_allowed
        assert rules.places(caller, NOW) == []
    veto = forged.model_copy(update={"principal": "VISITORS", "effect": "DENY"})
    with pytest.raises(BadRequestError, match="visitors write nothing"):
        read_report(HANGZHOU, report.model_copy(update={"vetoes": (veto,)}))


@pytest.mark.parametrize("privilege", [one for one in Privilege if not one.is_federated])
@pytest.mark.parametrize("action", ["GRANT", "DENY", "REVOKE"])
def test_mom_gives_nothing_but_reading(federation: Mom, privilege: Privilege, action: str) -> None:
    place = next(
        one for one in ObjectName.parse(FLIGHTS).ancestors() if one.level in privilege.levels
    )
    sql = f"{action} {privilege} ON {place} {'FROM' if action == 'REVOKE' else 'TO'} user1@shanghai"
    with pytest.raises(Exception, match="nothing is written across clusters") as refusal:
        federation.ask(sql)
    assert str(refusal.value).startswith("statement-not-supported")
    assert not list(federation.topology.federation.grants)


@pytest.mark.parametrize(
    "sql, words",
    [
        ("CREATE USER u PASSWORD HASH 'x'", "users are kept by their own cluster"),
        ("SHOW USERS", "users are kept by their own cluster"),
        ("CREATE GROUP pilots@hangzhou", "is kept by hangzhou"),
        ("ALTER GROUP pilots@hangzhou ADD user2@hangzhou", "is kept by hangzhou"),
    ],
)
def test_mom_keeps_no_clusters_users_and_groups(federation: Mom, sql: str, words: str) -> None:
    with pytest.raises(Exception, match=words) as refusal:
        federation.ask(sql)
    assert str(refusal.value).startswith("statement-not-supported")


def test_owner_of_another_cluster_owns_nothing(federation: Mom) -> None:
    stolen = replace(make_table(FLIGHTS), owner="user1@shanghai")
    federation.join(HANGZHOU, make_report(HANGZHOU, [stolen]))
    rules = federation.topology.federation.rules_for("shanghai", stolen.name)
    assert not rules.decide(VISITOR, stolen.name, NOW).is_allowed
