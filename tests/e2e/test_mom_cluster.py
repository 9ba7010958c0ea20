"""The MoM as a cluster: its own tables are asked, granted and listed like any member's."""

import pytest
from adbc_driver_flightsql import dbapi

from flight_mom.demo.federation import HANGZHOU, MOM, SHANGHAI, DemoFederation
from flight_sql import Client
from tests.e2e.federation import ADMIN, READER, STRANGER, count, latest_read, refused_sql
from tests.waiting import wait_until

PERF = f"monitor.heartbeat.cluster_perf@{MOM}"
COUNT = f"select count(*) as n from {PERF}"
WAIT_S = 30.0


def rows(client: Client, sql: str) -> list[dict[str, object]]:
    found: list[dict[str, object]] = client.query(sql).read_all().to_pylist()
    return found


@pytest.fixture
def filled(admin: Client) -> Client:
    """The federation's administrator, once the table holds rows of every cluster."""
    clusters = f"select distinct cluster_name from {PERF} order by 1"
    wait_until(lambda: len(rows(admin, clusters)) >= 3, WAIT_S)
    return admin


@pytest.fixture
def granted_perf(filled: Client) -> None:
    """user1@shanghai may read the table; revoked with the other grants afterwards."""
    filled.update(f"GRANT TABLE_READ ON {PERF} TO {READER}")


def test_heartbeats_are_read_back_with_ordinary_sql(filled: Client) -> None:
    per_cluster = rows(
        filled,
        "select cluster_name, count(*) as n, max(memory_total_bytes) as memory, "
        f"max(time_stamp) <= max(received_at) as is_before from {PERF} "
        "where day >= current_date - 1 group by 1 order by 1",
    )
    clusters = [row["cluster_name"] for row in per_cluster]
    assert {HANGZHOU, MOM, SHANGHAI} <= set(clusters)
    assert all(row["memory"] and row["is_before"] for row in per_cluster)
    # Bare, to users of the MoM: its tables are those of their home.
    assert count(filled, "select count(*) as n from monitor.heartbeat.cluster_perf") > 0
    newest = f"select cluster_name, node, received_at from {PERF} order by 3 desc limit 3"
    assert len(rows(filled, newest)) == 3


def test_conditions_on_cluster_and_day_leave_other_files_alone(filled: Client) -> None:
    sql = f"EXPLAIN select avg(cpu_percent) from {PERF} where cluster_name = '{HANGZHOU}'"
    told = {str(row["item"]): str(row["value"]) for row in rows(filled, sql)}
    read, _, of = told["files"].partition(" of ")
    assert 0 < int(read.replace(",", "")) < int(of.replace(",", ""))
    assert told["node"] == MOM
    assert told["allowed by"] == f"{ADMIN}@{MOM} administers {MOM}"


@pytest.mark.usefixtures("granted_perf")
def test_who_was_granted_it_reads_it_at_the_mom_and_at_home(reader: Client) -> None:
    assert count(reader, COUNT) > 0
    described = reader.query(f"DESCRIBE {PERF}").read_all()
    assert {"cluster_name", "day", "cpu_percent"} <= set(described["column_name"].to_pylist())
    shown = rows(reader, f"SHOW TABLES FROM monitor.heartbeat@{MOM}")
    assert [row["table_name"] for row in shown] == ["cluster_perf"]
    told = (
        f"select table_name from information_schema.tables@{MOM} where table_schema = 'heartbeat'"
    )
    assert rows(reader, told) == [{"table_name": "cluster_perf"}]
    tables = [row["table_name"] for row in reader.tables().to_pylist()]
    assert "cluster_perf" in tables
    clusters = [row["cluster_name"] for row in rows(reader, "SHOW CLUSTERS")]
    assert MOM in clusters
    prepared = reader.prepare(f"select count(*) as n from {PERF} where cluster_name = ?")
    assert prepared.parameter_schema is not None


def test_to_who_was_not_granted_it_it_does_not_exist(
    filled: Client, federation: DemoFederation
) -> None:
    for user, at in ((STRANGER, MOM), (STRANGER, SHANGHAI), ("user1", SHANGHAI)):
        with federation.client(user, SHANGHAI, at=at) as client:
            for sql in (COUNT, f"EXPLAIN {COUNT}", f"DESCRIBE {PERF}"):
                assert refused_sql(client, sql).code == "not-found"
            assert "cluster_perf" not in [row["table_name"] for row in client.tables().to_pylist()]
            assert MOM not in [row["cluster_name"] for row in rows(client, "SHOW CLUSTERS")]
    assert latest_read(filled, PERF)["allowed"] is False


def test_what_is_revoked_or_denied_is_not_read_any_more(filled: Client, at_mom: Client) -> None:
    filled.update(f"GRANT CATALOG_READ ON monitor@{MOM} TO {READER}")
    (endpoint,) = at_mom.get_info(COUNT).endpoints
    assert count(at_mom, COUNT) > 0
    filled.update(f"DENY TABLE_READ ON {PERF} TO {READER}")
    assert refused_sql(at_mom, COUNT).code == "not-found"
    with pytest.raises(Exception, match=r"revoked-ticket|not-found"):
        at_mom.open_ticket(endpoint.handle).read_all()
    access = rows(filled, f"EXPLAIN ACCESS OF {READER} TO {PERF}")
    assert access[0]["is_allowed"] is False


def test_administrators_see_who_reads_it_and_can_be_denied(filled: Client) -> None:
    readers = {row["user_name"] for row in rows(filled, f"SHOW READERS OF {PERF}")}
    assert f"{ADMIN}@{MOM}" in readers
    assert READER not in readers
    filled.update(f"DENY TABLE_READ ON {PERF} TO {ADMIN}@{MOM}")
    assert refused_sql(filled, COUNT).code == "not-found"
    filled.update(f"REVOKE TABLE_READ ON {PERF} FROM {ADMIN}@{MOM}")
    assert count(filled, COUNT) > 0


def test_what_is_refused_of_members_tables_is_refused_of_the_moms(filled: Client) -> None:
    join = f"select 1 from {PERF} a join {PERF} b on a.node = b.node"
    assert refused_sql(filled, join).code == "join-not-supported"
    for change in (f"DELETE FROM {PERF}", f"DROP TABLE {PERF}", f"UPDATE {PERF} SET node = 'x'"):
        assert refused_sql(filled, change).status in {"UNIMPLEMENTED", "INVALID_ARGUMENT"}
    assert refused_sql(filled, f"select nothing from {PERF}").code == "unknown-column"


def test_statements_without_tables_of_the_moms_users_are_answered_by_the_mom(
    admin: Client,
) -> None:
    assert count(admin, "select 40 + 2 as n") == 42


@pytest.mark.usefixtures("granted_perf")
def test_clients_read_it_through_adbc(federation: DemoFederation) -> None:
    sign_in = {"username": READER, "password": federation.password("user1")}
    for at in (MOM, SHANGHAI):
        with (
            dbapi.connect(federation.uri(at), db_kwargs=sign_in, autocommit=True) as connection,
            connection.cursor() as cursor,
        ):
            cursor.execute(f"select cluster_name, load_1m from {PERF} limit 5")
            assert cursor.fetch_arrow_table().num_rows == 5
