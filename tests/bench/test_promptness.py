import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from bench.processortime import busy_until_s, processor_time_s
from bench.promptness import CHANGES, REACH_MS, REACHES, STOP_MS, STOPS, WAYS
from tests.bench.commands import run_bench, try_bench
from tests.waiting import wait_until


@pytest.mark.timeout(300)
def test_promptness_measures_every_way_of_cancelling_and_every_change(tmp_path: Path) -> None:
    sizes = ["--work", "count", "--runs", "2"]
    done = run_bench("promptness", *sizes, "--json", "--results", str(tmp_path))
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    timings = answer["timings"]
    assert [(one["statement"], one["contender"]) for one in timings] == [
        *((f"{STOPS}: count", way) for way in WAYS),
        *((REACHES, change) for change in CHANGES),
    ]
    for one in timings:
        assert len(one["run_ms"]) == 2
        assert 0 <= min(one["run_ms"]) <= one["p50_ms"] <= one["p99_ms"] <= max(one["run_ms"])
        assert one["target_ms"] == (REACH_MS if one["statement"] == REACHES else STOP_MS)
        # A bound is one for the slowest, not for the half of them.
        assert one["is_met"] == (one["p99_ms"] <= one["target_ms"])
    assert json.loads((tmp_path / "promptness.json").read_text("utf-8")) == answer
    assert (tmp_path / "promptness.png").read_bytes().startswith(b"\x89PNG")


def test_unknown_work_is_refused() -> None:
    done = try_bench("promptness", "--work", "nosuch")
    assert done.returncode == 2
    assert "none of: count" in done.stderr


def test_process_is_watched_until_it_works_no_more() -> None:
    with subprocess.Popen([sys.executable, "-c", "while True: pass"]) as working:
        try:
            began = processor_time_s(working.pid)
            wait_until(lambda: processor_time_s(working.pid) - began > 0.2, 30)
        finally:
            since = time.perf_counter()
            working.send_signal(signal.SIGSTOP)
        stopped_s = busy_until_s(working.pid, since)
        working.kill()
    # It is stopped at once; a machine that is busy tells of it a little later.
    assert stopped_s < 5
