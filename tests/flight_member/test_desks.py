from pathlib import Path

import pytest

from auth import AlreadyExistsError, AuthError
from flight_member.configuration import load_settings
from flight_member.errors import BadRequestError, ConfigurationError
from flight_member.memberhome import MemberHome
from flight_member.memberstate import MemberState
from flight_member.settings import MemberSettings
from flight_member.statestore import Database
from flight_member.tables import TableDesk
from storage.errors import StorageError, TableExistsError
from storage.names import ObjectName
from tests.flight_member.factories import (
    NOW,
    QUOTE,
    SHANGHAI,
    add_user,
    audited,
    load_quotes,
    make_home,
    make_identity,
    make_quotes,
    mode_of,
    write_quotes,
)


def test_directory_of_a_member_is_its_owners_alone(home: MemberHome) -> None:
    modes = {file.name: mode_of(file) for file in home.directory.iterdir()}
    assert mode_of(home.directory) == 0o700
    assert modes.pop("tables") == 0o700
    assert modes.keys() >= {"signing.key", "state.db", "flight-member.toml"}
    assert set(modes.values()) == {0o600}


def test_making_a_member_twice_keeps_what_is_there(home: MemberHome) -> None:
    before = home.signing_key_file.read_bytes()
    MemberHome.create(home.settings)
    assert home.signing_key_file.read_bytes() == before


def test_directory_of_one_member_is_not_made_anothers(home: MemberHome) -> None:
    with pytest.raises(ConfigurationError, match="directory of shanghai"):
        make_home(home.directory, cluster__name="hangzhou")


def test_written_settings_are_read_back(tmp_path: Path) -> None:
    home = make_home(tmp_path / "m", server__host='a"b\n[x]', server__port=7)
    loaded = load_settings(MemberSettings, home.directory / "flight-member.toml").settings
    assert (loaded.server.host, loaded.server.port) == ('a"b\n[x]', 7)


def test_directory_that_is_no_members_is_a_fault(tmp_path: Path, home: MemberHome) -> None:
    nobody = MemberHome(home.settings.model_copy(update={"state": home.settings.state}))
    nobody.directory = tmp_path
    with pytest.raises(ConfigurationError, match="flight-member init"):
        nobody.load_key()


def test_tls_without_a_certificate_is_a_fault_that_says_how_to_get_one(tmp_path: Path) -> None:
    home = make_home(tmp_path / "m", server__tls=True)
    with pytest.raises(ConfigurationError, match="flight-member join"):
        home.require_certificate()


# Users


def test_user_reads_what_they_were_added_with_and_each_rule_is_audited(
    home: MemberHome, database: Database
) -> None:
    add_user(home, readable=("trading.stock", "payroll.hr.salaries"), groups=("Analysts",))
    state = MemberState(SHANGHAI, database)
    rules, caller = state.snapshot.rules, make_identity()
    assert rules.decide(caller, ObjectName.parse("trading.stock.x@shanghai"), NOW).is_allowed
    assert not rules.decide(caller, ObjectName.parse("trading.bonds.x@shanghai"), NOW).is_allowed
    assert state.snapshot.users["user1"].groups == {"analysts"}
    assert [row.action for row in audited(database)] == ["add user", "allow", "allow"]


def test_user_without_rules_reads_nothing(home: MemberHome, database: Database) -> None:
    add_user(home, readable=())
    assert not list(MemberState(SHANGHAI, database).snapshot.rules)


def test_user_who_is_there_stays_as_they_are(home: MemberHome, database: Database) -> None:
    add_user(home, readable=())
    with pytest.raises(AlreadyExistsError):
        add_user(home, is_admin=True)
    state = MemberState(SHANGHAI, database)
    assert not state.snapshot.users["user1"].is_admin
    assert not list(state.snapshot.rules)
    assert len(audited(database)) == 1


@pytest.mark.parametrize("readable", ["a.b.c.d", "", "x' OR 1", "a.b@hangzhou"])
def test_what_cannot_be_read_here_is_refused(
    home: MemberHome, database: Database, readable: str
) -> None:
    with pytest.raises(ConfigurationError, match="--read"):
        add_user(home, readable=(readable,))
    assert not MemberState(SHANGHAI, database).snapshot.users


@pytest.mark.parametrize("name", ["", "a b", "x" * 64, "a@b", "a'; DROP TABLE users"])
def test_name_that_nobody_can_have_is_refused(home: MemberHome, name: str) -> None:
    with pytest.raises(AuthError):
        add_user(home, name)


# Tables


def test_loaded_table_is_listed_and_audited(home: MemberHome, database: Database) -> None:
    table = load_quotes(home)
    assert (table.row_count, table.partition_columns) == (100, ("day",))
    assert TableDesk.open(home).all() == [table]
    assert (audited(database)[-1].action, audited(database)[-1].object) == ("load", str(table.name))


def test_name_that_is_taken_is_refused_and_leaves_no_files(home: MemberHome) -> None:
    load_quotes(home)
    before = sorted(home.tables_directory.iterdir())
    with pytest.raises(TableExistsError):
        load_quotes(home, QUOTE.upper())
    assert sorted(home.tables_directory.iterdir()) == before


def test_loser_of_a_race_for_a_name_leaves_no_files(home: MemberHome) -> None:
    def rows_while_another_loads() -> object:
        load_quotes(home)
        yield from make_quotes().to_batches()

    with pytest.raises(StorageError):
        TableDesk.open(home).load_batches(
            QUOTE,
            rows_while_another_loads(),  # type: ignore[arg-type]  # a generator of batches
            partition_by=(),
            progress=lambda _: None,
        )
    (table,) = TableDesk.open(home).all()
    assert [one.name for one in home.tables_directory.iterdir() if one.is_dir()] == [table.id]


@pytest.mark.parametrize(
    "name",
    ["a.b", "a.b.c.d", "a.b.c@hangzhou", "a.b.c'; --", "", "System.b.c", "a.information_schema.c"],
)
def test_name_that_is_no_table_of_this_member_is_refused(home: MemberHome, name: str) -> None:
    with pytest.raises(BadRequestError):
        load_quotes(home, name)


def test_attached_table_lies_within_the_roots(tmp_path: Path) -> None:
    inside, outside = tmp_path / "inside", tmp_path / "outside"
    for root in (inside, outside):
        write_quotes(root / "quote")
    (inside / "link").symlink_to(outside / "quote")
    other = make_home(tmp_path / "other", tables__roots=[str(inside)])
    desk = TableDesk.open(other)
    assert desk.attach("a.b.c", inside / "quote").row_count == 100
    for location in (outside / "quote", inside / ".." / "outside" / "quote", inside / "link"):
        with pytest.raises(StorageError) as caught:
            desk.attach("a.b.d", location)
        assert str(outside) not in str(caught.value)
    with pytest.raises(TableExistsError):
        desk.attach("a.b.c", inside / "quote")


def test_replacing_an_attached_table_gives_it_another_id(tmp_path: Path) -> None:
    for name in ("one", "two"):
        write_quotes(tmp_path / "root" / name)
    desk = TableDesk.open(make_home(tmp_path / "other", tables__roots=[str(tmp_path / "root")]))
    first = desk.attach("a.b.c", tmp_path / "root" / "one")
    same = desk.attach("a.b.c", tmp_path / "root" / "one", replace=True)
    other = desk.attach("a.b.c", tmp_path / "root" / "two", replace=True)
    assert first.id == same.id != other.id
    assert desk.all() == [other]


def test_table_whose_files_are_gone_keeps_its_last_state(home: MemberHome) -> None:
    table = load_quotes(home)
    Path(str(table.location)).rename(home.tables_directory / "moved")
    desk = TableDesk.open(home)
    assert not desk.rescan()
    assert desk.all() == [table]
