"""What was timed many times, as values: percentiles, targets, and the JSON that holds them."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from statistics import median, quantiles
from typing import Any, Self

from bench.machine import described_machine, measured_now


@dataclass(frozen=True, slots=True)
class Timing:
    """One contender's times for one statement, in milliseconds.

    Attributes:
        statement: Its name.
        contender: Who planned it.
        p50_ms: The median.
        p99_ms: What 99 of 100 runs stayed below.
        run_ms: Every run, in order.
        target_ms: What the median should stay below, where there is a target.
        is_bound: Whether it is the 99th percentile that should.
    """

    statement: str
    contender: str
    p50_ms: float
    p99_ms: float
    run_ms: tuple[float, ...]
    target_ms: float | None = None
    is_bound: bool = False

    @classmethod
    def of(
        cls,
        statement: str,
        contender: str,
        seconds: Sequence[float],
        target_ms: float | None = None,
        *,
        is_bound: bool = False,
    ) -> Self:
        """Take the percentiles of all runs; at least two are needed."""
        found_ms = tuple(one * 1000 for one in seconds)
        p99_ms = quantiles(found_ms, n=100, method="inclusive")[98]
        return cls(statement, contender, median(found_ms), p99_ms, found_ms, target_ms, is_bound)

    @property
    def is_met(self) -> bool | None:
        """Whether the target is met; None without one."""
        judged_ms = self.p99_ms if self.is_bound else self.p50_ms
        return None if self.target_ms is None else judged_ms <= self.target_ms


def timings_json(benchmark: str, timings: Sequence[Timing], **sizes: int) -> dict[str, Any]:
    """Return a whole benchmark of timings as JSON values."""
    return {
        "benchmark": benchmark,
        "measured_at": measured_now(),
        "machine": described_machine(),
        **sizes,
        "timings": [{**asdict(one), "is_met": one.is_met} for one in timings],
    }
