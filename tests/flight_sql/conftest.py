from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import pytest
from pyarrow import flight

from flight_sql import Client, FlightSqlServer
from tests.flight_sql.memory_backend import MemoryAuthenticator, MemoryBackend

TOKEN = "token-of-alice-1"


@pytest.fixture
def quote() -> pa.Table:
    schema = pa.schema(
        [
            pa.field("symbol", pa.string(), nullable=False),
            pa.field("bid", pa.float64()),
            pa.field("size", pa.int64()),
        ]
    )
    columns = {"symbol": ["a", "b", "c"], "bid": [1.5, None, 3.5], "size": [1, 2, None]}
    return pa.table(columns, schema=schema)


@pytest.fixture
def backend(quote: pa.Table) -> MemoryBackend:
    return MemoryBackend({"quote": quote, "empty": quote.slice(0, 0)})


@pytest.fixture
def authenticator() -> MemoryAuthenticator:
    return MemoryAuthenticator()


@pytest.fixture
def server(backend: MemoryBackend, authenticator: MemoryAuthenticator) -> Iterator[FlightSqlServer]:
    server = FlightSqlServer(backend, authenticator)
    server.start()
    yield server
    assert server.drain_and_stop(2)


@pytest.fixture
def client(server: FlightSqlServer) -> Iterator[Client]:
    with Client(server.uri, token=TOKEN) as client:
        yield client


@pytest.fixture
def raw(server: FlightSqlServer) -> Iterator[Any]:
    with flight.connect(server.uri) as client:
        yield client
