import json
from pathlib import Path

from bench.parallel import ROUTES, SHARED_STATEMENTS
from tests.bench.commands import run_bench


def test_scans_are_measured_from_one_node_and_in_parts(tmp_path: Path, lineitem: Path) -> None:
    places = ["--data", str(lineitem), "--results", str(tmp_path / "results")]
    done = run_bench(
        *("parallel", "--nodes", "1", "--scale", "0.01", "--runs", "2", "--json"), *places
    )
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    measured = {(one["statement"], one["contender"]) for one in answer["timings"]}
    assert measured == {(one.name, route) for one in SHARED_STATEMENTS for route in ROUTES}
    assert all(one["p50_ms"] > 0 for one in answer["timings"])
    assert answer["nodes"] == 2
    assert json.loads((tmp_path / "results" / "parallel.json").read_text("utf-8")) == answer
    assert (tmp_path / "results" / "parallel.png").read_bytes().startswith(b"\x89PNG")
