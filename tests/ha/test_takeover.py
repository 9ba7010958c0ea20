"""A leader that is killed, paused or cut off from the database: another controller takes over."""

from collections.abc import Iterator
from contextlib import closing

import pytest

from flight_member.statestore import Database
from tests.databases import PostgresServer
from tests.ha.members import (
    FIRST,
    LEASE_S,
    SECOND,
    Cluster,
    controllers_of,
    make_cluster,
)
from tests.proxy import Line, Proxy

pytestmark = pytest.mark.ha
# The promise: the lease and two seconds. Beyond it, what a machine with other work may take.
TAKEOVER_S = LEASE_S + 2
SLACK_S = 6.0
SOON_S = 30.0


@pytest.fixture(scope="module")
def lines(postgresql: PostgresServer) -> Iterator[dict[str, Proxy]]:
    with Proxy(postgresql.socket) as first, Proxy(postgresql.socket) as second:
        yield {FIRST: first, SECOND: second}


@pytest.fixture(scope="module")
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
    """Everything runs, and the first controller leads."""
    made.mend()
    return made


def test_two_controllers_show_which_of_them_leads(cluster: Cluster, database: Database) -> None:
    found = {one.name: one for one in controllers_of(database)}
    assert {name: one.is_leader for name, one in found.items()} == {FIRST: True, SECOND: False}
    assert {name: one.uri for name, one in found.items()} == {
        name: cluster.servers[name].uri for name in (FIRST, SECOND)
    }
