"""One run: a federation that lives on, a workload, and schedule after schedule."""

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
from tests.faults.schedules import CLOCKS, Schedule, draw
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
        self.oracle = Oracle()
        self._is_isolated = is_isolated
        self._federation = Federation(directory, is_isolated=is_isolated)

    def play(self, seeds: Iterable[int]) -> None:
        """Play the schedules of seeds, until one breaks the federation for good."""
        federation, oracle = self._federation, self.oracle
        try:
            federation.start()
            workload = Workload(federation, oracle)
            workload.start()
            leftovers = Leftovers(federation)
            try:
                lasts = all(self._play_one(seed, workload, leftovers) for seed in seeds)
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
        server = self._federation.servers[HANGZHOU]
        return draw(seed, can_stall=self._is_isolated, can_jump=server.clock.can_jump)

    def _play_one(self, seed: int, workload: Workload, leftovers: Leftovers) -> bool:
        """Play one schedule; returns whether the federation works again."""
        schedule, started_at = self.draw(seed), time.monotonic()
        federation, oracle = self._federation, self.oracle
        known = len(oracle.findings)
        if any(step.fault in CLOCKS for step in schedule.steps):
            oracle.has_clocks_apart = True
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
            oracle.has_clocks_apart = False
        except BaseException as error:
            oracle.find(f"the run itself failed: {traceback.format_exc()}")
            if not isinstance(error, Exception):
                raise
            seconds = float("nan")
        if len(schedule.steps) == 1 and seconds == seconds:
            (step,) = schedule.steps
            self.recoveries.append(Recovery(step.fault, step.victim, step.phase, round(seconds, 2)))
        is_well = len(oracle.findings) == known
        steps = "; ".join(map(str, schedule.steps))
        took_s = time.monotonic() - started_at
        say(f"{'ok  ' if is_well else 'FAIL'} {seed} {took_s:5.1f} s, whole after {seconds:4.1f} s: {steps}")
        if not is_well:
            self.failed.append(seed)
            for finding in oracle.findings[known:]:
                say(f"     {finding.what}")
        return seconds == seconds

def say(text: str) -> None:
    """Print a line at once."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()
