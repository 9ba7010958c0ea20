import json
from pathlib import Path

from bench.limitstatements import LIMIT_STATEMENTS, LIMIT_TABLES
from tests.bench.commands import run_bench, try_bench


def test_limits_are_found_and_measured_on_both_sides(tmp_path: Path) -> None:
    kinds = ["--kind", "OR", "--kind", "WITH that doubles tables"]
    done = run_bench("limits", *kinds, "--json", "--results", str(tmp_path))
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)

    edges = answer["edges"]
    assert [(edge["kind"], edge["table"], edge["code"]) for edge in edges] == [
        (kind, table.name, code)
        for kind in kinds[1::2]
        for table in LIMIT_TABLES
        for code in ("", "statement-too-large")
    ]
    for planned, refused in zip(edges[::2], edges[1::2], strict=True):
        assert planned["outcome"] == "planned"
        assert refused["outcome"] == "refused"
        assert planned["seconds"] > 0
    assert json.loads((tmp_path / "limits.json").read_text("utf-8")) == answer
    assert (tmp_path / "limits.png").read_bytes().startswith(b"\x89PNG")


def test_unknown_kind_is_a_fault_of_usage() -> None:
    assert try_bench("limits", "--kind", "nothing").returncode == 2


def test_every_kind_grows() -> None:
    for kind, write in LIMIT_STATEMENTS.items():
        for table in LIMIT_TABLES:
            assert len(write(table, 2)) <= len(write(table, 4)), kind
