from collections.abc import Iterator
from pathlib import Path

import pytest

from auth.auditstore import AuditStore
from flight_member.errors import BadRequestError
from flight_member.memberhome import MemberHome
from flight_member.memberstate import MemberState
from flight_member.statestore import Database
from flight_member.tables import TableDesk
from storage.errors import TableExistsError, UnknownTableError
from tests.flight_member.factories import QUOTE, SHANGHAI, load_quotes, make_home


@pytest.fixture
def home(tmp_path: Path) -> MemberHome:
    home = make_home(tmp_path / "shanghai")
    load_quotes(home)
    return home


@pytest.fixture
def database(home: MemberHome) -> Iterator[Database]:
    database = home.open_database()
    yield database
    database.close()


def audited(database: Database) -> tuple[str, str, str]:
    with database.read() as connection:
        record = AuditStore(connection).tail(1)[0]
    return record.action, record.object, record.rule


def test_dropped_table_is_reported_by_its_id_and_its_files_are_removed(
    home: MemberHome, database: Database
) -> None:
    desk, state = TableDesk.open(home), MemberState(SHANGHAI, database)
    table = desk.drop(QUOTE)
    assert not Path(str(table.location)).exists()
    assert desk.find(QUOTE) is None
    assert audited(database) == ("drop", f"{QUOTE}@{SHANGHAI}", "")
    assert state.refresh()
    assert state.report.dropped == (table.id,)
    load_quotes(home)
    assert state.refresh()
    assert state.report.dropped == (table.id,)


@pytest.mark.parametrize("new_name", ["price", "trading.stock.price"])
def test_renamed_table_keeps_its_id_and_its_rows(
    home: MemberHome, database: Database, new_name: str
) -> None:
    desk = TableDesk.open(home)
    before = desk.find(QUOTE)
    assert before is not None
    after = desk.rename(QUOTE, new_name)
    assert (after.id, after.row_count) == (before.id, before.row_count)
    assert desk.find("trading.stock.price") == after
    assert desk.find(QUOTE) is None
    assert audited(database)[0] == "rename"
    assert MemberState(SHANGHAI, database).report.dropped == ()


def test_table_that_is_not_there_is_neither_dropped_nor_renamed(home: MemberHome) -> None:
    desk = TableDesk.open(home)
    with pytest.raises(UnknownTableError):
        desk.drop("trading.stock.nothing")
    with pytest.raises(UnknownTableError):
        desk.rename("trading.stock.nothing", "other")
    with pytest.raises(BadRequestError):
        desk.drop("trading.stock")


def test_name_of_another_table_is_not_taken(home: MemberHome) -> None:
    load_quotes(home, "trading.stock.trade")
    desk = TableDesk.open(home)
    with pytest.raises(TableExistsError):
        desk.rename("trading.stock.trade", QUOTE)
    with pytest.raises(BadRequestError):
        desk.rename(QUOTE, f"{QUOTE}@hangzhou")
    assert desk.find(QUOTE) is not None
