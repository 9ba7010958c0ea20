"""The engine's plan as a tree of our own words.

Of what the engine prints of a node only known parts are taken, each by its key; of a node that is
not known, its name alone. Scans of files print paths: nothing of their text is taken.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from storage.conditions import plain_words
from storage.explanation import OperatorExplanation
from storage.views import struct_of, without_qualifiers

_PARQUET_SCAN = "DataSourceExec: file_groups="
_NANOSECONDS = 1_000_000_000

_INDEX = re.compile(r"(?<=[\w\")\]])@\d+")
_ITSELF = re.compile(r"(\"[^\"]+\"|\w+) as \1(?!\w)")
# What the engine adds to names of its own making.
_INNER = re.compile(r"__(?=unnest)|_placeholder(?=\()|,depth=\d+|__(?=grouping)")
_NUMBERS = re.compile(r"(fetch|skip)=(\d+)")
_JOIN_TYPE = re.compile(r"join_type=(\w+)")
_TARGET = re.compile(r"partitioning=(\w+)\((?:.*, )?(\d+)\), input_partitions")
_PASSING_ON = frozenset({"CoalesceBatchesExec", "CooperativeExec"})


def is_file_scan(node: Any) -> bool:
    """Whether a node of a physical plan reads a table's files."""
    return str(node.display()).startswith(_PARQUET_SCAN)


def operator_tree(
    node: Any,
    scans: Iterator[str],
    shorten: Callable[[str], str],
    views: Mapping[str, str],
    *,
    is_measured: bool,
) -> OperatorExplanation:
    """Return a physical plan in our own words.

    Args:
        node: Its root.
        scans: What its scans of files are called, in their order.
        shorten: Takes out of expressions what goes without saying.
        views: What views are called, by the structs of their barriers: nothing of what lies below
            is told.
        is_measured: Whether it has run, so that rows and times are known.
    """
    struct = struct_of(node)
    if struct is not None and struct in views:
        rows, _ = _measure(node) if is_measured else (None, None)
        return OperatorExplanation("View", views[struct], (), rows, None)
    children = tuple(
        operator_tree(child, scans, shorten, views, is_measured=is_measured)
        for child in node.children()
    )
    printed = str(node.display()).strip()
    kind = (re.match(r"\w*", printed) or [""])[0]
    if kind in _PASSING_ON and len(children) == 1:
        return children[0]
    if is_file_scan(node):
        name, detail = "Scan", next(scans)
    else:
        name, read_detail = _KINDS.get(kind, (kind.removesuffix("Exec") or "Step", _nothing))
        detail = read_detail(shorten(printed.partition(":")[2].strip()))
    rows, elapsed_s = _measure(node) if is_measured else (None, None)
    return OperatorExplanation(name, detail, children, rows, elapsed_s)


def _measure(node: Any) -> tuple[int | None, float | None]:
    metrics = node.metrics()
    if metrics is None:
        return None, None
    spent = (
        metrics.sum_by_name("time_elapsed_processing")
        if is_file_scan(node)
        else metrics.elapsed_compute
    )
    return metrics.output_rows, None if spent is None else spent / _NANOSECONDS


def _nothing(_text: str) -> str:
    return ""


def _clean(text: str) -> str:
    text = without_qualifiers(_INNER.sub("", _INDEX.sub("", plain_words(text))))
    return _ITSELF.sub(r"\1", text)


def _bracketed(text: str, key: str) -> str:
    """Return what stands between the brackets after `key=`, or nothing."""
    start = text.find(f"{key}=[")
    if start < 0:
        return ""
    start += len(key) + 2
    depth = 1
    for position in range(start, len(text)):
        depth += {"[": 1, "]": -1}.get(text[position], 0)
        if depth == 0:
            return _clean(text[start:position])
    return _clean(text[start:])


def _joined(*parts: str) -> str:
    return ", ".join(part for part in parts if part)


def _range(text: str) -> str:
    numbers = dict(_NUMBERS.findall(text))
    rows = f"first {numbers['fetch']}" if "fetch" in numbers else ""
    skipped = numbers.get("skip", "0")
    return _joined(rows, f"after {skipped}" if skipped != "0" else "")


def _filter(text: str) -> str:
    return _clean(text.rpartition(", projection=[")[0] or text)


def _project(text: str) -> str:
    return _bracketed(text, "expr")


def _aggregate(text: str) -> str:
    groups, values = _bracketed(text, "gby"), _bracketed(text, "aggr")
    stage = "first stage" if text.startswith("mode=Partial,") else ""
    return _joined(values, f"by {groups}" if groups else "", stage)


def _sort(text: str) -> str:
    return _joined(f"by {_bracketed(text, 'expr')}", _range(text))


def _merge(text: str) -> str:
    order, _, rest = text.rpartition("]")
    return _joined(f"by {_clean(order.lstrip('['))}", _range(rest))


def _exchange(text: str) -> str:
    target = _TARGET.search(text)
    if target is None:
        return ""
    keys = text.partition("Hash([")[2].rpartition("], ")[0] if target[1] == "Hash" else ""
    return _joined(f"by {_clean(keys)}" if keys else "", f"to {target[2]} threads")


def _window(text: str) -> str:
    # After each window's own words stands its column, in the engine's writing.
    return re.sub(r": (?:Ok\()?Field.*?(?=, [a-z_]+\(|$)", "", _bracketed(text, "wdw"))


def _join(text: str) -> str:
    kind = _JOIN_TYPE.search(text)
    on = _bracketed(text, "on")
    return _joined(kind[1].lower() if kind else "", f"on {on}" if on else "")


_Kind = tuple[str, Callable[[str], str]]
_KINDS: Mapping[str, _Kind] = {
    "AggregateExec": ("Aggregate", _aggregate),
    "BoundedWindowAggExec": ("Window", _window),
    "CoalescePartitionsExec": ("Gather", _nothing),
    "CrossJoinExec": ("Join", lambda _: "cross"),
    "DataSourceExec": ("Values", _nothing),
    "EmptyExec": ("No rows", _nothing),
    "FilterExec": ("Filter", _filter),
    "GlobalLimitExec": ("Limit", _range),
    "HashJoinExec": ("Join", _join),
    "InterleaveExec": ("Union", _nothing),
    "LazyMemoryExec": ("Generate", _nothing),
    "LocalLimitExec": ("Limit", _range),
    "NestedLoopJoinExec": ("Join", _join),
    "PartialSortExec": ("Sort", _sort),
    "PiecewiseMergeJoinExec": ("Join", _join),
    "PlaceholderRowExec": ("One row", _nothing),
    "ProjectionExec": ("Project", _project),
    "RecursiveQueryExec": ("Recursive", _nothing),
    "RepartitionExec": ("Exchange", _exchange),
    "ScalarSubqueryExec": ("Subquery", _nothing),
    "SortExec": ("Sort", _sort),
    "SortMergeJoinExec": ("Join", _join),
    "SortPreservingMergeExec": ("Merge", _merge),
    "UnionExec": ("Union", _nothing),
    "UnnestExec": ("Unnest", _nothing),
    "WindowAggExec": ("Window", _window),
    "WorkTableExec": ("Rows so far", _nothing),
}
