import pytest

from auth import Effect
from flight_member.errors import NotFoundError, PermissionDeniedError
from tests.flight_member.factories import HANGZHOU, SHANGHAI, make_identity
from tests.flight_mom.factories import (
    FLIGHTS,
    MOM,
    Mom,
    make_report,
    make_rule,
    make_table,
    make_user,
)

GRANT = f"GRANT TABLE_READ ON {FLIGHTS} TO user1@shanghai"


def readers(mom: Mom, table: str = FLIGHTS) -> dict[str, str]:
    return {row["user_name"]: row["rule"] for row in mom.ask(f"SHOW READERS OF {table}")}


def readable(mom: Mom, user: str) -> dict[str, str]:
    return {row["securable"]: row["rule"] for row in mom.ask(f"SHOW TABLES FOR {user}")}


def test_readers_are_those_who_would_be_let_in_with_the_rule_that_does(federation: Mom) -> None:
    at_home = {"user2@hangzhou": "ALLOW CATALOG_READ ON *@hangzhou TO user2@hangzhou"}
    assert readers(federation) == at_home
    federation.ask(GRANT)
    federation.ask("CREATE GROUP traders")
    federation.ask(f"ALTER GROUP traders ADD user3@shanghai, admin@{MOM}")
    federation.ask("GRANT CATALOG_READ ON aviation@hangzhou TO GROUP traders")
    by_group = "ALLOW CATALOG_READ ON aviation@hangzhou TO GROUP traders"
    assert readers(federation) == at_home | {
        "user1@shanghai": f"ALLOW TABLE_READ ON {FLIGHTS} TO user1@shanghai",
        "user3@shanghai": by_group,
        f"admin@{MOM}": by_group,
    }
    federation.ask(f"DENY TABLE_READ ON {FLIGHTS} TO user3@shanghai")
    assert "user3@shanghai" not in readers(federation)


def test_grant_that_has_ended_makes_nobody_a_reader(federation: Mom) -> None:
    federation.ask(f"{GRANT} UNTIL '2026-08-01T12:01:00Z'")
    assert "user1@shanghai" in readers(federation)
    federation.clock.move(60)
    assert "user1@shanghai" not in readers(federation)
    assert readable(federation, "user1@shanghai") == {}


def test_readable_tables_are_those_of_all_clusters_by_the_rules_of_each(federation: Mom) -> None:
    report = make_report(
        SHANGHAI,
        [make_table("a.b.c@shanghai"), make_table("a.b.secret@shanghai")],
        [make_user("user1"), make_user("user3")],
        [
            make_rule("user1@shanghai", "*@shanghai"),
            make_rule("user1@shanghai", "a.b.secret@shanghai", Effect.DENY),
        ],
    )
    federation.join(SHANGHAI, report)
    federation.ask(GRANT)
    assert readable(federation, "user1@shanghai") == {
        FLIGHTS: f"ALLOW TABLE_READ ON {FLIGHTS} TO user1@shanghai",
        "a.b.c@shanghai": "ALLOW CATALOG_READ ON *@shanghai TO user1@shanghai",
    }
    assert readable(federation, "user3@shanghai") == {}


def test_owners_ask_who_reads_their_tables_and_users_what_they_read(federation: Mom) -> None:
    federation.ask(GRANT)
    chief = make_identity("chief@hangzhou", is_admin=True)
    assert len(federation.ask(f"SHOW READERS OF {FLIGHTS}", chief)) == 2
    own = federation.ask("SHOW TABLES FOR user1@shanghai", make_identity("user1@shanghai"))
    assert [row["securable"] for row in own] == [FLIGHTS]


@pytest.mark.parametrize(
    "sql, caller",
    [
        (f"SHOW READERS OF {FLIGHTS}", make_identity("user1@shanghai")),
        (f"SHOW READERS OF {FLIGHTS}", make_identity("chief@shanghai", is_admin=True)),
        ("SHOW READERS OF a.b.nothing@nowhere", make_identity("user1@shanghai")),
        ("SHOW TABLES FOR user3@shanghai", make_identity("user1@shanghai")),
        ("SHOW TABLES FOR user1@shanghai", make_identity("chief@shanghai", is_admin=True)),
    ],
)
def test_nobody_else_is_told(federation: Mom, sql: str, caller: object) -> None:
    with pytest.raises(PermissionDeniedError):
        federation.ask(sql, caller)  # type: ignore[arg-type]  # parametrised


@pytest.mark.parametrize(
    "sql",
    [
        "SHOW READERS OF aviation.nyc.nothing@hangzhou",
        f"SHOW READERS OF a.b.c@{MOM}",
        "SHOW TABLES FOR nobody@shanghai",
        "SHOW TABLES FOR user1@nowhere",
    ],
)
def test_access_of_what_does_not_exist_is_not_found(federation: Mom, sql: str) -> None:
    with pytest.raises(NotFoundError):
        federation.ask(sql)


def test_table_that_is_hidden_has_no_readers(federation: Mom) -> None:
    federation.ask(GRANT)
    federation.join(HANGZHOU, make_report(HANGZHOU, [], [make_user("user2")]))
    with pytest.raises(NotFoundError):
        readers(federation)
    assert readable(federation, "user1@shanghai") == {}
