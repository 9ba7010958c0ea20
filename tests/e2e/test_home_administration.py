"""Administrative statements typed at a member: what is its own stays, the rest is the MoM's."""

import pytest

from flight_mom.demo.federation import HANGZHOU, DemoFederation
from flight_sql import Client
from tests.e2e.federation import (
    CHIEF,
    FLIGHTS_AT,
    QUOTES_AT,
    READER,
    SALARIES_AT,
    STRANGER,
    refused_sql,
)

CHIEF_AT = f"{CHIEF}@{HANGZHOU}"


def rows(client: Client, sql: str) -> list[dict[str, object]]:
    return list(client.query(sql).read_all().to_pylist())


@pytest.mark.usefixtures("granted")
def test_what_a_home_user_may_read_is_told_by_home_and_by_the_mom(at_home: Client) -> None:
    told = {row["securable"]: row["rule"] for row in rows(at_home, f"SHOW TABLES FOR {READER}")}
    assert told[QUOTES_AT] == f"ALLOW CATALOG_READ ON *@shanghai TO {READER}"
    assert told[FLIGHTS_AT] == f"ALLOW TABLE_READ ON {FLIGHTS_AT} TO {READER}"
    (own,) = rows(at_home, f"EXPLAIN ACCESS OF user1 TO {QUOTES_AT}")
    (foreign,) = rows(at_home, f"EXPLAIN ACCESS OF user1 TO {FLIGHTS_AT}")
    assert own["is_allowed"] is foreign["is_allowed"] is True


@pytest.mark.usefixtures("granted")
def test_readers_of_a_home_table_are_home_users_and_visitors(federation: DemoFederation) -> None:
    with federation.client(CHIEF, HANGZHOU, at=HANGZHOU) as chief:
        readers = {row["user_name"] for row in rows(chief, f"SHOW READERS OF {FLIGHTS_AT}")}
        assert READER in readers
        assert any(str(name).endswith(f"@{HANGZHOU}") for name in readers)
        assert READER not in {
            row["user_name"] for row in rows(chief, f"SHOW READERS OF {SALARIES_AT}")
        }


def test_groups_are_the_federations_and_the_members_own(
    federation: DemoFederation, admin: Client
) -> None:
    admin.update("CREATE GROUP mixed")
    admin.update(f"ALTER GROUP mixed ADD {CHIEF_AT}")
    with federation.client(CHIEF, HANGZHOU, at=HANGZHOU) as chief:
        try:
            chief.update(f"CREATE GROUP crew@{HANGZHOU}")
            told = {(row["group_name"], row["member"]) for row in rows(chief, "SHOW GROUPS")}
            assert ("mixed", CHIEF_AT) in told
            assert (f"crew@{HANGZHOU}", None) in told
            # Without @ it is the federation's, which its own administrators change.
            assert refused_sql(chief, "DROP GROUP mixed").code == "permission-denied"
            assert refused_sql(chief, "DROP GROUP crew").code == "permission-denied"
            assert refused_sql(chief, "CREATE GROUP g@shanghai").code == "permission-denied"
        finally:
            chief.update(f"DROP GROUP crew@{HANGZHOU}")
            admin.update("DROP GROUP mixed")


def test_privileges_to_write_are_given_at_home_alone(
    federation: DemoFederation, admin: Client
) -> None:
    for grant in (f"GRANT TABLE_WRITE ON {FLIGHTS_AT} TO {READER}", "CREATE USER u"):
        assert refused_sql(admin, grant).code == "statement-not-supported"
    with federation.client(CHIEF, HANGZHOU, at=HANGZHOU) as chief:
        grant = f"GRANT TABLE_WRITE ON {FLIGHTS_AT} TO {READER}"
        error = refused_sql(chief, grant)
        assert error.code == "statement-not-supported"
        assert "visitors read, and write nothing" in error.text


def test_stranger_at_home_learns_and_changes_nothing(federation: DemoFederation) -> None:
    with federation.client(STRANGER, "shanghai", at="shanghai") as stranger:
        assert rows(stranger, f"SHOW TABLES FOR {STRANGER}") == []
        assert [row["user_name"] for row in rows(stranger, "SHOW USERS")] == [
            f"{STRANGER}@shanghai"
        ]
        for sql in (
            "CREATE USER u",
            "SHOW TABLES FOR user1",
            f"EXPLAIN ACCESS OF user1 TO {QUOTES_AT}",
        ):
            assert refused_sql(stranger, sql).code == "permission-denied"
        hidden = f"EXPLAIN ACCESS OF {STRANGER} TO {QUOTES_AT}"
        assert refused_sql(stranger, hidden).code == "not-found"
