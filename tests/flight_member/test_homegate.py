"""Who may do what to which object at home: identity x act x object -> decision."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from auth import AuditRecord, Effect, Identity, Principal, Privilege
from auth.grantstore import GrantStore
from flight_member.audit import AuditTrail
from flight_member.errors import NotFoundError, PermissionDeniedError
from flight_member.homegate import Act, HomeGate
from flight_member.memberstate import MemberState
from flight_member.settings import AuditSection
from flight_sql import Call
from storage.metastore import Place
from storage.names import Level, ObjectName
from storage.placestore import PlaceStore
from storage.tablestore import TableStore
from tests.flight_member.factories import (
    NOW,
    SHANGHAI,
    Clock,
    audited,
    load_quotes,
    make_home,
    make_identity,
)

TABLE, SIBLING, BOND = "trading.stock.quote", "trading.stock.trade", "trading.bonds.quote"
SCHEMA, CATALOG, EVERYTHING = "trading.stock", "trading", "*"
EMPTY = "research.empty"
ROW_ACTS = {Act.INSERT, Act.OVERWRITE, Act.OPTIMIZE, Act.VACUUM}
MATCHING = {Act.UPDATE, Act.DELETE}
CHIEF = make_identity("chief@shanghai", is_admin=True)
STRANGER = make_identity("user1@hangzhou", is_admin=True)
USER = make_identity("user1@shanghai", ["analysts"])
NOBODY = make_identity("user2@shanghai")
OWNER = make_identity("owner@shanghai")
HOST = make_identity("host@shanghai")
CALL = Call(peer="ipv4:127.0.0.1:4")

ALLOWED, REFUSED, HIDDEN = "allowed", "refused", "hidden"


class Records:
    """An audit that keeps nothing: what is written down is looked at where it is asked for."""

    def act(self, record: AuditRecord) -> None:
        """Forget it."""

    refuse = act


class Gate:
    """A gate over three tables; `owner` owns one, `host` a schema that is empty."""

    def __init__(self, directory: Path) -> None:
        home = make_home(directory)
        for name in (TABLE, SIBLING, BOND):
            load_quotes(home, name)
        self.database = home.open_database()
        self.clock = Clock()
        with self.database.change() as connection:
            tables = TableStore(connection)
            owned = next(one for one in tables.all() if one.name.local == SIBLING)
            tables.replace(replace(owned, owner=OWNER.name))
            PlaceStore(connection).add(Place(named(EMPTY), HOST.name))
        self.state = MemberState(SHANGHAI, self.database, self.clock)
        self.audit = AuditTrail(SHANGHAI, self.database, AuditSection(), self.clock)
        self.gate = HomeGate(SHANGHAI, self.state, self.audit, self.clock)
        self.quick = HomeGate(SHANGHAI, self.state, Records(), self.clock)  # type: ignore[arg-type]  # thousands of decisions need not be durable

    def close(self) -> None:
        self.audit.close()
        self.database.close()

    def rule(
        self,
        privilege: str,
        on: str,
        to: str = USER.name,
        effect: str = "ALLOW",
        seconds: float | None = None,
    ) -> None:
        with self.database.change() as connection:
            GrantStore(connection).add(
                Principal.parse(to),
                Effect(effect),
                Privilege(privilege),
                named(on),
                granted_by="chief",
                granted_at=NOW,
                until=None if seconds is None else NOW + timedelta(seconds=seconds),
            )
        self.state.refresh()

    def ask(self, caller: Identity, act: Act, name: str) -> str:
        try:
            self.quick.require(CALL, caller, act, named(name), "digest")
        except PermissionDeniedError:
            outcome = REFUSED
        except NotFoundError:
            outcome = HIDDEN
        else:
            outcome = ALLOWED
        return outcome

    def all(self, caller: Identity, name: str) -> dict[Act, str]:
        return {act: self.ask(caller, act, name) for act in Act}


def named(text: str) -> ObjectName:
    return ObjectName.parse(f"{text}@{SHANGHAI}")


def only(allowed: set[Act], otherwise: str) -> dict[Act, str]:
    return {act: ALLOWED if act in allowed else otherwise for act in Act}


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gate]:
    gate = Gate(tmp_path_factory.mktemp("gate") / SHANGHAI)
    yield gate
    gate.close()


@pytest.fixture
def gate(kept: Gate) -> Gate:
    kept.clock.now = NOW
    with kept.database.change() as connection:
        grants = GrantStore(connection)
        grants.remove_all(grants.all())
    kept.state.refresh()
    return kept


def test_without_rules_nothing_is_known_to_users_and_all_is_an_administrators(gate: Gate) -> None:
    for name in (TABLE, SIBLING, SCHEMA, EMPTY, CATALOG):
        assert gate.all(CHIEF, name) == only(set(Act), HIDDEN)
        # A catalog is made in the cluster, which everybody knows who is at home there.
        made_in_cluster = {Act.CREATE: REFUSED} if name == CATALOG else {}
        assert gate.all(USER, name) == only(set(), HIDDEN) | made_in_cluster
        assert gate.all(STRANGER, name) == only(set(), HIDDEN)


MADE = {Act.ALTER, Act.RENAME, Act.DROP}
KNOWN: set[Act] = set()
# privilege, its object -> what its holder may do to which objects; all others stay unknown.
COVERED: dict[tuple[str, str], dict[str, set[Act]]] = {
    ("TABLE_READ", TABLE): {TABLE: KNOWN, SCHEMA: KNOWN, CATALOG: KNOWN},
    ("SCHEMA_READ", SCHEMA): {TABLE: KNOWN, SCHEMA: KNOWN, CATALOG: KNOWN},
    ("CATALOG_READ", CATALOG): {TABLE: KNOWN, BOND: KNOWN, SCHEMA: KNOWN, CATALOG: KNOWN},
    ("TABLE_WRITE", TABLE): {TABLE: ROW_ACTS},
    ("SCHEMA_WRITE", SCHEMA): {TABLE: ROW_ACTS | MADE, SCHEMA: KNOWN},
    ("SCHEMA_USAGE", SCHEMA): {SCHEMA: KNOWN},
    ("CATALOG_WRITE", CATALOG): {
        TABLE: ROW_ACTS | MADE,
        BOND: ROW_ACTS | MADE,
        SCHEMA: MADE,
        CATALOG: KNOWN,
    },
    ("CATALOG_WRITE", EVERYTHING): {
        TABLE: ROW_ACTS | MADE,
        BOND: ROW_ACTS | MADE,
        SCHEMA: MADE,
        EMPTY: MADE,
        CATALOG: KNOWN,
    },
}


def found(gate: Gate, caller: Identity, name: str) -> dict[Act, str]:
    """Return what may be done to an object that is there; making it is another matter."""
    has_rows = named(name).level is Level.TABLE
    acts = [act for act in Act if act is not Act.CREATE and (has_rows or not act.changes_rows)]
    return {act: gate.ask(caller, act, name) for act in acts}


@pytest.mark.parametrize("to", [USER.name, "GROUP analysts@shanghai"])
@pytest.mark.parametrize("privilege, on", COVERED, ids=lambda one: one)
def test_what_a_privilege_lets_its_holder_do_until_it_ends_or_is_denied(
    gate: Gate, privilege: str, on: str, to: str
) -> None:
    gate.rule(privilege, on, to, seconds=10)
    for name in (TABLE, BOND, EMPTY, SCHEMA, CATALOG):
        allowed = COVERED[privilege, on].get(name)
        for act, said in found(gate, USER, name).items():
            if allowed is None:
                assert said == HIDDEN, (act, name)
            else:
                assert said == (ALLOWED if act in allowed else REFUSED), (act, name)
        assert set(found(gate, NOBODY, name).values()) == {HIDDEN}
    gate.clock.move(10)
    assert set(found(gate, USER, TABLE).values()) == {HIDDEN}
    gate.rule(privilege, on, to)
    gate.rule(privilege, on, "GROUP analysts@shanghai", "DENY")
    for name in (TABLE, BOND, EMPTY, SCHEMA, CATALOG):
        assert set(found(gate, USER, name).values()) == {HIDDEN}, name


@pytest.mark.parametrize("act", sorted(MATCHING))
def test_changing_rows_that_fit_a_condition_takes_reading_as_well(gate: Gate, act: Act) -> None:
    gate.rule("TABLE_WRITE", TABLE)
    assert gate.ask(USER, act, TABLE) == REFUSED
    gate.rule("SCHEMA_READ", SCHEMA)
    assert gate.ask(USER, act, TABLE) == ALLOWED
    gate.rule("TABLE_READ", TABLE, effect="DENY")
    assert gate.ask(USER, act, TABLE) == REFUSED
    assert gate.ask(USER, Act.INSERT, TABLE) == ALLOWED


@pytest.mark.parametrize(
    "privilege, on, name, outcome",
    [
        ("SCHEMA_WRITE", SCHEMA, "trading.stock.fresh", ALLOWED),
        ("SCHEMA_WRITE", SCHEMA, "trading.bonds.fresh", HIDDEN),
        ("SCHEMA_WRITE", SCHEMA, "trading.nowhere.fresh", HIDDEN),
        ("SCHEMA_WRITE", SCHEMA, "trading.fresh", HIDDEN),
        ("SCHEMA_USAGE", SCHEMA, "trading.stock.fresh", REFUSED),
        ("TABLE_READ", TABLE, "trading.stock.fresh", REFUSED),
        ("TABLE_READ", TABLE, "trading.fresh", REFUSED),
        ("TABLE_WRITE", TABLE, "trading.stock.fresh", HIDDEN),
        ("CATALOG_WRITE", CATALOG, "trading.fresh", ALLOWED),
        ("CATALOG_WRITE", CATALOG, "trading.stock.fresh", ALLOWED),
        ("CATALOG_WRITE", EVERYTHING, "research.fresh", ALLOWED),
        # Catalogs are the administrators' to make.
        ("CATALOG_WRITE", EVERYTHING, "fresh", REFUSED),
    ],
)
def test_where_something_may_be_made(
    gate: Gate, privilege: str, on: str, name: str, outcome: str
) -> None:
    gate.rule(privilege, on)
    assert gate.ask(USER, Act.CREATE, name) == outcome
    assert gate.ask(CHIEF, Act.CREATE, name) == (HIDDEN if "nowhere" in name else ALLOWED)


def test_owner_may_do_everything_with_what_is_theirs_and_below_and_nothing_beside(
    gate: Gate,
) -> None:
    assert set(found(gate, OWNER, SIBLING).values()) == {ALLOWED}
    assert set(found(gate, OWNER, TABLE).values()) == {HIDDEN}
    assert set(found(gate, HOST, EMPTY).values()) == {ALLOWED}
    assert gate.ask(HOST, Act.CREATE, "research.empty.fresh") == ALLOWED
    assert gate.ask(HOST, Act.CREATE, "research.fresh") == HIDDEN
    # Reading and writing rows can be denied to them; the table stays theirs.
    gate.rule("SCHEMA_WRITE", SCHEMA, OWNER.name, "DENY")
    assert gate.ask(OWNER, Act.INSERT, SIBLING) == REFUSED
    assert gate.ask(OWNER, Act.DROP, SIBLING) == ALLOWED


def test_what_may_not_be_written_is_not_dropped_with_its_neighbours(gate: Gate) -> None:
    gate.rule("CATALOG_WRITE", CATALOG)
    gate.rule("TABLE_WRITE", TABLE, effect="DENY")
    assert gate.ask(USER, Act.DROP, TABLE) == HIDDEN
    assert gate.ask(USER, Act.DROP, SCHEMA) == REFUSED
    assert gate.ask(USER, Act.DROP, "trading.bonds") == ALLOWED
    assert gate.ask(CHIEF, Act.DROP, SCHEMA) == ALLOWED


def test_hidden_and_missing_are_refused_in_the_same_words_and_both_written_down(
    gate: Gate,
) -> None:
    told, kept = [], []
    for name in (TABLE, "trading.stock.nothing"):
        with pytest.raises(NotFoundError) as refusal:
            gate.gate.require(CALL, USER, Act.INSERT, named(name), "digest")
        told.append(refusal.value.text.replace(name, "NAME"))
        record = audited(gate.database)[-1]
        kept.append(replace(record, object=record.object.replace(name, "NAME")))
    assert told[0] == told[1]
    assert kept[0] == kept[1]
    assert (kept[0].action, kept[0].actor, kept[0].allowed) == ("insert", USER.name, False)


def test_writing_is_audited_before_it_is_done_and_what_changes_the_metastore_with_the_change(
    gate: Gate,
) -> None:
    gate.rule("SCHEMA_WRITE", SCHEMA)
    permit = gate.gate.require(CALL, USER, Act.INSERT, named(TABLE), "digest")
    assert permit.table is not None
    assert permit.table.name == named(TABLE)
    assert audited(gate.database)[-1] == permit.record
    assert permit.record.rule == f"ALLOW SCHEMA_WRITE ON {named(SCHEMA)} TO {USER.name}"
    permit = gate.gate.require(CALL, USER, Act.DROP, named(TABLE), "digest")
    assert audited(gate.database)[-1].action == "insert"
    assert permit.record.action == "drop"


def test_refusal_says_whom_to_ask_for_what(gate: Gate) -> None:
    gate.rule("TABLE_READ", TABLE)
    with pytest.raises(PermissionDeniedError) as refusal:
        gate.gate.require(CALL, USER, Act.INSERT, named(TABLE))
    assert refusal.value.text == (
        f"you may not insert into {named(TABLE)}; ask its owner or an administrator of shanghai "
        f"for TABLE_WRITE on {named(TABLE)}"
    )
    with pytest.raises(PermissionDeniedError, match=r"for SCHEMA_WRITE on trading.stock@shanghai"):
        gate.gate.require(CALL, USER, Act.DROP, named(TABLE))
    with pytest.raises(PermissionDeniedError, match=r"that is for its owner or an administrator"):
        gate.gate.require(CALL, USER, Act.OWN, named(TABLE))
