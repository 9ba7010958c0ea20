"""A step of a schedule, carried out: something fails for a while, and works again."""

import time
from collections.abc import Iterator
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
    server, network = federation.servers[step.victim], federation.network
    try:
        match step.fault:
            case Fault.KILL:
                server.kill()
            case Fault.END:
                server.terminate()
            case Fault.STOP:
                server.pause()
            case Fault.CUT:
                network.cut(MOM, step.victim)
            case Fault.HALF_CUT:
                network.cut(MOM, step.victim, both_ways=False)
            case Fault.ISOLATE:
                network.isolate(step.victim)
            case Fault.SLOW_LINE:
                network.slow(step.victim)
            case Fault.FULL_DISK:
                server.disk.fill(server.pid or 0)
            case Fault.CLOCK_AHEAD:
                server.clock.jump(_JUMP_S)
            case Fault.CLOCK_BEHIND:
                server.clock.jump(-_JUMP_S)
            case Fault.STALLED_DISK:
                pass
        yield
    finally:
        settle(federation)


def _stall(federation: Federation, step: Step) -> None:
    """Let writers wait, and write, in turns: a disk that is slow."""
    disk = federation.servers[step.victim].disk
    until = time.monotonic() + step.lasts_s
    while time.monotonic() < until:
        disk.stall()
        time.sleep(_STALL_S)
        disk.heal(None)
        time.sleep(_STALL_S / 6)
