"""The database that holds a server's durable state, and the one way to change it.

SQLite by default, PostgreSQL when configured, which several servers can be over. A change and its
audit row are written by one `Database.change()`: both are durable when it returns, or neither is.
Changes are made one after the other, also by several processes, so that what one has read still
holds when it writes; readers see one state and wait for nobody. SQLite runs with write-ahead
logging and full synchronisation, PostgreSQL as it is set up (by default durable): `kill -9`
or a power cut loses nothing that was acknowledged. No wait for PostgreSQL is without an end; see
`postgresql`.
"""

import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

from sqlalchemy import (
    Column,
    Connection,
    Integer,
    MetaData,
    Row,
    Select,
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
    DBAPIError,
    NoSuchModuleError,
    OperationalError,
    SQLAlchemyError,
)
from sqlalchemy.exc import TimeoutError as NoConnectionError
from sqlalchemy.pool import ConnectionPoolEntry

from flight_member.errors import (
    ConfigurationError,
    FlightMemberError,
    OutcomeUnknownError,
    StateUnavailableError,
)

_BUSY_TIMEOUT_MS = 10_000
_PRIVATE = 0o600
_WRITE_LOCK = 0x666C696768746D6F  # any number, as long as every version takes the same
_THE_OWNER = 1
# For an answer of PostgreSQL's; in a handler, so that nothing waits for long.
_PATIENCE_S = 20.0
_ASIDE_PATIENCE_S = 3.0
_QUICK_S = 1.0
# A change that says nothing for so long is undone, that others can be made.
_PAUSE_S = 5.0

# What PostgreSQL calls it: connections that fail, its stop or a cancel, a transaction left alone
# for too long, a lock that was not to be had, no connection left.
_AWAY_CLASSES = {"08", "57"}
_AWAY = {"25P03", "55P03", "53300"}
# What SQLite calls a full disk, a disk that fails, and a change that does not end. It undoes what
# it could not write.
_NO_ROOM_OR_PATIENCE = {
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_BUSY,
}
_PRIMARY = 0xFF  # of a code; the rest says more precisely what it was

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
        self.guard: Callable[[Connection], None] = _let_through
        """Called in each change before anything is written; what it raises undoes the change."""
        self._url = url
        self._aside: Engine | None = None
        self._glances: Engine | None = None
        self._opening = threading.Lock()
        try:
            self._engine = _open(url, _PATIENCE_S)
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

        Raises:
            StateUnavailableError: When the database does not answer; nothing was changed.
            OutcomeUnknownError: When it went away while the change was made durable.
        """
        with _plain_faults(), self._engine.connect() as connection:
            _begin_change(connection)
            try:
                self.guard(connection)
                yield connection
            except BaseException:
                connection.rollback()
                raise
            _commit(connection)

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """Open a transaction that only reads; it sees one state from start to end.

        Raises:
            StateUnavailableError: When the database does not answer.
        """
        with _plain_faults(), self._engine.connect() as connection:
            if connection.dialect.name == "sqlite":
                connection.exec_driver_sql("BEGIN")
            else:
                connection.execution_options(isolation_level="REPEATABLE READ")
            yield connection
            connection.rollback()

    @contextmanager
    def aside(self, *, waits_for_changes: bool = False) -> Iterator[Connection]:
        """Open a transaction beside all others, on a connection of its own and with less patience.

        For what cannot wait until others are done: who holds a lease. One at a time.

        Args:
            waits_for_changes: Whether it waits, as a change does, for the one that is under way.

        Raises:
            StateUnavailableError: When the database does not answer.
        """
        with self._opening:
            if self._aside is None:
                self._aside = _open(self._url, _ASIDE_PATIENCE_S, max_connections=2)
        with _plain_faults(), self._aside.connect() as connection:
            if waits_for_changes or not self.is_shared:
                _begin_change(connection)
            try:
                yield connection
            except BaseException:
                connection.rollback()
                raise
            _commit(connection)

    def glance(self, statement: Select[Any]) -> Row[Any]:
        """Return the only row of a statement that reads, at the least cost: one message each way.

        For what is asked again and again; it sees what was committed when it is called.

        Raises:
            StateUnavailableError: When the database does not answer.
        """
        with self._opening:
            if self._glances is None:
                self._glances = _open(self._url, _ASIDE_PATIENCE_S, is_for_glances=True)
        asked_at = time.monotonic()
        with suppress(StateUnavailableError):
            return self._glance(self._glances, statement)
        if time.monotonic() - asked_at > _QUICK_S:
            raise StateUnavailableError
        # The database was restarted since: a connection of then says so at once.
        return self._glance(self._glances, statement)

    @staticmethod
    def _glance(engine: Engine, statement: Select[Any]) -> Row[Any]:
        with _plain_faults(), engine.connect() as connection:
            return connection.execute(statement).one()

    def close(self) -> None:
        """Give back every connection."""
        for engine in (self._engine, self._aside, self._glances):
            if engine is not None:
                engine.dispose()

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
        except (SQLAlchemyError, FlightMemberError, OSError) as error:
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
        case OperationalError() | FlightMemberError():
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


def _let_through(_connection: Connection) -> None:
    """Allow every change."""


def _begin_change(connection: Connection) -> None:
    """Begin a transaction that waits for the change that is under way."""
    if connection.dialect.name == "sqlite":
        # Taking the write lock first means waiting for it instead of failing half way.
        connection.exec_driver_sql("BEGIN IMMEDIATE")
        return
    pause_ms = str(round(_PAUSE_S * 1000))
    connection.execute(
        select(
            func.set_config("idle_in_transaction_session_timeout", pause_ms, True),
            func.pg_advisory_xact_lock(_WRITE_LOCK),
        )
    )


def _commit(connection: Connection) -> None:
    try:
        connection.commit()
    except DBAPIError as error:
        # Of what the database itself says, it knows that it undid the change.
        if not error.connection_invalidated or _state_of(error):
            raise
    else:
        return
    raise OutcomeUnknownError


@contextmanager
def _plain_faults() -> Iterator[None]:
    """Say in our own words that a database does not answer."""
    try:
        yield
    except DBAPIError as error:
        if not (error.connection_invalidated or _is_away(error)):
            raise
    except NoConnectionError:
        pass
    else:
        return
    raise StateUnavailableError


def _is_away(error: DBAPIError) -> bool:
    """Whether the database could not be asked, took too long, had no room, or hung up."""
    if isinstance(error.orig, sqlite3.OperationalError):
        return error.orig.sqlite_errorcode & _PRIMARY in _NO_ROOM_OR_PATIENCE
    if not hasattr(error.orig, "sqlstate"):
        return False  # another database
    state = _state_of(error)
    if state is None:
        return isinstance(error, OperationalError)
    return state[:2] in _AWAY_CLASSES or state in _AWAY


def _state_of(error: DBAPIError) -> str | None:
    """Return what PostgreSQL calls an error; None when it was not it who said so."""
    return getattr(error.orig, "sqlstate", None)


def _open(
    url: str, patience_s: float, max_connections: int = 15, *, is_for_glances: bool = False
) -> Engine:
    # A server of its own may have been restarted since a connection was last used.
    if not url.startswith("postgresql"):
        engine = create_engine(url, pool_pre_ping=True)
    else:
        # Without a transaction there is nothing to begin or to undo.
        plain: dict[str, Any] = {"isolation_level": "AUTOCOMMIT", "pool_reset_on_return": None}
        engine = create_engine(
            url,
            pool_pre_ping=not is_for_glances,
            **(plain if is_for_glances else {}),
            pool_size=min(5, max_connections),
            max_overflow=max(0, max_connections - 5),
            pool_timeout=patience_s,
        )
        event.listen(engine, "do_connect", partial(_connect, patience_s))
    if engine.dialect.name == "sqlite":
        # Anything else is a database in memory, or a URI of SQLite's own.
        if engine.url.database and not engine.url.database.startswith((":", "file:")):
            _make_private(Path(engine.url.database))
        event.listen(engine, "connect", _prepare_sqlite)
    return engine


def _connect(
    patience_s: float, _dialect: object, _record: object, _args: object, arguments: dict[str, Any]
) -> object:
    from flight_member.postgresql import connect  # noqa: PLC0415  its driver may be missing

    return connect(arguments, patience_s=patience_s)


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
