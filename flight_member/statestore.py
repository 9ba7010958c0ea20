"""The database that holds a server's durable state, and the one way to change it.

SQLite by default, PostgreSQL when configured. A change and its audit row are written by one
`Database.change()`: both are durable when it returns, or neither is. Changes are made one after
the other, also by several processes, so that what one has read still holds when it writes; readers
see one state and wait for nobody. SQLite runs with write-ahead logging and full synchronisation,
PostgreSQL as it is set up (by default durable), so that `kill -9` or a power cut loses nothing
that was acknowledged.
"""

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from sqlalchemy import (
    Column,
    Connection,
    Integer,
    MetaData,
    String,
    Table,
    create_engine,
    event,
    func,
    insert,
    inspect,
    select,
)
from sqlalchemy.engine import Engine
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import (
    ArgumentError,
    NoSuchModuleError,
    OperationalError,
    SQLAlchemyError,
)
from sqlalchemy.pool import ConnectionPoolEntry

from flight_member.errors import ConfigurationError

_BUSY_TIMEOUT_MS = 10_000
_PRIVATE = 0o600
_WRITE_LOCK = 0x666C696768746D6F  # any number, as long as every version takes the same
_THE_OWNER = 1

metadata = MetaData()

_owner = Table(
    "state_owner",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("name", String(128), nullable=False),
)


class Database:
    """One database, opened for the life of the process. Safe to use from many threads."""

    def __init__(self, url: str, owner: str, *schemas: MetaData) -> None:
        """Open the database and make the tables that are missing.

        Args:
            url: A SQLAlchemy URL.
            owner: Whose state it holds, such as `member hangzhou`; the first one keeps it.
            schemas: The tables of every store that will be used.

        Raises:
            ConfigurationError: When there is no such database, it cannot be used, or it holds the
                state of somebody else.
        """
        try:
            self._engine = _open(url)
        except (SQLAlchemyError, ImportError, OSError) as error:
            raise _unusable(_without_url(error)) from None
        fault = self._make_ready(owner, schemas)
        if fault:
            self.close()
            raise _unusable(fault)

    @property
    def is_shared(self) -> bool:
        """Whether servers on several machines can be over it; one of a file is one server's."""
        return self._engine.dialect.name != "sqlite"

    @contextmanager
    def change(self) -> Iterator[Connection]:
        """Open a transaction that may write; it commits when the block ends without an error.

        It waits for the change that is under way, if there is one.
        """
        with self._engine.connect() as connection:
            if connection.dialect.name == "sqlite":
                # Taking the write lock first means waiting for it instead of failing half way.
                connection.exec_driver_sql("BEGIN IMMEDIATE")
                try:
                    yield connection
                except BaseException:
                    connection.rollback()
                    raise
                connection.commit()
            else:
                with connection.begin():
                    connection.execute(select(func.pg_advisory_xact_lock(_WRITE_LOCK)))
                    yield connection

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """Open a transaction that only reads; it sees one state from start to end."""
        with self._engine.connect() as connection:
            if connection.dialect.name == "sqlite":
                connection.exec_driver_sql("BEGIN")
            else:
                connection.execution_options(isolation_level="REPEATABLE READ")
            yield connection
            connection.rollback()

    def close(self) -> None:
        """Give back every connection."""
        self._engine.dispose()

    def _make_ready(self, owner: str, schemas: Iterable[MetaData]) -> str:
        """Make what is missing; returns why the database cannot be used, or nothing."""
        try:
            with self.change() as connection:
                for schema in (metadata, *schemas):
                    schema.create_all(connection)
                    # Those that a newer version thought of; the tables may be there already.
                    for index in (one for table in schema.tables.values() for one in table.indexes):
                        index.create(connection, checkfirst=True)
                found = _found_owner(connection, owner)
            lacking = _lacking(self._engine, schemas)
        except (SQLAlchemyError, OSError) as error:
            return _without_url(error)
        if found != owner:
            return f"holds the state of {found} already"
        if lacking:
            return f"an older version made it: {lacking} is missing; begin with an empty one"
        return ""


def _unusable(fault: str) -> ConfigurationError:
    return ConfigurationError([f"state.database: {fault}"])


def _without_url(error: Exception) -> str:
    """Return what went wrong; the texts themselves may quote the URL, and with it a password."""
    match error:
        case OSError():
            fault = error.strerror or type(error).__name__
        case ImportError() | NoSuchModuleError():
            fault = "the driver for this kind of database is not installed"
        case ArgumentError():
            fault = "it is no URL of a database, such as postgresql+psycopg://user@host/name"
        case OperationalError():
            fault = "there is no such database, it does not answer, or it does not let us in"
        case _:
            fault = type(error).__name__
    return f"cannot be opened ({fault})"


def _found_owner(connection: Connection, owner: str) -> str:
    """Return whose database it is; whoever opens a new one has it."""
    found: str | None = connection.execute(select(_owner.c.name)).scalar()
    if found is None:
        connection.execute(insert(_owner).values(id=_THE_OWNER, name=owner))
    return found or owner


def _lacking(engine: Engine, schemas: Iterable[MetaData]) -> str:
    """Return a column that a database of an older version lacks, or nothing."""
    found = inspect(engine)
    for schema in schemas:
        for table in schema.tables.values():
            there = {column["name"] for column in found.get_columns(table.name)}
            missing = sorted(set(table.columns.keys()) - there)
            if missing:
                return f"{table.name}.{missing[0]}"
    return ""


def _open(url: str) -> Engine:
    # A server of its own may have been restarted since a connection was last used.
    engine = create_engine(url, pool_pre_ping=True)
    if engine.dialect.name == "sqlite":
        # Anything else is a database in memory, or a URI of SQLite's own.
        if engine.url.database and not engine.url.database.startswith((":", "file:")):
            _make_private(Path(engine.url.database))
        event.listen(engine, "connect", _prepare_sqlite)
    return engine


def _make_private(file: Path) -> None:
    """Keep a SQLite file, and what SQLite puts beside it, from everybody but its owner.

    A file that is there is never opened for that: closing it again would drop the locks that
    SQLite holds on it in this process.
    """
    with suppress(FileExistsError):
        os.close(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, _PRIVATE))
    # SQLite gives its other files the mode of the first; older ones may be there still.
    for name in (file.name, f"{file.name}-wal", f"{file.name}-shm"):
        with suppress(FileNotFoundError):
            file.with_name(name).chmod(_PRIVATE)


def _prepare_sqlite(connection: DBAPIConnection, _entry: ConnectionPoolEntry) -> None:
    raw: Any = connection
    # The driver must not open transactions of its own: `Database` says BEGIN.
    raw.isolation_level = None
    cursor = raw.cursor()
    cursor.execute("PRAGMA journal_mode=WAL")
    cursor.execute("PRAGMA synchronous=FULL")
    cursor.execute("PRAGMA foreign_keys=ON")
    cursor.execute(f"PRAGMA busy_timeout={_BUSY_TIMEOUT_MS}")
    cursor.close()
