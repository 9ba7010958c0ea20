"""How far a running statement has read: parts done, of all that its plan reads.

A part is a file, or a range of one that several threads share. The engine counts those that it is
through with; how many there are stands in its plan. Those that views are made of do not count.
Nothing is computed before somebody looks: most statements have ended before anybody does.
"""

import threading
from collections.abc import Iterator
from typing import Any

from storage.operators import is_file_scan
from storage.planwire import count_scanned_parts
from storage.views import struct_of

_DONE = "files_processed"


class ScanProgress:
    """The parts of one statement. Any thread may look."""

    def __init__(self, frame: Any) -> None:
        """Keep the engine's statement, which knows the plan that runs."""
        self._frame: Any = frame
        self._looking = threading.Lock()
        self._scans: list[Any] | None = None
        self._last: tuple[int, int] | None = None

    def parts(self) -> tuple[int, int] | None:
        """Return how many parts are done, and how many there are; None where nobody can tell."""
        with self._looking:
            frame = self._frame
            if frame is not None:
                if self._scans is None:
                    self._scans = [n for n in _walk(frame.execution_plan()) if is_file_scan(n)]
                self._last = self._counted(self._scans)
            return self._last

    def close(self) -> None:
        """Let go of the plan, which must not outlive its run; what was seen last stays known."""
        if self._last is not None:
            self.parts()
        with self._looking:
            self._frame, self._scans = None, None

    def _counted(self, scans: list[Any]) -> tuple[int, int] | None:
        total = self._last[1] if self._last else 0
        if not total:
            total = sum(count_scanned_parts(scan.to_bytes()) for scan in scans)
        if not total:
            return None
        done = sum(_done(scan) for scan in scans)
        return min(done, total), total


def _walk(node: Any) -> Iterator[Any]:
    """Yield the steps of a plan; how many files a view is made of is its owner's."""
    if struct_of(node) is not None:
        return
    yield node
    for child in node.children():
        yield from _walk(child)


def _done(scan: Any) -> int:
    metrics = scan.metrics()
    return 0 if metrics is None else int(metrics.sum_by_name(_DONE) or 0)
