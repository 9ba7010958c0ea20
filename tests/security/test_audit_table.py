"""What the audit, asked as a table, tells to whom: everybody their own part, and nothing more."""

from collections.abc import Iterator

import pytest

from flight_mom.demo.federation import HANGZHOU, MOM, SHANGHAI, DemoFederation
from flight_sql import Client
from tests.e2e.federation import (
    AUDIT,
    CHIEF,
    COUNT_FLIGHTS,
    FLIGHTS_AT,
    QUOTES_AT,
    READER,
    SALARIES_AT,
    STRANGER,
    count,
    latest_read,
    refused_sql,
)


@pytest.fixture(params=[MOM, HANGZHOU])
def chief(request: pytest.FixtureRequest, federation: DemoFederation) -> Iterator[Client]:
    """hangzhou's administrator, at the MoM and at home."""
    with federation.client(CHIEF, HANGZHOU, at=request.param) as client:
        yield client


@pytest.mark.usefixtures("granted")
def test_who_read_sees_it_and_so_does_the_owner(reader: Client, chief: Client) -> None:
    assert count(reader, COUNT_FLIGHTS) > 0
    own = latest_read(reader, FLIGHTS_AT)
    assert (own["actor"], own["allowed"]) == (READER, True)
    assert own["statement_digest"]
    assert latest_read(chief, FLIGHTS_AT) == own


def test_everybody_sees_their_own_part(
    federation: DemoFederation, admin: Client, reader: Client, chief: Client
) -> None:
    refused_sql(reader, COUNT_FLIGHTS)
    assert {row["actor"] for row in rows(reader)} == {READER}
    owned = rows(chief)
    assert {row["actor"] for row in owned} > {f"{CHIEF}@{HANGZHOU}"}
    for row in owned:
        names = (row["actor"], row["object"])
        assert any(name == HANGZHOU or str(name).endswith(f"@{HANGZHOU}") for name in names)
    with federation.client(STRANGER, SHANGHAI, at=MOM) as stranger:
        assert {row["actor"] for row in rows(stranger)} == {f"{STRANGER}@{SHANGHAI}"}
    everybody = {row["actor"] for row in rows(admin)}
    assert {READER, f"{CHIEF}@{HANGZHOU}", f"admin@{MOM}"} <= everybody


def rows(client: Client) -> list[dict[str, object]]:
    return list(client.query(f"select * from {AUDIT}").read_all().to_pylist())


def test_why_a_read_was_refused_is_told_to_those_whose_rules_refused_it(
    admin: Client, reader: Client, chief: Client
) -> None:
    """To the reader a denial of what they may not know of looks like a table that is not there."""
    admin.update(f"DENY TABLE_READ ON {SALARIES_AT} TO {READER}")
    missing = SALARIES_AT.replace("salaries", "nothing")
    for table in (SALARIES_AT, missing):
        refused_sql(reader, f"select * from {table}")
    unsaid = ("at", "source", "object", "statement_digest")
    told, untold = latest_read(reader, SALARIES_AT), latest_read(reader, missing)
    assert {k: v for k, v in told.items() if k not in unsaid} == {
        k: v for k, v in untold.items() if k not in unsaid
    }
    assert told["rule"] == ""
    assert "DENY" in str(latest_read(chief, SALARIES_AT)["rule"])
    assert "DENY" in str(latest_read(admin, SALARIES_AT)["rule"])
    for guess in (f"rule like '%DENY%' and object = '{SALARIES_AT}'", "rule = 'x' and 1 = 1"):
        assert count(reader, f"select count(*) as n from {AUDIT} where {guess}") == 0


def test_no_statement_and_no_password_is_in_it(
    federation: DemoFederation, admin: Client, reader: Client
) -> None:
    refused_sql(reader, f"select 'h4rdly visible' from {SALARIES_AT}")
    written = str(rows(admin))
    assert "h4rdly" not in written
    assert federation.password("user1") not in written


@pytest.mark.usefixtures("granted")
def test_owners_see_the_grants_on_their_own_and_strangers_nothing(
    federation: DemoFederation, admin: Client, chief: Client
) -> None:
    admin.update(f"GRANT TABLE_READ ON {QUOTES_AT} TO user2@{HANGZHOU}")
    for ask in ("SHOW GRANTS", "select * from system.federation.grants"):
        shown = chief.query(ask).read_all().to_pylist()
        given = [row for row in shown if row.get("authority") != "home"]
        assert [(row["securable"], row["principal"]) for row in given] == [(FLIGHTS_AT, READER)]
    readers = chief.query(f"SHOW READERS OF {FLIGHTS_AT}").read_all()
    assert READER in readers["user_name"].to_pylist()
    assert refused_sql(chief, f"SHOW READERS OF {QUOTES_AT}").code == "permission-denied"
    for at in (MOM, SHANGHAI):
        with federation.client(STRANGER, SHANGHAI, at=at) as stranger:
            assert stranger.query("SHOW GRANTS").read_all().num_rows == 0
            assert stranger.query("select * from system.federation.grants").read_all().num_rows == 0
            for table in (FLIGHTS_AT, QUOTES_AT, f"a.b.nothing@{HANGZHOU}"):
                said = refused_sql(stranger, f"SHOW READERS OF {table}")
                assert said.code == "permission-denied"


def test_who_asked_in_vain_who_may_read_is_on_record(admin: Client, at_mom: Client) -> None:
    refused_sql(at_mom, f"SHOW READERS OF {FLIGHTS_AT}")
    newest = f"select * from {AUDIT} where action = 'show readers' order by at desc limit 1"
    (row,) = admin.query(newest).read_all().to_pylist()
    assert (row["actor"], row["object"], row["allowed"]) == (READER, FLIGHTS_AT, False)
