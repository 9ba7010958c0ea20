"""Gives each version of a managed table that is read a folder of its own, in Hive's layout.

The folder holds hard links to the files of that version and nothing else, so that the engine lists
exactly them and prunes partitions as it does everywhere; a link also keeps a file that is vacuumed
meanwhile until whoever reads it is done. Folders are shared by all statements that read the same
version; of those that nobody reads a few are kept for the next statement.

Where several nodes read a table together, each has such a folder with its part of the files. Of
tables that others write these are symbolic links, which may lead to another file system and to
files of other users. What lies in an object store cannot be linked: all of such a table is one
node's, and nothing of it the others'.

The folders are a process's own, also where several processes of several machines share the tables:
each holds a lock in its folder for as long as it lives. What a killed one left is removed by the
next that starts: on the same machine at once, for a lock that nobody holds is proof there. Of
another machine it is not on every shared file system, so its folders are left alone for a day.
"""

import fcntl
import os
import re
import shutil
import socket
import threading
import time
import uuid
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from storage.deltalog import DataFile, DeltaLog, DeltaState
from storage.errors import StaleMetastoreError, StorageError, UnusableTableError
from storage.locking import locked
from storage.metastore import Table, TableKind
from storage.objecturl import is_remote
from storage.parquet import list_files, snapshot_of
from storage.partitionwriter import hive_folder
from storage.room import unwritten
from storage.sharding import Shard

_MAX_IDLE = 32
_MAX_IDLE_S = 600.0
_OWNER, _MAKING = ".owner", ".making-"
# Longer than any statement runs.
_FOREIGN_S = 86_400.0


@dataclass(slots=True)
class _Snapshot:
    """One version of a table, or a part of one; `folder` is there once it was built."""

    folder: Path
    building: threading.Lock = field(default_factory=threading.Lock)
    is_built: bool = False
    lease_count: int = 0
    idle_since: float = 0.0


class Snapshots:
    """The folders of one process, made when they are first needed. Used from many threads."""

    def __init__(self, directory: Path) -> None:
        """Prepare to make folders.

        Args:
            directory: On the file system of the tables; several processes may share it.
        """
        self._directory = directory
        self._own: Path | None = None
        self._descriptor = -1
        self._lock = threading.Lock()
        self._known: OrderedDict[tuple[str, str, Shard | None], _Snapshot] = OrderedDict()

    def folder_of(
        self, table: Table, shard: Shard | None = None
    ) -> AbstractContextManager[Path] | None:
        """Return what gives the folder in which a table is read; None where that is its own place.

        Args:
            table: As it is to be read.
            shard: Which part of its files; None for all.
        """
        if table.kind is not TableKind.MANAGED:
            if shard is None:
                return None
            if is_remote(str(table.location)) and shard.holds(table.id):
                return None
        return self.lease(table, shard)

    @contextmanager
    def lease(self, table: Table, shard: Shard | None = None) -> Iterator[Path]:
        """Give the folder of a table's version, or a part of it, which stays until the block ends.

        Raises:
            StaleMetastoreError: When the version, or a file of it, is gone, or it is no version.
            DiskFullError: When there is no room for the links.
        """
        # It names a folder, and comes with a ticket: whoever signed that one has no say in paths.
        if not _is_snapshot(table):
            raise _gone(table)
        with _plain_faults():
            snapshot = self._take(table, shard)
        try:
            with snapshot.building, _plain_faults():
                if not snapshot.is_built:
                    _build(table, shard, snapshot.folder)
                    snapshot.is_built = True
            yield snapshot.folder
        finally:
            self._give_back(snapshot)

    @contextmanager
    def scratch(self) -> Iterator[Path]:
        """Give an empty folder on the file system of the tables, gone when the block ends."""
        with self._lock, _plain_faults():
            folder = self._open() / f"scratch-{uuid.uuid4().hex}"
            folder.mkdir(mode=0o700)
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def close(self) -> None:
        """Remove every folder; statements that still read lose their files."""
        with self._lock:
            own, self._own = self._own, None
            self._known.clear()
            if own is not None:
                shutil.rmtree(own, ignore_errors=True)
                os.close(self._descriptor)

    def _take(self, table: Table, shard: Shard | None) -> _Snapshot:
        with self._lock:
            key = (table.id, table.snapshot, shard)
            snapshot = self._known.get(key)
            if snapshot is None:
                part = "" if shard is None else f"-{uuid.uuid4().hex}"
                folder = self._open() / f"{table.id}-{table.snapshot}{part}"
                snapshot = self._known[key] = _Snapshot(folder)
            snapshot.lease_count += 1
            # Other machines see by this that it is in use.
            os.utime(snapshot.folder.parent)
            self._known.move_to_end(key)
            self._forget_idle()
            return snapshot

    def _give_back(self, snapshot: _Snapshot) -> None:
        with self._lock:
            snapshot.lease_count -= 1
            snapshot.idle_since = time.monotonic()
            self._forget_idle()

    def _forget_idle(self) -> None:
        """Remove the folders that nobody reads, but for the newest few."""
        idle = [key for key, one in self._known.items() if not one.lease_count]
        long_ago = time.monotonic() - _MAX_IDLE_S
        for position, key in enumerate(idle):
            snapshot = self._known[key]
            if position < len(idle) - _MAX_IDLE or snapshot.idle_since < long_ago:
                del self._known[key]
                shutil.rmtree(snapshot.folder, ignore_errors=True)

    def _open(self) -> Path:
        """Return this process's folder; those of processes that are gone are removed."""
        if self._own is None:
            self._directory.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._own, self._descriptor = _make_own(self._directory)
            for left in self._directory.iterdir():
                _sweep(left)
        return self._own


def _make_own(directory: Path) -> tuple[Path, int]:
    """Make a folder of this process's own, and return it with what holds its lock.

    It gets the name by which others find it only once it is locked.
    """
    name = f"{_host()}-{uuid.uuid4().hex}"
    making = directory / f"{_MAKING}{name}"
    making.mkdir(mode=0o700)
    # A file, and to be written: network file systems lock nothing else for one process alone.
    descriptor = os.open(making / _OWNER, os.O_RDWR | os.O_CREAT, 0o600)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    making.rename(directory / name)
    return directory / name, descriptor


def _sweep(left: Path) -> None:
    """Remove a folder if whoever made it is gone for sure."""
    host, dash, _ = left.name.rpartition("-")
    is_ours = not dash or host == _host()
    if left.name.startswith(_MAKING) or not is_ours:
        try:
            is_old = time.time() - left.stat().st_mtime > _FOREIGN_S
        except OSError:
            is_old = False
        if not is_old:
            return
    owner = left / _OWNER
    # Folders of earlier versions, and those that were never finished, have no file to lock.
    with locked(owner if owner.exists() else left, to_write=owner.exists()) as is_left:
        if is_left:
            shutil.rmtree(left, ignore_errors=True)


def _host() -> str:
    return re.sub(r"[^a-z0-9]", "", socket.gethostname().lower())[:63] or "host"


@contextmanager
def _plain_faults() -> Iterator[None]:
    """Replace the system's words, which name paths, by ours."""
    try:
        yield
    except OSError as error:
        refusal = unwritten(error, "the table's files cannot be laid out to be read")
    else:
        return
    raise refusal


def link_files(
    location: Path, state: DeltaState, folder: Path, *, numbered: str | None = None
) -> None:
    """Fill a folder with links to the files of a version, in Hive's layout.

    Args:
        location: Where the table lies.
        state: The version.
        folder: Made here.
        numbered: A further outermost partition column, in which each file has its own number.

    Raises:
        StaleMetastoreError: When a file is gone.
    """
    folder.mkdir(mode=0o700)
    made: set[Path] = set()
    keys = [*([numbered] if numbered else []), *state.partition_columns]
    for number, file in enumerate(state.files):
        values = (*([number] if numbered else []), *file.values)
        into = folder / hive_folder(keys, values)
        if into not in made:
            into.mkdir(parents=True, exist_ok=True)
            made.add(into)
        _link(location, file, into)


def _is_snapshot(table: Table) -> bool:
    """Whether a snapshot is spelt as this program spells those of its kind of table."""
    if table.kind is TableKind.MANAGED:
        return table.snapshot.isdecimal() and str(int(table.snapshot)) == table.snapshot
    return table.snapshot.isalnum()


def _build(table: Table, shard: Shard | None, folder: Path) -> None:
    location = Path(str(table.location))
    try:
        if table.kind is TableKind.MANAGED:
            state = DeltaLog(location).read(int(table.snapshot))
            if shard is not None:
                files = tuple(file for file in state.files if shard.holds(file.path))
                state = replace(state, files=files)
            link_files(location, state, folder)
        else:
            folder.mkdir(mode=0o700)
            if shard is not None and not is_remote(str(table.location)):
                _point_at_files(table, shard, folder)
    except StaleMetastoreError:
        shutil.rmtree(folder, ignore_errors=True)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    else:
        return
    raise _gone(table)


def _point_at_files(table: Table, shard: Shard, folder: Path) -> None:
    """Fill a folder with symbolic links to a part of the files of a table that others write.

    Raises:
        StaleMetastoreError: When its files are not those of the snapshot.
    """
    location = Path(str(table.location))
    try:
        files = list_files(location)
    except (UnusableTableError, OSError):
        files = []
    if snapshot_of(files) != table.snapshot:
        raise _gone(table)
    for file in files:
        if shard.holds(file.path):
            link = folder / file.path
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to(location.absolute() / file.path)


def _gone(table: Table) -> StaleMetastoreError:
    return StaleMetastoreError(f"that version of {table.name} is gone; execute it again")


def _link(location: Path, file: DataFile, into: Path) -> None:
    commit, _, name = file.path.rpartition("/")
    try:
        os.link(location / file.path, into / f"{commit.replace('/', '-')}-{name}")
    except FileNotFoundError:
        gone = "a file of that version of the table is gone; execute it again"
        refusal: StorageError = StaleMetastoreError(gone)
    except OSError as error:
        refusal = unwritten(error, "the table's files cannot be linked; keep all of it on one disk")
    else:
        return
    raise refusal
