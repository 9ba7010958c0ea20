"""A member's server and its commands write to the same tables at once, each its own process."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from subprocess import CompletedProcess
from uuid import uuid4

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from flight_mom.demo.federation import HANGZHOU, DemoFederation
from flight_sql import Client, RemoteError
from tests.databases import configured_url
from tests.e2e.commands import run_member
from tests.e2e.federation import CHIEF, require_clean, stored_table
from tests.waiting import wait_until

PLACE = "research.crowd"
TABLE = f"{PLACE}.numbers"
_PER_LOAD, _LOADS, _PER_INSERT = 1_000, 2, 10
# Rows of a load are known by their numbers, rows of an INSERT by theirs.
_OF_INSERTS = 1_000_000


@pytest.fixture
def chief(federation: DemoFederation) -> Iterator[Client]:
    """hangzhou's administrator at home, with an empty managed table."""
    with federation.client(CHIEF, HANGZHOU, at=HANGZHOU) as client:
        client.update("CREATE CATALOG research")
        client.update(f"CREATE SCHEMA {PLACE}")
        client.update(f"CREATE TABLE {TABLE} (number BIGINT, part INT) PARTITIONED BY (part)")
        yield client
        client.update("DROP CATALOG research CASCADE")


@pytest.fixture
def member(federation: DemoFederation) -> Callable[..., CompletedProcess[str]]:
    """Runs `flight-member`, as a process, on the state of the hangzhou that serves."""
    directory = federation.directory / HANGZHOU
    url = configured_url(directory)
    env = {} if url is None else {"FLIGHT_MEMBER_STATE__DATABASE": url}

    def run(*arguments: str) -> CompletedProcess[str]:
        return run_member(*arguments, "--dir", str(directory), env=env)

    return run


def write_numbers(file: Path, first: int) -> Path:
    numbers = range(first, first + _PER_LOAD)
    rows = pa.table(
        {
            "number": pa.array(numbers, pa.int64()),
            "part": pa.array([number % 2 for number in numbers], pa.int32()),
        }
    )
    file.parent.mkdir(exist_ok=True)
    pq.write_table(rows, file)
    return file


def numbers_in(client: Client) -> list[int]:
    rows = client.query(f"SELECT number FROM {TABLE} ORDER BY number").read_all()
    return [int(number) for number in rows["number"].to_pylist()]


def update(client: Client) -> str:
    """Change the rows below zero; returns what came of it."""
    try:
        client.update(f"UPDATE {TABLE} SET number = number - 1 WHERE number < 0")
    except RemoteError as error:
        require_clean(error.text)
        return error.code
    return "done"


def is_there(client: Client, name: str) -> bool:
    try:
        client.query(f"SELECT 1 FROM {name}").read_all()
    except RemoteError:
        return False
    return True


def loads(
    member: Callable[..., CompletedProcess[str]], folder: Path
) -> list[CompletedProcess[str]]:
    """Append files by one command after the other; returns how they went."""
    return [
        member(
            "load", TABLE, str(write_numbers(folder / f"{load}.parquet", load * _PER_LOAD)), *how
        )
        for load, how in enumerate([["--append", "--yes"]] * _LOADS)
    ]


def test_inserts_at_the_server_and_loads_by_the_command_all_land(
    federation: DemoFederation,
    chief: Client,
    member: Callable[..., CompletedProcess[str]],
    tmp_path: Path,
) -> None:
    inserted: list[int] = []
    with ThreadPoolExecutor(1) as pool:
        loading = pool.submit(loads, member, tmp_path)
        while not loading.done():
            first = _OF_INSERTS + len(inserted)
            numbers = range(first, first + _PER_INSERT)
            chief.update(f"INSERT INTO {TABLE} VALUES {', '.join(f'({n}, 7)' for n in numbers)}")
            inserted += numbers
        done = loading.result()
    assert [(one.returncode, one.stderr) for one in done] == [(0, "")] * _LOADS
    wanted = [*range(_LOADS * _PER_LOAD), *inserted]
    # What the server wrote it shows at once; what the command wrote it notices.
    wait_until(lambda: numbers_in(chief) == wanted, 30)
    known = stored_table(federation, HANGZHOU, TABLE)
    log = Path(str(known.location)) / "_delta_log"
    assert known.row_count == len(wanted)
    # Each write is one version, after the one that made the table.
    assert int(known.snapshot) == _LOADS + len(inserted) // _PER_INSERT
    assert max(int(file.stem) for file in log.glob("*.json")) == int(known.snapshot)
    assert not list((log.parent / ".pending").iterdir())


def test_changes_at_the_server_lose_no_row_that_the_command_adds(
    chief: Client, member: Callable[..., CompletedProcess[str]], tmp_path: Path
) -> None:
    chief.update(f"INSERT INTO {TABLE} VALUES (-1, 0)")
    outcomes: list[str] = []
    with ThreadPoolExecutor(1) as pool:
        loading = pool.submit(loads, member, tmp_path)
        while not loading.done():
            outcomes.append(update(chief))
        done = loading.result()
    changed = outcomes.count("done")
    # Whoever is told of a conflict may try again, and nothing of it was done.
    assert set(outcomes) <= {"done", "write-conflict"}
    assert [one.returncode for one in done] == [0] * _LOADS
    assert changed
    wait_until(lambda: len(numbers_in(chief)) == 1 + _LOADS * _PER_LOAD, 30)
    assert numbers_in(chief) == [-1 - changed, *range(_LOADS * _PER_LOAD)]


def test_of_a_server_and_a_command_that_make_one_table_one_is_told_that_it_exists(
    federation: DemoFederation,
    chief: Client,
    member: Callable[..., CompletedProcess[str]],
    tmp_path: Path,
) -> None:
    name = f"{PLACE}.raced"
    file = write_numbers(tmp_path / "numbers.parquet", 0)
    tables = federation.member_home(HANGZHOU).tables_directory
    before = set(tables.iterdir())
    with ThreadPoolExecutor(1) as pool:
        loading = pool.submit(member, "load", name, str(file), "--yes")
        # As late as can be: when the command has begun to write.
        wait_until(lambda: set(tables.iterdir()) != before or loading.done(), 60)
        try:
            chief.update(f"CREATE TABLE {name} AS SELECT 1 AS number, 7 AS part")
            outcome = "made"
        except RemoteError as error:
            outcome = error.code
        done = loading.result()
    wait_until(lambda: is_there(chief, name), 30)
    count = chief.query(f"SELECT count(*) AS n FROM {name}").read_all()["n"][0].as_py()
    if outcome == "made":
        assert (done.returncode, done.stderr.partition(":")[0]) == (1, "already-exists")
        assert count == 1
    else:
        assert (outcome, done.returncode, done.stderr) == ("already-exists", 0, "")
        assert count == _PER_LOAD


def test_command_attaches_what_the_server_reads_and_nothing_over_what_it_made(
    federation: DemoFederation, chief: Client, member: Callable[..., CompletedProcess[str]]
) -> None:
    folder = federation.member_home(HANGZHOU).tables_directory / f"crowd-{uuid4().hex}"
    write_numbers(folder / "numbers.parquet", 0)
    refused = member("attach", TABLE, str(folder))
    assert (refused.returncode, refused.stderr.partition(":")[0]) == (1, "already-exists")
    attached = f"{PLACE}.attached"
    assert member("attach", attached, str(folder)).returncode == 0
    wait_until(lambda: is_there(chief, attached), 30)
    chief.update(f"INSERT INTO {TABLE} SELECT * FROM {attached}")
    assert numbers_in(chief) == list(range(_PER_LOAD))
