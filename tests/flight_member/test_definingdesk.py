"""CREATE, DROP and ALTER at a member's desk: what there is then, who may, what the audit says."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from auth import Effect, Identity, Principal, Privilege
from auth.grantstore import GrantStore
from flight_member.audit import AuditTrail
from flight_member.definingdesk import DefiningDesk
from flight_member.errors import (
    BadRequestError,
    NotEmptyError,
    NotFoundError,
    PermissionDeniedError,
)
from flight_member.homegate import HomeGate
from flight_member.managedtables import ManagedTables
from flight_member.memberhome import MemberHome
from flight_member.memberstate import MemberState
from flight_member.settings import AuditSection
from flight_member.statestore import Database
from flight_sql import Call
from planner import Defaults, Definition, parse_statement
from storage.errors import PlaceExistsError, TableExistsError
from storage.names import ObjectName
from tests.flight_member.factories import (
    NOW,
    QUOTE,
    SHANGHAI,
    Clock,
    add_user,
    audited,
    load_quotes,
    make_home,
    make_identity,
)

CHIEF = make_identity("chief@shanghai", is_admin=True)
USER = make_identity("user1@shanghai")
CALL = Call(peer="ipv4:127.0.0.1:4")
TRADE = "trading.stock.trade"


class Desk:
    def __init__(self, home: MemberHome) -> None:
        self.database: Database = home.open_database()
        self.state = MemberState(SHANGHAI, self.database, Clock())
        self.audit = AuditTrail(SHANGHAI, self.database, AuditSection(), Clock())
        gate = HomeGate(SHANGHAI, self.state, self.audit, Clock())
        managed = ManagedTables(self.database, home.tables_directory)
        self.desk = DefiningDesk(self.database, self.state, gate, managed, self.state.refresh)

    def run(self, sql: str, caller: Identity = CHIEF) -> str:
        statement = parse_statement(sql, Defaults(SHANGHAI), home=SHANGHAI)
        assert isinstance(statement, Definition)
        (row,) = self.desk.define(CALL, caller, statement, "digest").to_pylist()
        return str(row["status"])

    def rule(self, privilege: str, on: str, to: str = USER.name) -> None:
        with self.database.change() as connection:
            GrantStore(connection).add(
                Principal.parse(to),
                Effect.ALLOW,
                Privilege(privilege),
                ObjectName.parse(on, cluster=SHANGHAI),
                granted_by="chief",
                granted_at=NOW,
            )
        self.state.refresh()

    def rules(self) -> list[str]:
        with self.database.read() as connection:
            return sorted(
                f"{one.principal} {one.securable}" for one in GrantStore(connection).all()
            )

    def places(self) -> list[str]:
        return sorted(name.local for name in self.state.metastore().places)

    def tables(self) -> list[str]:
        return [table.name.local for table in self.state.metastore().all_tables()]

    def acts(self) -> list[tuple[str, str, str, bool]]:
        records = audited(self.database)
        return [
            (one.actor, one.action, one.object, one.allowed)
            for one in records
            if one.statement_digest == "digest"
        ]


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    home = make_home(tmp_path / "shanghai")
    for name in (QUOTE, TRADE):
        load_quotes(home, name)
    add_user(home, readable=())
    desk = Desk(home)
    yield desk
    desk.audit.close()
    desk.database.close()


def test_catalogs_and_schemas_are_made_empty_and_dropped_again(desk: Desk) -> None:
    assert desk.run("CREATE CATALOG research") == "created"
    assert desk.run("CREATE SCHEMA research.notes") == "created"
    assert desk.run("CREATE SCHEMA IF NOT EXISTS research.notes") == "exists already"
    assert desk.places() == ["research", "research.notes", "trading", "trading.stock"]
    with pytest.raises(PlaceExistsError):
        desk.run("CREATE SCHEMA research.notes")
    with pytest.raises(NotEmptyError, match=r"holds 1 schemas; .* DROP CATALOG research CASCADE"):
        desk.run("DROP CATALOG research")
    assert desk.run("DROP SCHEMA research.notes") == "dropped"
    assert desk.run("DROP CATALOG research") == "dropped"
    assert desk.places() == ["trading", "trading.stock"]


def test_who_makes_a_place_owns_it(desk: Desk) -> None:
    desk.rule("CATALOG_WRITE", "trading")
    assert desk.run("CREATE SCHEMA trading.bonds", USER) == "created"
    place = desk.state.metastore().place(ObjectName(SHANGHAI, "trading", "bonds"))
    assert place is not None
    assert place.owner == USER.name
    assert desk.run("DROP SCHEMA trading.bonds", USER) == "dropped"


def test_schema_needs_its_catalog(desk: Desk) -> None:
    with pytest.raises(NotFoundError):
        desk.run("CREATE SCHEMA nowhere.notes")
    assert "nowhere" not in desk.places()


def test_full_schema_is_dropped_with_its_tables_when_that_is_asked_for(desk: Desk) -> None:
    desk.rule("TABLE_READ", QUOTE)
    with pytest.raises(NotEmptyError, match=r"holds 2 tables"):
        desk.run("DROP SCHEMA trading.stock")
    assert desk.run("DROP SCHEMA trading.stock CASCADE") == "dropped, with 2 tables"
    assert desk.tables() == []
    assert desk.rules() == []


def test_what_is_not_there_is_dropped_if_it_exists(desk: Desk) -> None:
    for name in ("TABLE trading.stock.nosuch", "SCHEMA trading.nosuch", "CATALOG nosuch"):
        with pytest.raises(NotFoundError):
            desk.run(f"DROP {name}")
        assert desk.run(f"DROP {name.replace(' ', ' IF EXISTS ', 1)}") == "there is none"


def test_table_that_a_user_may_not_know_of_is_not_there_for_them(desk: Desk) -> None:
    assert desk.run(f"DROP TABLE IF EXISTS {QUOTE}", USER) == "there is none"
    with pytest.raises(NotFoundError):
        desk.run(f"DROP TABLE {QUOTE}", USER)
    assert QUOTE in desk.tables()


def test_what_was_allowed_follows_a_renamed_table_and_ends_with_a_dropped_one(desk: Desk) -> None:
    desk.rule("TABLE_READ", QUOTE)
    assert desk.run(f"ALTER TABLE {QUOTE} RENAME TO quotes") == "renamed"
    assert desk.rules() == [f"{USER.name} trading.stock.quotes@shanghai"]
    assert desk.run("DROP TABLE trading.stock.quotes") == "dropped"
    assert desk.rules() == []
    assert desk.tables() == [TRADE]


def test_renamed_places_take_their_tables_along(desk: Desk) -> None:
    desk.rule("SCHEMA_READ", "trading.stock")
    assert desk.run("ALTER SCHEMA trading.stock RENAME TO stocks") == "renamed"
    assert desk.run("ALTER CATALOG trading RENAME TO markets") == "renamed"
    assert desk.tables() == ["markets.stocks.quote", "markets.stocks.trade"]
    assert desk.rules() == [f"{USER.name} markets.stocks@shanghai"]


def test_name_that_is_taken_is_refused_and_nothing_changes(desk: Desk) -> None:
    with pytest.raises(TableExistsError):
        desk.run(f"ALTER TABLE {QUOTE} RENAME TO trade")
    assert desk.tables() == [QUOTE, TRADE]


def test_table_moves_into_a_schema_where_its_owner_may_make_tables(desk: Desk) -> None:
    desk.run("CREATE SCHEMA trading.bonds")
    desk.run(f"ALTER TABLE {QUOTE} OWNER TO user1")
    with pytest.raises((NotFoundError, PermissionDeniedError)):
        desk.run(f"ALTER TABLE {QUOTE} RENAME TO bonds.quote", USER)
    desk.rule("SCHEMA_WRITE", "trading.bonds")
    assert desk.run(f"ALTER TABLE {QUOTE} RENAME TO bonds.quote", USER) == "renamed"
    assert "trading.bonds.quote" in desk.tables()


def test_owner_is_a_user_of_this_member(desk: Desk) -> None:
    assert desk.run("ALTER SCHEMA trading.stock OWNER TO user1") == "user1@shanghai owns it"
    for stranger in ("nobody", "user1@hangzhou"):
        with pytest.raises(NotFoundError, match="is no user of shanghai"):
            desk.run(f"ALTER SCHEMA trading.stock OWNER TO {stranger}")
    # Who owns a place may do everything with what lies in it.
    assert desk.run(f"DROP TABLE {QUOTE}", USER) == "dropped"


def test_table_is_no_view(desk: Desk) -> None:
    with pytest.raises(BadRequestError, match="is a table; write TABLE"):
        desk.run(f"DROP VIEW {QUOTE}")


@pytest.mark.parametrize("place", ["CATALOG system", "SCHEMA trading.information_schema"])
def test_names_of_the_federation_are_not_given_away(desk: Desk, place: str) -> None:
    with pytest.raises(BadRequestError, match="federation's own"):
        desk.run(f"CREATE {place}")


def test_every_definition_is_in_the_audit_and_every_refusal_too(desk: Desk) -> None:
    desk.run("CREATE CATALOG research")
    desk.rule("TABLE_READ", QUOTE)
    with pytest.raises(PermissionDeniedError):
        desk.run(f"DROP TABLE {QUOTE}", USER)
    desk.run(f"DROP TABLE {QUOTE}")
    assert desk.acts() == [
        (CHIEF.name, "create", "research@shanghai", True),
        (USER.name, "drop", f"{QUOTE}@shanghai", False),
        (CHIEF.name, "drop", f"{QUOTE}@shanghai", True),
        (CHIEF.name, "revoke", f"{QUOTE}@shanghai", True),
    ]
