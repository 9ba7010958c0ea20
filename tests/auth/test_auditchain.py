"""The chain of the audit log: whatever is done to a row shows."""

import hashlib
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import Connection, Engine, create_engine, text

from auth import Anchor, AuditRecord, InvalidAnchorError
from auth.auditchain import GENESIS, link
from auth.auditstore import AuditStore, metadata
from tests.auth.factories import NOW, later
from tests.databases import state_url

ROWS = 12


@pytest.fixture(name="engine")
def make_engine(tmp_path: Path) -> Iterator[Engine]:
    engine = create_engine(state_url(tmp_path))
    metadata.create_all(engine)
    with engine.begin() as connection:
        for number in range(ROWS):
            AuditStore(connection).append(make_record(number))
    yield engine
    engine.dispose()


@pytest.fixture(name="connection")
def begin(engine: Engine) -> Iterator[Connection]:
    with engine.begin() as connection:
        yield connection


def make_record(number: int) -> AuditRecord:
    return AuditRecord(
        at=later(number), actor="admin@mom", source="10.0.0.1", action=f"act {number}", allowed=True
    )


def faults(connection: Connection, anchor: Anchor | None = None) -> tuple[str, ...]:
    return AuditStore(connection).verify(anchor).faults


def test_untouched_log_is_whole(connection: Connection) -> None:
    found = AuditStore(connection).verify()
    assert found.faults == ()
    assert found.row_count == found.head.last_id == ROWS
    assert found.head.digest != GENESIS


def test_empty_log_is_whole(tmp_path: Path) -> None:
    engine = create_engine(state_url(tmp_path))
    metadata.create_all(engine)
    with engine.begin() as connection:
        found = AuditStore(connection).verify()
        assert (found.row_count, found.faults, found.head.last_id) == (0, (), 0)
        assert AuditStore(connection).trim(NOW) == 0
    engine.dispose()


TAMPERINGS: dict[str, tuple[str, str]] = {
    "an edited actor": ("update audit set actor = 'nobody' where id = 5", "row 5, or the digest"),
    "an edited outcome": (
        "update audit set allowed = not allowed where id = 5",
        "row 5, or the digest",
    ),
    "an edited time": ("update audit set at = at + 1 where id = 5", "row 5, or the digest"),
    "an edited digest": (f"update audit set digest = '{GENESIS}' where id = 5", "row 5, or the"),
    "a removed row": ("delete from audit where id = 5", "row 5 is missing"),
    "removed rows": ("delete from audit where id in (5, 6, 7)", "rows 5 to 7 are missing"),
    "the first row removed": ("delete from audit where id = 1", "row 1 is missing"),
    "the newest row removed": (f"delete from audit where id = {ROWS}", f"row {ROWS} is missing"),
    "everything removed": ("delete from audit", f"rows 1 to {ROWS} are missing"),
    "a row put in at the end": (
        (
            f"insert into audit select {ROWS + 1}, at, actor, source, action, object, allowed, "
            f"rule, epoch, ticket_id, statement_digest, detail, digest from audit where id = {ROWS}"
        ),
        f"row {ROWS + 1}",
    ),
    "a row put in before the start": (
        (
            "insert into audit select 0, at, actor, source, action, object, allowed, rule, "
            "epoch, ticket_id, statement_digest, detail, digest from audit where id = 1"
        ),
        "row 0 lies before",
    ),
    "two rows that changed places": (
        (
            "update audit set id = case id when 5 then -6 when 6 then -5 else id end;"
            "update audit set id = -id where id < 0"
        ),
        "row 5, or the digest",
    ),
    "a head put back": ("update audit_head set last_id = 11", "row 12 were put in"),
}


@pytest.mark.parametrize("name", TAMPERINGS)
def test_tampering_is_found(connection: Connection, name: str) -> None:
    statements, expected = TAMPERINGS[name]
    for statement in statements.split(";"):
        connection.execute(text(statement))
    assert any(expected in fault for fault in faults(connection)), faults(connection)


def test_chain_that_was_computed_anew_is_found_by_an_anchor(connection: Connection) -> None:
    anchor = AuditStore(connection).verify().anchor
    assert faults(connection, anchor) == ()
    connection.execute(text("update audit set actor = 'nobody' where id = 5"))
    rows = connection.execute(text("select * from audit order by id")).all()
    digest = rows[3].digest
    for row in rows[4:]:
        values = [bool(v) if n == "allowed" else v for n, v in row._mapping.items()]
        digest = link(digest, row.id, values[1:-1])
        connection.execute(
            text("update audit set digest = :digest where id = :id"),
            {"digest": digest, "id": row.id},
        )
    connection.execute(text("update audit_head set digest = :digest"), {"digest": digest})
    assert faults(connection) == ()
    assert faults(connection, anchor) == (f"row {ROWS} is not the one that was noted elsewhere",)


def test_log_cut_back_behind_an_anchor_is_found(connection: Connection) -> None:
    anchor = AuditStore(connection).verify().anchor
    last = connection.execute(text("select digest from audit where id = 9")).scalar()
    connection.execute(text("delete from audit where id > 9"))
    connection.execute(text("update audit_head set last_id = 9, digest = :d"), {"d": last})
    assert faults(connection) == ()
    assert faults(connection, anchor) == (
        f"row {ROWS}, which was noted elsewhere, is not in the log",
    )


def test_trimmed_log_is_whole_and_goes_on(connection: Connection) -> None:
    store = AuditStore(connection)
    old, new = Anchor(3, GENESIS), store.verify().anchor
    assert store.trim(later(4)) == 4
    assert store.trim(later(4)) == 0
    store.append(make_record(99))
    assert next(record.action for record in store.tail()) == "act 4"
    assert faults(connection) == ()
    assert faults(connection, new) == ()
    assert faults(connection, old) == (
        "row 3, which was noted elsewhere, is older than what is kept",
    )
    connection.execute(text("delete from audit where id = 5"))
    assert faults(connection) == ("row 5 is missing",)


@pytest.mark.parametrize(
    "statement, expected",
    [
        ("update audit set rule = 'other' where id = 5", "row 5, or the digest before it"),
        ("update audit set rule = 'other' where id = 9", "row 9, or the digest before it"),
        ("delete from audit where id = 5", "row 5 is missing"),
        (f"delete from audit where id = {ROWS}", f"row {ROWS} is missing"),
        ("update audit_head set first_id = 6", "row 5 lies before"),
    ],
)
def test_tampering_with_what_retention_left_is_found(
    connection: Connection, statement: str, expected: str
) -> None:
    assert AuditStore(connection).trim(later(4)) == 4
    connection.execute(text(statement))
    assert any(fault.startswith(expected) for fault in faults(connection)), faults(connection)


def test_newest_record_outlives_every_trim(connection: Connection) -> None:
    store = AuditStore(connection)
    assert store.trim(NOW + timedelta(days=1)) == ROWS - 1
    assert [record.action for record in store.tail()] == [f"act {ROWS - 1}"]
    assert faults(connection) == ()


def test_change_that_is_undone_takes_its_row_along(engine: Engine) -> None:
    def fail(connection: Connection) -> None:
        AuditStore(connection).append(make_record(50))
        raise ValueError

    with pytest.raises(ValueError), engine.begin() as connection:  # noqa: PT011  the one above
        fail(connection)
    with engine.begin() as connection:
        AuditStore(connection).append(make_record(51))
        found = AuditStore(connection).verify()
    assert (found.faults, found.head.last_id) == ((), ROWS + 1)


def test_all_records_come_back_oldest_first(connection: Connection) -> None:
    store = AuditStore(connection)
    assert [record.action for record in store.all()] == [f"act {n}" for n in range(ROWS)]
    assert [record.action for record in store.all(since=later(10))] == ["act 10", "act 11"]


def test_anchor_is_read_as_it_is_written() -> None:
    digest = hashlib.sha256(b"x").hexdigest()
    assert Anchor.parse(f" 7:{digest.upper()}\n") == Anchor(7, digest)
    assert str(Anchor(7, digest)) == f"7:{digest}"
    broken: list[Callable[[], object]] = [
        lambda: Anchor.parse(""),
        lambda: Anchor.parse(f"-7:{digest}"),
        lambda: Anchor.parse(f"7:{digest[1:]}"),
        lambda: Anchor.parse(f"7:{digest[1:]}g"),
        lambda: Anchor.parse(digest),
        lambda: Anchor.parse(f"\N{SUPERSCRIPT TWO}:{digest}"),
    ]
    for read in broken:
        with pytest.raises(InvalidAnchorError):
            read()
