"""What a process takes of the processors, as finely as the system tells it."""

import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import psutil

_EVERY_S = 0.01
_QUIET_S = 0.15
# A server that runs nothing beats, looks and answers all the same.
_QUIET_SHARE = 0.2
_PATIENCE_S = 20.0


def processor_time_s(pid: int) -> float:
    """Return how long the threads that a process has now were on a processor, in seconds.

    Source: proc_pid_schedstat of the Linux kernel's documentation: nanoseconds come first.
    """
    tasks = Path(f"/proc/{pid}/task")
    if not tasks.exists():
        return float(sum(psutil.Process(pid).cpu_times()[:2]))
    total_ns = 0
    for task in tasks.iterdir():
        try:
            total_ns += int((task / "schedstat").read_text("ascii").split(maxsplit=1)[0])
        except (OSError, ValueError):
            continue  # a thread that has ended meanwhile
    return total_ns / 1e9


def busy_until_s(pid: int, since: float, ticks: Callable[[], float] = time.perf_counter) -> float:
    """Return for how long a process worked on after a moment, until it was quiet; in seconds.

    Args:
        pid: The process.
        since: The moment, by the same clock, which has just been.
        ticks: The clock.
    """
    samples = [(ticks(), processor_time_s(pid))]
    while samples[-1][0] - since < _PATIENCE_S:
        time.sleep(_EVERY_S)
        samples.append((ticks(), processor_time_s(pid)))
        at, used = samples[-1]
        earlier = [one for one in samples if one[0] <= at - _QUIET_S]
        if earlier and used - earlier[-1][1] < _QUIET_SHARE * (at - earlier[-1][0]):
            # It was the last sample before that which saw it work.
            return max(_last_busy(samples) - since, 0.0)
    return _PATIENCE_S


def _last_busy(samples: list[tuple[float, float]]) -> float:
    """Return when the last step of work was seen."""
    for (_, before), (at, used) in reversed(list(pairwise(samples))):
        if used - before > _QUIET_SHARE * _EVERY_S * 2:
            return at
    return samples[0][0]
