"""`python -m tests.faults`: play seeded schedules of faults against a federation of processes."""

import argparse
import json
import shutil
import sys
import tempfile
import time
from dataclasses import asdict
from pathlib import Path

from tests.faults.isolation import INSIDE, can_isolate, enter
from tests.faults.running import Run, say
from tests.faults.schedules import sample
from tests.faults.takeovers import TakeoverRun


def main() -> int:
    """Play schedules; returns 0 when nothing was found."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("--seed", type=int, default=1, help="the first seed")
    parser.add_argument("--count", type=int, default=10, help="how many seeds, one after the other")
    parser.add_argument("--plain", action="store_true", help="without namespaces: proxies, limits")
    parser.add_argument("--sample", action="store_true", help="each fault once, and no seeds")
    parser.add_argument("--takeovers", action="store_true", help="of a member with two controllers")
    parser.add_argument("--results", type=Path, help="where to write recovery times, as JSON")
    parser.add_argument(INSIDE, action="store_true", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if not (asked.plain or asked.inside or asked.takeovers) and can_isolate():
        enter(sys.argv[1:])
    directory = Path(tempfile.mkdtemp(prefix="faults-"))
    kind = "namespaces of its own" if asked.inside else "proxies and limits"
    what = "a sample" if asked.sample else f"{asked.count} schedules from seed {asked.seed}"
    say(f"{what}, with {kind}; logs in {directory}")
    started_at = time.monotonic()
    run = TakeoverRun(directory) if asked.takeovers else Run(directory, is_isolated=asked.inside)
    if isinstance(run, TakeoverRun):
        run.play(range(asked.seed, asked.seed + asked.count))
    elif asked.sample:
        run.play(sample(is_isolated=asked.inside, can_jump=run.can_jump))
    else:
        run.play(map(run.draw, range(asked.seed, asked.seed + asked.count)))
    took_s = time.monotonic() - started_at
    if asked.results:
        results = {
            "schedules": run.played,
            "recoveries": [asdict(recovery) for recovery in run.recoveries],
        }
        asked.results.write_text(json.dumps(results, indent=1) + "\n", "utf-8")
    say(f"answers: {dict(run.oracle.answers)}")
    say(f"refusals: { {' '.join(key): n for key, n in sorted(run.oracle.refusals.items())} }")
    for finding in run.oracle.findings:
        say(f"FOUND {finding.what}")
    say(
        f"{run.played} schedules in {took_s:.0f} s, {len(run.oracle.findings)} findings; "
        f"seeds that failed: {run.failed}"
    )
    if not run.oracle.findings:
        shutil.rmtree(directory)
    return 1 if run.oracle.findings else 0


if __name__ == "__main__":
    sys.exit(main())
