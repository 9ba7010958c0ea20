"""Nothing is read, granted or refused unrecorded: where the audit cannot be written, nothing is."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager

import pytest

from flight_mom.demo.federation import MOM, DemoFederation
from flight_sql import Client, RemoteError
from tests.e2e.federation import (
    COUNT_FLIGHTS,
    FLIGHTS_AT,
    READER,
    SALARIES_AT,
    count,
    refusal,
    refused_sql,
)
from tests.waiting import wait_until

GRANT = f"GRANT TABLE_READ ON {SALARIES_AT} TO {READER}"
SOON_S = 10.0


@contextmanager
def unwritable(federation: DemoFederation) -> Iterator[None]:
    """Keep the MoM from writing its audit, as a full disk does."""
    file = federation.directory / MOM / "state.db"
    with closing(sqlite3.connect(file, isolation_level=None, timeout=10)) as database:
        database.execute(
            "CREATE TRIGGER full BEFORE INSERT ON audit BEGIN SELECT RAISE(ABORT, 'full'); END"
        )
        try:
            yield
        finally:
            database.execute("DROP TRIGGER full")


def outcome(client: Client) -> str:
    """Return the code that a read is refused with, or nothing when it is answered."""
    try:
        count(client, COUNT_FLIGHTS)
    except RemoteError as error:
        return error.code
    return ""


@pytest.mark.usefixtures("granted")
def test_nothing_is_done_that_cannot_be_written_down(
    federation: DemoFederation, admin: Client, at_mom: Client
) -> None:
    with unwritable(federation):
        assert refusal(admin.update, GRANT).code == "audit-unavailable"
        assert refusal(admin.update, "CREATE GROUP unrecorded").code == "audit-unavailable"
        assert refused_sql(at_mom, f"select * from {SALARIES_AT}").code == "audit-unavailable"
        # Allowed reads are written within a second; then, too, there are no more.
        wait_until(lambda: outcome(at_mom) == "audit-unavailable", SOON_S)
    wait_until(lambda: not outcome(at_mom), SOON_S)
    told = admin.query(f"SHOW GRANTS FOR {READER}").read_all()
    assert told["securable"].to_pylist() == [FLIGHTS_AT]
    groups = admin.query("SHOW GROUPS").read_all()
    assert "unrecorded" not in groups["group_name"].to_pylist()
