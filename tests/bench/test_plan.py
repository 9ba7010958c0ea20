import json
from pathlib import Path

from bench.planning import FIRST, PLAN_CONTENDERS, REPEATED
from bench.planstatements import PLANNED_STATEMENTS
from tests.bench.commands import run_bench, try_bench


def test_statements_are_about_a_kilobyte_long() -> None:
    for statement in PLANNED_STATEMENTS:
        assert 900 < len(statement.over("bench.tpch.lineitem@hangzhou", 1)) < 1400, statement.name


def test_plan_measures_every_contender_for_every_statement(tmp_path: Path, lineitem: Path) -> None:
    places = ["--data", str(lineitem), "--results", str(tmp_path / "results")]
    done = run_bench("plan", "--runs", "3", "--json", *places)
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)

    timings = answer["timings"]
    assert [(one["statement"], one["contender"]) for one in timings] == [
        (statement.name, contender)
        for statement in PLANNED_STATEMENTS
        for contender in PLAN_CONTENDERS
    ]
    for one in timings:
        assert len(one["run_ms"]) == 3
        assert 0 < min(one["run_ms"]) <= one["p50_ms"] <= one["p99_ms"] <= max(one["run_ms"])
        assert (one["target_ms"] is None) == (one["is_met"] is None)
    assert {one["contender"]: one["target_ms"] for one in timings if one["target_ms"]} == {
        FIRST: 6.0,
        REPEATED: 0.2,
    }
    # What was seen before is not planned again.
    by_contender = {(one["statement"], one["contender"]): one["p50_ms"] for one in timings}
    for statement in PLANNED_STATEMENTS:
        assert by_contender[statement.name, REPEATED] < by_contender[statement.name, FIRST]

    assert json.loads((tmp_path / "results" / "plan.json").read_text("utf-8")) == answer
    assert (tmp_path / "results" / "plan.png").read_bytes().startswith(b"\x89PNG")


def test_help_of_plan_has_an_example() -> None:
    done = try_bench("plan", "--help")
    assert done.returncode == 0
    assert "python -m bench plan --runs 300" in done.stdout


def test_percentiles_need_two_runs() -> None:
    assert try_bench("plan", "--runs", "1").returncode == 2
