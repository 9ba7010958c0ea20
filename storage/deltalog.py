"""The log of a managed table: which files its versions have, and how another version is made.

A version is made by one atomic step of the log (putting a file where none was): until then nothing
of a write is seen by anybody, and afterwards all of it is. Several processes may write at once.
What two of them do to different files is all done; of two that remove the same file, one is
refused. Only this module speaks to `deltalake`.
"""

import json
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
from deltalake import CommitProperties, DeltaTable, Schema
from deltalake.exceptions import CommitFailedError, DeltaError
from deltalake.transaction import AddAction, RemoveAction, create_table_with_add_actions

from storage.deltatypes import declared_schema, own_schema
from storage.errors import StaleMetastoreError, WriteConflictError
from storage.lastlook import take_last_look
from storage.partitionwriter import sync
from storage.room import unwritten

LOG_FOLDER = "_delta_log"
_ATTEMPTS = 20


@dataclass(frozen=True, slots=True)
class DataFile:
    """One file of a version; `path` is relative to the table, `values` are its partition's."""

    path: str
    byte_count: int
    row_count: int
    values: tuple[object, ...]
    stats: str = ""
    """What the log tells others of its values, as JSON; only of a file that is being added."""


@dataclass(frozen=True, slots=True)
class DeltaState:
    """One version of a table."""

    version: int
    arrow_schema: pa.Schema
    partition_columns: tuple[str, ...]
    files: tuple[DataFile, ...]

    @property
    def snapshot(self) -> str:
        """What the metastore calls this version."""
        return str(self.version)

    @property
    def row_count(self) -> int:
        """Rows in all files."""
        return sum(file.row_count for file in self.files)

    @property
    def byte_count(self) -> int:
        """Bytes of all files."""
        return sum(file.byte_count for file in self.files)


class DeltaLog:
    """The log of the table in one directory. Holds nothing: every call looks at the disk."""

    def __init__(self, location: Path) -> None:
        self._location = location

    @classmethod
    def create(
        cls,
        location: Path,
        arrow_schema: pa.Schema,
        partition_by: Sequence[str],
        files: Iterable[DataFile],
    ) -> DeltaState:
        """Begin a log with version 0.

        Raises:
            UnusableTableError: When it cannot be written, or the columns cannot be declared.
        """
        try:
            create_table_with_add_actions(
                str(location),
                Schema.from_arrow(declared_schema(arrow_schema)),
                [_add(partition_by, file, changes_rows=True) for file in files],
                partition_by=list(partition_by),
            )
        except (DeltaError, OSError, ValueError) as error:
            refusal = unwritten(error, "the table cannot be stored there")
        else:
            log = cls(location)
            log.sync()
            return log.read()
        raise refusal

    def read(self, version: int | None = None) -> DeltaState:
        """Return a version, the newest one by default.

        Raises:
            StaleMetastoreError: When the log does not hold that version any more.
        """
        return _state(self._open(version))

    def latest_version(self) -> int:
        """Return the number of the newest version, without reading it.

        Raises:
            StaleMetastoreError: When there is no log.
        """
        versions = [
            int(entry.stem)
            for entry in (self._location / LOG_FOLDER).glob("*.json")
            if entry.stem.isdigit()
        ]
        if not versions:
            raise StaleMetastoreError("the table's log is gone; execute it again")
        return max(versions)

    def append(self, base: DeltaState, files: Sequence[DataFile], note: str) -> DeltaState:
        """Add files to whatever the newest version is.

        Args:
            base: The version whose columns the files have.
            files: What is added.
            note: What the history calls it.

        Raises:
            WriteConflictError: When the table has other columns by now.
        """
        for _ in range(_ATTEMPTS):
            table = self._open(None)
            _require_columns(base, table)
            # Another commit came first, which an addition does not mind.
            if self._commit(table, (), files, note, changes_rows=True):
                return self._written()
        raise WriteConflictError("too many others are writing to the table; execute it again")

    def replace(
        self,
        base: DeltaState,
        removed: Sequence[DataFile],
        added: Sequence[DataFile],
        note: str,
        *,
        changes_rows: bool = True,
    ) -> DeltaState:
        """Remove files of a version, and add others, in one step.

        Files that others added since then stay.

        Raises:
            WriteConflictError: When another removed one of the files, or changed the columns.
        """
        for _ in range(_ATTEMPTS):
            table = self._open(None)
            _require_columns(base, table)
            left = {file.path for file in _state(table).files}
            if not left.issuperset(file.path for file in removed):
                raise WriteConflictError(
                    "another statement changed the same rows meanwhile; execute it again"
                )
            # Another commit came first: whether it is in the way is looked at anew.
            if self._commit(table, removed, added, note, changes_rows=changes_rows):
                return self._written()
        raise WriteConflictError("too many others are writing to the table; execute it again")

    def sync(self) -> None:
        """Return when the newest version would survive a power cut."""
        log = self._location / LOG_FOLDER
        sync(log / f"{self.latest_version():020}.json")
        sync(log)
        sync(self._location)

    def said_since(self, version: int) -> str:
        """Return what later versions say, as text: the paths of files are in it."""
        log = self._location / LOG_FOLDER
        later = range(version + 1, self.latest_version() + 1)
        return "\n".join((log / f"{number:020}.json").read_text("utf-8") for number in later)

    def _written(self) -> DeltaState:
        self.sync()
        return self.read()

    def _open(self, version: int | None) -> DeltaTable:
        try:
            return DeltaTable(str(self._location), version=version)
        except (DeltaError, OSError, ValueError):
            pass
        raise StaleMetastoreError("that version of the table is gone; execute it again")

    def _commit(
        self,
        table: DeltaTable,
        removed: Iterable[DataFile],
        added: Iterable[DataFile],
        note: str,
        *,
        changes_rows: bool,
    ) -> bool:
        """Make a version; returns whether nobody was in the way."""
        take_last_look()
        keys = table.metadata().partition_columns
        now_ms = int(time.time() * 1000)
        actions: list[AddAction | RemoveAction] = [
            RemoveAction(file.path, changes_rows, now_ms, file.byte_count, _texts(keys, file))
            for file in removed
        ]
        actions += [_add(keys, file, changes_rows=changes_rows) for file in added]
        try:
            table.create_write_transaction(
                actions,
                "append",
                table.schema(),
                keys,
                commit_properties=CommitProperties(custom_metadata={"flight_mom": note}),
            )
        except CommitFailedError:
            return False
        except (DeltaError, OSError, ValueError) as error:
            refusal = unwritten(error, "the rows cannot be written to the table's disk")
        else:
            return True
        raise refusal


def _state(table: DeltaTable) -> DeltaState:
    keys = tuple(table.metadata().partition_columns)
    files = pa.table(table.get_add_actions())
    columns = (files.column(name).to_pylist() for name in ("path", "size_bytes", "num_records"))
    values = (
        files.column("partition").to_pylist() if keys else [dict[str, object]()] * files.num_rows
    )
    return DeltaState(
        table.version(),
        _columns(table),
        keys,
        tuple(
            DataFile(path, size, rows, tuple(of_partition[key] for key in keys))
            for path, size, rows, of_partition in zip(*columns, values, strict=True)
        ),
    )


def _require_columns(base: DeltaState, table: DeltaTable) -> None:
    if not _columns(table).equals(base.arrow_schema):
        raise WriteConflictError("the table has other columns by now; execute it again")


def _columns(table: DeltaTable) -> pa.Schema:
    return own_schema(pa.schema(table.schema().to_arrow()))


def _texts(keys: Sequence[str], file: DataFile) -> dict[str, str | None]:
    return {key: str(value) for key, value in zip(keys, file.values, strict=True)}


def _add(keys: Sequence[str], file: DataFile, *, changes_rows: bool) -> AddAction:
    stats = file.stats or json.dumps({"numRecords": file.row_count})
    now_ms = int(time.time() * 1000)
    return AddAction(file.path, file.byte_count, _texts(keys, file), now_ms, changes_rows, stats)
