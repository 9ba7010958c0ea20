"""The client of every contender that is a server: ADBC's Flight SQL driver."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

import pyarrow as pa
from adbc_driver_flightsql import dbapi

_HEADER = "adbc.flight.sql.rpc.call_header."


@dataclass(frozen=True, slots=True)
class Account:
    """Who asks where, with which headers. Without a user nobody signs in."""

    uri: str
    username: str | None = None
    password: str = field(default="", repr=False)
    headers: Mapping[str, str] = field(default_factory=dict)


class AdbcReader:
    """One connection that asks one statement again and again."""

    def __init__(self, connection: dbapi.Connection, sql: str) -> None:
        self._connection = connection
        self._sql = sql

    def batches(self) -> Iterator[pa.RecordBatch]:
        """Execute the statement with a cursor of its own and yield its batches."""
        with self._connection.cursor() as cursor:
            cursor.execute(self._sql)
            yield from cursor.fetch_record_batch()


@contextmanager
def adbc_reader(account: Account, sql: str) -> Iterator[AdbcReader]:
    """Connect and sign in; the connection is closed at the end of the `with` block."""
    options = {f"{_HEADER}{name}": value for name, value in account.headers.items()}
    if account.username is not None:
        options |= {"username": account.username, "password": account.password}
    with dbapi.connect(account.uri, db_kwargs=options, autocommit=True) as connection:
        yield AdbcReader(connection, sql)
