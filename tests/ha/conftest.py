"""One PostgreSQL for the tests of several servers over it, and a line to it that can be cut."""

import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from flight_member.statestore import Database
from tests.databases import PostgresServer
from tests.ha.members import FIRST, SECOND, Cluster, make_cluster
from tests.proxy import Line, Proxy


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


@pytest.fixture(scope="session")
def lines(postgresql: PostgresServer) -> Iterator[dict[str, Proxy]]:
    with Proxy(postgresql.socket) as first, Proxy(postgresql.socket) as second:
        yield {FIRST: first, SECOND: second}


@pytest.fixture(scope="session")
def made(
    tmp_path_factory: pytest.TempPathFactory, postgresql: PostgresServer, lines: dict[str, Proxy]
) -> Iterator[Cluster]:
    cluster = make_cluster(tmp_path_factory.mktemp("ha"), postgresql, lines)
    try:
        yield cluster
    finally:
        for line in lines.values():
            line.set(Line.PASS)
        cluster.stop_all()


@pytest.fixture
def database(cluster: Cluster) -> Iterator[Database]:
    """The member's own database, as nothing that is cut off sees it."""
    with closing(cluster.open_direct()) as database:
        yield database


@pytest.fixture
def cluster(made: Cluster) -> Cluster:
    """Everything runs, and one of the controllers leads."""
    made.mend()
    return made
