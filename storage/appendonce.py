"""Adds rows to a managed table once, however often it is tried.

Who is killed does not know whether its rows were committed. They bear a mark, which is in the log
if they were: whoever tries again with the same mark adds nothing then.
"""

from collections.abc import Iterable
from pathlib import Path

import pyarrow as pa

from storage.delta import Change, open_newest
from storage.deltafiles import pending_files
from storage.deltalog import LOG_FOLDER, DeltaLog
from storage.metastore import Table
from storage.partitionwriter import Pause, no_pause


def append_once(
    table: Table,
    batches: Iterable[pa.RecordBatch],
    *,
    mark: str,
    since: int,
    pause: Pause = no_pause,
) -> Change:
    """Add rows, unless that was done already.

    Args:
        table: As the metastore has it: rows must fit these columns.
        batches: With the table's columns by name, in any order.
        mark: What these rows are known by; letters and digits that nothing else has.
        since: The newest version when the mark was chosen.
        pause: Called after each file, to leave the machine to others for a while.

    Returns:
        What was added now; nothing when it had been before.

    Raises:
        UnusableTableError: When rows do not fit.
        WriteConflictError: When the table got other columns meanwhile.
        StaleMetastoreError: When the table is gone.
    """
    location, base = open_newest(table)
    if _is_marked(location, mark, range(since + 1, base.version + 1)):
        return Change(base, 0)
    with pending_files(location, base.arrow_schema, base.partition_columns) as pending:
        pending.write(batches)
        files = pending.finish(pause)
        if not files:
            return Change(base, 0)
        state = DeltaLog(location).append(base, files, f"append {mark}")
        return Change(state, pending.row_count)


def _is_marked(location: Path, mark: str, versions: Iterable[int]) -> bool:
    for version in versions:
        try:
            said = (location / LOG_FOLDER / f"{version:020}.json").read_text("utf-8")
        except FileNotFoundError:
            continue  # so old that a checkpoint has taken its place
        if mark in said:
            return True
    return False
