import json
from pathlib import Path

import pytest

from bench.loadresults import BURST, PHASES
from flight_mom.demo.federation import HANGZHOU
from tests.bench.commands import run_bench, try_bench

SIZES = {"idle": 5, "slow": 2, "burst": 60, "runs": 4}


@pytest.mark.timeout(300)
def test_load_times_what_a_member_answers_and_refuses(tmp_path: Path) -> None:
    sizes = [text for name, size in SIZES.items() for text in (f"--{name}", str(size))]
    asked = ["load", *sizes, "--server", HANGZHOU, "--json", "--results", str(tmp_path)]
    done = run_bench(*asked)
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    assert {name: answer[name] for name in SIZES} == SIZES
    (server,) = answer["servers"]
    assert server["target"] == HANGZHOU
    assert list(server["small_ms"]) == list(PHASES)
    assert all(len(server["small_ms"][phase]) == 4 for phase in PHASES if phase != BURST)
    marks = {one["name"]: one for one in server["marks"]}
    assert len(server["burst_ms"]) == SIZES["burst"]
    for promise in ("burst, never answered", "others refused, anybody failed"):
        assert (marks[promise]["value"], marks[promise]["is_met"]) == (0, True)
    assert marks["refusal"]["most"] == 50
    assert marks["connections"]["value"] >= SIZES["idle"] + SIZES["slow"]
    assert json.loads((tmp_path / "load.json").read_text("utf-8")) == answer
    assert (tmp_path / "load.png").read_bytes().startswith(b"\x89PNG")


def test_a_server_that_is_none_is_named(tmp_path: Path) -> None:
    done = try_bench("load", "--server", "nowhere", "--results", str(tmp_path))
    assert done.returncode == 2
    assert "nowhere" in done.stderr
