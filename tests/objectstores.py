"""A real server that speaks S3 on loopback and checks signatures, and what tests put into it."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from moto import settings as moto_settings
from moto.iam.models import iam_backends
from moto.server import ThreadedMotoServer
from pyarrow import fs

from storage.objectstore import ObjectStore, ObjectStores

BUCKET, REGION = "lake", "us-east-1"
_ACCOUNT = "123456789012"
_READING = ("s3:ListBucket", "s3:GetObject")


@dataclass(frozen=True)
class Key:
    """What a request is signed with."""

    key_id: str
    secret: str = field(repr=False)


@cache
def _key_for(*actions: str) -> Key:
    """Make a user of the servers of this process who may do these."""
    users = iam_backends[_ACCOUNT]["aws"]
    name = f"user{abs(hash(actions))}"
    users.create_user(REGION, name)
    allowed = {"Effect": "Allow", "Action": actions, "Resource": "*"}
    policy = {"Version": "2012-10-17", "Statement": [allowed]}
    users.put_user_policy(name, "allowed", json.dumps(policy))
    key = users.create_access_key(name)
    return Key(key.access_key_id, key.secret_access_key)


def reading_key() -> Key:
    """Return what a member reads with: it may list and get, and no more."""
    return _key_for(*_READING)


@dataclass
class S3Server:
    """A server that runs, with one bucket."""

    endpoint: str
    files: fs.S3FileSystem = field(repr=False)
    bucket: str = BUCKET

    def write(self, path: str, rows: pa.Table, **options: int) -> None:
        """Write one Parquet file below the bucket."""
        pq.write_table(rows, f"{self.bucket}/{path}", filesystem=self.files, **options)

    def write_bytes(self, path: str, content: bytes) -> None:
        with self.files.open_output_stream(f"{self.bucket}/{path}") as stream:
            stream.write(content)

    def write_days(self, prefix: str, days: int = 3) -> str:
        """Write a table partitioned by day with rows 0 … 3 each; returns its location."""
        for day in range(1, days + 1):
            self.write_day(prefix, day)
        return f"s3://{self.bucket}/{prefix}"

    def write_day(self, prefix: str, day: int) -> None:
        rows = pa.table({"number": pa.array(range(4), pa.int64())})
        self.write(f"{prefix}/day=2024-01-{day:02}/part-0.parquet", rows)

    def store(self, url: str = f"s3://{BUCKET}", **changes: str) -> ObjectStore:
        """Return the store as a member is told of it."""
        key = reading_key()
        told = {"endpoint": self.endpoint, "region": REGION, "key_id": key.key_id}
        told["secret"] = key.secret
        return ObjectStore(url, **(told | changes))

    def stores(self, url: str = f"s3://{BUCKET}", **changes: str) -> ObjectStores:
        return ObjectStores([self.store(url, **changes)])

    def settings(self, directory: Path, prefix: str) -> dict[str, str]:
        """Return an entry of tables.object_stores, with its secret in a file."""
        directory.mkdir(exist_ok=True)
        secret = directory / "s3.secret"
        secret.write_text(f"{reading_key().secret}\n")
        return {
            "url": f"s3://{self.bucket}/{prefix}",
            "endpoint": self.endpoint,
            "key_id": reading_key().key_id,
            "secret_file": str(secret),
        }


@contextmanager
def running_s3(bucket: str = BUCKET, port: int = 0) -> Iterator[S3Server]:
    """Run a server on loopback, on a free port if none is named."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=port, verbose=False)
    writing = _key_for("s3:*")
    before = moto_settings.INITIAL_NO_AUTH_ACTION_COUNT
    # From the first request on: who asks, and whether they may.
    moto_settings.INITIAL_NO_AUTH_ACTION_COUNT = 0.0
    server.start()
    try:
        host, port = server.get_host_and_port()
        files = fs.S3FileSystem(
            access_key=writing.key_id,
            secret_key=writing.secret,
            region=REGION,
            scheme="http",
            endpoint_override=f"{host}:{port}",
            allow_bucket_creation=True,
        )
        files.create_dir(bucket)
        try:
            yield S3Server(f"http://{host}:{port}", files, bucket)
        finally:
            # The servers of one process hold the same buckets: the next begins with an empty one.
            files.delete_dir_contents(bucket)
    finally:
        server.stop()
        moto_settings.INITIAL_NO_AUTH_ACTION_COUNT = before
