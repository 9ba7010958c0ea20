"""What was measured, as values: medians, ratios, and the JSON that holds them."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any, Self

from bench.contenders import DATAFUSION, FLIGHT, MEMBER, MOM_DIRECT, MOM_RELAY
from bench.machine import described_machine, measured_now
from bench.reading import Reading, Sizes
from bench.statements import FOUR_COLUMNS

MIB = 1 << 20

_MAX_MOM_DIRECT, _MAX_MOM_RELAY, _MAX_MEMBER = 1.10, 1.60, 1.25
_MAX_MEMBER_MIB, _MAX_BATCH_MIB = 400.0, 15.0


@dataclass(frozen=True, slots=True)
class Measurement:
    """One contender's answers to one statement over one layout; times and rates are medians."""

    layout: str
    statement: str
    contender: str
    seconds: float
    first_batch_s: float
    rows_per_s: float
    mib_per_s: float
    peak_memory_mib: float
    row_count: int
    byte_count: int
    batch_count: int
    max_batch_bytes: int
    run_seconds: tuple[float, ...]

    @classmethod
    def of(
        cls,
        layout: str,
        statement: str,
        contender: str,
        readings: Sequence[Reading],
        sizes: Sizes,
        peak_bytes: int,
    ) -> Self:
        """Take the medians of all readings."""
        seconds = median(reading.seconds for reading in readings)
        return cls(
            layout=layout,
            statement=statement,
            contender=contender,
            seconds=seconds,
            first_batch_s=median(reading.first_batch_s for reading in readings),
            rows_per_s=sizes.row_count / seconds,
            mib_per_s=sizes.byte_count / MIB / seconds,
            peak_memory_mib=peak_bytes / MIB,
            row_count=sizes.row_count,
            byte_count=sizes.byte_count,
            batch_count=sizes.batch_count,
            max_batch_bytes=sizes.max_batch_bytes,
            run_seconds=tuple(reading.seconds for reading in readings),
        )


@dataclass(frozen=True, slots=True)
class Check:
    """A number that follows from the measurements, and its target where it has one."""

    layout: str
    statement: str
    name: str
    value: float
    target: float | None

    @property
    def is_met(self) -> bool | None:
        """Whether the target is met; None without a target."""
        return None if self.target is None else self.value <= self.target


def checks(measurements: Sequence[Measurement]) -> list[Check]:
    """Return the ratios of each statement and layout, and what else has a target."""
    cells: dict[tuple[str, str], dict[str, Measurement]] = {}
    for one in measurements:
        cells.setdefault((one.layout, one.statement), {})[one.contender] = one
    return [check for cell in cells.values() for check in _cell_checks(cell)]


def _cell_checks(cell: Mapping[str, Measurement]) -> list[Check]:
    member = cell[MEMBER]
    alone_s = cell[DATAFUSION].seconds + cell[FLIGHT].seconds
    is_target = member.statement == FOUR_COLUMNS.name
    largest = max(one.max_batch_bytes for name, one in cell.items() if name != DATAFUSION)
    found = (
        ("direct / member", cell[MOM_DIRECT].seconds / member.seconds, _MAX_MOM_DIRECT),
        ("relay / member", cell[MOM_RELAY].seconds / member.seconds, _MAX_MOM_RELAY),
        ("member / alone", member.seconds / alone_s, _MAX_MEMBER),
        ("member, MiB", member.peak_memory_mib, _MAX_MEMBER_MIB),
        ("batch, MiB", largest / MIB, _MAX_BATCH_MIB),
    )
    return [
        Check(member.layout, member.statement, name, value, target if is_target else None)
        for name, value, target in found
    ]


def to_json(
    measurements: Sequence[Measurement], *, scale: float, runs: int, row_count: int
) -> dict[str, Any]:
    """Return the whole benchmark as JSON values."""
    return {
        "benchmark": "scan",
        "measured_at": measured_now(),
        "machine": described_machine(),
        "scale": scale,
        "runs": runs,
        "row_count": row_count,
        "measurements": [asdict(one) for one in measurements],
        "checks": [{**asdict(one), "is_met": one.is_met} for one in checks(measurements)],
    }
