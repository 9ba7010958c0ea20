"""Explains a statement: which files and row groups it reads, and by which steps.

Two plans are read. The optimised logical one says which conditions reached which table; the
physical one says which files are left and what is done with them. The engine tells no physical
scan from which logical one it came: where a table is scanned more than once, they are matched by
their order, or, where joins may have changed it, taken together, which rules out less.
"""

import re
import time
from collections.abc import Callable, Container, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import reduce
from operator import or_
from typing import Any

import pyarrow.compute as pc

from storage.conditions import columns_of, to_predicate, words_of
from storage.engine import Execution
from storage.enginefaults import to_storage_error
from storage.errors import EngineFaultError
from storage.explanation import (
    Explanation,
    ScanExplanation,
    ScanMeasure,
)
from storage.metastore import Table, TableKind
from storage.objectstore import ObjectStores
from storage.objecturl import is_remote
from storage.operators import is_file_scan, operator_tree
from storage.planwire import scanned_files, scanned_store
from storage.pruning import TotalsCache, count_row_groups
from storage.views import struct_name, struct_of

_PRUNED = re.compile(r"([\d.]+) ?([KMB]?) total → ([\d.]+) ?([KMB]?) matched")
_POWERS = {"": 1, "K": 10**3, "M": 10**6, "B": 10**9}


@dataclass(frozen=True, slots=True)
class _LogicalScan:
    """One scan of the logical plan: the parts of its table's name, its columns and conditions."""

    name: tuple[str, ...]
    columns: tuple[str, ...]
    filters: tuple[Any, ...]


class PlannedExplaining:
    """A statement that is being explained. One thread explains; any thread may cancel."""

    def __init__(
        self,
        frame: Any,
        tables: Sequence[Table],
        totals: TotalsCache,
        execution: Execution | None,
        held: ExitStack,
        stores: ObjectStores,
        is_cancelled: Callable[[], bool],
    ) -> None:
        """Take over a planned statement.

        Args:
            frame: The engine's statement, bound to the session that runs it.
            tables: What it may read.
            totals: What tables hold.
            execution: Its execution when it is to be run and measured, not yet read from.
            held: What it needs until it ends.
            stores: Where files may lie.
            is_cancelled: Asked between files and batches.
        """
        self._held = held
        self._stores = stores
        self._frame = frame
        self._tables = tables
        self._totals = totals
        self._execution = execution
        self._is_cancelled = is_cancelled
        self._is_closed = False

    def explain(self) -> Explanation:
        """Return the explanation; a statement to be measured is run to its end, unseen.

        Raises:
            CancelledError: When it was cancelled.
            StorageError: When the statement fails.
        """
        try:
            if self._execution is None:
                return self._read(None, None)
            started = time.monotonic()
            row_count = sum(batch.num_rows for batch in self._execution.batches())
            return self._read(row_count, time.monotonic() - started)
        except BaseException as error:  # noqa: BLE001  the engine's panics are no Exceptions
            fault = to_storage_error(error, self._tables, self._stores)
        finally:
            self.close()
        raise fault

    def close(self) -> None:
        """Stop, and give back what is held; fine from any thread, and more than once."""
        self._is_closed = True
        if self._execution is not None:
            self._execution.close()
        self._held.close()

    def _read(self, row_count: int | None, elapsed_s: float | None) -> Explanation:
        is_measured = row_count is not None
        plan = self._frame.execution_plan()
        views = {struct_name(one): one for one in self._tables if one.kind is TableKind.VIEW}
        nodes = [node for node in _walk(plan, views) if is_file_scan(node)]
        read = [_located_files(node) for node in nodes]
        tables = [self._table_of(files) for files in read]
        logical = self._match(tables, plan)
        scans = [
            self._scan(table, files, found, _measure(node) if is_measured else None)
            for node, table, files, found in zip(nodes, tables, read, logical, strict=True)
        ]
        scans += [
            _view_scan(table) if table.kind is TableKind.VIEW else self._scan(table, {}, (), None)
            for table in self._tables
            if table not in tables
        ]
        names = iter([str(table.name) for table in tables])
        called = {struct: str(view.name) for struct, view in views.items()}
        root = operator_tree(plan, names, self._short, called, is_measured=is_measured)
        return Explanation(tuple(scans), root, row_count, elapsed_s)

    def _short(self, text: str) -> str:
        """Return an expression without the table's name before columns, where there is but one."""
        if len(self._tables) != 1:
            return text
        name = self._tables[0].name
        catalog, schema, table = (
            re.escape(str(part)) for part in (name.catalog, name.schema, name.table)
        )
        qualifier = rf"(?<![\w.\"])(?:(?:{catalog}\.)?{schema}\.)?{table}\.(?=[\w\"])"
        return re.sub(qualifier, "", text)

    def _table_of(self, files: dict[str, int]) -> Table:
        """Return whose files these are."""
        some = next(iter(files))
        read = [table for table in self._tables if some.startswith(f"{table.location}/")]
        if not read:
            # Of files that are none of the statement's own tables nothing may be told.
            raise EngineFaultError("the plan cannot be told; run the statement without EXPLAIN")
        return read[0]

    def _scan(
        self,
        table: Table,
        files: dict[str, int],
        found: Sequence[_LogicalScan],
        measure: ScanMeasure | None,
    ) -> ScanExplanation:
        """Explain one reading; `found` are the logical scans that it may have come from."""
        totals = self._totals.totals_of(table, self._stops)
        known = found[0] if len(found) == 1 else None
        chosen, others = self._split(known.filters if known else (), table)
        return ScanExplanation(
            table=table.name,
            file_count=len(files),
            file_total=len(totals.sizes),
            row_group_count=count_row_groups(
                table, files, _predicate(found), self._stores, self._stops
            ),
            row_group_total=totals.row_group_count,
            byte_count=sum(files.values()),
            byte_total=sum(totals.sizes.values()),
            columns=known.columns if known else (),
            partition_filters=chosen,
            filters=others,
            measure=measure,
        )

    def _match(self, tables: Sequence[Table], physical: Any) -> list[tuple[_LogicalScan, ...]]:
        """Return for each physical scan the logical ones that it may be; none when unknown."""
        plan = self._frame.optimized_logical_plan()
        logical = list(_logical_scans(plan))
        printed = plan.display_indent().splitlines()
        has_joins = any(
            "Join" in str(node.display()).partition(":")[0] for node in _walk(physical, ())
        )
        matched: list[tuple[_LogicalScan, ...]] = []
        for position, table in enumerate(tables):
            parts = (table.name.catalog, table.name.schema, table.name.table)
            same = tuple(scan for scan in logical if scan.name == parts[-len(scan.name) :])
            total = sum(other == table for other in tables)
            hidden = sum(line.strip().startswith("TableScan: ") for line in printed) - len(logical)
            if hidden or total > len(same) or self._has_namesake(table):
                same = ()
            elif total == len(same) and (total == 1 or not has_joins):
                same = (same[sum(other == table for other in tables[:position])],)
            matched.append(same)
        return matched

    def _split(
        self, filters: Sequence[Any], table: Table
    ) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Return conditions on partition columns alone, and the others, in words."""
        partitions = set(table.partition_columns)
        chosen: list[str] = []
        others: list[str] = []
        for condition in filters:
            columns = columns_of(condition)
            words = self._short(words_of(condition))
            (chosen if columns and columns <= partitions else others).append(words)
        return tuple(chosen), tuple(others)

    def _has_namesake(self, table: Table) -> bool:
        return sum(other.name.table == table.name.table for other in self._tables) > 1

    def _stops(self) -> bool:
        return self._is_closed or self._is_cancelled()


def _walk(node: Any, views: Container[str | None]) -> Iterator[Any]:
    """Yield the steps of a physical plan, but for those that views are made of."""
    if struct_of(node) in views:
        return
    yield node
    for child in node.children():
        yield from _walk(child, views)


def _located_files(scan: Any) -> dict[str, int]:
    """Return the sizes of the files that a scan reads, by their full places."""
    encoded = scan.to_bytes()
    store = scanned_store(encoded)
    root = store if is_remote(store) else "/"
    return {f"{root}{path}": size for path, size in scanned_files(encoded).items()}


def _view_scan(view: Table) -> ScanExplanation:
    return ScanExplanation(view.name, 0, 0, 0, 0, 0, 0, is_view=True)


def _logical_scans(plan: Any) -> Iterator[_LogicalScan]:
    """Yield the scans of a logical plan; those inside of subqueries are not among its inputs."""
    variant = plan.to_variant()
    if type(variant).__name__ == "TableScan":
        columns = tuple(str(name) for _, name in variant.projection())
        name = tuple(part for part in variant.fqn() if part is not None)
        yield _LogicalScan(name, columns, tuple(variant.filters()))
    for child in plan.inputs():
        yield from _logical_scans(child)


def _predicate(found: Sequence[_LogicalScan]) -> pc.Expression | None:
    """Return what every row fulfils that one of these scans hands on; None when nothing is sure."""
    each = []
    for scan in found:
        known = [test for test in map(to_predicate, scan.filters) if test is not None]
        if not known:
            return None
        each.append(reduce(lambda one, other: one & other, known))
    return reduce(or_, each) if each else None


def _measure(node: Any) -> ScanMeasure:
    """Return what a scan that has run says about itself."""
    metrics = node.metrics()
    counts = {"row_groups_pruned_bloom_filter": 0, "limit_pruned_row_groups": 0}
    for metric in metrics.metrics():
        pruned = _PRUNED.search(repr(metric)) if metric.name in counts else None
        if pruned is not None:
            total, left = (round(float(pruned[at]) * _POWERS[pruned[at + 1]]) for at in (1, 3))
            counts[metric.name] += left if "bloom" in metric.name else total - left
    skipped = metrics.sum_by_name("row_groups_pruned_dynamic_filter") or 0
    groups = counts["row_groups_pruned_bloom_filter"] - counts["limit_pruned_row_groups"]
    return ScanMeasure(
        row_group_count=max(groups - skipped, 0),
        row_count=metrics.output_rows or 0,
        byte_count=metrics.sum_by_name("bytes_scanned") or 0,
    )
