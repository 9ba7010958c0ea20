"""Removes whole partitions of managed tables, by their values: nothing is read or rewritten."""

from collections.abc import Callable, Mapping
from typing import Any

from storage.delta import Change, open_newest
from storage.deltalog import DeltaLog
from storage.metastore import Table


def remove_partitions(table: Table, is_doomed: Callable[[Mapping[str, Any]], bool]) -> Change:
    """Remove the partitions for whose values something holds.

    Args:
        table: As the metastore has it.
        is_doomed: Told the values of a partition by column.

    Returns:
        How many rows are gone; older versions still have them until a vacuum.

    Raises:
        WriteConflictError: When others removed or changed one of the files meanwhile.
        StaleMetastoreError: When the table is gone.
    """
    location, base = open_newest(table)
    doomed = [
        file
        for file in base.files
        if is_doomed(dict(zip(base.partition_columns, file.values, strict=True)))
    ]
    if not doomed:
        return Change(base, 0)
    state = DeltaLog(location).replace(base, doomed, (), "remove partitions")
    return Change(state, sum(file.row_count for file in doomed))
