"""Tables whose files lie in an object store, against a server that speaks S3."""

import socket
import time
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pyarrow as pa
import pytest

from storage.datafusionengine import DataFusionEngine
from storage.errors import StaleMetastoreError, StoreUnavailableError, UnusableTableError
from storage.metastore import Table
from storage.objectstore import ObjectStore, ObjectStores
from tests.objectstores import BUCKET, S3Server, reading_key, running_s3
from tests.storage.factories import NAME, ask


@pytest.fixture(scope="module")
def s3() -> Iterator[S3Server]:
    with running_s3() as server:
        yield server


@pytest.fixture
def prefix() -> str:
    return f"t{uuid4().hex}"


def engine_of(stores: ObjectStores, directory: Path) -> DataFusionEngine:
    return DataFusionEngine(
        memory_limit_bytes=1 << 28, spill_directory=directory / "spill", stores=stores
    )


def remote_table(stores: ObjectStores, location: str) -> Table:
    found = stores.scan(location)
    return Table(
        id=uuid4().hex,
        name=NAME,
        arrow_schema=found.arrow_schema,
        partition_columns=found.partition_columns,
        schema_version=1,
        snapshot=found.snapshot,
        row_count=found.row_count,
        byte_count=found.byte_count,
        file_count=found.file_count,
        location=location,
    )


def test_scan_finds_columns_partitions_and_counts(s3: S3Server, prefix: str) -> None:
    found = s3.stores().scan(s3.write_days(prefix))
    assert found.arrow_schema.names == ["number", "day"]
    assert found.arrow_schema.field("day").type == pa.date32()
    assert (found.row_count, found.file_count, found.partition_columns) == (12, 3, ("day",))


def test_engine_answers_from_the_store(s3: S3Server, prefix: str, tmp_path: Path) -> None:
    stores = s3.stores()
    table = remote_table(stores, s3.write_days(prefix))
    engine = engine_of(stores, tmp_path)
    text = f"select day, sum(number) as total from {NAME.table} where day > date '2024-01-01' "
    rows = ask(engine, f"{text} group by day order by day", table)
    assert rows["total"].to_pylist() == [6, 6]
    engine.close()


def test_explain_counts_pruned_files_and_row_groups(
    s3: S3Server, prefix: str, tmp_path: Path
) -> None:
    stores = s3.stores()
    location = s3.write_days(prefix, days=2)
    rows = pa.table({"number": pa.array(range(100), pa.int64())})
    s3.write(f"{prefix}/day=2024-01-09/part-0.parquet", rows, row_group_size=25)
    table = remote_table(stores, location)
    engine = engine_of(stores, tmp_path)
    text = f"select number from {NAME.table} where day = date '2024-01-09' and number > 80"
    told = engine.explain([table], text, catalog="trading", schema="stock").explain()
    (scan,) = told.scans
    assert (scan.file_count, scan.file_total) == (1, 3)
    assert (scan.row_group_count, scan.row_group_total) == (1, 6)
    assert scan.byte_total == table.byte_count
    engine.close()


def test_added_file_is_another_snapshot_and_refused_as_stale(
    s3: S3Server, prefix: str, tmp_path: Path
) -> None:
    stores = s3.stores()
    table = remote_table(stores, s3.write_days(prefix, days=1))
    engine = engine_of(stores, tmp_path)
    s3.write_day(prefix, 2)
    with pytest.raises(StaleMetastoreError):
        ask(engine, f"select * from {NAME.table}", table)
    fresh = remote_table(stores, str(table.location))
    assert fresh.snapshot != table.snapshot
    assert ask(engine, f"select * from {NAME.table}", fresh).num_rows == 8
    engine.close()


def test_columns_drift_as_on_disk(s3: S3Server, prefix: str, tmp_path: Path) -> None:
    stores = s3.stores()
    s3.write(f"{prefix}/a.parquet", pa.table({"number": pa.array([1], pa.int32())}))
    s3.write(f"{prefix}/b.parquet", pa.table({"number": pa.array([2], pa.int64()), "text": ["x"]}))
    table = remote_table(stores, f"s3://{BUCKET}/{prefix}")
    engine = engine_of(stores, tmp_path)
    rows = ask(engine, f"select number, text from {NAME.table} order by number", table)
    assert rows.to_pylist() == [{"number": 1, "text": None}, {"number": 2, "text": "x"}]
    s3.write(f"{prefix}/c.parquet", pa.table({"number": ["three"]}))
    with pytest.raises(UnusableTableError, match=r"c\.parquet has string in column number"):
        stores.scan(f"s3://{BUCKET}/{prefix}")
    engine.close()


@pytest.mark.parametrize(
    "path, words",
    [
        ("notes.txt", "notes.txt does not belong to a table"),
        ("_half.parquet", "_half.parquet does not belong to a table"),
        ("other/part.parquet", "folder other is not a partition"),
        ("part.parquet", "part.parquet lies in other partitions|every file needs"),
        ("day=2024-01-07/part.parquet", "part.parquet is not a whole Parquet file"),
    ],
)
def test_foreign_file_refuses_the_table(s3: S3Server, prefix: str, path: str, words: str) -> None:
    location = s3.write_days(prefix, days=1)
    s3.write_bytes(f"{prefix}/{path}", b"no parquet at all")
    with pytest.raises(UnusableTableError, match=words):
        s3.stores().scan(location)


def test_damaged_footer_is_the_files_fault_not_the_stores(s3: S3Server, prefix: str) -> None:
    location = s3.write_days(prefix, days=1)
    s3.write_bytes(f"{prefix}/day=2024-01-07/bad.parquet", b"PAR1" + b"\xff" * 64 + b"@\0\0\0PAR1")
    stores = s3.stores()
    with pytest.raises(UnusableTableError, match=r"bad\.parquet is not a whole Parquet file"):
        stores.scan(location)
    assert len(stores.list_files(location)) == 2


def test_marker_is_passed_over(s3: S3Server, prefix: str) -> None:
    location = s3.write_days(prefix, days=1)
    s3.write_bytes(f"{prefix}/_SUCCESS", b"")
    assert s3.stores().scan(location).file_count == 1


def test_nothing_there_is_said(s3: S3Server, prefix: str) -> None:
    with pytest.raises(UnusableTableError, match="holds no Parquet files"):
        s3.stores().scan(f"s3://{BUCKET}/{prefix}")


@pytest.mark.parametrize(
    "written",
    [
        "s3://lake",
        "s3://lake/open",
        "s3://lake/openly/t",
        "s3://lake/other/t",
        "s3://pond/open/t",
        "s3://lake/open/x/../../other",
        "s3://lake/open//t",
        "s3://lake/open/*",
        "s3://lake/open/t?versionId=1",
        "s3://key:secret@lake/open/t",
        "S3://lake/open/t",
    ],
)
def test_place_outside_is_refused(s3: S3Server, written: str) -> None:
    stores = s3.stores("s3://lake/open/public")
    with pytest.raises(UnusableTableError):
        stores.require_within(written)
    assert stores.require_within("s3://lake/open/public/t/") == "s3://lake/open/public/t"


def test_secret_is_not_shown(s3: S3Server) -> None:
    assert reading_key().secret not in repr(s3.store())


def test_environment_says_nothing(
    s3: S3Server, prefix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    location = s3.write_days(prefix)
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    monkeypatch.setenv("AWS_ENDPOINT", "http://127.0.0.1:1")
    monkeypatch.setenv("AWS_VIRTUAL_HOSTED_STYLE_REQUEST", "true")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "of-somebody-else")
    stores = s3.stores()
    table = remote_table(stores, location)
    engine = engine_of(stores, tmp_path)
    assert ask(engine, f"select * from {NAME.table}", table).num_rows == 12
    engine.close()


def test_store_that_is_gone_is_told_soon_and_left_alone(prefix: str) -> None:
    with socket.socket() as silent:
        # It takes connections and never answers.
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        endpoint = f"http://127.0.0.1:{silent.getsockname()[1]}"
        now = [0.0]
        store = ObjectStore(f"s3://{BUCKET}", endpoint, "us-east-1", "AKIA", "secret")
        stores = ObjectStores([store], lambda: now[0])
        started = time.monotonic()
        for _ in range(50):
            with pytest.raises(StoreUnavailableError, match="the object store does not answer"):
                stores.list_files(f"s3://{BUCKET}/{prefix}")
        # One wait of three seconds, not fifty.
        assert time.monotonic() - started < 30
        assert not stores.is_current(f"s3://{BUCKET}/{prefix}", "any")


def test_store_is_asked_again_after_a_while(s3: S3Server, prefix: str) -> None:
    location = s3.write_days(prefix)
    now = [0.0]
    stores = ObjectStores([s3.store()], lambda: now[0])
    stores._down_until[BUCKET] = 10.0
    with pytest.raises(StoreUnavailableError, match="does not answer"):
        stores.list_files(location)
    now[0] = 11.0
    assert len(stores.list_files(location)) == 3


def test_missing_bucket_is_said(s3: S3Server) -> None:
    stores = s3.stores("s3://nowhere")
    with pytest.raises(UnusableTableError, match=r"bucket does not exist|no Parquet files"):
        stores.list_files("s3://nowhere/t")
    assert len(s3.stores().list_files(s3.write_days("after"))) == 3


@pytest.mark.parametrize("wrong", [{"secret": "another"}, {"key_id": "AKIANOBODY"}])
def test_wrong_key_is_told_at_once(s3: S3Server, prefix: str, wrong: dict[str, str]) -> None:
    location = s3.write_days(prefix)
    stores = s3.stores(**wrong)
    for _ in range(2):
        with pytest.raises(UnusableTableError, match="refuses the member's key") as caught:
            stores.scan(location)
    assert not [part for part in (prefix, BUCKET, s3.endpoint) if part in str(caught.value)]
