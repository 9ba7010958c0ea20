import json
from pathlib import Path

import pytest

from bench.federationresults import (
    ALONE,
    CPU,
    LISTING,
    MARKS,
    MEANWHILE,
    MEMORY,
    RATIO,
    RESTART,
)
from bench.federationstate import FEW, Sizes
from tests.bench.commands import run_bench

SIZES = {"members": 5, "nodes": 2, "tables": 10, "changes": 2, "interval": 1}


@pytest.mark.timeout(300)
def test_federation_watches_a_mom_among_members_that_beat_and_report(tmp_path: Path) -> None:
    sizes = [text for name, size in SIZES.items() for text in (f"--{name}", str(size))]
    asked = [*sizes, "--seconds", "3", "--runs", "20", "--away", "2"]
    done = run_bench("federation", *asked, "--json", "--results", str(tmp_path))
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    assert (answer["members"], answer["nodes"], answer["tables"]) == (5, 2, 10)
    assert (answer["changes"], answer["interval_s"]) == (2, 1.0)
    marks = {one["name"]: one for one in answer["marks"]}
    assert sorted(marks) == sorted(MARKS)
    assert {name: one["target"] for name, one in marks.items() if one["target"] is not None} == {
        CPU: 40,
        MEMORY: 4096,
        RATIO: 1.3,
        LISTING: 50,
        RESTART: 30,
    }
    assert [len(marks[name]["values"]) for name in (CPU, ALONE, MEANWHILE, LISTING)] == [
        *(3, 20, 20, 20)
    ]
    assert all(one["value"] > 0 for one in marks.values())
    assert marks[RATIO]["value"] == marks[MEANWHILE]["value"] / marks[ALONE]["value"]
    assert json.loads((tmp_path / "federation.json").read_text("utf-8")) == answer
    assert (tmp_path / "federation.png").read_bytes().startswith(b"\x89PNG")


def test_the_few_tables_lie_far_from_each_other() -> None:
    sizes = Sizes(members=1_000, nodes=10, tables=1_000, changes=10, interval_s=5)
    assert sizes.all_tables == 1_000_001
    # The reader's own is one of them.
    assert len({table.cluster for table in sizes.few}) == FEW - 1
    assert len({(table.schema, table.table) for table in sizes.few}) > 1
