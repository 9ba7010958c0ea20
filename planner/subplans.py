"""Correlated subqueries that the engine plans wrongly, found in the plan as it reads it.

It turns a subquery that uses columns of the query around it into a join, and what stood above the
comparison with the outer column is then computed for all rows at once instead of for each outer
row: windows, OFFSET, an aggregate that has a row where nothing is found. Measured against SQLite. A
wrong answer is worse than none.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

_MARK = re.compile(r"(?P<word>NOT IN|NOT EXISTS|IN|EXISTS|ANY|ALL)? ?\(<subquery>\)")
_TEXT = re.compile(r'"[^"]*"')
_CONJUNCTION = re.compile(r" (?:AND|OR|WHEN|THEN|ELSE) ")
_NOT = re.compile(r"(?<!IS )\bNOT ")
_OUTER = re.compile(r"\bouter_ref\(")
_HEAD = "Subquery:"
_ALWAYS_A_ROW = re.compile(r"Aggregate: groupBy=\[\[(?:\]|ROLLUP|CUBE|GROUPING)")
_OFFSET = re.compile(r"Limit: skip=(?!0,)")

QUANTIFIED = "a comparison by ANY or ALL over a query; write IN, or compare with min() or max()"
_NOT_IN = (
    "NOT IN over a query that uses columns of the query around it; write NOT EXISTS (SELECT 1 FROM "
    "… WHERE … = …)"
)
_WINDOW = (
    "a window function in a subquery that uses columns of the query around it; compute it in a "
    "derived table and join that"
)
_SKIPPED = (
    "OFFSET in a subquery that uses columns of the query around it; number the rows in a derived "
    "table and join that"
)
_EMPTY = (
    "an aggregate without GROUP BY in a subquery that uses columns of the query around it, where "
    "it is neither the value of the subquery nor joined; compare with (SELECT count(*) FROM … "
    "WHERE …)"
)


@dataclass(slots=True)
class _Line:
    """A line of a plan, with those below it."""

    text: str
    depth: int
    below: list["_Line"] = field(default_factory=list)


def find_fault(shown: str) -> str | None:
    """Return what of a plan's subqueries would be answered wrongly, and what to write instead.

    Args:
        shown: The plan before it is optimised, as DataFusion indents it.
    """
    if _HEAD not in shown:
        return None
    for line in _walk(_tree(shown)):
        blocks = [below for below in line.below if below.text == _HEAD]
        if not blocks:
            continue
        words = _words(line.text)
        known = len(words) == len(blocks)
        for block, word in zip(blocks, words if known else [""] * len(blocks), strict=True):
            if fault := _fault_of(block, word, is_lateral=not words):
                return fault
    return None


def _words(text: str) -> list[str]:
    """Return by which words a node compares with its subqueries, in order; VALUE for none.

    The plan prints no parentheses: a NOT before the other side belongs to its IN.
    """
    text = _TEXT.sub("", text)
    words = []
    end = 0
    for mark in _MARK.finditer(text):
        before = _CONJUNCTION.split(text[end : mark.start()])[-1]
        word = mark["word"] or "VALUE"
        words.append("NOT IN" if word == "IN" and _NOT.search(before) else word)
        end = mark.end()
    return words


def _fault_of(block: _Line, word: str, *, is_lateral: bool) -> str | None:
    if word in ("ANY", "ALL"):
        return QUANTIFIED
    for above in _above_outer(block):
        if word == "NOT IN":
            return _NOT_IN
        if any(line.startswith("WindowAggr:") for line in above):
            return _WINDOW
        if any(map(_OFFSET.match, above)):
            return _SKIPPED
        aggregates = [line for line in above if line.startswith("Aggregate:")]
        # The value of a subquery and what is joined by LATERAL are right for outer rows that find
        # nothing; what is computed of such an aggregate is not.
        counted = aggregates[1:] if word == "VALUE" or is_lateral else aggregates
        if any(map(_ALWAYS_A_ROW.match, counted)):
            return _EMPTY
    return None


def _above_outer(block: _Line) -> Iterator[list[str]]:
    """Yield for each use of an outer column the nodes around it, from the subquery's top."""
    waiting: list[tuple[_Line, list[str]]] = [(block, [])]
    while waiting:
        line, above = waiting.pop()
        here = [*above, line.text]
        if _OUTER.search(line.text):
            yield here
        waiting += [(below, here) for below in line.below if below.text != _HEAD]


def _tree(shown: str) -> _Line:
    """Return the lines of a plan under those that they are indented below."""
    root = _Line("", -1)
    path = [root]
    for text in shown.splitlines():
        line = _Line(text.strip(), len(text) - len(text.lstrip()))
        while path[-1].depth >= line.depth:
            path.pop()
        path[-1].below.append(line)
        path.append(line)
    return root


def _walk(line: _Line) -> Iterator[_Line]:
    waiting = [line]
    while waiting:
        line = waiting.pop(0)
        yield line
        waiting = [*line.below, *waiting]
