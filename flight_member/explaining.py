"""EXPLAIN's answer: how a statement runs, line by line, in words of our own.

The answer is {item: utf8, value: utf8}, neither ever null, in this order:

- `node`, and for EXPLAIN ANALYZE `rows` and `time` of the whole statement;
- for each reading of a table `table`, `allowed by`, `files`, `row groups` and `bytes` that are left
  of how many, `columns`, `partitions` (the conditions that chose the files), `filter` (those that
  the reading itself applies), and for EXPLAIN ANALYZE `read`;
- `plan`, one for each step, the last step first.

Nothing here ever holds a path: see `storage.explanation`.
"""

from collections.abc import Iterator, Mapping, Sequence

import pyarrow as pa

from auth import TicketExplain
from storage.engine import Explaining
from storage.explanation import Explanation, OperatorExplanation, ScanExplanation
from storage.names import ObjectName

EXPLANATION_SCHEMA = pa.schema([pa.field("item", pa.utf8()), pa.field("value", pa.utf8())])

_LONGEST = 120
_UNITS = ("B", "KiB", "MiB", "GiB", "TiB")
_Row = tuple[str, str]


class ExplainedStatement:
    """A statement whose explanation is streamed in place of its rows."""

    def __init__(
        self,
        explaining: Explaining,
        how: TicketExplain,
        rules: Mapping[ObjectName, str],
        node: str,
    ) -> None:
        """Take over a planned statement.

        Args:
            explaining: Nothing has run of it yet.
            how: What was asked for.
            rules: The rule that allowed each table.
            node: Who runs it.
        """
        self._explaining = explaining
        self._how = how
        self._rules = rules
        self._node = node

    def batches(self) -> Iterator[pa.RecordBatch]:
        """Yield the explanation in one batch; a statement to be measured runs now.

        Raises:
            StorageError: When it fails, or was cancelled.
        """
        explanation = self._explaining.explain()
        yield explanation_batch(explanation, self._how, self._rules, self._node)

    def close(self) -> None:
        """Stop whatever runs; fine from any thread, and more than once."""
        self._explaining.close()


def explanation_batch(
    explanation: Explanation, how: TicketExplain, rules: Mapping[ObjectName, str], node: str
) -> pa.RecordBatch:
    """Return an explanation as rows {item, value}; see the module."""
    longest = None if how.verbose else _LONGEST
    rows = [("node", node)]
    if explanation.row_count is not None and explanation.elapsed_s is not None:
        rows += [("rows", f"{explanation.row_count:,}"), ("time", _time(explanation.elapsed_s))]
    for position, scan in enumerate(explanation.scans):
        same = [other.table == scan.table for other in explanation.scans]
        nth, total = sum(same[: position + 1]), sum(same)
        which = f", reading {nth} of {total}" if total > 1 else ""
        rows += [("table", f"{scan.table}{which}"), ("allowed by", rules[scan.table])]
        rows += [(item, _line(value, longest)) for item, value in _scan_rows(scan)]
    drawn = _draw(explanation.root, longest) if how.is_tree else _indent(explanation.root, longest)
    rows += [("plan", line) for line in drawn]
    items, values = zip(*rows, strict=True)
    return pa.record_batch([pa.array(items), pa.array(values)], schema=EXPLANATION_SCHEMA)


def _scan_rows(scan: ScanExplanation) -> Iterator[_Row]:
    if scan.is_view:
        yield "view", "what it is made of is its owner's"
        return
    yield "files", f"{scan.file_count:,} of {scan.file_total:,}"
    yield "row groups", f"{scan.row_group_count:,} of {scan.row_group_total:,}"
    yield "bytes", f"{_size(scan.byte_count)} of {_size(scan.byte_total)}"
    if scan.columns:
        yield "columns", ", ".join(scan.columns)
    if scan.partition_filters:
        yield "partitions", _all_of(scan.partition_filters)
    if scan.filters:
        yield "filter", _all_of(scan.filters)
    if scan.measure is not None:
        read = scan.measure
        groups = _counted(read.row_group_count, "row group")
        yield "read", f"{groups}, {_counted(read.row_count, 'row')}, {_size(read.byte_count)}"


def _all_of(conditions: Sequence[str]) -> str:
    if len(conditions) == 1:
        return conditions[0]
    return " AND ".join(f"({each})" if " OR " in each else each for each in conditions)


def _indent(step: OperatorExplanation, longest: int | None, depth: int = 0) -> Iterator[str]:
    """Yield a line for each step, indented by two spaces more than the step that it feeds."""
    yield "  " * depth + _step(step, longest)
    for child in step.children:
        yield from _indent(child, longest, depth + 1)


def _draw(
    step: OperatorExplanation, longest: int | None, first: str = "", further: str = ""
) -> Iterator[str]:
    """Yield a line for each step, hung on the step that it feeds."""
    yield first + _step(step, longest)
    for child in step.children:
        is_last = child is step.children[-1]
        yield from _draw(
            child,
            longest,
            further + ("└─ " if is_last else "├─ "),
            further + ("   " if is_last else "│  "),
        )


def _step(step: OperatorExplanation, longest: int | None) -> str:
    text = f"{step.name}: {_line(step.detail, longest)}" if step.detail else step.name
    measured = [] if step.row_count is None else [_counted(step.row_count, "row")]
    if step.elapsed_s is not None:
        measured.append(_time(step.elapsed_s))
    return f"{text} ({', '.join(measured)})" if measured else text


def _line(text: str, longest: int | None) -> str:
    """Return a text as one line of what can be printed, cut where it is too long."""
    text = "".join(each if each.isprintable() else " " for each in text)
    return text if longest is None or len(text) <= longest else text[: longest - 1] + "…"


def _counted(count: int, what: str) -> str:
    return f"{count:,} {what}" if count == 1 else f"{count:,} {what}s"


def _size(byte_count: int) -> str:
    """Return bytes in the largest unit that leaves at least one before the point."""
    power = min(max(byte_count.bit_length() - 1, 0) // 10, len(_UNITS) - 1)
    return f"{byte_count / (1 << 10 * power):.{1 if power else 0}f} {_UNITS[power]}"


def _time(seconds: float) -> str:
    if seconds >= 1:
        return f"{seconds:,.2f} s"
    milliseconds = seconds * 1000
    return f"{milliseconds:.1f} ms" if milliseconds >= 1 else f"{milliseconds * 1000:.0f} µs"
