"""Watches the resident memory of processes while they work."""

import threading
from collections.abc import Sequence
from types import TracebackType
from typing import Self

import psutil

_INTERVAL_S = 0.02


def resident_bytes(pids: Sequence[int]) -> int:
    """Return what these processes hold in memory now, together."""
    return sum(psutil.Process(pid).memory_info().rss for pid in pids)


class MemoryWatch:
    """Samples fifty times a second inside a `with` block; `peak_bytes` is the highest sum."""

    def __init__(self, pids: Sequence[int]) -> None:
        self._processes = [psutil.Process(pid) for pid in pids]
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="memory-watch", daemon=True)
        self.peak_bytes = 0

    def __enter__(self) -> Self:
        self._sample()
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._is_over.set()
        self._thread.join()
        self._sample()

    def _watch(self) -> None:
        while not self._is_over.wait(_INTERVAL_S):
            self._sample()

    def _sample(self) -> None:
        held = sum(process.memory_info().rss for process in self._processes)
        self.peak_bytes = max(self.peak_bytes, held)
