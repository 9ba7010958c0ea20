"""`kill -9` during any write leaves the version before or after it, and nothing that grows."""

import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pyarrow as pa
import pytest

from storage.delta import append_rows, read_state
from storage.deltasnapshots import Snapshots
from storage.metastore import Table
from storage.tidying import vacuum
from tests.storage.factories import entry_of, litter_of, managed_table, read_rows

ROOT = Path(__file__).parents[2]
PER_COMMIT = 400
# Writes for ever; says so once it has begun.
WRITER = """
import itertools, sys
from pathlib import Path
from tests.storage.test_killed_writes import commit, newest
from storage.delta import append_rows
from storage.datafusionengine import DataFusionEngine
from storage.rowchanges import RowChanger, Wording
from storage.tidying import optimize, vacuum

location, first = Path(sys.argv[1]), int(sys.argv[3])
engine = DataFusionEngine(
    memory_limit_bytes=1 << 28,
    spill_directory=location.with_name("spill"),
    snapshot_directory=location.with_name("snapshots"),
)
changer = RowChanger(engine)
def where(condition):
    return Wording(condition, catalog="trading", schema="stock")

def append(turn):
    append_rows(newest(location), commit(turn + first).to_batches(max_chunksize=50))

def update(turn):
    changer.update(newest(location), {"value": "value + 1"}, where(None))

def delete(turn):
    append(turn)
    label = turn + first
    changer.delete(newest(location), where(f"label = {label} and day = 1 or label = {label - 1}"))

def join(turn):
    append(turn)
    optimize(newest(location))

def clean(turn):
    update(turn)
    vacuum(newest(location), keep_s=0)

acts = {"append": append, "update": update, "delete": delete, "join": join, "clean": clean}
act = acts[sys.argv[2]]
act(0)
print("going", flush=True)
for turn in itertools.count(1):
    act(turn)
"""


def commit(label: int) -> pa.Table:
    return pa.table(
        {
            "label": [label] * PER_COMMIT,
            "value": [0] * PER_COMMIT,
            "text": [f"row {number} of {label}" for number in range(PER_COMMIT)],
            "day": [number % 4 for number in range(PER_COMMIT)],
        }
    )


def newest(location: Path) -> Table:
    return entry_of(location, read_state(location))


def kill_while_writing(location: Path, act: str, first: int, after_s: float) -> None:
    command = [sys.executable, "-c", WRITER, str(location), act, str(first)]
    with subprocess.Popen(  # noqa: S603  our own interpreter and text
        command, stdout=subprocess.PIPE, cwd=ROOT
    ) as writing:
        assert writing.stdout is not None
        assert writing.stdout.readline() == b"going\n"
        time.sleep(after_s)
        os.kill(writing.pid, signal.SIGKILL)


def orphans(location: Path) -> list[str]:
    """Return the folders of commits that no version was ever told of, and notes of pending ones."""
    said = "".join(one.read_text("utf-8") for one in (location / "_delta_log").glob("*.json"))
    folders = [one.name for one in location.iterdir() if one.name not in {"_delta_log", ".pending"}]
    pending = [one.name for one in (location / ".pending").iterdir()]
    return [name for name in folders if name not in said] + pending


@pytest.mark.parametrize("act", ["append", "update", "delete", "join", "clean"])
def test_killed_writer_leaves_one_version_and_no_litter_after_the_next_write(
    tmp_path: Path, act: str
) -> None:
    location = tmp_path / "t"
    managed_table(location, commit(0), ["day"])
    append_rows(newest(location), commit(1).to_batches())
    moments = random.Random(act)  # noqa: S311  the same moments in every run
    for turn in (1, 2):
        kill_while_writing(location, act, turn * 1_000_000, moments.uniform(0, 0.3))
        rows = read_rows(newest(location))
        if act == "delete":
            # Of each label all rows are there, none, or those that the first step leaves.
            counts = set(Counter(row[0] for row in rows).values())
            assert counts <= {PER_COMMIT, PER_COMMIT * 3 // 4}
        else:
            assert set(Counter(row[0] for row in rows).values()) == {PER_COMMIT}
        if act in {"update", "clean"}:
            assert len({row[1] for row in rows}) == 1
        append_rows(newest(location), commit(0).slice(0, 0).to_batches())
        assert orphans(location) == []
    vacuum(newest(location), keep_s=0)
    assert litter_of(newest(location)) == []
    # Whoever reads next removes what the killed ones had laid out.
    with Snapshots(tmp_path / "snapshots").lease(newest(location)) as folder:
        assert list((tmp_path / "snapshots").iterdir()) == [folder.parent]
