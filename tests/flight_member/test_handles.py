"""Prepared handles on a clock of their own."""

from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pytest

from auth import ExpiredTicketError, SigningKey
from flight_member.handles import Handles

BEGIN = datetime(2026, 1, 2, tzinfo=UTC)
LIFE_S = 60
SQL = "select ?"


class Clock:
    def __init__(self) -> None:
        self.now = BEGIN

    def __call__(self) -> datetime:
        return self.now


def test_handle_lives_as_long_as_is_set_from_each_binding() -> None:
    clock = Clock()
    handles = Handles("hangzhou", SigningKey.generate(), clock, prepared_ttl_s=LIFE_S)
    prepared = handles.seal_prepared(SQL)
    clock.now = BEGIN + timedelta(seconds=LIFE_S - 1)
    assert handles.open_prepared(prepared) == (SQL, None)
    bound = handles.seal_prepared(SQL, pa.record_batch({"0": [1, 2]}))
    clock.now = BEGIN + timedelta(seconds=LIFE_S)
    with pytest.raises(ExpiredTicketError, match="the prepared statement has expired; prepare it"):
        handles.open_prepared(prepared)
    sql, values = handles.open_prepared(bound)
    assert (sql, values) == (SQL, pa.record_batch({"0": [1, 2]}))


def test_another_replica_opens_what_one_sealed() -> None:
    key, clock = SigningKey.generate(), Clock()
    one = Handles("hangzhou", key, clock, prepared_ttl_s=LIFE_S)
    other = Handles("hangzhou", key, clock, prepared_ttl_s=5)
    assert other.open_prepared(one.seal_prepared(SQL)) == (SQL, None)
