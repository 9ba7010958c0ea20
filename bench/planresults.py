"""What planning took, as values: percentiles, targets, and the JSON that holds them."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from statistics import median, quantiles
from typing import Any, Self

from bench.machine import described_machine, measured_now

_TARGETS_MS = {"planned, first sight": 6.0, "planned, repeated": 0.2}


@dataclass(frozen=True, slots=True)
class Timing:
    """One contender's times for one statement, in milliseconds.

    Attributes:
        statement: Its name.
        contender: Who planned it.
        p50_ms: The median.
        p99_ms: What 99 of 100 runs stayed below.
        run_ms: Every run, in order.
    """

    statement: str
    contender: str
    p50_ms: float
    p99_ms: float
    run_ms: tuple[float, ...]

    @classmethod
    def of(cls, statement: str, contender: str, seconds: Sequence[float]) -> Self:
        """Take the percentiles of all runs; at least two are needed."""
        found_ms = tuple(one * 1000 for one in seconds)
        p99_ms = quantiles(found_ms, n=100, method="inclusive")[98]
        return cls(statement, contender, median(found_ms), p99_ms, found_ms)

    @property
    def target_ms(self) -> float | None:
        """What the median should stay below, where there is a target."""
        return _TARGETS_MS.get(self.contender)

    @property
    def is_met(self) -> bool | None:
        """Whether the median meets its target; None without one."""
        return None if self.target_ms is None else self.p50_ms <= self.target_ms


def plan_json(timings: Sequence[Timing], *, runs: int) -> dict[str, Any]:
    """Return the whole benchmark as JSON values."""
    return {
        "benchmark": "plan",
        "measured_at": measured_now(),
        "machine": described_machine(),
        "runs": runs,
        "timings": [
            {**asdict(one), "target_ms": one.target_ms, "is_met": one.is_met} for one in timings
        ],
    }
