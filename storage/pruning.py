"""Counts the row groups of files that conditions leave, by the statistics in their footers.

The engine prunes in the same way while it runs a statement; here nothing is run. The counts are
upper bounds: the engine also uses page indexes, Bloom filters and what it learns on the way.
"""

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
import pyarrow.parquet as pq

from storage.errors import CancelledError
from storage.hive import split_segment
from storage.metastore import Table, TableKind
from storage.objectstore import ObjectStores

_MAX_TABLES = 512
_PARQUET = ds.ParquetFileFormat()
# What a condition and a file of other types than it expects, or a value out of range, can raise.
_UNFIT = (pa.ArrowException, TypeError, ValueError)


@dataclass(frozen=True, slots=True)
class TableTotals:
    """How much a snapshot of a table holds; `sizes` are the bytes of each file, by full path."""

    row_group_count: int
    sizes: Mapping[str, int]


class TotalsCache:
    """What tables hold, read once per snapshot: every footer says how many row groups it has."""

    def __init__(self, stores: ObjectStores) -> None:
        self._stores = stores
        self._lock = threading.Lock()
        self._known: OrderedDict[tuple[str, str], TableTotals] = OrderedDict()

    def totals_of(self, table: Table, is_cancelled: Callable[[], bool]) -> TableTotals:
        """Return what a table holds.

        Raises:
            CancelledError: When `is_cancelled` says so between two files.
            StorageError: When the files are not those of a table any more.
        """
        key = (table.id, table.snapshot)
        with self._lock:
            known = self._known.get(key)
        if known is None:
            known = _read_totals(table, self._stores, is_cancelled)
            with self._lock:
                self._known[key] = known
                if len(self._known) > _MAX_TABLES:
                    self._known.popitem(last=False)
        return known


def count_row_groups(
    table: Table,
    paths: Iterable[str],
    predicate: pc.Expression | None,
    stores: ObjectStores,
    is_cancelled: Callable[[], bool],
) -> int:
    """Return how many row groups of some files of a table a predicate leaves.

    Args:
        table: Whose files they are.
        paths: Full paths of the files.
        predicate: None leaves all.
        stores: Where they may lie.
        is_cancelled: Asked before each file.

    Raises:
        CancelledError: When it says so.
    """
    return sum(
        _count_in_file(table, path, predicate, stores) for path in _each(paths, is_cancelled)
    )


def _count_in_file(
    table: Table, path: str, predicate: pc.Expression | None, stores: ObjectStores
) -> int:
    if predicate is None:
        return _count_all(path, stores)
    filesystem, within = stores.opened(path)
    fragment = _PARQUET.make_fragment(
        within, filesystem=filesystem, partition_expression=_values_of(table, path)
    )
    try:
        return len(fragment.split_by_row_group(filter=predicate, schema=table.arrow_schema))
    except _UNFIT:
        return int(fragment.num_row_groups)


def _count_all(path: str, stores: ObjectStores) -> int:
    filesystem, within = stores.opened(path)
    return int(pq.read_metadata(within, filesystem=filesystem).num_row_groups)


def _values_of(table: Table, path: str) -> pc.Expression | None:
    """Return what the directories of a file say about the partition columns."""
    values: pc.Expression | None = None
    for part in path.removeprefix(f"{table.location}/").split("/")[:-1]:
        column, text = split_segment(part) or ("", "")
        kind = table.arrow_schema.field(column).type
        says = pc.field(column) == pc.scalar(pa.scalar(text).cast(kind))
        values = says if values is None else values & says
    return values


def _read_totals(
    table: Table, stores: ObjectStores, is_cancelled: Callable[[], bool]
) -> TableTotals:
    location = str(table.location)
    if table.kind is TableKind.MANAGED and not any(Path(location).iterdir()):
        return TableTotals(0, {})
    sizes = {f"{location}/{file.path}": file.size for file in stores.list_files(location)}
    counts = (_count_all(path, stores) for path in _each(sizes, is_cancelled))
    return TableTotals(sum(counts), sizes)


def _each(paths: Iterable[str], is_cancelled: Callable[[], bool]) -> Iterable[str]:
    for path in paths:
        if is_cancelled():
            raise CancelledError("the statement was stopped before it was explained")
        yield path
