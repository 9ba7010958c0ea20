"""Databases of a PostgreSQL under test, opened directly or by way of a proxy."""

from flight_member.leasestore import metadata as lease_tables
from flight_member.statestore import Database
from tests.databases import PostgresServer
from tests.proxy import Proxy

OWNER = "the member shanghai"


def url_through(proxy: Proxy, name: str) -> str:
    """Return where a database is that was made already, by way of a proxy."""
    return f"postgresql+psycopg://tests@127.0.0.1:{proxy.port}/{name}"


def open_direct(server: PostgresServer, name: str) -> Database:
    """Open a database; it is made when it is not there."""
    return Database(server.url(name), OWNER, lease_tables)


def open_through(proxy: Proxy, server: PostgresServer, name: str) -> Database:
    """Open a database by way of a proxy."""
    server.url(name)
    return Database(url_through(proxy, name), OWNER, lease_tables)
