import base64
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from auth import hash_password
from flight_member.errors import ConfigurationError
from flight_member.memberhome import MemberHome
from flight_member.memberstate import MemberState
from flight_member.statestore import Database
from flight_member.tables import TableDesk
from storage.names import ObjectName
from tests.flight_member.factories import (
    QUOTE,
    SHANGHAI,
    add_user,
    attach_quotes,
    change_users,
    load_quotes,
    make_identity,
    make_quotes,
)

LATER = datetime.now(UTC) + timedelta(hours=1)


def grow_quotes(home: MemberHome) -> None:
    """Write another file into the table's directory, and let the member look."""
    desk = TableDesk.open(home)
    table = desk.find("trading.stock.external")
    assert table is not None
    file = next(Path(str(table.location)).rglob("*.parquet"))
    (file.parent / "more.parquet").write_bytes(file.read_bytes())
    assert desk.rescan()


CHANGES: dict[str, Callable[[MemberHome], None]] = {
    "a new user": lambda home: add_user(home, "user2"),
    "a lock": lambda home: change_users(home, "set_locked", "user1", is_locked=True, now=LATER),
    "a group": lambda home: change_users(home, "set_groups", "user1", ["analysts"], now=LATER),
    "a password": lambda home: change_users(
        home, "set_password", "user1", hash_password("another password"), now=LATER
    ),
    "a removed user": lambda home: change_users(home, "remove", "user1"),
    "a new table": lambda home: void(load_quotes(home, "trading.stock.other")),
    "new files": grow_quotes,
    "new rows": lambda home: void(TableDesk.open(home).append(QUOTE, make_quotes().to_batches())),
}


def void(_value: object) -> None:
    return None


@pytest.fixture
def state(home: MemberHome, database: Database) -> MemberState:
    load_quotes(home)
    attach_quotes(home, "trading.stock.external")
    add_user(home)
    return MemberState(SHANGHAI, database)


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES.keys())
def test_report_gets_another_version_when_something_changed(
    home: MemberHome, state: MemberState, change: Callable[[MemberHome], None]
) -> None:
    before, snapshot = state.report, state.snapshot
    change(home)
    assert state.report is before
    assert state.refresh()
    assert state.report.version != before.version
    assert state.snapshot is not snapshot


def test_report_keeps_its_version_when_nothing_changed(
    home: MemberHome, state: MemberState, database: Database
) -> None:
    before, snapshot = state.report, state.snapshot
    assert not TableDesk.open(home).rescan()
    assert not state.refresh()
    assert state.report.version == before.version
    assert (state.report.read_at or 0) > (before.read_at or 0)
    # Caches live as long as the snapshot does.
    assert state.snapshot is snapshot
    assert MemberState(SHANGHAI, database).report.version == before.version


def test_report_holds_no_location_and_no_password(home: MemberHome, state: MemberState) -> None:
    body = state.report.write() + base64.b64decode(state.report.metastore)
    assert str(home.directory).encode() not in body
    assert b"argon2" not in body


def test_only_tokens_from_after_the_last_change_speak_for_a_user(
    home: MemberHome, state: MemberState
) -> None:
    identity = make_identity()
    assert not state.is_current(identity, 0)
    assert state.is_current(identity, LATER.timestamp())
    assert not state.is_current(make_identity("nobody@shanghai"), LATER.timestamp())
    change_users(home, "set_locked", "user1", is_locked=True)
    state.refresh()
    assert not state.is_current(identity, LATER.timestamp())


def test_snapshot_stays_as_it_was_read(home: MemberHome, state: MemberState) -> None:
    snapshot = state.snapshot
    load_quotes(home, "trading.stock.other", make_quotes(10))
    state.refresh()
    other = ObjectName.parse("trading.stock.other@shanghai")
    assert snapshot.table(other) is None
    assert state.snapshot.table(other) is not None


def test_state_of_a_cluster_of_another_name_is_refused(
    state: MemberState, database: Database
) -> None:
    assert state.snapshot.users
    with pytest.raises(ConfigurationError) as refused:
        MemberState("suzhou", database)
    assert "this directory is that of shanghai" in str(refused.value)
