"""External tables in an object store, through the whole federation."""

import json
from collections.abc import Iterator

import pytest

from flight_mom.demo.federation import HANGZHOU, MOM, SHANGHAI, DemoFederation
from flight_sql import Client, RemoteError
from tests.e2e.federation import (
    ADMIN,
    CHIEF,
    READER,
    count,
    environment,
    make_federation,
    refusal,
    refused_sql,
)
from tests.objectstores import BUCKET, S3Server, reading_key, running_s3
from tests.waiting import wait_until

OPEN, POND = "open", "pond"
TABLE = "lake.raw.days"
COUNT = f"select count(*) as n from {TABLE}@{HANGZHOU}"


@pytest.fixture(scope="module")
def s3() -> Iterator[S3Server]:
    with running_s3() as server:
        yield server


@pytest.fixture(scope="module")
def pond() -> S3Server:
    """A server that is not there but when a test runs it, at this endpoint."""
    with running_s3(POND) as server:
        return server


@pytest.fixture(scope="module")
def lakeside(
    s3: S3Server, pond: S3Server, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[DemoFederation]:
    """A federation whose members may read a part of two buckets."""
    directory = tmp_path_factory.mktemp("lakeside")
    federation = make_federation(directory / "federation")
    stores = json.dumps([each.settings(directory / "secrets", OPEN) for each in (s3, pond)])
    hidden = {"AWS_ACCESS_KEY_ID": "of-somebody-else", "AWS_ENDPOINT": "http://127.0.0.1:1"}
    told = {"FLIGHT_MEMBER_TABLES__OBJECT_STORES": stores, **hidden}
    with environment(told), federation.running():
        yield federation


@pytest.fixture(scope="module")
def chief(lakeside: DemoFederation) -> Iterator[Client]:
    with lakeside.client(CHIEF, HANGZHOU, at=HANGZHOU) as client:
        client.update("CREATE CATALOG lake")
        client.update("CREATE SCHEMA lake.raw")
        yield client


@pytest.fixture(scope="module")
def visitor(lakeside: DemoFederation, s3: S3Server, chief: Client) -> Iterator[Client]:
    """user1@shanghai at the MoM, who was granted a table of two days in the store."""
    location = s3.write_days(f"{OPEN}/days", days=2)
    sql = f"CREATE EXTERNAL TABLE {TABLE} PARTITIONED BY (day) LOCATION '{location}'"
    assert chief.update(sql) == 8
    with lakeside.client(ADMIN, MOM, at=MOM) as admin:
        wait_until(lambda: _granted(admin), 30)
    with lakeside.client("user1", SHANGHAI, at=MOM) as client:
        yield client


def _granted(admin: Client) -> bool:
    try:
        admin.update(f"GRANT TABLE_READ ON {TABLE}@{HANGZHOU} TO {READER}")
    except RemoteError:
        return False
    return True


def _count(client: Client) -> int | None:
    try:
        return int(client.query(COUNT).read_all()["n"][0].as_py())
    except RemoteError as error:
        # A statement that met the change is to be sent again.
        if error.code != "stale-metastore":
            raise
        return None


def test_visitor_reads_the_store_and_sees_a_file_that_is_added(
    visitor: Client, s3: S3Server
) -> None:
    assert _count(visitor) == 8
    s3.write_day(f"{OPEN}/days", 3)
    wait_until(lambda: _count(visitor) == 12, 30)


def test_explain_tells_that_files_are_pruned(visitor: Client) -> None:
    sql = f"explain select number from {TABLE}@{HANGZHOU} where day = date '2024-01-01'"
    told = {row["item"].strip(): row["value"] for row in visitor.query(sql).read_all().to_pylist()}
    assert told["files"].startswith("1 of ")
    assert not [value for value in told.values() if BUCKET in value.split("/")]


@pytest.mark.parametrize(
    "location", [f"s3://{BUCKET}/other/days", "s3://sea/open/days", f"s3://{BUCKET}/{OPEN}/../x"]
)
def test_place_outside_is_refused(chief: Client, location: str) -> None:
    error = refusal(chief.update, f"CREATE EXTERNAL TABLE lake.raw.no LOCATION '{location}'")
    assert error.code == "unusable-table"
    assert "tables.object_stores" in str(error)


def test_store_that_is_gone_refuses_its_tables_alone_until_it_is_back(
    chief: Client, visitor: Client, pond: S3Server
) -> None:
    port = int(pond.endpoint.rpartition(":")[2])
    sql = "select count(*) as n from lake.raw.fish"
    with running_s3(POND, port) as there:
        location = there.write_days(f"{OPEN}/fish", days=1)
        chief.update(f"CREATE EXTERNAL TABLE lake.raw.fish LOCATION '{location}'")
        assert count(chief, sql) == 4
    error = refused_sql(chief, sql)
    assert (error.code, error.status, error.retryable) == ("store-unavailable", "UNAVAILABLE", True)
    assert "the object store does not answer" in str(error)
    told = str(error)
    key = reading_key()
    assert not [part for part in (key.key_id, key.secret, pond.endpoint, POND) if part in told]
    assert _count(visitor)
    with running_s3(POND, port) as back:
        back.write_days(f"{OPEN}/fish", days=1)
        wait_until(lambda: _answers(chief, sql), 60)


def _answers(client: Client, sql: str) -> bool:
    try:
        return count(client, sql) == 4
    except RemoteError as error:
        if error.code not in {"stale-metastore", "store-unavailable"}:
            raise
        return False
