import json
from pathlib import Path

from bench.contenders import CONTENDERS
from bench.lineitem import BY_YEAR, PLAIN
from bench.statements import STATEMENTS
from tests.bench.commands import run_bench, try_bench


def test_scan_measures_every_contender_over_both_layouts(tmp_path: Path, lineitem: Path) -> None:
    places = ["--data", str(lineitem), "--results", str(tmp_path / "results")]
    done = run_bench("scan", "--scale", "0.01", "--runs", "1", "--json", *places)
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)

    cells = {(layout, one.name) for layout in (PLAIN, BY_YEAR) for one in STATEMENTS}
    measured = answer["measurements"]
    assert len(measured) == len(cells) * len(CONTENDERS)
    assert {(one["layout"], one["statement"]) for one in measured} == cells
    assert {one["contender"] for one in measured} == set(CONTENDERS)
    for one in measured:
        assert one["row_count"] == (4 if one["statement"] == "Q1" else answer["row_count"])
        assert 0 < one["first_batch_s"] <= one["seconds"]
        assert one["run_seconds"] == [one["seconds"]]
        assert 0 < one["max_batch_bytes"] <= one["byte_count"]
        assert one["batch_count"] > 0
        assert one["peak_memory_mib"] > 0

    checks = answer["checks"]
    assert {(one["layout"], one["statement"]) for one in checks} == cells
    assert all((one["target"] is None) == (one["is_met"] is None) for one in checks)
    assert {one["name"] for one in checks if one["target"]} == {
        "direct / member",
        "relay / member",
        "member / alone",
        "member, MiB",
        "batch, MiB",
    }
    assert (answer["scale"], answer["runs"]) == (0.01, 1)

    assert json.loads((tmp_path / "results" / "scan.json").read_text("utf-8")) == answer
    assert (tmp_path / "results" / "scan.png").read_bytes().startswith(b"\x89PNG")


def test_help_of_scan_has_an_example() -> None:
    done = try_bench("scan", "--help")
    assert done.returncode == 0
    assert "python -m bench scan --scale 2" in done.stdout


def test_number_of_runs_must_be_positive() -> None:
    assert try_bench("scan", "--runs", "0").returncode == 2
