"""Tables that are written all the time are read all the time, at home and through the MoM."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

import pytest

from flight_mom.demo.federation import HANGZHOU, MOM, SHANGHAI, DemoFederation
from flight_sql import Client
from tests.e2e.federation import CHIEF, READER, count
from tests.waiting import wait_until

TABLE = "research.steady.numbers"
TABLE_AT = f"{TABLE}@{HANGZHOU}"
COUNT = f"SELECT count(*) AS n FROM {TABLE_AT}"
_ROWS = 10
_COMMITS = 25


@pytest.fixture
def chief(federation: DemoFederation, admin: Client) -> Iterator[Client]:
    """An administrator of hangzhou, with a table that user1@shanghai may read."""
    with federation.client(CHIEF, HANGZHOU, at=HANGZHOU) as client:
        client.update("CREATE CATALOG research")
        client.update("CREATE SCHEMA research.steady")
        client.update(f"CREATE TABLE {TABLE} (number BIGINT, part INT) PARTITIONED BY (part)")
        # The MoM grants on what it has heard of.
        wait_until(lambda: _is_granted(admin))
        yield client
        client.update("DROP CATALOG research CASCADE")
        # A grant on a table that the MoM does not know to be gone would end with it.
        wait_until(lambda: not _is_granted(admin))


def _is_granted(admin: Client) -> bool:
    try:
        admin.update(f"GRANT TABLE_READ ON {TABLE_AT} TO {READER}")
    except Exception:  # noqa: BLE001  it is asked again
        return False
    return True


@contextmanager
def writing(chief: Client) -> Iterator[threading.Event]:
    """Write one commit after the other for the time of a block, or until all are done."""
    done = threading.Event()
    values = ", ".join(f"({number}, {number % 2})" for number in range(_ROWS))

    def write() -> None:
        try:
            for _ in range(_COMMITS):
                chief.update(f"INSERT INTO {TABLE} VALUES {values}")
        finally:
            done.set()

    thread = threading.Thread(target=write)
    thread.start()
    try:
        yield done
    finally:
        thread.join(120)


@pytest.mark.parametrize("at", [MOM, SHANGHAI])
def test_table_under_steady_inserts_is_read_whole_commits_at_a_time(
    federation: DemoFederation, chief: Client, at: str
) -> None:
    seen: list[int] = []
    with federation.client("user1", SHANGHAI, at=at) as reader, writing(chief) as done:
        while not done.is_set():
            seen.append(count(reader, COUNT))
        wait_until(lambda: count(reader, COUNT) == _ROWS * _COMMITS)
    assert seen == sorted(seen)
    assert all(number % _ROWS == 0 for number in seen)


def test_what_was_written_is_soon_read_through_the_mom(
    federation: DemoFederation, chief: Client
) -> None:
    with federation.client("user1", SHANGHAI, at=MOM) as reader:
        for commits in range(1, 4):
            chief.update(f"INSERT INTO {TABLE} VALUES (1, 1)")
            assert count(chief, f"SELECT count(*) AS n FROM {TABLE}") == commits
            # It is promised within a second; a loaded machine gets some more.
            wait_until(partial(_has, reader, commits))
        chief.update(f"ALTER TABLE {TABLE} RENAME TO digits")
        renamed = COUNT.replace("numbers", "digits")
        wait_until(lambda: _answers(reader, renamed) == 3)


def _has(reader: Client, row_count: int) -> bool:
    return count(reader, COUNT) == row_count


def _answers(reader: Client, sql: str) -> int | None:
    try:
        return count(reader, sql)
    except Exception:  # noqa: BLE001  it is asked again
        return None
