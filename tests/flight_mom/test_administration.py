from contextlib import closing

import pytest

from auth import AuditUnavailableError, hash_password
from auth.userstore import UserStore
from flight_member.errors import NotFoundError, NotSupportedError, PermissionDeniedError
from tests.flight_member.factories import SHANGHAI, break_audit, make_identity
from tests.flight_mom.factories import FLIGHTS, MOM, Mom

GRANT = f"GRANT TABLE_READ ON {FLIGHTS} TO user1@shanghai"
DENY = f"DENY TABLE_READ ON {FLIGHTS} TO user1@shanghai"
REVOKE = f"REVOKE TABLE_READ ON {FLIGHTS} FROM user1@shanghai"


def explained(mom: Mom, user: str = "user1@shanghai") -> bool:
    (row,) = mom.ask(f"EXPLAIN ACCESS OF {user} TO {FLIGHTS}")
    return bool(row["is_allowed"])


def test_grant_deny_and_revoke_bind_when_they_return(federation: Mom) -> None:
    assert not explained(federation)
    assert federation.ask(GRANT) == [{"status": "granted", "warning": None}]
    assert explained(federation)
    assert federation.ask(DENY) == [{"status": "denied", "warning": None}]
    assert not explained(federation)
    assert federation.ask(REVOKE)[0]["status"] == "revoked 2"
    assert not explained(federation)
    assert federation.ask(REVOKE)[0]["status"] == "nothing to revoke"


@pytest.mark.parametrize(
    "deny",
    [
        DENY,
        "DENY CATALOG_READ ON *@hangzhou TO user1@shanghai",
        "DENY SCHEMA_READ ON aviation.nyc@hangzhou TO GROUP analysts@shanghai",
    ],
)
def test_grant_that_a_denial_makes_useless_is_stored_with_a_warning(
    federation: Mom, deny: str
) -> None:
    federation.ask(deny)
    (row,) = federation.ask(GRANT)
    assert row["status"] == "granted"
    assert "has no effect while this holds: DENY" in row["warning"]
    assert len(federation.ask("SHOW GRANTS")) == 2


@pytest.mark.parametrize(
    "sql",
    [
        f"GRANT TABLE_READ ON {FLIGHTS} TO nobody@shanghai",
        f"GRANT TABLE_READ ON {FLIGHTS} TO user1@nowhere",
        f"GRANT TABLE_READ ON {FLIGHTS} TO nobody@{MOM}",
        f"GRANT TABLE_READ ON {FLIGHTS} TO GROUP nobody@shanghai",
        f"GRANT TABLE_READ ON {FLIGHTS} TO GROUP nobody@{MOM}",
        f"DENY TABLE_READ ON {FLIGHTS} TO nobody@shanghai",
        "GRANT TABLE_READ ON aviation.nyc.nothing@hangzhou TO user1@shanghai",
        "GRANT SCHEMA_READ ON aviation.nothing@hangzhou TO user1@shanghai",
        "GRANT CATALOG_READ ON *@nowhere TO user1@shanghai",
        "EXPLAIN ACCESS OF nobody@shanghai TO aviation.nyc.flights@hangzhou",
        "EXPLAIN ACCESS OF user1@shanghai TO aviation.nyc.nothing@hangzhou",
    ],
)
def test_what_does_not_exist_is_not_found_and_nothing_changes(federation: Mom, sql: str) -> None:
    epoch = federation.topology.federation.epoch
    with pytest.raises(NotFoundError):
        federation.ask(sql)
    assert federation.topology.federation.epoch == epoch
    assert not federation.ask("SHOW GRANTS")


def test_statement_is_carried_out_whole_or_not_at_all(federation: Mom) -> None:
    with pytest.raises(NotFoundError):
        federation.ask(f"GRANT TABLE_READ ON {FLIGHTS} TO user1@shanghai, nobody@shanghai")
    assert not federation.ask("SHOW GRANTS")


def test_user_and_table_of_one_cluster_are_left_to_home_rules(federation: Mom) -> None:
    with pytest.raises(NotSupportedError, match="home rules apply"):
        federation.ask(f"GRANT TABLE_READ ON {FLIGHTS} TO user2@hangzhou")


def test_groups_and_the_moms_own_users_can_hold_grants(federation: Mom) -> None:
    federation.ask(f"GRANT TABLE_READ ON {FLIGHTS} TO GROUP analysts@shanghai, admin@{MOM}")
    assert explained(federation)
    assert not explained(federation, "user3@shanghai")
    assert explained(federation, f"admin@{MOM}")


def test_groups_of_the_moms_own_users_count(federation: Mom) -> None:
    with (
        closing(federation.home.open_database()) as database,
        database.change() as connection,
    ):
        UserStore(connection).add("auditor", hash_password("correct horse"), groups=["audit"])
    federation.ask(f"GRANT TABLE_READ ON {FLIGHTS} TO GROUP audit@{MOM}")
    assert explained(federation, f"auditor@{MOM}")


def test_what_is_gone_can_still_be_revoked(federation: Mom) -> None:
    federation.ask(DENY)
    federation.change_members("remove", SHANGHAI)
    assert federation.ask(REVOKE)[0]["status"] == "revoked 1"


def test_grant_ends_by_itself(federation: Mom) -> None:
    federation.ask(f"{GRANT} UNTIL '2026-08-01T12:01:00Z'")
    assert explained(federation)
    federation.clock.move(60)
    assert not explained(federation)


@pytest.mark.parametrize(
    "caller",
    [
        make_identity("user1@shanghai"),
        make_identity("chief@hangzhou", is_admin=True),
        make_identity(f"user@{MOM}"),
    ],
    ids=lambda caller: caller.name,
)
@pytest.mark.parametrize("sql", [GRANT, DENY, REVOKE])
def test_only_the_moms_administrators_change_grants_and_tries_are_audited(
    federation: Mom, caller: object, sql: str
) -> None:
    with pytest.raises(PermissionDeniedError):
        federation.ask(sql, caller)  # type: ignore[arg-type]  # parametrised
    assert not federation.ask("SHOW GRANTS")
    row = federation.audited()[-1]
    assert (row.object, row.allowed) == (FLIGHTS, False)


def test_change_and_its_audit_row_are_one(federation: Mom) -> None:
    federation.ask(GRANT)
    row = federation.audited()[-1]
    assert (row.actor, row.action, row.object) == (f"admin@{MOM}", "allow", FLIGHTS)
    assert row.epoch == federation.topology.federation.epoch
    break_audit(federation.database)
    with pytest.raises(AuditUnavailableError):
        federation.ask(REVOKE)
    federation.topology.refresh()
    assert explained(federation)


def test_everybody_sees_their_own_part_of_the_grants(federation: Mom) -> None:
    federation.ask(GRANT)
    federation.ask("GRANT TABLE_READ ON a.b.c@shanghai TO user2@hangzhou")

    def shown(caller: str, *, groups: tuple[str, ...] = (), is_admin: bool = False) -> set[str]:
        identity = make_identity(caller, groups, is_admin=is_admin)
        return {row["securable"] for row in federation.ask("SHOW GRANTS", identity)}

    both = {FLIGHTS, "a.b.c@shanghai"}
    assert shown(f"admin@{MOM}", is_admin=True) == both
    assert shown("user1@shanghai") == {FLIGHTS}
    assert shown("user3@shanghai") == set()
    assert shown("chief@hangzhou", is_admin=True) == {FLIGHTS}
    federation.ask("GRANT CATALOG_READ ON aviation@hangzhou TO GROUP analysts@shanghai")
    assert "aviation@hangzhou" in shown("user3@shanghai", groups=("analysts",))


def test_grants_are_narrowed_to_a_principal_or_a_securable(federation: Mom) -> None:
    federation.ask(GRANT)
    federation.ask("GRANT CATALOG_READ ON aviation@hangzhou TO user3@shanghai")
    assert len(federation.ask("SHOW GRANTS FOR user3@shanghai")) == 1
    assert len(federation.ask(f"SHOW GRANTS ON {FLIGHTS}")) == 2
    assert not federation.ask("SHOW GRANTS ON *@shanghai")


def test_nobody_but_administrators_asks_about_somebody_else(federation: Mom) -> None:
    with pytest.raises(PermissionDeniedError):
        federation.ask(f"EXPLAIN ACCESS OF user3@shanghai TO {FLIGHTS}", make_identity())


def test_table_that_one_may_not_read_does_not_exist_to_its_explanation(federation: Mom) -> None:
    texts = []
    for name in (FLIGHTS, "aviation.nyc.nothing@hangzhou", "a.b.c@nowhere"):
        with pytest.raises(NotFoundError) as caught:
            federation.ask(f"EXPLAIN ACCESS OF user1@shanghai TO {name}", make_identity())
        texts.append(caught.value.text.replace(name, "NAME"))
    assert len(set(texts)) == 1
    federation.ask(GRANT)
    (row,) = federation.ask(f"EXPLAIN ACCESS OF user1@shanghai TO {FLIGHTS}", make_identity())
    assert row["is_allowed"]


def test_access_is_explained_of_users_not_of_groups(federation: Mom) -> None:
    with pytest.raises(NotSupportedError):
        federation.ask(f"EXPLAIN ACCESS OF GROUP analysts@shanghai TO {FLIGHTS}")
