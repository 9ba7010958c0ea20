from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from auth import (
    AuditUnavailableError,
    Identity,
    Principal,
    Revocation,
    RevocationSet,
    RevokedTicketError,
    Ticket,
    TicketTable,
)
from auth.auditstore import AuditStore
from flight_member.audit import AuditTrail
from flight_member.errors import NotFoundError, NotSupportedError, PermissionDeniedError
from flight_member.homegate import HomeGate
from flight_member.memberstate import MemberState
from flight_member.ownerdesk import OwnerDesk
from flight_member.revocationlog import RevocationLog, written
from flight_member.settings import AuditSection
from flight_member.visitors import VisitorDoor
from flight_sql import Call
from planner import Defaults, GrantStatement, ShowGrants, parse_statement
from storage.names import ObjectName
from tests.flight_member.factories import (
    NOW,
    QUOTE,
    SHANGHAI,
    Clock,
    add_user,
    break_audit,
    load_quotes,
    make_home,
    make_identity,
)

AT = f"{QUOTE}@{SHANGHAI}"
CALL = Call(peer="ipv4:127.0.0.1:4")
CHIEF = make_identity("chief@shanghai", is_admin=True)


class Owner:
    """The owner's side of shanghai: a table, user1 of the group analysts, and a desk."""

    def __init__(self, directory: Path) -> None:
        self.home = home = make_home(directory)
        load_quotes(home)
        add_user(home, "user1", readable=(), groups=("analysts",))
        self.clock = Clock()
        self.database = home.open_database()
        self.state = MemberState(SHANGHAI, self.database)
        self.audit = AuditTrail(SHANGHAI, self.database, AuditSection(), self.clock)
        self.gate = HomeGate(SHANGHAI, self.state, self.audit, self.clock)
        self.desk = OwnerDesk(SHANGHAI, self.database, self.state, self.gate, self.clock)
        self.revoked = RevocationLog(self.database, self.clock)
        self.revoked.learn((), 0)
        self.door = VisitorDoor(SHANGHAI, self.state, self.revoked, self.clock)

    def read(self, sql: str) -> GrantStatement:
        statement = parse_statement(sql, Defaults(SHANGHAI, mom="headquarters"))
        assert isinstance(statement, GrantStatement)
        return statement

    def say(self, sql: str, caller: Identity = CHIEF) -> list[str]:
        return [row["status"] for row in self.desk.change(self.read(sql), caller, CALL).to_pylist()]

    def ticket(self, caller: str = "user2@hangzhou", **changes: Any) -> Ticket:
        user, _, cluster = caller.partition("@")
        values: dict[str, Any] = {
            "id": "t",
            "member": SHANGHAI,
            "user": user,
            "cluster": cluster,
            "groups": frozenset({"traders"}),
            "sql": "select 1",
            "catalog": None,
            "schema": None,
            "tables": (TicketTable(ObjectName.parse(AT), "f" * 32, 1, "s"),),
            "epoch": 1,
            "issued_at": NOW,
            "expires_at": NOW + timedelta(seconds=300),
            "query_id": "q",
        }
        return Ticket(**(values | changes))


@pytest.fixture
def owner(tmp_path: Path) -> Iterator[Owner]:
    owner = Owner(tmp_path / "shanghai")
    yield owner
    owner.audit.close()
    owner.database.close()


@pytest.mark.parametrize(
    "denied, hits, spares",
    [
        (f"DENY TABLE_READ ON {QUOTE} TO VISITORS", "user2@hangzhou", None),
        ("DENY SCHEMA_READ ON trading.stock TO user2@hangzhou", "user2@hangzhou", "u@hangzhou"),
        ("DENY CATALOG_READ ON *@shanghai TO GROUP traders@hangzhou", "x@hangzhou", "x@beijing"),
    ],
)
def test_veto_binds_at_once_and_ends_when_it_is_revoked(
    owner: Owner, denied: str, hits: str, spares: str | None
) -> None:
    assert owner.door.vetoed(owner.ticket(hits)) is None
    assert owner.say(denied) == ["denied"]
    assert owner.door.vetoed(owner.ticket(hits)) == ObjectName.parse(AT)
    with pytest.raises(RevokedTicketError):
        owner.door.check(owner.ticket(hits))
    if spares is not None:
        owner.door.check(
            owner.ticket(spares, groups=frozenset({"traders"} if "x@" in spares else ()))
        )
    assert owner.say(denied.replace("DENY", "REVOKE").replace(" TO ", " FROM ")) == ["revoked 1"]
    owner.door.check(owner.ticket(hits))


def test_veto_is_nothing_to_home_users_and_home_rules_nothing_to_visitors(owner: Owner) -> None:
    owner.say(f"DENY TABLE_READ ON {QUOTE} TO VISITORS")
    assert owner.door.vetoed(owner.ticket("user1@shanghai")) is None
    owner.say(f"GRANT TABLE_READ ON {QUOTE} TO user1")
    table = ObjectName.parse(AT)
    rules = owner.state.snapshot.rules
    assert rules.decide(make_identity("user1@shanghai"), table, NOW).is_allowed
    assert not rules.decide(make_identity("user2@hangzhou"), table, NOW).is_allowed
    assert len(rules.grants) == len(owner.state.snapshot.vetoes) == 1


def test_veto_and_home_rule_are_reported_apart(owner: Owner) -> None:
    before = owner.state.report.version
    owner.say(f"DENY TABLE_READ ON {QUOTE} TO VISITORS, user2@hangzhou, GROUP analysts@shanghai")
    report = owner.state.report
    assert report.version != before
    assert {one.principal for one in report.vetoes} == {"VISITORS", "user2@hangzhou"}
    assert {one.principal for one in report.grants} == {"GROUP analysts@shanghai"}


def test_what_the_mom_took_back_is_refused_as_well(owner: Owner) -> None:
    revocations = RevocationSet([Revocation(2, NOW, Principal.parse("user2@hangzhou"))])
    owner.revoked.learn(written(revocations, 0), 2)
    with pytest.raises(RevokedTicketError):
        owner.door.check(owner.ticket())
    assert owner.door.vetoed(owner.ticket()) is None


def test_ticket_dies_when_the_right_ends_that_it_rests_on(owner: Owner) -> None:
    ticket = owner.ticket(until=NOW + timedelta(seconds=60))
    owner.door.check(ticket)
    owner.clock.move(60)
    with pytest.raises(RevokedTicketError, match="has ended"):
        owner.door.check(ticket)


@pytest.mark.parametrize(
    "sql, is_own",
    [
        (f"GRANT TABLE_READ ON {QUOTE} TO user1@shanghai", True),
        (f"DENY TABLE_READ ON {QUOTE} TO user2@hangzhou", True),
        (f"REVOKE TABLE_READ ON {QUOTE} FROM VISITORS", True),
        (f"GRANT TABLE_READ ON {QUOTE} TO user2@hangzhou", False),
        (f"GRANT TABLE_READ ON {QUOTE} TO user1@shanghai, user2@hangzhou", False),
        (f"GRANT TABLE_READ ON {QUOTE} TO GROUP traders", False),
        ("DENY TABLE_READ ON a.b.c@hangzhou TO user1@shanghai", False),
        (f"DENY TABLE_READ ON {QUOTE}, a.b.c@hangzhou TO user1@shanghai", False),
    ],
)
def test_what_visitors_are_allowed_is_left_to_the_mom(owner: Owner, sql: str, is_own: bool) -> None:
    assert owner.desk.is_answered_here(owner.read(sql)) is is_own


@pytest.mark.parametrize("caller", ["user1@shanghai", "user2@hangzhou"])
def test_only_the_members_administrators_may_and_tries_are_audited(
    owner: Owner, caller: str
) -> None:
    with pytest.raises(PermissionDeniedError):
        owner.say(f"DENY TABLE_READ ON {QUOTE} TO VISITORS", make_identity(caller))
    assert not owner.state.snapshot.vetoes
    with owner.database.read() as connection:
        record = AuditStore(connection).tail(1)[0]
    assert (record.actor, record.object, record.allowed) == (caller, AT, False)


@pytest.mark.parametrize(
    "sql, error",
    [
        (f"DENY TABLE_READ ON {QUOTE} TO VISITORS, GROUP traders", NotSupportedError),
        (f"DENY TABLE_READ ON {QUOTE}, trading.stock.nothing TO VISITORS", NotFoundError),
        ("DENY SCHEMA_READ ON trading.nothing TO VISITORS", NotFoundError),
        (f"GRANT TABLE_READ ON {QUOTE} TO user1, nobody", NotFoundError),
        (f"GRANT TABLE_READ ON {QUOTE} TO GROUP nobody@shanghai", NotFoundError),
    ],
)
def test_faulty_statement_changes_nothing(owner: Owner, sql: str, error: type[Exception]) -> None:
    before = owner.state.report.version
    with pytest.raises(error):
        owner.say(sql)
    owner.state.refresh()
    assert owner.state.report.version == before


def test_change_and_its_audit_row_are_one(owner: Owner) -> None:
    owner.say(f"DENY TABLE_READ ON {QUOTE} TO VISITORS")
    with owner.database.read() as connection:
        record = AuditStore(connection).tail(1)[0]
    assert (record.actor, record.action, record.object) == ("chief@shanghai", "deny", AT)
    assert record.rule == "TABLE_READ VISITORS: denied"
    break_audit(owner.database)
    with pytest.raises(AuditUnavailableError):
        owner.say(f"REVOKE TABLE_READ ON {QUOTE} FROM VISITORS")
    owner.state.refresh()
    assert owner.state.snapshot.vetoes


RULES = {
    ("user1@shanghai", "ALLOW", AT, "home"),
    ("GROUP analysts@shanghai", "DENY", AT, "home"),
    ("user2@shanghai", "ALLOW", f"*@{SHANGHAI}", "home"),
    ("VISITORS", "DENY", f"trading.stock@{SHANGHAI}", "owner"),
}
OWN = {rule for rule in RULES if rule[0] in {"user1@shanghai", "GROUP analysts@shanghai"}}
USER1 = make_identity("user1@shanghai", groups=("analysts",))


@pytest.mark.parametrize(
    "sql, caller, shown",
    [
        ("SHOW GRANTS", CHIEF, RULES),
        ("SHOW GRANTS", USER1, OWN),
        ("SHOW GRANTS", make_identity("user3@shanghai"), set()),
        ("SHOW GRANTS FOR VISITORS", CHIEF, {r for r in RULES if r[0] == "VISITORS"}),
        ("SHOW GRANTS FOR VISITORS", USER1, set()),
        ("SHOW GRANTS ON trading.bonds", CHIEF, {r for r in RULES if r[2] == f"*@{SHANGHAI}"}),
        ("SHOW GRANTS LIKE '%quote%'", CHIEF, {r for r in RULES if r[2] == AT}),
    ],
)
def test_own_rules_are_shown_to_administrators_and_to_those_they_are_about(
    owner: Owner, sql: str, caller: Identity, shown: set[tuple[str, ...]]
) -> None:
    add_user(owner.home, "user2")
    owner.state.refresh()
    owner.say(f"GRANT TABLE_READ ON {QUOTE} TO user1")
    owner.say(f"DENY TABLE_READ ON {QUOTE} TO GROUP analysts@shanghai")
    owner.say("DENY SCHEMA_READ ON trading.stock TO VISITORS")
    statement = parse_statement(sql, Defaults(SHANGHAI, mom="headquarters"))
    assert isinstance(statement, ShowGrants)
    assert owner.desk.is_shown_here(statement)
    rows = owner.desk.show(statement, caller, None).to_pylist()
    columns = ("principal", "effect", "securable", "authority")
    assert {tuple(row[column] for column in columns) for row in rows} == shown


def test_what_the_mom_answers_is_shown_with_the_own_rules_each_once(owner: Owner) -> None:
    owner.say(f"DENY TABLE_READ ON {QUOTE} TO VISITORS")
    statement = ShowGrants()
    own = owner.desk.show(statement, CHIEF, None)
    granted = pa.Table.from_pylist(
        [{**own.to_pylist()[0], "effect": "ALLOW", "principal": "u@x", "authority": "federation"}],
        schema=own.schema,
    )
    shown = owner.desk.show(statement, CHIEF, pa.concat_tables([own, granted])).to_pylist()
    assert [row["authority"] for row in shown] == ["owner", "federation"]


def test_grants_on_other_clusters_are_shown_by_the_mom(owner: Owner) -> None:
    statement = parse_statement("SHOW GRANTS ON a.b@hangzhou", Defaults(SHANGHAI))
    assert isinstance(statement, ShowGrants)
    assert not owner.desk.is_shown_here(statement)
