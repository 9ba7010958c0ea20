"""What very many grants cost, as values: percentiles, targets, and the JSON that holds them."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from statistics import median, quantiles
from typing import Any, Final, Self

from bench.machine import described_machine, measured_now

START: Final = "start-up"
MEMORY: Final = "memory"
DECISION: Final = "one decision"
CHANGE: Final = "one change"
FIGURES = (START, MEMORY, DECISION, CHANGE)

_UNITS = {START: "s", MEMORY: "MiB", DECISION: "µs", CHANGE: "ms"}
_MAX_VALUES = 1000
_TARGETS = {START: 15.0, DECISION: 20.0, CHANGE: 50.0}


@dataclass(frozen=True, slots=True)
class Figure:
    """One thing that was measured, once or many times.

    Attributes:
        name: What it is.
        unit: Of all its values.
        p50: The median.
        p99: What 99 of 100 values stayed below; this is what a target is for.
        values: Every value, in order.
    """

    name: str
    unit: str
    p50: float
    p99: float
    values: tuple[float, ...]

    @classmethod
    def of(cls, name: str, values: Sequence[float]) -> Self:
        """Take the percentiles of all values; of one it is that."""
        p99 = quantiles(values, n=100, method="inclusive")[98] if len(values) > 1 else values[0]
        return cls(name, _UNITS[name], median(values), p99, tuple(values))

    @property
    def target(self) -> float | None:
        """What the 99th percentile should stay below, where there is a target."""
        return _TARGETS.get(self.name)

    @property
    def is_met(self) -> bool | None:
        """Whether the target is met; None without one."""
        return None if self.target is None else self.p99 <= self.target


def _thinned(values: Sequence[float]) -> list[float]:
    """Return as many values as draw the same picture: a thousand quantiles of very many."""
    if len(values) <= _MAX_VALUES:
        return list(values)
    return [min(values), *quantiles(values, n=_MAX_VALUES, method="inclusive"), max(values)]


def grants_json(figures: Sequence[Figure], *, clusters: int, grants: int) -> dict[str, Any]:
    """Return the whole benchmark as JSON values."""
    return {
        "benchmark": "grants",
        "measured_at": measured_now(),
        "machine": described_machine(),
        "clusters": clusters,
        "grants": grants,
        "figures": [
            {
                **asdict(one),
                "values": _thinned(one.values),
                "count": len(one.values),
                "target": one.target,
                "is_met": one.is_met,
            }
            for one in figures
        ],
    }
