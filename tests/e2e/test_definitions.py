"""Catalogs, schemas and tables of a member, changed by its administrators through real clients."""

from collections.abc import Iterator

import pytest
from adbc_driver_flightsql import dbapi

from flight_mom.demo.federation import HANGZHOU, MOM, SHANGHAI, DemoFederation
from flight_sql import Client
from tests.e2e.federation import CHIEF, READER, refused_sql
from tests.waiting import wait_until


@pytest.fixture
def chief(federation: DemoFederation) -> Iterator[Client]:
    """An administrator of hangzhou at home; what they made is gone afterwards."""
    with federation.client(CHIEF, HANGZHOU, at=HANGZHOU) as client:
        yield client
        client.update("DROP CATALOG IF EXISTS research CASCADE")


def test_schema_is_made_and_dropped_through_adbc(federation: DemoFederation, chief: Client) -> None:
    del chief
    password = federation.password(CHIEF)
    sign_in = {"username": f"{CHIEF}@{HANGZHOU}", "password": password}
    with (
        dbapi.connect(federation.uri(HANGZHOU), db_kwargs=sign_in, autocommit=True) as connection,
        connection.cursor() as cursor,
    ):
        for sql, status in (
            ("CREATE CATALOG research", "created"),
            ("CREATE SCHEMA research.notes", "created"),
            ("CREATE SCHEMA IF NOT EXISTS research.notes", "exists already"),
            ("ALTER SCHEMA research.notes RENAME TO papers", "renamed"),
            ("DROP SCHEMA research.papers", "dropped"),
            ("DROP CATALOG IF EXISTS research", "dropped"),
            ("DROP CATALOG IF EXISTS research", "there is none"),
        ):
            cursor.execute(sql)
            assert cursor.fetchall() == [(status, None, None)]


def test_definition_is_refused_away_from_home_in_the_words_of_a_write(
    federation: DemoFederation, at_mom: Client, at_home: Client
) -> None:
    for client, cluster in ((at_mom, SHANGHAI), (at_mom, HANGZHOU), (at_home, HANGZHOU)):
        refusal = refused_sql(client, f"CREATE SCHEMA trading.notes@{cluster}")
        assert refusal.code == "cross-cluster-read-only"
        assert cluster in str(refusal)
    with federation.client("admin", MOM, at=MOM) as admin:
        assert refused_sql(admin, "CREATE CATALOG research").code == "cross-cluster-read-only"


def test_user_without_the_right_is_refused(at_home: Client) -> None:
    assert refused_sql(at_home, "CREATE CATALOG research").code == "permission-denied"
    assert refused_sql(at_home, "DROP TABLE trading.stock.quote").code == "permission-denied"


def test_mom_hears_of_a_renamed_table_at_once(
    federation: DemoFederation, admin: Client, chief: Client
) -> None:
    table = f"aviation.lab.samples@{HANGZHOU}"
    admin.update(f"GRANT TABLE_READ ON {table} TO {READER}")
    with federation.client("user1", SHANGHAI, at=MOM) as reader:
        assert refused_sql(reader, f"DESCRIBE aviation.lab.probes@{HANGZHOU}").code == "not-found"
        chief.update("ALTER TABLE aviation.lab.samples RENAME TO probes")
        try:
            wait_until(
                lambda: "probes" in reader.query("SHOW TABLES").read_all()["table_name"].to_pylist()
            )
        finally:
            chief.update("ALTER TABLE aviation.lab.probes RENAME TO samples")
        wait_until(
            lambda: "samples" in reader.query("SHOW TABLES").read_all()["table_name"].to_pylist()
        )
