"""One run: a federation that lives on, a workload, and schedule after schedule."""

import math
import sys
import time
import traceback
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from tests.faults.checking import check, recover
from tests.faults.federation import HANGZHOU, Federation
from tests.faults.injecting import inject
from tests.faults.leftovers import Leftovers
from tests.faults.oracle import Oracle
from tests.faults.schedules import CLOCKS, Fault, Schedule, draw
from tests.faults.workload import Workload


@dataclass(frozen=True)
class Recovery:
    """How long it took until everything worked again after one schedule of one step."""

    fault: str
    victim: str
    phase: str
    seconds: float


class Run:
    """A federation under faults, from its start to its end."""

    def __init__(self, directory: Path, *, is_isolated: bool) -> None:
        self.directory = directory
        self.recoveries: list[Recovery] = []
        self.failed: list[int] = []
        self.played = 0
        self.oracle = Oracle()
        self._is_isolated = is_isolated
        self._federation = Federation(directory, is_isolated=is_isolated)

    def play(self, schedules: Iterable[Schedule]) -> None:
        """Play schedules, until one breaks the federation for good."""
        federation, oracle = self._federation, self.oracle
        try:
            federation.start()
            workload = Workload(federation, oracle)
            workload.start()
            leftovers = Leftovers(federation)
            try:
                lasts = all(self._play_one(one, workload, leftovers) for one in schedules)
            finally:
                workload.stop()
            if not lasts:
                return
            workload.write_everywhere()
            check(federation, oracle)
            leftovers.check_quiet(oracle)
            leftovers.check_tables(oracle)
        finally:
            federation.close()

    def draw(self, seed: int) -> Schedule:
        """Draw the schedule of a seed for what this run can do."""
        return draw(seed, can_stall=self._is_isolated, can_jump=self.can_jump)

    @property
    def can_jump(self) -> bool:
        """Whether clocks can be set."""
        return self._federation.servers[HANGZHOU].clock.can_jump

    def _play_one(self, schedule: Schedule, workload: Workload, leftovers: Leftovers) -> bool:
        """Play one schedule; returns whether the federation works again."""
        started_at = time.monotonic()
        self.played += 1
        federation, oracle = self._federation, self.oracle
        known = len(oracle.findings)
        faults = {step.fault for step in schedule.steps}
        oracle.has_clocks_apart = bool(faults & CLOCKS)
        oracle.has_full_disk = Fault.FULL_DISK in faults
        try:
            with oracle.failing():
                for step in schedule.steps:
                    workload.begin(step.phase)
                    time.sleep(step.after_s)
                    inject(federation, step, workload)
            seconds = recover(federation, oracle)
            workload.wait_for_single()
            check(federation, oracle)
            leftovers.check(oracle)
        except BaseException as error:
            oracle.find(f"the run itself failed: {traceback.format_exc()}")
            if not isinstance(error, Exception):
                raise
            seconds = float("nan")
        if len(schedule.steps) == 1 and not math.isnan(seconds):
            (step,) = schedule.steps
            self.recoveries.append(Recovery(step.fault, step.victim, step.phase, round(seconds, 2)))
        is_well = len(oracle.findings) == known
        steps = "; ".join(map(str, schedule.steps))
        took_s = time.monotonic() - started_at
        outcome = "ok  " if is_well else "FAIL"
        say(f"{outcome} {schedule.seed} {took_s:5.1f} s, whole after {seconds:4.1f} s: {steps}")
        if not is_well:
            self.failed.append(schedule.seed)
            for finding in oracle.findings[known:]:
                say(f"     {finding.what}")
        return not math.isnan(seconds)


def say(text: str) -> None:
    """Print a line at once."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()
