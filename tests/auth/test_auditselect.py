"""What one reader sees of the audit, and how it is found."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Connection, create_engine, event, text

from auth import AuditRecord
from auth.auditstore import AuditStore, Viewer, is_selectable, metadata
from tests.auth.factories import NOW, later

FLIGHTS = "aviation.nyc.flights@hangzhou"
ALL = Viewer("admin@mom", sees_all=True)
OWNER = Viewer("chief@hangzhou", administers="hangzhou")
READER = Viewer("user1@shanghai")
# Numbered in this order by `epoch`.
RECORDS = [
    ("user1@shanghai", "read", FLIGHTS, True, "ALLOW TABLE_READ"),
    ("user1@shanghai", "read", FLIGHTS, False, "DENY TABLE_READ"),
    ("user2@hangzhou", "read", "trading.stock.quote@shanghai", False, "no grant"),
    ("user2@hangzhou", "sign_in", "", False, "invalid-token"),
    ("admin@mom", "allow", FLIGHTS, True, "TABLE_READ user1@shanghai: granted"),
    ("admin@mom", "member suspend", "hangzhou", True, ""),
    ("user9@shanghai", "allow", f"a.b.c@shanghai, {FLIGHTS}", False, "permission-denied"),
    ("chief@xhangzhou", "read", "a.b.c@xhangzhou", True, "ALLOW TABLE_READ"),
    ("chief_hangzhou", "read", "a.b.c_hangzhou", True, "ALLOW TABLE_READ"),
]


@pytest.fixture(name="connection")
def begin(tmp_path: Path) -> Iterator[Connection]:
    engine = create_engine(f"sqlite:///{tmp_path / 'audit.db'}")
    metadata.create_all(engine)
    with engine.begin() as connection:
        AuditStore(connection).append_all(
            AuditRecord(
                at=later(number),
                actor=actor,
                source="10.0.0.1",
                action=action,
                object=about,
                allowed=allowed,
                rule=rule,
                epoch=number,
            )
            for number, (actor, action, about, allowed, rule) in enumerate(RECORDS)
        )
        yield connection
    engine.dispose()


def seen(connection: Connection, viewer: Viewer, **options: object) -> dict[int, str]:
    """Return the numbers and rules of what somebody sees."""
    found = AuditStore(connection).select(viewer, limit=100, **options)  # type: ignore[arg-type]  # passed on
    return {int(str(row[7])): str(row[6]) for row in found}


def test_the_federations_administrators_see_everything(connection: Connection) -> None:
    assert seen(connection, ALL) == {n: record[4] for n, record in enumerate(RECORDS)}


def test_a_members_administrators_see_their_users_and_their_objects(connection: Connection) -> None:
    rules = seen(connection, OWNER)
    assert set(rules) == {0, 1, 2, 3, 4, 5}
    assert rules[1] == "DENY TABLE_READ"
    assert rules[2] == ""


def test_everybody_else_sees_their_own_and_not_why_a_read_was_refused(
    connection: Connection,
) -> None:
    assert seen(connection, READER) == {0: "ALLOW TABLE_READ", 1: ""}
    assert seen(connection, Viewer("user2@hangzhou")) == {2: "", 3: "invalid-token"}
    assert seen(connection, Viewer("nobody@hangzhou")) == {}


def test_conditions_narrow_what_is_seen(connection: Connection) -> None:
    late = [("at", ">=", later(4))]
    assert set(seen(connection, ALL, conditions=late)) == {4, 5, 6, 7, 8}
    assert set(seen(connection, OWNER, conditions=late)) == {4, 5}
    both = [("at", "<", later(4)), ("allowed", "=", False), ("object", "=", FLIGHTS)]
    assert set(seen(connection, ALL, conditions=both)) == {1}
    newest = AuditStore(connection).select(ALL, limit=2, is_newest=True)
    assert [row[7] for row in newest] == [8, 7]


def test_nothing_is_selected_by_what_is_not_shown() -> None:
    assert is_selectable("at", "<=", NOW)
    assert is_selectable("actor", "=", "user1@shanghai")
    assert not is_selectable("rule", "=", "DENY TABLE_READ")
    assert not is_selectable("actor", ">=", "user1@shanghai")
    assert not is_selectable("at", "=", 7)


@pytest.mark.parametrize(
    "conditions, index",
    [
        ([("at", ">=", NOW)], "audit_at"),
        ([("actor", "=", "user1@shanghai"), ("at", ">=", NOW)], "audit_actor"),
        ([("object", "=", FLIGHTS)], "audit_object"),
        ([("action", "=", "allow")], "audit_action"),
        ([], "audit_at"),
    ],
)
def test_conditions_are_sought_by_an_index(
    connection: Connection, conditions: list[tuple[str, str, object]], index: str
) -> None:
    asked: list[tuple[str, tuple[object, ...]]] = []
    event.listen(
        connection,
        "before_cursor_execute",
        lambda _c, _cursor, sql, values, _x, _many: asked.append((sql, values)),
    )
    AuditStore(connection).select(ALL, conditions, limit=10, is_newest=True)
    sql, values = asked[-1]
    for value in values:
        sql = sql.replace(
            "?", repr(int(value)) if isinstance(value, bool | int) else repr(value), 1
        )
    steps = connection.execute(text(f"EXPLAIN QUERY PLAN {sql}")).fetchall()
    assert any(f"INDEX {index} " in f"{step[-1]} " for step in steps), steps
    assert not any("TEMP B-TREE" in step[-1] for step in steps), steps
