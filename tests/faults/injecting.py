"""A step of a schedule, carried out: something fails for a while, and works again."""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from tests.faults.federation import HANGZHOU, MOM, Federation, settle
from tests.faults.schedules import Fault, Step
from tests.faults.workload import Workload

# More than any token forgives, less than a session lives.
_JUMP_S = 1800
_STALL_S = 0.3


def inject(federation: Federation, step: Step, workload: Workload) -> None:
    """Have something fail for as long as the step says, and mend it.

    Whatever fails elsewhere, hangzhou's own users are served: it lasts until one was.
    """
    with workload.oracle.broken(step.victim), _broken(federation, step):
        answered = workload.oracle.answers["at home"]
        if step.fault is Fault.STALLED_DISK:
            _stall(federation, step)
        else:
            time.sleep(step.lasts_s)
        if step.victim != HANGZHOU and not workload.wait_for_answer("at home", answered):
            workload.oracle.find(f"hangzhou's own users were not served: {step}")


@contextmanager
def _broken(federation: Federation, step: Step) -> Iterator[None]:
    try:
        _BREAKS[step.fault](federation, step.victim)
        yield
    finally:
        settle(federation)


def _end(federation: Federation, victim: str) -> None:
    federation.servers[victim].terminate()


def _fill(federation: Federation, victim: str) -> None:
    server = federation.servers[victim]
    server.disk.fill(server.pid or 0)


_BREAKS: Mapping[Fault, Callable[[Federation, str], None]] = {
    Fault.KILL: lambda federation, victim: federation.servers[victim].kill(),
    Fault.END: _end,
    Fault.STOP: lambda federation, victim: federation.servers[victim].pause(),
    Fault.CUT: lambda federation, victim: federation.network.cut(MOM, victim),
    Fault.HALF_CUT: lambda federation, victim: federation.network.cut(MOM, victim, both_ways=False),
    Fault.ISOLATE: lambda federation, victim: federation.network.isolate(victim),
    Fault.SLOW_LINE: lambda federation, victim: federation.network.slow(victim),
    Fault.FULL_DISK: _fill,
    # It stalls in turns, see below.
    Fault.STALLED_DISK: lambda _federation, _victim: None,
    Fault.CLOCK_AHEAD: lambda federation, victim: federation.servers[victim].clock.jump(_JUMP_S),
    Fault.CLOCK_BEHIND: lambda federation, victim: federation.servers[victim].clock.jump(-_JUMP_S),
}


def _stall(federation: Federation, step: Step) -> None:
    """Let writers wait, and write, in turns: a disk that is slow."""
    disk = federation.servers[step.victim].disk
    until = time.monotonic() + step.lasts_s
    while time.monotonic() < until:
        disk.stall()
        time.sleep(_STALL_S)
        disk.heal(None)
        time.sleep(_STALL_S / 6)
