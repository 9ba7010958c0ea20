"""What becomes of grants when a member's tables, users or the member itself are gone."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType

import pytest

from auth import HomeRules
from flight_member import protocol
from flight_member.authority import ServiceCaller
from flight_member.errors import BadRequestError
from flight_member.memberstate import MemberSnapshot
from storage.metastore import Metastore, Table
from storage.names import ObjectName
from tests.flight_member.factories import HANGZHOU, SHANGHAI
from tests.flight_mom.factories import FLIGHTS, Mom, make_report, make_table, make_user

GRANT = f"GRANT TABLE_READ ON {FLIGHTS} TO user1@shanghai"
WIDER = "GRANT SCHEMA_READ ON aviation.nyc@hangzhou TO user3@shanghai"
DENY = f"DENY TABLE_READ ON {FLIGHTS} TO user3@shanghai"


class Owner:
    """Hangzhou as it reports what becomes of its table."""

    def __init__(self, mom: Mom) -> None:
        self.mom = mom
        self.table = mom.member(HANGZHOU).metastore.all_tables()[0]
        for sql in (GRANT, WIDER, DENY):
            mom.ask(sql)
        self.epoch = mom.topology.federation.epoch

    def report(
        self,
        tables: Sequence[Table],
        dropped: Sequence[str] = (),
        departed: Mapping[str, str | tuple[str, str]] = MappingProxyType({}),
    ) -> None:
        snapshot = MemberSnapshot(
            Metastore(HANGZHOU, 1, tables),
            {"user2": make_user("user2")},
            HomeRules(),
            dropped=tuple(dropped),
            departed=tuple(make_departed(one, names) for one, names in departed.items()),
        )
        self.mom.act(protocol.REPORT, snapshot.report(), ServiceCaller(HANGZHOU))

    def held(self) -> list[str]:
        return [
            f"{row['effect']} {row['securable']} {row['principal']}"
            for row in self.mom.ask("SHOW GRANTS")
        ]

    def ended(self) -> list[str]:
        """Return the rules of the audit that tell of grants that the last report ended."""
        return [
            one.rule.rpartition(": ")[2]
            for one in self.mom.audited()
            if one.actor == HANGZHOU and one.action == "revoke"
        ]

    def revoked(self) -> list[str]:
        since = self.mom.topology.federation.revocations.since(self.epoch)
        return [str(one.securable) for one in since if one.principal is None]


def make_departed(number: str, names: str | tuple[str, str]) -> protocol.DepartedPlace:
    name, new_name = (names, None) if isinstance(names, str) else names
    return protocol.DepartedPlace(id=number, name=name, new_name=new_name)


ALL = [
    "ALLOW aviation.nyc.flights@hangzhou user1@shanghai",
    "DENY aviation.nyc.flights@hangzhou user3@shanghai",
    "ALLOW aviation.nyc@hangzhou user3@shanghai",
]
LEFT, DENIAL = ALL[1:], ALL[1]


@pytest.fixture
def owner(federation: Mom) -> Owner:
    return Owner(federation)


def test_dropped_table_takes_its_allows_along_and_no_others(owner: Owner) -> None:
    assert sorted(owner.held()) == sorted(ALL)
    owner.report([], [owner.table.id])
    assert sorted(owner.held()) == sorted(LEFT)
    assert owner.ended() == ["the table was dropped"]
    assert owner.revoked() == [FLIGHTS]


def test_renamed_table_keeps_what_was_allowed_and_is_denied_by_both_names(owner: Owner) -> None:
    renamed = ObjectName.parse("aviation.nyc.old@hangzhou")
    owner.report([replace(owner.table, name=renamed)])
    denied = f"DENY {renamed} user3@shanghai"
    assert sorted(owner.held()) == sorted([*LEFT, f"ALLOW {renamed} user1@shanghai", denied])
    assert owner.ended() == []
    acts = [one for one in owner.mom.audited() if one.action == "rename"]
    assert [one.object for one in acts] == [str(renamed)] * 2
    assert acts[0].rule.endswith(f"holds for {renamed} now")
    assert owner.revoked() == [FLIGHTS]
    # What takes the free name inherits the denial alone.
    owner.report([replace(owner.table, name=renamed), make_table()])
    assert sorted(owner.held()) == sorted([*LEFT, f"ALLOW {renamed} user1@shanghai", denied])


@pytest.mark.parametrize("has_end", [True, False])
def test_of_two_denials_that_meet_by_renaming_the_longer_one_counts(
    owner: Owner, has_end: bool
) -> None:
    other = make_table("aviation.nyc.other@hangzhou")
    owner.report([owner.table, other])
    owner.mom.ask(f"DENY TABLE_READ ON {other.name} TO user3@shanghai UNTIL '2999-01-01T00:00:00Z'")
    if has_end:
        owner.mom.ask(f"{DENY} UNTIL '2998-01-01T00:00:00Z'")
    owner.report([replace(owner.table, name=other.name)], [other.id])
    (held,) = [
        row
        for row in owner.mom.ask("SHOW GRANTS FOR user3@shanghai")
        if row["securable"] == str(other.name)
    ]
    assert held["effect"] == "DENY"
    assert (held["until"] and held["until"].year) == (2999 if has_end else None)


def test_another_table_of_the_name_inherits_no_allow_but_every_denial(owner: Owner) -> None:
    owner.report([make_table()])
    assert sorted(owner.held()) == sorted(LEFT)
    assert owner.ended() == ["the table was replaced by another"]


def test_tables_that_are_not_to_be_seen_are_only_hidden(owner: Owner) -> None:
    owner.report([])
    owner.report([])
    assert sorted(owner.held()) == sorted(ALL)
    assert owner.mom.ask("SHOW TABLES FOR user1@shanghai") == []
    owner.report([owner.table])
    assert [row["securable"] for row in owner.mom.ask("SHOW TABLES FOR user1@shanghai")] == [
        FLIGHTS
    ]
    assert owner.ended() == owner.revoked() == []


def test_table_that_is_replaced_while_hidden_passes_nothing_on(owner: Owner) -> None:
    owner.report([])
    owner.report([make_table()])
    assert sorted(owner.held()) == sorted(LEFT)


def test_table_that_is_dropped_while_hidden_is_dropped(owner: Owner) -> None:
    owner.report([])
    owner.report([], [owner.table.id])
    assert sorted(owner.held()) == sorted(LEFT)


def test_grants_made_after_a_drop_live_on_however_often_it_is_reported(owner: Owner) -> None:
    fresh = make_table()
    owner.report([fresh], [owner.table.id])
    owner.mom.ask(GRANT)
    owner.report([replace(fresh, snapshot="s2")], [owner.table.id])
    assert sorted(owner.held()) == sorted(ALL)


def test_tables_that_change_names_with_each_other_keep_each_its_own(owner: Owner) -> None:
    other = make_table("aviation.nyc.other@hangzhou")
    owner.report([owner.table, other])
    owner.mom.ask(f"GRANT TABLE_READ ON {other.name} TO GROUP analysts@shanghai")
    owner.report([replace(owner.table, name=other.name), replace(other, name=owner.table.name)])
    denials = [DENIAL, f"DENY {other.name} user3@shanghai"]
    moved = [
        f"ALLOW {FLIGHTS} GROUP analysts@shanghai",
        f"ALLOW {other.name} user1@shanghai",
    ]
    assert sorted(owner.held()) == sorted([ALL[2], *denials, *moved])


@pytest.mark.parametrize("place", ["aviation.nyc", "aviation"])
def test_dropped_place_takes_the_allows_on_it_and_below_along(owner: Owner, place: str) -> None:
    owner.mom.ask("GRANT CATALOG_READ ON *@hangzhou TO user1@shanghai")
    owner.report([], [owner.table.id], {"d1": place})
    assert sorted(owner.held()) == sorted([DENIAL, "ALLOW *@hangzhou user1@shanghai"])
    kind = "catalog" if place == "aviation" else "schema"
    assert owner.ended() == [f"the {kind} was dropped"] * 2
    assert f"{place}@hangzhou" in owner.revoked()


@pytest.mark.parametrize(
    "place, new_place, schema",
    [("aviation.nyc", "aviation.york", "aviation.york"), ("aviation", "air", "air.nyc")],
)
def test_renamed_place_keeps_what_was_allowed_there_and_below(
    owner: Owner, place: str, new_place: str, schema: str
) -> None:
    owner.mom.ask("GRANT CATALOG_READ ON aviation@hangzhou TO GROUP analysts@shanghai")
    owner.mom.ask("DENY SCHEMA_READ ON aviation.nyc@hangzhou TO user1@shanghai")
    moved = replace(owner.table, name=ObjectName.parse(f"{schema}.flights@hangzhou"))
    owner.report([moved], [], {"d1": (place, new_place)})
    catalog = new_place.partition(".")[0]
    assert sorted(owner.held()) == sorted(
        [
            f"ALLOW {schema}.flights@hangzhou user1@shanghai",
            f"ALLOW {schema}@hangzhou user3@shanghai",
            f"ALLOW {catalog}@hangzhou GROUP analysts@shanghai",
            DENIAL,
            f"DENY {schema}.flights@hangzhou user3@shanghai",
            "DENY aviation.nyc@hangzhou user1@shanghai",
            f"DENY {schema}@hangzhou user1@shanghai",
        ]
    )
    assert owner.ended() == []
    assert owner.revoked() == [f"{place}@hangzhou", FLIGHTS]


def test_schemas_that_follow_each_other_in_one_name_keep_each_its_own(owner: Owner) -> None:
    """nyc becomes york, and bay becomes nyc, before the MoM hears of either."""
    bay = make_table("aviation.bay.flights@hangzhou")
    owner.report([owner.table, bay])
    owner.mom.ask("GRANT SCHEMA_READ ON aviation.bay@hangzhou TO GROUP analysts@shanghai")
    york, nyc = (ObjectName.parse(f"aviation.{one}.flights@hangzhou") for one in ("york", "nyc"))
    owner.report(
        [replace(owner.table, name=york), replace(bay, name=nyc)],
        [],
        {"d1": ("aviation.nyc", "aviation.york"), "d2": ("aviation.bay", "aviation.nyc")},
    )
    allowed = [one for one in owner.held() if one.startswith("ALLOW")]
    assert sorted(allowed) == [
        "ALLOW aviation.nyc@hangzhou GROUP analysts@shanghai",
        f"ALLOW {york} user1@shanghai",
        "ALLOW aviation.york@hangzhou user3@shanghai",
    ]


def test_departure_counts_once_however_often_it_is_reported(owner: Owner) -> None:
    fresh = make_table()
    owner.report([fresh], [owner.table.id], {"d1": "aviation.nyc"})
    assert owner.held() == [DENIAL]
    owner.mom.ask(WIDER)
    owner.report([replace(fresh, snapshot="s2")], [owner.table.id], {"d1": "aviation.nyc"})
    assert sorted(owner.held()) == sorted([DENIAL, ALL[2]])
    owner.report([], [owner.table.id, fresh.id], {"d2": "aviation.nyc", "d1": "aviation.nyc"})
    assert owner.held() == [DENIAL]


def test_place_whose_tables_are_not_to_be_seen_keeps_its_grants(owner: Owner) -> None:
    owner.report([])
    assert sorted(owner.held()) == sorted(ALL)


@pytest.mark.parametrize("name", ["aviation.nyc@shanghai", "*", "a.b.c", "", "not a name"])
def test_member_tells_of_its_own_schemas_and_catalogs_only(owner: Owner, name: str) -> None:
    with pytest.raises(BadRequestError):
        owner.report([owner.table], [], {"d1": name})
    assert sorted(owner.held()) == sorted(ALL)


def test_one_member_drops_nothing_of_another(owner: Owner) -> None:
    owner.mom.ask("GRANT TABLE_READ ON a.b.c@shanghai TO user2@hangzhou")
    foreign = owner.mom.member(SHANGHAI).metastore.all_tables()[0]
    owner.report([owner.table], [foreign.id])
    assert len(owner.held()) == 4


def test_removed_member_leaves_denials_only_and_is_audited(owner: Owner) -> None:
    owner.mom.change_members("remove", HANGZHOU)
    assert owner.held() == ["DENY aviation.nyc.flights@hangzhou user3@shanghai"]
    rules = [one.rule for one in owner.mom.audited() if one.action == "revoke"]
    assert len(rules) == 2
    # A member that joins under the name is somebody else, and so are its tables.
    owner.mom.join(HANGZHOU, make_report(HANGZHOU, [make_table()]))
    assert owner.held() == ["DENY aviation.nyc.flights@hangzhou user3@shanghai"]


def test_removed_user_leaves_the_groups_of_the_federation(owner: Owner) -> None:
    owner.mom.ask("CREATE GROUP traders")
    owner.mom.ask("ALTER GROUP traders ADD user1@shanghai, user3@shanghai")
    tables = owner.mom.member(SHANGHAI).metastore.all_tables()
    without = make_report(SHANGHAI, tables, [make_user("user3")])
    owner.mom.act(protocol.REPORT, without, ServiceCaller(SHANGHAI))
    assert owner.mom.ask("SHOW GROUPS") == [{"group_name": "traders", "member": "user3@shanghai"}]
    assert sorted(owner.held()) == sorted(LEFT)
    acts = [(one.action, one.object) for one in owner.mom.audited()]
    assert ("remove from group", "GROUP traders") in acts
    # Whoever is called so later is not in it.
    again = make_report(SHANGHAI, tables, [make_user("user1"), make_user("user3")])
    owner.mom.act(protocol.REPORT, again, ServiceCaller(SHANGHAI))
    assert len(owner.mom.ask("SHOW GROUPS")) == 1


def test_user_who_was_removed_and_added_again_between_two_reports_is_somebody_else(
    owner: Owner,
) -> None:
    owner.mom.ask("CREATE GROUP traders")
    owner.mom.ask("ALTER GROUP traders ADD user1@shanghai")
    owner.mom.ask(f"DENY TABLE_READ ON {FLIGHTS} TO user1@shanghai")
    tables = owner.mom.member(SHANGHAI).metastore.all_tables()
    before = owner.mom.topology.federation.epoch
    users = [make_user("user1", id="another"), make_user("user3")]
    owner.mom.act(protocol.REPORT, make_report(SHANGHAI, tables, users), ServiceCaller(SHANGHAI))
    held = [one for one in owner.held() if one.endswith("user1@shanghai")]
    assert held == ["DENY aviation.nyc.flights@hangzhou user1@shanghai"]
    assert owner.mom.ask("SHOW GROUPS") == [{"group_name": "traders", "member": None}]
    revoked = owner.mom.topology.federation.revocations.since(before)
    assert [str(one.principal) for one in revoked] == ["user1@shanghai"]
    # What is granted to the new one lives on.
    owner.mom.ask(GRANT)
    owner.mom.act(protocol.REPORT, make_report(SHANGHAI, tables, users), ServiceCaller(SHANGHAI))
    assert len([one for one in owner.held() if one.endswith("user1@shanghai")]) == 2
