"""Values that the tests of this folder start from: tables, tickets, tokens."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import uuid4

import pyarrow as pa

from auth import Ticket, TicketTable
from storage.metastore import Table

FLIGHTS = "aviation.nyc.flights"
SALARIES = "payroll.hr.salaries"
SAMPLES = "aviation.lab.samples"
QUOTES = "trading.stock.quote"
# Later than whatever other tests have revoked: what refuses such a ticket is something else.
LATEST_EPOCH = 2**40
MARKER = "EYES-ONLY-7Q"  # stands in every row that nobody has been given
CARRIERS = ("AA", "B6", "DL", "UA")
ORIGINS = ("EWR", "JFK")


def make_flights(row_count: int = 4_000) -> pa.Table:
    """Return {carrier, flight, Tail and arr_delay with nulls, origin, month}."""
    numbers = range(row_count)
    return pa.table(
        {
            "carrier": [CARRIERS[n % 4] for n in numbers],
            "flight": pa.array(numbers, pa.int64()),
            "Tail": [None if n % 11 == 0 else f"N{n % 97}" for n in numbers],
            "arr_delay": [None if n % 7 == 0 else (n % 61) / 2 - 10 for n in numbers],
            "origin": [ORIGINS[n // 4 % 2] for n in numbers],
            "month": pa.array([1 + n * 3 // row_count for n in numbers], pa.int64()),
        }
    )


def make_salaries() -> pa.Table:
    return pa.table(
        {
            "carrier": [f"{MARKER}-{n}" for n in range(50)],
            "name": [f"{MARKER}-{n}" for n in range(50)],
            "salary": pa.array(range(50), pa.int64()),
        }
    )


def make_quotes(row_count: int = 3_000) -> pa.Table:
    numbers = range(row_count)
    return pa.table(
        {
            "symbol": [f"S{n % 5}" for n in numbers],
            "bid": [100 + (n % 50) / 4 for n in numbers],
            "size": pa.array([n % 9 for n in numbers], pa.int32()),
            "trading_day": pa.array([date(2024, 1, 2 + n % 2) for n in numbers], pa.date32()),
        }
    )


def batches_of(table: pa.Table) -> Iterator[pa.RecordBatch]:
    return iter(table.to_batches())


def make_ticket(table: Table, sql: str, **changes: Any) -> Ticket:
    """Return a ticket as the MoM makes it for user1@shanghai over one table of hangzhou."""
    now = datetime.now(UTC)
    ticket = Ticket(
        id=uuid4().hex,
        member=table.name.cluster,
        user="user1",
        cluster="shanghai",
        groups=frozenset(),
        sql=sql,
        catalog=None,
        schema=None,
        tables=(ticket_table(table),),
        epoch=LATEST_EPOCH,
        issued_at=now,
        expires_at=now + timedelta(seconds=300),
        query_id=uuid4().hex,
    )
    return replace(ticket, **changes) if changes else ticket


def ticket_table(table: Table, **changes: Any) -> TicketTable:
    sealed = TicketTable(table.name, table.id, table.schema_version, table.snapshot)
    return replace(sealed, **changes) if changes else sealed
