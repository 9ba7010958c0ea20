"""What a server under load does, as values: targets, and the JSON that holds them."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from statistics import median, quantiles
from typing import Any, Final, Self

from bench.loadworker import ANSWERED, REFUSED, WAITED
from bench.machine import described_machine, measured_now

ALONE: Final = "nothing else"
IDLE: Final = "idle connections"
SLOW: Final = "slow readers too"
BURST: Final = "a burst too"
PHASES = (ALONE, IDLE, SLOW, BURST)
Attempt = tuple[float, str]

_MAX_REFUSAL_MS: Final = 50.0
_MAX_GROWTH_MIB: Final = 2048.0


@dataclass(frozen=True, slots=True)
class Sizes:
    """How much load there is, and how often the small statement is asked in each phase."""

    idle: int
    slow: int
    burst: int
    runs: int

    @property
    def bursters(self) -> int:
        """How many processes send the burst, each the same part of it."""
        return max(1, self.burst // 250)


@dataclass(frozen=True, slots=True)
class Answers:
    """What came of statements: how long each took, in milliseconds, by what was answered.

    Attributes:
        milliseconds: Of those that were answered.
        refused: Of those that were refused at once.
        waited: Of those that were refused after they had waited in the queue.
        failures: What came of the others.
    """

    milliseconds: tuple[float, ...]
    refused: tuple[float, ...]
    waited: tuple[float, ...]
    failures: tuple[str, ...]

    @classmethod
    def of(cls, attempts: Sequence[Attempt]) -> Self:
        """Sort attempts."""
        return cls(
            tuple(ms for ms, outcome in attempts if outcome == ANSWERED),
            tuple(ms for ms, outcome in attempts if outcome == REFUSED),
            tuple(ms for ms, outcome in attempts if outcome == WAITED),
            tuple(outcome for _, outcome in attempts if outcome not in {ANSWERED, REFUSED, WAITED}),
        )


@dataclass(frozen=True, slots=True)
class Loaded:
    """One server under load.

    Attributes:
        target: Which server.
        small: A small statement of somebody who asks one after the other, by phase.
        knocks: The same of the user whose burst it is, meanwhile.
        burst: The burst's own statements, each tried until it was answered.
        burst_s: Until all of them were.
        growth_mib: Memory of the server's process, the highest in all of this above the first.
        most_threads: The highest number of its threads.
        connections: How many connections it had.
    """

    target: str
    small: dict[str, Answers]
    knocks: Answers
    burst: Answers
    burst_s: float
    growth_mib: float
    most_threads: int
    connections: int


@dataclass(frozen=True, slots=True)
class Mark:
    """One number, and its target where it has one."""

    target: str
    name: str
    unit: str
    value: float
    p99: float | None = None
    most: float | None = None

    @property
    def is_met(self) -> bool | None:
        """Whether the value is at most what it should be; None without a target."""
        return None if self.most is None else self.value <= self.most


def marks(one: Loaded, sizes: Sizes) -> list[Mark]:
    """Return the numbers of one server."""
    found = [_median(one.target, f"small statement, {name}", one.small[name]) for name in PHASES]
    not_answered = [
        *(outcome for answers in one.small.values() for outcome in answers.failures),
        *(REFUSED for answers in one.small.values() for _ in answers.refused + answers.waited),
        *one.knocks.failures,
        *one.burst.failures,
    ]
    unanswered = sizes.burst - len(one.burst.milliseconds)
    return [
        *found,
        _refusals(one.target, one.knocks),
        Mark(one.target, "burst, until all are answered", "s", one.burst_s),
        Mark(one.target, "burst, refused at once", "times", len(one.burst.refused)),
        Mark(one.target, "burst, refused in the queue", "times", len(one.burst.waited)),
        Mark(one.target, "burst, never answered", "", unanswered, most=0),
        Mark(one.target, "others refused, anybody failed", "", len(not_answered), most=0),
        Mark(one.target, "memory above the first", "MiB", one.growth_mib, most=_MAX_GROWTH_MIB),
        Mark(one.target, "threads", "", one.most_threads),
        Mark(one.target, "connections", "", one.connections),
    ]


def _median(target: str, name: str, answers: Answers) -> Mark:
    values = answers.milliseconds or (0.0,)
    return Mark(target, name, "ms", median(values), _p99(values))


def _refusals(target: str, knocks: Answers) -> Mark:
    values = knocks.refused or (0.0,)
    return Mark(target, "refusal", "ms", median(values), _p99(values), most=_MAX_REFUSAL_MS)


def _p99(values: Sequence[float]) -> float | None:
    return quantiles(values, n=100, method="inclusive")[98] if len(values) > 1 else None


def load_json(loaded: Sequence[Loaded], sizes: Sizes) -> dict[str, Any]:
    """Return the whole benchmark as JSON values."""
    return {
        "benchmark": "load",
        "measured_at": measured_now(),
        "machine": described_machine(),
        **asdict(sizes),
        "servers": [
            {
                "target": one.target,
                "marks": [{**asdict(mark), "is_met": mark.is_met} for mark in marks(one, sizes)],
                "small_ms": {name: answers.milliseconds for name, answers in one.small.items()},
                "refusals_ms": one.knocks.refused,
                "burst_ms": one.burst.milliseconds,
                "failures": Counter((*one.knocks.failures, *one.burst.failures)),
            }
            for one in loaded
        ],
    }
