from collections.abc import Iterator
from pathlib import Path

import pytest

from auth.grantstore import GrantStore
from flight_member.errors import BadRequestError
from flight_member.memberhome import MemberHome
from flight_member.memberstate import MemberState
from flight_member.places import PlaceDesk
from flight_member.statestore import Database
from flight_member.tables import TableDesk
from storage.errors import PlaceExistsError, UnknownPlaceError
from storage.metastore import TableKind
from storage.names import Level
from tests.flight_member.factories import (
    QUOTE,
    SHANGHAI,
    add_user,
    attach_quotes,
    audited,
    load_quotes,
    make_home,
)

OTHER = "trading.bonds.quote"


@pytest.fixture
def home(tmp_path: Path) -> MemberHome:
    home = make_home(tmp_path / "shanghai")
    load_quotes(home)
    load_quotes(home, OTHER)
    return home


@pytest.fixture
def database(home: MemberHome) -> Iterator[Database]:
    database = home.open_database()
    yield database
    database.close()


def names(home: MemberHome) -> list[str]:
    return [table.name.local for table in TableDesk.open(home).all()]


def rules(database: Database) -> list[str]:
    with database.read() as connection:
        return [f"{one.effect} {one.securable}" for one in GrantStore(connection).all()]


@pytest.mark.parametrize(
    "level, text, left",
    [(Level.SCHEMA, "trading.stock", [OTHER]), (Level.CATALOG, "trading", [])],
)
def test_dropped_place_takes_its_tables_along_and_only_managed_files(
    home: MemberHome, database: Database, level: Level, text: str, left: list[str]
) -> None:
    attach_quotes(home, "trading.stock.external")
    state, before = MemberState(SHANGHAI, database), TableDesk.open(home).all()
    place, count = PlaceDesk.open(home, level).drop(text)
    assert (str(place), count) == (f"{text}@{SHANGHAI}", 3 - len(left))
    assert names(home) == left
    for table in before:
        stays = table.kind is TableKind.EXTERNAL or table.name.local in left
        assert Path(str(table.location)).is_dir() == stays
    assert state.refresh()
    gone = {table.id for table in before if table.name.local not in left}
    assert set(state.report.dropped) == gone
    assert [one.name for one in state.report.departed] == [text]
    assert [(one.action, one.object) for one in audited(database)][-1] == ("drop", str(place))


@pytest.mark.parametrize(
    "level, text, new_text, moved",
    [
        (Level.SCHEMA, "trading.stock", "shares", {OTHER, "trading.shares.quote"}),
        (Level.SCHEMA, "trading.stock", "markets.shares", {OTHER, "markets.shares.quote"}),
        (Level.CATALOG, "trading", "markets", {"markets.bonds.quote", "markets.stock.quote"}),
    ],
)
def test_renamed_place_keeps_its_tables_by_their_ids(
    home: MemberHome,
    database: Database,
    level: Level,
    text: str,
    new_text: str,
    moved: set[str],
) -> None:
    before = {table.id for table in TableDesk.open(home).all()}
    old, _ = PlaceDesk.open(home, level).rename(text, new_text)
    assert {table.id for table in TableDesk.open(home).all()} == before
    assert set(names(home)) == moved
    report = MemberState(SHANGHAI, database).report
    (departed,) = report.departed
    new_name = f"trading.{new_text}" if new_text == "shares" else new_text
    assert (departed.name, departed.new_name, report.dropped) == (text, new_name, ())
    act = next(one for one in audited(database) if one.action == "rename")
    assert act.object == str(old)


def test_every_departure_has_an_id_of_its_own(home: MemberHome, database: Database) -> None:
    desk = PlaceDesk.open(home, Level.SCHEMA)
    for _ in range(2):
        desk.drop("trading.stock")
        load_quotes(home)
    departed = MemberState(SHANGHAI, database).report.departed
    assert len({one.id for one in departed}) == 2


@pytest.mark.parametrize("change", ["drop", "rename"])
@pytest.mark.parametrize(
    "level, text, new_name",
    [
        (Level.SCHEMA, "trading.stock", "trading.other"),
        (Level.TABLE, QUOTE, "trading.stock.other"),
    ],
)
def test_home_rules_that_allowed_end_or_follow_and_denials_stay(
    home: MemberHome, database: Database, level: Level, text: str, new_name: str, change: str
) -> None:
    add_user(home, "wide", readable=("trading",))
    add_user(home, "narrow", readable=(text, OTHER))
    with database.change() as connection:
        grants = GrantStore(connection)
        allow = next(one for one in grants.all() if one.securable.local == text)
        deny = type(allow.effect).DENY
        grants.add(
            allow.principal,
            deny,
            allow.privilege,
            allow.securable,
            granted_by="owner",
            granted_at=allow.granted_at,
        )
    desk = TableDesk.open(home) if level is Level.TABLE else PlaceDesk.open(home, level)
    getattr(desk, change)(text, *(["other"] if change == "rename" else []))
    at = f"@{SHANGHAI}"
    stayed = [f"ALLOW trading{at}", f"ALLOW {OTHER}{at}", f"DENY {text}{at}"]
    told = [one.rule for one in audited(database) if one.action in {"revoke", change} and one.rule]
    if change == "drop":
        assert sorted(rules(database)) == sorted(stayed)
        assert told[-1].endswith(f"drop {text}{at}")
    else:
        followed = [f"ALLOW {new_name}{at}", f"DENY {new_name}{at}"]
        assert sorted(rules(database)) == sorted(stayed + followed)
        assert [one.endswith(f"holds for {new_name}{at} now") for one in told[-2:]] == [True] * 2


@pytest.mark.parametrize(
    "level, text, error",
    [
        (Level.SCHEMA, "trading.nothing", UnknownPlaceError),
        (Level.SCHEMA, "trading", BadRequestError),
        (Level.SCHEMA, QUOTE, BadRequestError),
        (Level.SCHEMA, "trading.stock@hangzhou", BadRequestError),
        (Level.CATALOG, "trading.stock", BadRequestError),
        (Level.CATALOG, "*", BadRequestError),
        (Level.CATALOG, "system", BadRequestError),
    ],
)
def test_what_is_no_place_of_this_member_is_refused(
    home: MemberHome, level: Level, text: str, error: type[Exception]
) -> None:
    before = names(home)
    with pytest.raises(error):
        PlaceDesk.open(home, level).drop(text)
    with pytest.raises(error):
        PlaceDesk.open(home, level).rename(text, "other")
    assert names(home) == before


@pytest.mark.parametrize(
    "new_text, error",
    [
        ("bonds", PlaceExistsError),
        ("stock", PlaceExistsError),
        ("system.x", BadRequestError),
        ("information_schema", BadRequestError),
        ("a.b.c", BadRequestError),
    ],
)
def test_name_that_cannot_be_had_is_refused(
    home: MemberHome, new_text: str, error: type[Exception]
) -> None:
    before = names(home)
    with pytest.raises(error):
        PlaceDesk.open(home, Level.SCHEMA).rename("trading.stock", new_text)
    assert names(home) == before


def test_schema_outlives_its_tables_and_a_dropped_one_does_not(
    home: MemberHome, database: Database
) -> None:
    for table in TableDesk.open(home).all():
        TableDesk.open(home).drop(table.name.local)
    state = MemberState(SHANGHAI, database)
    assert [place.local for place in state.metastore().places] == [
        "trading",
        "trading.bonds",
        "trading.stock",
    ]
    assert PlaceDesk.open(home, Level.SCHEMA).drop("trading.stock")[1] == 0
    PlaceDesk.open(home, Level.CATALOG).rename("trading", "markets")
    assert state.refresh()
    assert [place.local for place in state.metastore().places] == ["markets", "markets.bonds"]
