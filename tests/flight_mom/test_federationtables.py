"""The audit as a live table: bounded, and narrowed by what a statement needs."""

from collections.abc import Iterator
from datetime import timedelta

import pyarrow as pa
import pytest

from auth import AuditRecord, Identity
from auth.auditstore import AuditStore
from flight_member.audit import AuditTrail
from flight_member.errors import ScanLimitError
from flight_member.livetables import Wanted
from flight_member.settings import AuditSection
from flight_mom.federationtables import AuditTable
from flight_sql import Call
from storage.needed import EVERYTHING, Condition, Needed
from tests.flight_member.factories import NOW, make_identity
from tests.flight_mom.factories import MOM, Mom

# Later than the record of the making of the MoM.
START = NOW.replace(year=2030)
BOUND = 10
COUNT = 50


@pytest.fixture(name="trail")
def make_trail(mom: Mom) -> Iterator[AuditTrail]:
    trail = AuditTrail(MOM, mom.database, AuditSection(), mom.clock)
    yield trail
    trail.close()


@pytest.fixture(name="table")
def make_audit_table(mom: Mom, trail: AuditTrail) -> AuditTable:
    with mom.database.change() as connection:
        AuditStore(connection).append_all(record(number) for number in range(COUNT))
    return AuditTable(MOM, mom.database, trail, max_record_count=BOUND)


def record(number: int) -> AuditRecord:
    return AuditRecord(
        at=START + timedelta(seconds=number),
        actor="user1@shanghai",
        source="10.0.0.1",
        action="read",
        object=f"a.b.t{number % 2}@hangzhou",
        allowed=True,
        rule="ALLOW",
        epoch=number,
    )


def rows(table: AuditTable, needed: Needed, caller: Identity | None = None) -> pa.Table:
    caller = caller or make_identity(f"admin@{MOM}", is_admin=True)
    return table.rows(Wanted(Call(), caller, lambda _: [], None, needed))


def after(number: int, **more: object) -> Needed:
    condition = Condition("at", ">=", START + timedelta(seconds=number))
    return Needed(frozenset({condition}), **more)  # type: ignore[arg-type]  # passed on


def test_more_than_one_statement_may_look_at_is_refused(table: AuditTable) -> None:
    with pytest.raises(ScanLimitError, match=r"more than 10 records.*narrow the time range"):
        rows(table, EVERYTHING)
    assert rows(table, after(COUNT - BOUND))["epoch"].to_pylist()
    with pytest.raises(ScanLimitError):
        rows(table, after(COUNT - BOUND - 1))


def test_the_newest_are_found_without_the_others(table: AuditTable) -> None:
    newest = rows(table, Needed(row_count=3, newest_by="at"))
    assert newest["epoch"].to_pylist() == [49, 48, 47]
    both = Needed(frozenset({Condition("object", "=", "a.b.t1@hangzhou")}), 2, "at")
    assert rows(table, both)["epoch"].to_pylist() == [49, 47]


def test_a_limit_counts_only_where_all_is_understood(table: AuditTable) -> None:
    """Rows that a condition on the rest drops must not use up a limit."""
    foreign = Condition("rule", "=", "other")
    with pytest.raises(ScanLimitError):
        rows(table, Needed(frozenset({foreign}), row_count=3))
    with pytest.raises(ScanLimitError):
        rows(table, Needed(row_count=3, newest_by="epoch"))


def test_what_others_did_does_not_count_towards_the_bound(table: AuditTable) -> None:
    assert rows(table, EVERYTHING, make_identity("user2@shanghai")).num_rows == 0


def test_what_waits_to_be_written_is_there_at_once(table: AuditTable, trail: AuditTrail) -> None:
    trail.allow(record(COUNT))
    assert rows(table, after(COUNT))["epoch"].to_pylist() == [COUNT]
