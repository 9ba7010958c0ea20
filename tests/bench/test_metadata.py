import json
from pathlib import Path

from bench.metadata import (
    COMMANDS,
    COMMANDS_OF_ALL,
    SCHEMAS,
    SEES_ALL,
    SEES_FEW,
    TABLES,
    TARGET_MS,
)
from bench.metadatastate import FEW, MEMBERS, MetadataState
from tests.bench.commands import run_bench


def test_metadata_measures_every_command_for_both_callers(tmp_path: Path) -> None:
    sizes = ["--tables", "1000", "--runs", "20"]
    done = run_bench("metadata", *sizes, "--json", "--results", str(tmp_path))
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    assert (answer["tables"], answer["runs"]) == (1000, 20)
    timings = answer["timings"]
    assert [(one["statement"], one["contender"]) for one in timings] == [
        *((SEES_FEW, name) for name in COMMANDS),
        *((SEES_ALL, name) for name in COMMANDS_OF_ALL),
    ]
    for one in timings:
        assert len(one["run_ms"]) == (20 if one["statement"] == SEES_FEW else 2)
        assert 0 < min(one["run_ms"]) <= one["p50_ms"] <= one["p99_ms"] <= max(one["run_ms"])
    assert {
        (one["statement"], one["contender"]): one["target_ms"]
        for one in timings
        if one["target_ms"] is not None
    } == {(SEES_FEW, TABLES): TARGET_MS, (SEES_FEW, SCHEMAS): TARGET_MS}
    assert json.loads((tmp_path / "metadata.json").read_text("utf-8")) == answer
    assert (tmp_path / "metadata.png").read_bytes().startswith(b"\x89PNG")


def test_the_few_tables_lie_far_from_each_other() -> None:
    state = MetadataState.of(100_000)
    assert len(set(map(state.table, range(state.tables)))) == state.tables
    assert len(set(state.few)) == FEW
    assert len({table.schema for table in state.few}) == FEW
    assert len({table.cluster for table in state.few}) == MEMBERS
