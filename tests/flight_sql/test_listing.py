from collections.abc import Iterable
from typing import Any

import pyarrow as pa
import pytest
from pyarrow import flight

from flight_sql import Call, FlightSqlServer, TableEntry, TableFilter
from flight_sql.listing import MAX_FLIGHTS
from flight_sql.messages import unpack
from tests.flight_sql.conftest import TOKEN
from tests.flight_sql.memory_backend import MemoryAuthenticator, MemoryBackend

OPTIONS = flight.FlightCallOptions(headers=[(b"authorization", f"Bearer {TOKEN}".encode())])


def _queries(raw: Any, criteria: bytes) -> list[str]:
    listed = raw.list_flights(criteria, OPTIONS)
    return [unpack(one.descriptor.command).query for one in listed]


def test_every_table_is_a_flight_in_order(raw: Any, quote: pa.Table) -> None:
    listed = list(raw.list_flights(b"", OPTIONS))
    assert [unpack(one.descriptor.command).query for one in listed] == [
        'SELECT * FROM "monitor"."heartbeat"."cluster_perf"',
        'SELECT * FROM "trading@hangzhou"."stock"."my_view"',
        'SELECT * FROM "trading@hangzhou"."stock"."quote"',
    ]
    for one in listed:
        assert one.schema.equals(quote.schema)
        assert (one.endpoints, one.total_records, one.total_bytes) == ([], 3, -1)


def test_a_flight_has_the_types_that_the_connection_chose(raw: Any, backend: MemoryBackend) -> None:
    backend.tables["quote"] = pa.table({"size": pa.array([255], pa.uint8())})
    for wire, kind in (("safe", pa.uint8()), ("signed", pa.int16()), ("native", pa.uint8())):
        headers = [(b"authorization", f"Bearer {TOKEN}".encode()), (b"x-wire", wire.encode())]
        listed = raw.list_flights(b"", flight.FlightCallOptions(headers=headers))
        assert {one.schema.field("size").type for one in listed} == {kind}


@pytest.mark.parametrize(
    "criteria, count",
    [(b"%", 3), (b"trading@hangzhou.stock.%", 2), (b"%.quote", 1), (b"quote", 0), (b"m%perf", 1)],
)
def test_criteria_are_a_pattern(raw: Any, criteria: bytes, count: int) -> None:
    assert len(_queries(raw, criteria)) == count


@pytest.mark.parametrize("criteria", [b"\xff\xfe", b"x" * 2000])
def test_criteria_that_are_no_pattern_are_refused(raw: Any, criteria: bytes) -> None:
    with pytest.raises(pa.ArrowInvalid, match=r"^invalid-request: criteria are a pattern"):
        _queries(raw, criteria)


class _ManyTables(MemoryBackend):
    def list_tables(
        self, _call: Call, _wanted: TableFilter, *, include_schema: bool
    ) -> Iterable[TableEntry]:
        del include_schema
        for number in range(MAX_FLIGHTS + 1):
            yield TableEntry("lake", 'a "b', f"t{number:04}")


def test_longer_lists_are_refused_and_patterns_narrow_them() -> None:
    server = FlightSqlServer(_ManyTables({}), MemoryAuthenticator())
    server.start()
    with flight.connect(server.uri) as raw:
        with pytest.raises(pa.ArrowInvalid, match="invalid-request: there are 1,001 tables"):
            _queries(raw, b"")
        assert _queries(raw, b"%.t0007") == ['SELECT * FROM "lake"."a ""b"."t0007"']
        assert len(_queries(raw, b"%.t0%")) == MAX_FLIGHTS
    assert server.drain_and_stop(2)
