import pytest

from auth import AuthError, Effect, Principal, Privilege, Revocation
from auth.grantstore import GrantStore
from flight_member.errors import FlightMemberError, NotFoundError, PermissionDeniedError
from storage.names import ObjectName
from tests.flight_member.factories import SHANGHAI, make_identity
from tests.flight_mom.factories import FLIGHTS, MOM, Mom

GRANT = f"GRANT TABLE_READ ON {FLIGHTS} TO GROUP traders"
DENY = f"DENY TABLE_READ ON {FLIGHTS} TO GROUP traders"


@pytest.fixture
def traders(federation: Mom) -> Mom:
    """A federation with the empty group traders."""
    federation.ask("CREATE GROUP traders")
    return federation


def explained(mom: Mom, user: str = "user1@shanghai") -> str:
    (row,) = mom.ask(f"EXPLAIN ACCESS OF {user} TO {FLIGHTS}")
    return str(row["rule"]) if row["is_allowed"] else ""


def revoked(mom: Mom, since: int) -> list[Revocation]:
    return list(mom.topology.federation.revocations.since(since))


def test_members_of_a_group_read_what_it_was_granted(traders: Mom) -> None:
    traders.ask(GRANT)
    assert explained(traders) == ""
    assert traders.ask("ALTER GROUP Traders ADD user1@shanghai, user3@shanghai") == [
        {"status": "added", "warning": None},
        {"status": "added", "warning": None},
    ]
    assert explained(traders) == f"ALLOW TABLE_READ ON {FLIGHTS} TO GROUP traders"
    assert explained(traders, "user3@shanghai")
    assert not explained(traders, f"admin@{MOM}")
    traders.ask("ALTER GROUP traders REMOVE user1@shanghai")
    assert explained(traders) == ""
    assert explained(traders, "user3@shanghai")


def test_denial_to_a_group_binds_its_members(traders: Mom) -> None:
    traders.ask(DENY)
    traders.ask("ALTER GROUP traders ADD user1@shanghai")
    (row,) = traders.ask(f"GRANT TABLE_READ ON {FLIGHTS} TO user1@shanghai")
    assert "has no effect while this holds: DENY" in row["warning"]
    assert explained(traders) == ""


def test_clusters_group_of_the_same_name_is_another_group(traders: Mom) -> None:
    traders.ask(GRANT)
    with pytest.raises(NotFoundError):
        traders.ask(f"GRANT TABLE_READ ON {FLIGHTS} TO GROUP traders@shanghai")
    decision = traders.topology.federation.grants.for_identity(
        make_identity("user1@shanghai", ("traders",))
    )
    assert decision == []


def test_home_tables_are_not_read_by_the_federations_groups(traders: Mom) -> None:
    traders.ask("GRANT CATALOG_READ ON *@shanghai TO GROUP traders")
    traders.ask("ALTER GROUP traders ADD user3@shanghai")
    (row,) = traders.ask("EXPLAIN ACCESS OF user3@shanghai TO a.b.c@shanghai")
    assert not row["is_allowed"]


def test_dropped_group_takes_its_allows_along_and_leaves_its_denies(traders: Mom) -> None:
    traders.ask("GRANT CATALOG_READ ON aviation@hangzhou TO GROUP traders")
    traders.ask(DENY)
    traders.ask("ALTER GROUP traders ADD user1@shanghai")
    assert traders.ask("DROP GROUP traders")[0]["status"] == "dropped, with 1 grants"
    assert [row["effect"] for row in traders.ask("SHOW GRANTS")] == ["DENY"]
    acts = [(one.action, one.object) for one in traders.audited()[-2:]]
    assert acts == [("revoke", "aviation@hangzhou"), ("drop group", "GROUP traders")]
    # Whoever is put into a new group of that name is bound by what was denied to the old one.
    traders.ask(f"GRANT TABLE_READ ON {FLIGHTS} TO user1@shanghai")
    assert explained(traders)
    traders.ask("CREATE GROUP traders")
    traders.ask("ALTER GROUP traders ADD user1@shanghai")
    assert not explained(traders)


def test_leaving_a_group_takes_back_what_it_allows_from_that_user_alone(traders: Mom) -> None:
    traders.ask(GRANT)
    traders.ask("ALTER GROUP traders ADD user1@shanghai, user3@shanghai")
    epoch = traders.topology.federation.epoch
    assert not revoked(traders, 0)
    traders.ask("ALTER GROUP traders REMOVE user1@shanghai")
    (one,) = revoked(traders, epoch)
    assert (str(one.principal), str(one.securable)) == ("user1@shanghai", FLIGHTS)
    traders.ask("DROP GROUP traders")
    assert revoked(traders, one.epoch)[0].principal == Principal("group", "traders")


def test_entering_a_group_takes_back_what_it_denies(traders: Mom) -> None:
    traders.ask(DENY)
    epoch = traders.topology.federation.epoch
    traders.ask("ALTER GROUP traders ADD user1@shanghai")
    (one,) = revoked(traders, epoch)
    assert (str(one.principal), str(one.securable)) == ("user1@shanghai", FLIGHTS)


def test_many_grants_are_taken_back_cluster_by_cluster(traders: Mom) -> None:
    with traders.database.change() as connection:
        for number in range(70):
            GrantStore(connection).add(
                Principal("group", "traders"),
                Effect.ALLOW,
                Privilege.TABLE_READ,
                ObjectName.parse(f"a.b.t{number}@hangzhou"),
                granted_by="x",
                granted_at=traders.clock(),
            )
    traders.ask("ALTER GROUP traders ADD user1@shanghai")
    epoch = traders.topology.federation.epoch
    traders.ask("ALTER GROUP traders REMOVE user1@shanghai")
    assert [str(one.securable) for one in revoked(traders, epoch)] == ["*@hangzhou"]


@pytest.mark.parametrize(
    "sql",
    [
        "CREATE GROUP brokers",
        "DROP GROUP traders",
        "ALTER GROUP traders ADD user1@shanghai",
        "ALTER GROUP traders REMOVE user1@shanghai",
    ],
)
def test_only_administrators_change_groups_and_tries_are_audited(traders: Mom, sql: str) -> None:
    for caller in (make_identity(), make_identity("chief@hangzhou", is_admin=True)):
        with pytest.raises(PermissionDeniedError):
            traders.ask(sql, caller)
        row = traders.audited()[-1]
        assert (row.actor, row.allowed, row.object.startswith("GROUP ")) == (
            caller.name,
            False,
            True,
        )
    assert [row["group_name"] for row in traders.ask("SHOW GROUPS")] == ["traders"]


@pytest.mark.parametrize(
    "sql, code",
    [
        ("CREATE GROUP traders", "already-exists"),
        ("DROP GROUP nobody", "not-found"),
        ("ALTER GROUP nobody ADD user1@shanghai", "not-found"),
        ("ALTER GROUP nobody REMOVE user1@shanghai", "not-found"),
        ("ALTER GROUP traders ADD user3@shanghai, nobody@shanghai", "not-found"),
        (f"GRANT TABLE_READ ON {FLIGHTS} TO GROUP nobody", "not-found"),
    ],
)
def test_faulty_change_of_a_group_changes_nothing(traders: Mom, sql: str, code: str) -> None:
    epoch = traders.topology.federation.epoch
    with pytest.raises((FlightMemberError, AuthError), match=code):
        traders.ask(sql)
    traders.topology.refresh()
    assert traders.topology.federation.epoch == epoch
    assert traders.ask("SHOW GROUPS") == [{"group_name": "traders", "member": None}]


def test_somebody_who_is_gone_can_be_taken_out_of_a_group(traders: Mom) -> None:
    traders.ask("ALTER GROUP traders ADD user1@shanghai")
    traders.change_members("remove", SHANGHAI)
    assert traders.ask("ALTER GROUP traders REMOVE user1@shanghai")[0]["status"] == "removed"
    assert traders.ask("ALTER GROUP traders REMOVE user1@shanghai")[0]["status"] == "is no member"


def test_members_are_shown_to_administrators_and_to_others_their_own_groups(traders: Mom) -> None:
    traders.ask("CREATE GROUP brokers")
    traders.ask("ALTER GROUP traders ADD user1@shanghai, user3@shanghai")
    assert traders.ask("SHOW GROUPS") == [
        {"group_name": "brokers", "member": None},
        {"group_name": "traders", "member": "user1@shanghai"},
        {"group_name": "traders", "member": "user3@shanghai"},
    ]
    own = traders.ask("SHOW GROUPS", make_identity("user1@shanghai"))
    assert own == [{"group_name": "traders", "member": "user1@shanghai"}]
    assert traders.ask("SHOW GROUPS", make_identity("chief@hangzhou", is_admin=True)) == []


def test_members_see_the_grants_of_their_groups(traders: Mom) -> None:
    traders.ask(GRANT)
    assert traders.ask("SHOW GRANTS", make_identity("user1@shanghai")) == []
    traders.ask("ALTER GROUP traders ADD user1@shanghai")
    (row,) = traders.ask("SHOW GRANTS", make_identity("user1@shanghai"))
    assert row["principal"] == "GROUP traders"
