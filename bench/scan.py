"""The scan benchmark: every statement, over every layout, by every contender, interleaved.

Each contender first answers once without a clock, which warms it and weighs its rows; after that
they take turns, run by run, so that whatever else the machine does hits them alike. The servers
start afresh for each layout and are idle then; statements follow from the lightest to the heaviest,
so that memory that one leaves behind does not show in the next.
"""

import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from bench.contenders import CONTENDERS, Contender, running_contenders
from bench.errors import RowsDifferError
from bench.memory import MemoryWatch, resident_bytes
from bench.reading import Reading, Sizes
from bench.results import Measurement
from bench.scannedfederation import MeasuredFederation
from bench.statements import STATEMENTS, Statement


def step_count(layout_count: int, runs: int) -> int:
    """Return how often `measure_scans` reports progress."""
    return layout_count * len(STATEMENTS) * len(CONTENDERS) * (runs + 1)


def measure_scans(
    layouts: Mapping[str, Path], runs: int, progress: Callable[[str], None]
) -> list[Measurement]:
    """Measure everything.

    Args:
        layouts: The directory of each layout.
        runs: How often each contender answers with a clock.
        progress: Told what has just been done, `step_count` times.

    Raises:
        RowsDifferError: When contenders do not return the same number of rows.
        StartupError: When a process does not start.
    """
    measurements: list[Measurement] = []
    with tempfile.TemporaryDirectory(prefix="flight-mom-bench-") as directory:
        federation = MeasuredFederation(Path(directory), layouts)
        for layout, location in layouts.items():
            with federation.running():
                idle = {pid: resident_bytes([pid]) for pid in federation.pids}
                for statement in STATEMENTS:
                    with running_contenders(federation, statement, layout, location) as contenders:
                        cell = _Cell(contenders, statement, layout, progress)
                        measurements.extend(cell.measure(runs, idle))
    return measurements


class _Cell:
    """One statement over one layout."""

    def __init__(
        self,
        contenders: Sequence[Contender],
        statement: Statement,
        layout: str,
        progress: Callable[[str], None],
    ) -> None:
        self._contenders = contenders
        self._statement = statement
        self._layout = layout
        self._progress = progress

    def measure(self, runs: int, idle_by_pid: Mapping[int, int]) -> list[Measurement]:
        idle = {
            one.name: sum(idle_by_pid.get(pid) or resident_bytes([pid]) for pid in one.pids)
            for one in self._contenders
        }
        sizes = {one.name: self._weigh(one) for one in self._contenders}
        readings: dict[str, list[Reading]] = {one.name: [] for one in self._contenders}
        peaks = dict.fromkeys(readings, 0)
        for _ in range(runs):
            for one in self._contenders:
                with MemoryWatch(one.pids) as watch:
                    reading = one.source.time()
                self._require_rows(one, reading.row_count, sizes)
                readings[one.name].append(reading)
                peaks[one.name] = max(peaks[one.name], watch.peak_bytes - idle[one.name])
                self._tell(one)
        return [
            Measurement.of(
                *(self._layout, self._statement.name, one.name),
                readings[one.name],
                sizes[one.name],
                peaks[one.name],
            )
            for one in self._contenders
        ]

    def _weigh(self, one: Contender) -> Sizes:
        sizes = one.source.weigh()
        self._tell(one)
        return sizes

    def _require_rows(self, one: Contender, row_count: int, sizes: Mapping[str, Sizes]) -> None:
        expected = {weighed.row_count for weighed in sizes.values()} | {row_count}
        if len(expected) > 1:
            raise RowsDifferError(
                f"{self._statement.name}, {self._layout}: {one.name} returned {row_count:,} rows; "
                f"the others {', '.join(f'{size.row_count:,}' for size in sizes.values())}"
            )

    def _tell(self, one: Contender) -> None:
        self._progress(f"{self._layout}, {self._statement.name}, {one.name}")
