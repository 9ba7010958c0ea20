"""A real server that speaks S3 on loopback, and what tests put into it."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from moto.server import ThreadedMotoServer
from pyarrow import fs

from storage.objectstore import ObjectStore, ObjectStores

BUCKET, KEY_ID, SECRET, REGION = "lake", "AKIATESTS", "quite-secret-indeed", "us-east-1"


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
        told = {"endpoint": self.endpoint, "region": REGION, "key_id": KEY_ID, "secret": SECRET}
        return ObjectStore(url, **(told | changes))

    def stores(self, url: str = f"s3://{BUCKET}", **changes: str) -> ObjectStores:
        return ObjectStores([self.store(url, **changes)])

    def settings(self, directory: Path, prefix: str) -> dict[str, str]:
        """Return an entry of tables.object_stores, with its secret in a file."""
        directory.mkdir(exist_ok=True)
        secret = directory / "s3.secret"
        secret.write_text(f"{SECRET}\n")
        return {
            "url": f"s3://{self.bucket}/{prefix}",
            "endpoint": self.endpoint,
            "key_id": KEY_ID,
            "secret_file": str(secret),
        }


@contextmanager
def running_s3(bucket: str = BUCKET, port: int = 0) -> Iterator[S3Server]:
    """Run a server on loopback, on a free port if none is named."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=port, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        files = fs.S3FileSystem(
            access_key=KEY_ID,
            secret_key=SECRET,
            region=REGION,
            scheme="http",
            endpoint_override=f"{host}:{port}",
            allow_bucket_creation=True,
        )
        files.create_dir(bucket)
        yield S3Server(f"http://{host}:{port}", files, bucket)
    finally:
        server.stop()
