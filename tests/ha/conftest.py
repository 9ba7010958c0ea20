"""One PostgreSQL for the tests of several servers over it, and a line to it that can be cut."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.databases import PostgresServer
from tests.proxy import Proxy


@pytest.fixture(scope="session")
def postgresql() -> Iterator[PostgresServer]:
    server = PostgresServer(Path(tempfile.mkdtemp(prefix="ha")))
    server.wait()
    yield server
    server.stop()


@pytest.fixture
def line(postgresql: PostgresServer) -> Iterator[Proxy]:
    """The way of one server to the database."""
    with Proxy(postgresql.socket) as proxy:
        yield proxy
