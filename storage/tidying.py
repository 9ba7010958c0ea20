"""Keeps managed tables tidy: joins small files, and removes those that no kept version needs."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from storage.delta import Change, open_newest
from storage.deltafiles import PENDING, Progress, no_progress, pending_files, sweep
from storage.deltalog import LOG_FOLDER, DataFile, DeltaLog, DeltaState
from storage.errors import StaleMetastoreError
from storage.lastlook import take_last_look
from storage.metastore import Table
from storage.partitionwriter import Pause, no_pause

_SMALL_BYTES = 128 * 1024 * 1024
_BATCH_ROWS = 65_536
# A file that is so much larger than all smaller ones together is not written again for their sake:
# what comes in little by little is written some few times in all, and not once for each addition.
_LARGER = 4


@dataclass(frozen=True, slots=True)
class Vacuumed:
    """What a vacuum removed."""

    file_count: int
    byte_count: int


def optimize(
    table: Table,
    *,
    progress: Progress = no_progress,
    is_cancelled: Callable[[], bool] = bool,
    pause: Pause = no_pause,
) -> Change:
    """Write the small files of each partition as large ones; no row changes.

    Args:
        table: As the metastore has it.
        progress: Told how many rows have been written so far.
        is_cancelled: Asked before each batch.
        pause: Called after each file, read or written, to leave the machine to others for a while.

    Returns:
        The table afterwards, and how many files there are fewer.

    Raises:
        WriteConflictError: When others removed or changed one of the files meanwhile.
        CancelledError: When it was cancelled.
    """
    location, base = open_newest(table)
    groups = _small_groups(base)
    if not groups:
        return Change(base, 0)
    with pending_files(location, base.arrow_schema, base.partition_columns) as pending:
        for group in groups:
            rows = _read(location, base, group)
            pending.write(rows, progress=progress, is_cancelled=is_cancelled)
            pause()
        removed = [file for group in groups for file in group]
        added = pending.finish(pause)
        log = DeltaLog(location)
        state = log.replace(base, removed, added, "optimize", changes_rows=False)
    return Change(state, len(removed) - len(added))


def vacuum(table: Table, *, keep_s: float, is_dry: bool = False) -> Vacuumed:
    """Remove the files that neither the newest version needs, nor one that was it lately.

    Statements that are running keep what they read; a ticket for a version that is gone is
    refused with `stale-metastore`, and can be executed again.

    Args:
        table: As the metastore has it.
        keep_s: For how long a version stays readable after another took its place.
        is_dry: Only count.

    Raises:
        StaleMetastoreError: When the table is gone.
    """
    location = Path(str(table.location))
    sweep(location)
    # In this order: a folder that is being written is noted before it is there, and committed
    # before its note goes.
    folders = [
        one for one in location.iterdir() if one.is_dir() and one.name not in {PENDING, LOG_FOLDER}
    ]
    pending = {note.name.lstrip(".") for note in (location / PENDING).glob("*")}
    log = DeltaLog(location)
    since = _kept_since(location, log, time.time() - keep_s)
    needed = {file.path for file in log.read(since).files}
    said = log.said_since(since)
    file_count = byte_count = 0
    take_last_look()
    for folder in folders:
        if folder.name in pending or folder.name.startswith("."):
            continue
        for file in folder.iterdir():
            path = f"{folder.name}/{file.name}"
            if path in needed or path in said:
                continue
            file_count += 1
            byte_count += file.stat().st_size
            if not is_dry:
                file.unlink(missing_ok=True)
        if not is_dry and not any(folder.iterdir()):
            folder.rmdir()
    return Vacuumed(file_count, byte_count)


def _kept_since(location: Path, log: DeltaLog, moment: float) -> int:
    """Return the version that was the newest at a moment, or the oldest that can be read."""
    versions = sorted(
        (int(entry.stem), entry.stat().st_mtime)
        for entry in (location / LOG_FOLDER).glob("*.json")
        if entry.stem.isdigit()
    )
    if not versions:
        raise StaleMetastoreError("the table's log is gone; execute it again")
    older = [version for version, made_at in versions if made_at <= moment]
    for version in [older[-1]] if older else [version for version, _ in versions]:
        try:
            log.read(version)
        except StaleMetastoreError:
            continue
        return version
    return versions[-1][0]


def _small_groups(base: DeltaState) -> list[list[DataFile]]:
    """Return the small files that are worth joining, by partition, each group oldest first."""
    partitions: dict[tuple[object, ...], list[DataFile]] = {}
    # The newest stand first.
    for file in reversed(base.files):
        if file.byte_count < _SMALL_BYTES:
            partitions.setdefault(file.values, []).append(file)
    groups = [_worth_joining(files) for files in partitions.values()]
    return [group for group in groups if len(group) > 1]


def _worth_joining(files: Sequence[DataFile]) -> list[DataFile]:
    """Return those of some files that are not much larger than all the smaller ones together."""
    by_size = sorted(files, key=lambda one: one.byte_count)
    count = smaller = 0
    for position, file in enumerate(by_size):
        if file.byte_count <= _LARGER * smaller:
            count = position + 1
        smaller += file.byte_count
    worth = {file.path for file in by_size[:count]}
    return [file for file in files if file.path in worth]


def _read(location: Path, base: DeltaState, files: Sequence[DataFile]) -> Iterator[pa.RecordBatch]:
    """Yield the rows of files of one partition."""
    keys = base.partition_columns
    for file in files:
        try:
            with pq.ParquetFile(location / file.path) as held:
                for batch in held.iter_batches(_BATCH_ROWS):
                    for key, value in zip(keys, file.values, strict=True):
                        kind = base.arrow_schema.field(key).type
                        values = pa.repeat(pa.scalar(value, kind), batch.num_rows)
                        batch = batch.append_column(key, values)  # noqa: PLW2901  one more column
                    yield batch
        except FileNotFoundError:
            break
    else:
        return
    raise StaleMetastoreError("a file of the table is gone; execute it again")
