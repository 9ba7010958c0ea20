"""Tables whose files lie in an object store that speaks S3: what is there, and how it is read.

A place is `s3://bucket/prefix` below a store that was configured, which says where it answers and
with which key. Nothing is taken from the environment: what is not configured is not read.

A store that does not answer is left alone for some seconds, so that one that is gone costs each
look for changed files one short wait, not one for every table in it.
"""

import logging
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import fs

from storage.errors import StorageError, StoreUnavailableError, UnusableTableError
from storage.hive import split_segment
from storage.metastore import Table
from storage.objecturl import SCHEME, is_remote, read_url
from storage.parquet import (
    SUFFIX,
    ParquetFile,
    PartitionedFiles,
    arranged,
    describe,
    list_files,
    scan_partitioned,
    snapshot_of,
)

_log = logging.getLogger(__name__)

_CONNECT_S, _READ_S = 2, 3
_DOWN_S = 10.0
_FROM_STORE = "AWS Error"
_REFUSALS = ("ACCESS_DENIED", "INVALID_ACCESS_KEY", "SIGNATURE", "INVALID_CLIENT_TOKEN")
_SILENT = "the object store does not answer; try again later, or tell the member's operator"
_REFUSED = "the object store refuses the member's key; tell the member's operator"
_OUTSIDE = (
    "the location lies outside the configured object stores; add its bucket to tables.object_stores"
)
_DISK = fs.LocalFileSystem()


@dataclass(frozen=True, slots=True)
class ObjectStore:
    """A bucket, or a part of one, and how it is reached."""

    url: str
    endpoint: str
    region: str
    key_id: str
    secret: str = field(repr=False)

    @property
    def bucket(self) -> str:
        """The name of the bucket."""
        return read_url(self.url)[0]

    @property
    def is_plaintext(self) -> bool:
        """Whether it is asked without TLS."""
        return urlsplit(self.endpoint).scheme == "http"

    def holds(self, bucket: str, segments: tuple[str, ...]) -> bool:
        """Whether a place lies in it."""
        own_bucket, own = read_url(self.url)
        return own_bucket == bucket and segments[: len(own)] == own


class ObjectStores:
    """The object stores that a member may read, and the disk beside them; for many threads."""

    def __init__(
        self, stores: Iterable[ObjectStore] = (), now: Callable[[], float] = time.monotonic
    ) -> None:
        self._stores = {store.bucket: store for store in stores}
        self._now = now
        self._lock = threading.Lock()
        self._opened: dict[str, fs.S3FileSystem] = {}
        self._down_until: dict[str, float] = {}

    def __iter__(self) -> Iterator[ObjectStore]:
        return iter(self._stores.values())

    def require_within(self, written: str) -> str:
        """Return a place in the one way that it is kept; it must lie in a configured store.

        Raises:
            UnusableTableError: When it does not.
        """
        try:
            bucket, segments = read_url(written)
        except ValueError as error:
            fault = f"the location {error}"
        else:
            store = self._stores.get(bucket)
            if store is not None and segments and store.holds(bucket, segments):
                return f"{SCHEME}{'/'.join((bucket, *segments))}"
            fault = _OUTSIDE
        raise UnusableTableError(fault)

    def list_files(self, location: str) -> list[ParquetFile]:
        """Return the Parquet files of a table, ordered by path; nothing is opened.

        Raises:
            UnusableTableError: When there is none, or one does not belong there.
            StoreUnavailableError: When nobody answers.
            OSError: When a directory of the disk cannot be read.
        """
        if not is_remote(location):
            return list_files(Path(location))
        with self._asking(location) as (files, path):
            selector = fs.FileSelector(path, recursive=True, allow_not_found=True)
            found = files.get_file_info(selector)
        return arranged(
            ParquetFile(_checked(one.path[len(path) + 1 :]), one.size, one.mtime_ns or 0)
            for one in found
            if one.is_file and not _is_marker(one.base_name)
        )

    def scan(self, location: str, known: pa.Schema | None = None) -> PartitionedFiles:
        """Read what a table's place holds; see `storage.parquet.scan_partitioned`.

        Raises:
            UnusableTableError: When it is no table.
            StoreUnavailableError: When nobody answers.
        """
        if not is_remote(location):
            return scan_partitioned(Path(location), known)
        return describe(
            self.list_files(location), lambda file: self._read_footer(location, file), known
        )

    def is_current(self, location: str, snapshot: str) -> bool:
        """Whether the files of a place are those of a snapshot; none of them is opened."""
        try:
            return snapshot_of(self.list_files(location)) == snapshot
        except (StorageError, OSError):
            return False

    def opened(self, path: str) -> tuple[fs.FileSystem, str]:
        """Return the file system of a file, and what it is called there.

        Raises:
            UnusableTableError: When it lies in no configured store.
        """
        if not is_remote(path):
            return _DISK, path
        within = path.removeprefix(SCHEME)
        return self._filesystem(within.partition("/")[0]), within

    def has_remote(self, tables: Iterable[Table]) -> bool:
        """Whether files of any of these tables lie in an object store."""
        return any(is_remote(str(table.location)) for table in tables)

    def _read_footer(self, location: str, file: ParquetFile) -> pq.FileMetaData:
        with self._asking(location) as (files, path):
            try:
                return pq.read_metadata(f"{path}/{file.path}", filesystem=files)
            except (OSError, pa.ArrowException) as error:
                # A damaged footer is an OSError as well.
                if _FROM_STORE in str(error):
                    raise
        raise UnusableTableError(
            f"{file.base_name} is not a whole Parquet file; it is being written, or damaged"
        )

    @contextmanager
    def _asking(self, location: str) -> Iterator[tuple[fs.S3FileSystem, str]]:
        """Give a place's file system and path; whatever the store does, is told in our words."""
        path = location.removeprefix(SCHEME)
        bucket = path.partition("/")[0]
        with self._lock:
            is_down = self._down_until.get(bucket, 0.0) > self._now()
        if is_down:
            raise StoreUnavailableError(_SILENT)
        try:
            yield self._filesystem(bucket), path
        except (OSError, pa.ArrowException) as error:
            words = str(error)
        else:
            return
        # The library's words name buckets and keys.
        _log.info("object_store_failed", extra={"store_text": words})
        if any(part in words for part in _REFUSALS):
            raise UnusableTableError(_REFUSED)
        if "NO_SUCH_BUCKET" in words:
            raise UnusableTableError("the location's bucket does not exist")
        with self._lock:
            self._down_until[bucket] = self._now() + _DOWN_S
        raise StoreUnavailableError(_SILENT)

    def _filesystem(self, bucket: str) -> fs.S3FileSystem:
        store = self._stores.get(bucket)
        if store is None:
            raise UnusableTableError(_OUTSIDE)
        with self._lock:
            if bucket not in self._opened:
                parts = urlsplit(store.endpoint)
                self._opened[bucket] = fs.S3FileSystem(
                    access_key=store.key_id,
                    secret_key=store.secret,
                    region=store.region,
                    scheme=parts.scheme,
                    endpoint_override=parts.netloc,
                    connect_timeout=_CONNECT_S,
                    request_timeout=_READ_S,
                    retry_strategy=fs.AwsStandardS3RetryStrategy(max_attempts=1),
                )
            return self._opened[bucket]


DISK_ALONE = ObjectStores()
"""No object stores at all."""


def _is_marker(name: str) -> bool:
    return name.startswith((".", "_")) and not name.endswith(SUFFIX)


def _checked(path: str) -> str:
    """Return a file's path, which must be one that belongs to a table."""
    *folders, name = path.split("/")
    for folder in folders:
        if folder.startswith((".", "_")) or split_segment(folder) is None:
            raise UnusableTableError(f"folder {folder} is not a partition key=value")
    if name.startswith((".", "_")) or not name.endswith(SUFFIX):
        raise UnusableTableError(f"{name} does not belong to a table; move it away")
    return path
