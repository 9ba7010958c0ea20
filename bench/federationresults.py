"""What very many members cost a MoM, as values: targets, and the JSON that holds them."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from statistics import median, quantiles
from typing import Any, Final, Self

from bench.federationstate import Sizes
from bench.machine import described_machine, measured_now

FIRST: Final = "first reports of all"
CPU: Final = "CPU of the MoM"
BEAT: Final = "one beat, as a member sees it"
MEMORY: Final = "memory of the MoM"
ALONE: Final = "count(*), nobody beats"
MEANWHILE: Final = "count(*), all beat"
RATIO: Final = "count(*), all beat / nobody"
LISTING: Final = "GetTables, sees 50 tables"
RESTART: Final = "known again after a kill"
HERD: Final = "all back after an absence"
HERD_ASKED: Final = "count(*), all come back"
MARKS = (
    FIRST,
    CPU,
    BEAT,
    ALONE,
    MEANWHILE,
    RATIO,
    LISTING,
    RESTART,
    HERD,
    HERD_ASKED,
    MEMORY,
)

_UNITS = {
    FIRST: "s",
    CPU: "% of a core",
    BEAT: "ms",
    MEMORY: "MiB",
    ALONE: "ms",
    MEANWHILE: "ms",
    RATIO: "times",
    LISTING: "ms",
    RESTART: "s",
    HERD: "s",
    HERD_ASKED: "ms",
}
_TARGETS = {CPU: 40.0, MEMORY: 4096.0, RATIO: 1.3, LISTING: 50.0, RESTART: 30.0}
_MAX_VALUES = 1000


@dataclass(frozen=True, slots=True)
class Mark:
    """One thing that was measured.

    Attributes:
        name: What it is.
        unit: Of all its values.
        value: What the target is for.
        p99: What 99 of 100 values stayed below, where there are many.
        values: Every value, in order; a thousand quantiles of very many.
    """

    name: str
    unit: str
    value: float
    p99: float | None = None
    values: tuple[float, ...] = ()

    @classmethod
    def of(cls, name: str, value: float, values: Sequence[float] = ()) -> Self:
        """Take one value, and those it was made of."""
        p99 = _p99(values) if len(values) > 1 else None
        return cls(name, _UNITS[name], value, p99, _thinned(values))

    @classmethod
    def median(cls, name: str, values: Sequence[float]) -> Self:
        """Take the median of values."""
        return cls.of(name, median(values), values)

    @property
    def target(self) -> float | None:
        """What the value should stay below, where there is a target."""
        return _TARGETS.get(self.name)

    @property
    def is_met(self) -> bool | None:
        """Whether the target is met; None without one."""
        return None if self.target is None else self.value <= self.target


def _p99(values: Sequence[float]) -> float:
    return quantiles(values, n=100, method="inclusive")[98]


def _thinned(values: Sequence[float]) -> tuple[float, ...]:
    if len(values) <= _MAX_VALUES:
        return tuple(values)
    return (min(values), *quantiles(values, n=_MAX_VALUES, method="inclusive"), max(values))


def federation_json(
    marks: Sequence[Mark], sizes: Sizes, *, seconds: int, runs: int
) -> dict[str, Any]:
    """Return the whole benchmark as JSON values."""
    return {
        "benchmark": "federation",
        "measured_at": measured_now(),
        "machine": described_machine(),
        **asdict(sizes),
        "seconds": seconds,
        "runs": runs,
        "marks": [{**asdict(one), "target": one.target, "is_met": one.is_met} for one in marks],
    }
