"""What is written down of strangers who fail, and that it stays little."""

import time
from collections.abc import Iterator

import pytest

from auth import AuditRecord, AuditUnavailableError, FailureCap
from auth.auditstore import AuditStore
from flight_member.audit import AuditTrail
from flight_member.authaudit import AuthTrail
from flight_member.clock import utc_now
from flight_member.settings import AuditSection
from flight_member.statestore import Database
from tests.flight_member.factories import NOW, Clock, audited, break_audit, mend_audit

PEER = "ipv4:10.0.0.7:40000"


@pytest.fixture
def clock() -> Clock:
    return Clock(NOW.replace(second=0, microsecond=0))


@pytest.fixture
def audit(database: Database) -> Iterator[AuditTrail]:
    trail = AuditTrail("shanghai", database, AuditSection(), utc_now)
    yield trail
    trail.close()


def make_failure(clock: Clock, source: str = PEER) -> AuditRecord:
    return AuditRecord(
        at=clock(), actor="unknown", source=source, action="authenticate", allowed=False
    )


def test_what_was_left_out_is_told_when_the_minute_is_over(
    database: Database, audit: AuditTrail, clock: Clock
) -> None:
    trail = AuthTrail(audit, clock, FailureCap(each=2, unknown=1))
    for port in range(10):
        trail.refuse(make_failure(clock, f"ipv4:10.0.0.7:{port}"))
    trail.refuse(make_failure(clock, "handshake"))
    trail.refuse(make_failure(clock, "handshake"))
    trail.tell_left_out()
    clock.move(60)
    trail.tell_left_out()
    trail.tell_left_out()
    audit.close()
    rows = audited(database)
    assert [row.source for row in rows[:3]] == ["ipv4:10.0.0.7:0", "ipv4:10.0.0.7:1", "handshake"]
    assert {(row.source, row.rule, row.detail) for row in rows[3:]} == {
        ("10.0.0.7", "left out", "8 more failures within a minute"),
        ("handshake", "left out", "1 more failures within a minute"),
    }


def test_what_was_left_out_is_told_when_the_server_stops(
    database: Database, audit: AuditTrail, clock: Clock
) -> None:
    trail = AuthTrail(audit, clock, FailureCap(each=1))
    for _ in range(3):
        trail.refuse(make_failure(clock))
    trail.close()
    audit.close()
    assert [row.rule for row in audited(database)] == ["", "left out"]


def test_a_refusal_stands_although_it_cannot_be_written(
    database: Database, audit: AuditTrail, clock: Clock
) -> None:
    trail = AuthTrail(audit, clock)
    break_audit(database)
    with pytest.raises(AuditUnavailableError):
        wait_until_failing(audit, clock)
    trail.refuse(make_failure(clock))
    mend_audit(database)


def wait_until_failing(audit: AuditTrail, clock: Clock) -> None:
    for _ in range(500):
        audit.allow(make_failure(clock))
        time.sleep(0.02)


def test_sign_ins_in_a_loop_are_written_down_as_a_number(
    database: Database, audit: AuditTrail, clock: Clock
) -> None:
    trail = AuthTrail(audit, clock, sign_in_cap=FailureCap(each=2, most=1_000))
    clients = {"ann@shanghai": "ipv4:10.0.0.7:1", "bob@shanghai": "handshake"}
    for _ in range(5):
        for actor, source in clients.items():
            trail.allow(
                AuditRecord(at=clock(), actor=actor, source=source, action="sign_in", allowed=True)
            )
    # Another address is another story.
    elsewhere = "ipv4:10.0.0.8:1"
    trail.allow(
        AuditRecord(
            at=clock(), actor="ann@shanghai", source=elsewhere, action="sign_in", allowed=True
        )
    )
    clock.move(60)
    trail.tell_left_out()
    trail.tell_left_out()
    audit.close()
    rows = audited(database)
    assert [row.actor for row in rows if not row.rule].count("ann@shanghai") == 3
    assert {
        (row.actor, row.source, row.allowed, row.detail) for row in rows if row.rule == "left out"
    } == {
        ("ann@shanghai", "10.0.0.7", True, "3 more sign-ins within a minute"),
        ("bob@shanghai", "handshake", True, "3 more sign-ins within a minute"),
    }


def test_first_sign_in_of_everybody_is_written_down_however_many_there_are(
    database: Database, audit: AuditTrail, clock: Clock
) -> None:
    trail = AuthTrail(audit, clock)
    for number in range(300):
        trail.allow(
            AuditRecord(
                at=clock(), actor=f"u{number}@shanghai", source=PEER, action="sign_in", allowed=True
            )
        )
    trail.close()
    audit.close()
    with database.read() as connection:
        assert len(AuditStore(connection).tail(1_000)) == 300
