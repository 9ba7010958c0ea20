"""Very many simulated members in one process, which beats for them as it is told to.

It reads commands from its standard input, a word on each line, and answers each with one line of
JSON; it ends with its input. `join` joins all and reports their tables; `go` beats, each member
once an interval, evenly spread; `rest` waits until no beat is under way and sends no more; `tell`
says how it went since it was told to last. `herd` has each member beat by itself instead, as a real
one does: when a beat does not get through, it waits as long as members wait, and tries again.
"""

import argparse
import heapq
import json
import os
import random
import sys
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from bench.simulatedmember import SimulatedMember, member_name
from flight_member.membership import pause_after

THREADS = 8
# Of a herd, so many can be on their way at once.
_HERD_THREADS = 64
_NICE = 5
_MANY = 100


@dataclass(slots=True)
class Told:
    """How it went for a while."""

    beats: int = 0
    reports: int = 0
    failures: list[str] = field(default_factory=list)
    beat_ms: list[float] = field(default_factory=list)

    def add(self, member: SimulatedMember) -> bool:
        """Beat for a member, and note how that went; returns whether it got through."""
        started = time.perf_counter()
        try:
            self.reports += member.beat()
        except Exception as error:  # noqa: BLE001  a member beats again, whatever it was
            self.failures.append(str(error))
            return False
        self.beats += 1
        self.beat_ms.append((time.perf_counter() - started) * 1000)
        return True


class Swarm:
    """The members, divided among threads that beat for them in turn."""

    def __init__(self, members: Sequence[SimulatedMember], interval_s: float, changes: int) -> None:
        """Take over members that have not joined yet.

        Args:
            members: All of them.
            interval_s: Between two beats of one member.
            changes: How many of them tell in each interval that a table has changed.
        """
        self._members = members
        self._interval_s = interval_s
        # The members that change are others in each round.
        self._every = max(len(members) // changes, 1) if changes else 0
        self._shares = [members[start::THREADS] for start in range(THREADS)]
        self._told = [Told() for _ in self._shares]
        self._going = threading.Event()
        self._busy = [threading.Lock() for _ in self._shares]

    def join(self, tokens: dict[str, str]) -> dict[str, Any]:
        """Join all of them, and let each beat once and report its tables."""

        def enter(member: SimulatedMember) -> bool:
            member.join(tokens[member.name])
            return member.beat()

        started = time.perf_counter()
        with ThreadPoolExecutor(THREADS) as pool:
            reports = sum(pool.map(enter, self._members))
        return {"reports": reports, "elapsed_s": time.perf_counter() - started}

    def go(self) -> dict[str, Any]:
        """Beat from now on."""
        self._going.set()
        return {}

    def rest(self) -> dict[str, Any]:
        """Beat no more; returns when no beat is under way."""
        self._going.clear()
        for busy in self._busy:
            with busy:
                pass
        return {}

    def herd(self) -> dict[str, Any]:
        """Have each member beat by itself from now on, whether the MoM answers or not."""
        self.rest()
        for turn in range(_HERD_THREADS):
            share = self._members[turn::_HERD_THREADS]
            told = self._told[turn % len(self._told)]
            threading.Thread(target=self._beat_alone, args=(share, told), daemon=True).start()
        return {}

    def _beat_alone(self, share: Sequence[SimulatedMember], told: Told) -> None:
        due = [
            (time.monotonic() + self._interval_s * random.random(), place, 0)  # noqa: S311  scatter
            for place in range(len(share))
        ]
        heapq.heapify(due)
        while due:
            at, place, failures = heapq.heappop(due)
            time.sleep(max(at - time.monotonic(), 0))
            failures = 0 if told.add(share[place]) else failures + 1
            pause_s = pause_after(failures, self._interval_s) if failures else self._interval_s
            heapq.heappush(due, (time.monotonic() + pause_s, place, failures))

    def tell(self) -> dict[str, Any]:
        """Return how it went since this was asked last."""
        told, self._told = self._told, [Told() for _ in self._shares]
        return asdict(
            Told(
                sum(one.beats for one in told),
                sum(one.reports for one in told),
                [failure for one in told for failure in one.failures],
                [ms for one in told for ms in one.beat_ms],
            )
        )

    def start(self) -> None:
        """Start the threads, which wait for `go`."""
        for turn in range(len(self._shares)):
            threading.Thread(target=self._beat_in_turn, args=(turn,), daemon=True).start()

    def _beat_in_turn(self, turn: int) -> None:
        share, busy = self._shares[turn], self._busy[turn]
        step_s = self._interval_s / max(len(share), 1)
        due = time.monotonic() + step_s * turn / THREADS
        beaten = 0
        while share:
            time.sleep(max(due - time.monotonic(), 0))
            due += step_s
            if not self._going.is_set():
                self._going.wait()
                # What was not sent meanwhile is not sent later.
                due = time.monotonic() + step_s * (turn + 1) / THREADS
            with busy:
                if not self._going.is_set():
                    continue
                rounds, place = divmod(beaten, len(share))
                member = share[place]
                if self._every and (place * THREADS + turn + rounds) % self._every == 0:
                    member.change_table()
                self._told[turn].add(member)
                beaten += 1


def main() -> None:
    """Serve commands until the input ends."""
    asked = argparse.ArgumentParser(prog="python -m bench.swarm")
    for name in ("first", "members", "nodes", "tables", "changes"):
        asked.add_argument(f"--{name}", type=int, required=True)
    asked.add_argument("--interval", type=float, required=True)
    asked.add_argument("--tokens", type=Path, required=True)
    options = asked.parse_args()
    numbers = range(options.first, options.first + options.members)
    members = [SimulatedMember(member_name(n), options.nodes, options.tables) for n in numbers]
    _give_way(options.members)
    swarm = Swarm(members, options.interval, options.changes)
    swarm.start()
    commands: dict[str, Callable[[], dict[str, Any]]] = {
        "join": lambda: swarm.join(json.loads(options.tokens.read_text("utf-8"))),
        "go": swarm.go,
        "rest": swarm.rest,
        "herd": swarm.herd,
        "tell": swarm.tell,
    }
    _say({"members": len(members)})
    for line in sys.stdin:
        _say(commands[line.strip()]())


def _give_way(member_count: int) -> None:
    """Let the MoM go first: members have machines of their own.

    At once where the system has a class for that, and there are so many that it matters; a few
    would starve where others use the machine.
    """
    if member_count >= _MANY and hasattr(os, "SCHED_IDLE"):
        os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
    else:
        os.nice(_NICE)


def _say(answer: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
