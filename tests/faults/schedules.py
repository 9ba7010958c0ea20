"""What fails, when, and for how long: drawn from a seed, so that it can be drawn again."""

import random
from dataclasses import dataclass
from enum import StrEnum

from tests.faults.federation import HANGZHOU, MEMBERS, MOM, NAMES, SHANGHAI


class Fault(StrEnum):
    """How something fails."""

    KILL = "kill"
    """`kill -9`, and started again when the time is over."""
    END = "end"
    """Told to end, and started again."""
    STOP = "stop"
    """SIGSTOP, and SIGCONT."""
    CUT = "cut"
    """The line between the MoM and a member loses everything, silently."""
    HALF_CUT = "half cut"
    """What the MoM says to the member is lost; the other way works."""
    ISOLATE = "isolate"
    """Nobody reaches the server, and it reaches nobody."""
    SLOW_LINE = "slow line"
    """The server's line is narrow."""
    FULL_DISK = "full disk"
    STALLED_DISK = "stalled disk"
    """Whoever writes waits, in turns."""
    CLOCK_AHEAD = "clock ahead"
    CLOCK_BEHIND = "clock behind"


PHASES = ("query", "write", "load", "grant", "join", "heartbeat", "rotation")
_NEEDS_A_DISK = {Fault.STALLED_DISK}
CLOCKS = {Fault.CLOCK_AHEAD, Fault.CLOCK_BEHIND}
_OF_A_LINK = {Fault.CUT, Fault.HALF_CUT}


@dataclass(frozen=True)
class Step:
    """One fault."""

    fault: Fault
    victim: str
    phase: str
    after_s: float
    """From the beginning of a round of the phase."""
    lasts_s: float

    def __str__(self) -> str:
        return (
            f"{self.fault} {self.victim} in the middle of {self.phase}, "
            f"after {self.after_s:.2f} s for {self.lasts_s:.2f} s"
        )


@dataclass(frozen=True)
class Schedule:
    """Faults, one after the other, each a while after the one before."""

    seed: int
    steps: tuple[Step, ...]


def draw(seed: int, *, can_stall: bool, can_jump: bool) -> Schedule:
    """Draw the schedule of a seed; the same on every machine that can do the same."""
    chance = random.Random(seed)  # noqa: S311  to be drawn again
    faults = _possible(can_stall=can_stall, can_jump=can_jump)
    return Schedule(
        seed, tuple(_draw_step(chance, faults) for _ in range(chance.choice((1, 1, 2))))
    )


def _draw_step(chance: random.Random, faults: list[Fault]) -> Step:
    fault = chance.choice(faults)
    victims = MEMBERS if fault in _OF_A_LINK else NAMES
    # What is asked lies at hangzhou, so it and the MoM fail most.
    victim = chance.choice((HANGZHOU, MOM, *victims) if victims is NAMES else victims)
    return Step(
        fault,
        victim,
        chance.choice(PHASES),
        round(chance.expovariate(8), 3),
        round(chance.uniform(0.2, 2.5), 2),
    )


def sample(*, is_isolated: bool, can_jump: bool) -> list[Schedule]:
    """Return schedules in which everything fails once that can fail here."""
    pairs = (
        (Step(Fault.KILL, HANGZHOU, "write", 0.05, 0.3), Step(Fault.STOP, MOM, "grant", 0.02, 1.2)),
        (Step(Fault.CUT, HANGZHOU, "query", 0.05, 1.2), Step(Fault.KILL, MOM, "grant", 0.02, 0.2)),
        (Step(Fault.HALF_CUT, HANGZHOU, "heartbeat", 0, 1), Step(Fault.END, MOM, "join", 0.1, 0.2)),
        (Step(Fault.ISOLATE, MOM, "query", 0.05, 1), Step(Fault.KILL, HANGZHOU, "load", 0.2, 0.2)),
        (
            Step(Fault.FULL_DISK, HANGZHOU, "write", 0, 1),
            Step(Fault.FULL_DISK, MOM, "grant", 0, 1),
            Step(Fault.SLOW_LINE, SHANGHAI, "query", 0, 0.5),
        ),
        (
            Step(Fault.STALLED_DISK, HANGZHOU, "rotation", 0, 1),
            Step(Fault.CLOCK_AHEAD, MOM, "query", 0, 1),
            Step(Fault.CLOCK_BEHIND, HANGZHOU, "grant", 0, 1),
        ),
    )
    possible = _possible(can_stall=is_isolated, can_jump=can_jump)
    return [
        Schedule(number, tuple(step for step in steps if step.fault in possible))
        for number, steps in enumerate(pairs)
    ]


def _possible(*, can_stall: bool, can_jump: bool) -> list[Fault]:
    return [
        fault
        for fault in Fault
        if (can_stall or fault not in _NEEDS_A_DISK) and (can_jump or fault not in CLOCKS)
    ]
