"""Values that the tests of this package start from: a clock, settings, a member with one table."""

from collections.abc import Iterable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa

from auth import AuditRecord, Identity
from auth.auditstore import AuditStore
from auth.userstore import UserStore
from flight_member.clock import Moment, utc_now
from flight_member.configuration import load_settings
from flight_member.jobs import Jobs
from flight_member.memberhome import MemberHome
from flight_member.settings import LimitsSection, MemberSettings
from flight_member.statestore import Database
from flight_member.tables import TableDesk
from flight_member.users import UserDesk
from storage.load import load_table
from storage.metastore import Table
from tests.databases import configured_url

NOW = datetime(2026, 8, 1, 12, 0, 0, 123456, tzinfo=UTC)
SHANGHAI, HANGZHOU = "shanghai", "hangzhou"
QUOTE = "trading.stock.quote"
PASSWORD = "correct horse battery"


class Clock:
    """A clock that stands still until it is moved."""

    def __init__(self, now: datetime = NOW) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now

    def ticks(self) -> float:
        """Return the time as a clock that only goes forward tells it."""
        return self.now.timestamp()

    def move(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


def make_settings(directory: Path, **flags: Any) -> MemberSettings:
    """Return settings; flags are written with `__` for the dot."""
    given = {"cluster.name": SHANGHAI, "server.port": 0, "state.directory": str(directory)}
    given["state.database"] = configured_url(directory)
    given |= {name.replace("__", "."): value for name, value in flags.items()}
    return load_settings(MemberSettings, None, given).settings


def make_home(directory: Path, **flags: Any) -> MemberHome:
    return MemberHome.create(make_settings(directory, **flags))


def make_limits(**limits: Any) -> LimitsSection:
    return LimitsSection(**limits)


def make_jobs(cluster: str = SHANGHAI, now: Moment = utc_now) -> Jobs:
    return Jobs(cluster, cluster, now)


def make_quotes(row_count: int = 100) -> pa.Table:
    numbers = range(row_count)
    return pa.table(
        {
            "symbol": [f"S{n % 5}" for n in numbers],
            "bid": [float(n) for n in numbers],
            "day": pa.array([n % 2 for n in numbers], pa.int64()),
        }
    )


def load_quotes(home: MemberHome, name: str = QUOTE, rows: pa.Table | None = None) -> Table:
    batches = iter((make_quotes() if rows is None else rows).to_batches())
    return TableDesk.open(home).load_batches(
        name, batches, partition_by=("day",), progress=lambda _: None
    )


def write_quotes(directory: Path, rows: pa.Table | None = None) -> Path:
    """Write the quotes as who writes external tables does: Hive-partitioned Parquet."""
    batches = (make_quotes() if rows is None else rows).to_batches()
    load_table(iter(batches), directory, partition_by=("day",))
    return directory


def attach_quotes(home: MemberHome, name: str = QUOTE, rows: pa.Table | None = None) -> Table:
    directory = write_quotes(home.tables_directory / f"external-{name}", rows)
    return TableDesk.open(home).attach(name, directory)


def add_user(home: MemberHome, name: str = "user1", **options: Any) -> None:
    options.setdefault("readable", ("*",))
    UserDesk(home).add(name, PASSWORD, **options)


def change_users(home: MemberHome, change: str, *arguments: Any, **options: Any) -> None:
    """Change the users behind a running server's back, as a second command would."""
    with closing(home.open_database()) as database, database.change() as connection:
        getattr(UserStore(connection), change)(*arguments, **options)


_FULL = {
    "sqlite": (
        "CREATE TRIGGER full_disk BEFORE INSERT ON audit BEGIN SELECT RAISE(ABORT, 'full'); END",
        "DROP TRIGGER full_disk",
    ),
    "postgresql": (
        "ALTER TABLE audit ADD CONSTRAINT full_disk CHECK (false) NOT VALID",
        "ALTER TABLE audit DROP CONSTRAINT full_disk",
    ),
}


def break_audit(database: Database) -> None:
    """Make every write to the audit fail, as a full disk does."""
    with database.change() as connection:
        connection.exec_driver_sql(_FULL[connection.dialect.name][0])


def mend_audit(database: Database) -> None:
    """Let the audit be written again."""
    with database.change() as connection:
        connection.exec_driver_sql(_FULL[connection.dialect.name][1])


def audited(database: Database) -> list[AuditRecord]:
    """Return the newest audit records, oldest first."""
    with database.read() as connection:
        return AuditStore(connection).tail(100)


def make_identity(name: str = "user1@shanghai", groups: Iterable[str] = (), **changes: Any) -> Any:
    user, _, cluster = name.partition("@")
    values: dict[str, Any] = {
        "user": user,
        "cluster": cluster,
        "groups": frozenset(groups),
        "is_admin": False,
        "token_id": "t1",
        "issued_at": NOW,
        "expires_at": NOW + timedelta(hours=1),
    }
    return Identity(**(values | changes))


def mode_of(path: Path) -> int:
    return path.stat().st_mode & 0o777
