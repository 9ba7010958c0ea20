"""What the audit, asked as a table, tells to whom: everybody their own part, and nothing more."""

from collections.abc import Iterator

import pytest

from flight_mom.demo.federation import HANGZHOU, MOM, SHANGHAI, DemoFederation
from flight_sql import Client
from tests.e2e.federation import (
    CHIEF,
    COUNT_FLIGHTS,
    FLIGHTS_AT,
    READER,
    SALARIES_AT,
    STRANGER,
    count,
    refused_sql,
)

AUDIT = "system.federation.audit"
LATEST = f"select * from {AUDIT} where object = '{{}}' and action = 'read' order by at desc limit 1"


@pytest.fixture(params=["at_mom", "at_home"])
def reader(request: pytest.FixtureRequest) -> Client:
    """user1@shanghai, at the MoM and at home."""
    client: Client = request.getfixturevalue(request.param)
    return client


@pytest.fixture(params=[MOM, HANGZHOU])
def chief(request: pytest.FixtureRequest, federation: DemoFederation) -> Iterator[Client]:
    """hangzhou's administrator, at the MoM and at home."""
    with federation.client(CHIEF, HANGZHOU, at=request.param) as client:
        yield client


def latest(client: Client, securable: str) -> dict[str, object]:
    (row,) = client.query(LATEST.format(securable)).read_all().to_pylist()
    return dict(row)


@pytest.mark.usefixtures("granted")
def test_who_read_sees_it_and_so_does_the_owner(reader: Client, chief: Client) -> None:
    assert count(reader, COUNT_FLIGHTS) > 0
    own = latest(reader, FLIGHTS_AT)
    assert (own["actor"], own["allowed"]) == (READER, True)
    assert own["statement_digest"]
    assert latest(chief, FLIGHTS_AT) == own


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
    told, untold = latest(reader, SALARIES_AT), latest(reader, missing)
    assert {k: v for k, v in told.items() if k not in unsaid} == {
        k: v for k, v in untold.items() if k not in unsaid
    }
    assert told["rule"] == ""
    assert "DENY" in str(latest(chief, SALARIES_AT)["rule"])
    assert "DENY" in str(latest(admin, SALARIES_AT)["rule"])
    for guess in (f"rule like '%DENY%' and object = '{SALARIES_AT}'", "rule = 'x' and 1 = 1"):
        assert count(reader, f"select count(*) as n from {AUDIT} where {guess}") == 0


def test_no_statement_and_no_password_is_in_it(
    federation: DemoFederation, admin: Client, reader: Client
) -> None:
    refused_sql(reader, f"select 'h4rdly visible' from {SALARIES_AT}")
    written = str(rows(admin))
    assert "h4rdly" not in written
    assert federation.password("user1") not in written
