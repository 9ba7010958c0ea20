"""Which file is whose: laws of rendezvous hashing, and that nothing of it ever changes."""

import subprocess
import sys
from collections import Counter
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from storage.sharding import Shard, shard_of

NAMES = st.lists(st.text(min_size=1, max_size=12), min_size=1, max_size=9, unique=True)
FILES = st.lists(st.text(max_size=40), max_size=40, unique=True)
KNOWN = {
    "part-0.parquet": "shanghai_2",
    "year=2013/month=1/part-0.parquet": "shanghai_3",
    "year=2013/month=2/part-0.parquet": "shanghai",
    "day=2024-01-01/é.parquet": "shanghai_2",
}


@pytest.mark.parametrize("file", KNOWN)
def test_a_file_is_whose_it_always_was(file: str) -> None:
    assert shard_of(file, ["shanghai", "shanghai_2", "shanghai_3"]) == KNOWN[file]


def test_another_process_draws_the_same() -> None:
    code = (
        "from storage.sharding import shard_of;"
        f"print([shard_of(file, ['shanghai', 'shanghai_2', 'shanghai_3']) for file in {[*KNOWN]}])"
    )
    told = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)  # noqa: S603
    assert told.stdout.strip() == str([*KNOWN.values()])


@settings(deadline=None)
@given(NAMES, FILES)
def test_every_file_lies_in_exactly_one_part(names: list[str], files: list[str]) -> None:
    shards = [Shard(part, tuple(names)) for part in range(len(names))]
    for file in files:
        assert sum(shard.holds(file) for shard in shards) == 1


@settings(deadline=None)
@given(NAMES, FILES, st.randoms())
def test_the_order_of_the_names_does_not_count(
    names: list[str], files: list[str], random: Random
) -> None:
    mixed = list(names)
    random.shuffle(mixed)
    assert [shard_of(one, names) for one in files] == [shard_of(one, mixed) for one in files]


@settings(deadline=None)
@given(NAMES.filter(lambda names: len(names) > 1), FILES)
def test_a_name_that_goes_moves_its_own_files_alone(names: list[str], files: list[str]) -> None:
    gone, *left = names
    for file in files:
        before, after = shard_of(file, names), shard_of(file, left)
        assert before in (after, gone)


@pytest.mark.parametrize("count", [2, 3, 7])
def test_files_are_spread_evenly(count: int) -> None:
    names = [f"node{number}" for number in range(count)]
    files = [f"day=2024-01-{day:02}/part-{part}.parquet" for day in range(31) for part in range(40)]
    found = Counter(shard_of(file, names) for file in files)
    share = len(files) / count
    assert set(found) == set(names)
    assert all(0.8 * share < held < 1.2 * share for held in found.values())
