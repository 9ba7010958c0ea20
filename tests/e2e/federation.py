"""A federation of real processes on small tables, for the tests that drive it."""

import contextlib
import os
import re
import signal
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pyarrow as pa
from pyarrow import flight

from auth import SigningKey
from flight_member.tables import TableDesk
from flight_member.users import UserDesk
from flight_mom.demo.federation import HANGZHOU, MOM, SHANGHAI, USERS, DemoFederation
from flight_sql import Client, RemoteError
from storage.metastore import Table
from tests.corpus.samples import make_samples
from tests.corpus.tpchtables import TPCH_SCHEMA, make_tpch
from tests.databases import configured_url
from tests.e2e.factories import (
    FLIGHTS,
    QUOTES,
    SALARIES,
    SAMPLES,
    batches_of,
    make_flights,
    make_quotes,
    make_salaries,
)
from tests.versions.sides import programs

ADMIN = "admin"
CHIEF = "chief"  # administers hangzhou
STRANGER = "stranger"  # of shanghai, in the group analysts, with no home rules at all
FLIGHTS_AT = f"{FLIGHTS}@{HANGZHOU}"
SAMPLES_AT = f"{SAMPLES}@{HANGZHOU}"
SALARIES_AT = f"{SALARIES}@{HANGZHOU}"
QUOTES_AT = f"{QUOTES}@{SHANGHAI}"
READER = f"user1@{SHANGHAI}"
AUDIT = "system.federation.audit"
COUNT_FLIGHTS = f"select count(*) as n from {FLIGHTS_AT}"
COUNT_QUOTES = f"select count(*) as n from {QUOTES}"

# What no message of any server may hold: frames, paths, classes, and words of the engines.
SECRETS = re.compile(
    r"Traceback|File \"|\.py\b|/work|/usr|/tmp|/var|/home|/root|site-packages|\.parquet"
    r"|flight_sql\.|flight_mom\.|flight_member\.|storage\.|planner\.|auth\.[A-Za-z]+\("
    r"|datafusion error|datafusion::|sqlglot|sqlalchemy|sqlite3|pydantic|pyarrow\.|parquet error"
    r"|arrow error"
    r"|object at 0x|panicked|RUST_BACKTRACE|_Untraceable.+:|[A-Z][a-z]+Error\b"
    r"|Execution error|Schema error|Internal error|External error|Optimizer rule",
    re.IGNORECASE,
)
_TABLES: tuple[tuple[str, str, Callable[[], pa.Table], tuple[str, ...]], ...] = (
    (HANGZHOU, FLIGHTS, make_flights, ("origin", "month")),
    (HANGZHOU, SALARIES, make_salaries, ()),
    (HANGZHOU, SAMPLES, make_samples, ("region", "year")),
    (SHANGHAI, QUOTES, make_quotes, ("trading_day",)),
    *(
        (HANGZHOU, f"{TPCH_SCHEMA}.{name}", lambda rows=rows: rows, ())
        for name, rows in make_tpch().items()
    ),
)


def make_federation(directory: Path, databases: Mapping[str, str] | None = None) -> DemoFederation:
    """Make a federation's directories, tables and users; nothing runs yet."""
    usual = {name: configured_url(directory / name) for name in (MOM, HANGZHOU, SHANGHAI)}
    kept = {**usual, **(databases or {})}
    federation = DemoFederation(directory, 0, databases=kept, programs=programs())
    federation.create()
    for cluster, name, make_rows, partition_by in _TABLES:
        TableDesk.open(federation.member_home(cluster)).load_batches(
            name, batches_of(make_rows()), partition_by=partition_by, progress=lambda _: None
        )
    for user, cluster in USERS.items():
        UserDesk(federation.member_home(cluster)).add(
            user, federation.password(user), readable=("*",)
        )
    UserDesk(federation.member_home(HANGZHOU)).add(CHIEF, federation.password(CHIEF), is_admin=True)
    UserDesk(federation.member_home(SHANGHAI)).add(
        STRANGER, federation.password(STRANGER), groups=("analysts",)
    )
    return federation


def stored_table(federation: DemoFederation, cluster: str, name: str) -> Table:
    table = TableDesk.open(federation.member_home(cluster)).find(name)
    assert table is not None
    return table


def mom_key(federation: DemoFederation) -> SigningKey:
    return SigningKey.load(federation.directory / MOM / "signing.key")


def member_key(federation: DemoFederation, cluster: str) -> SigningKey:
    return federation.member_home(cluster).load_key()


@contextlib.contextmanager
def environment(values: Mapping[str, str]) -> Iterator[None]:
    """Set variables that processes started meanwhile inherit."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def revoke_everything(admin: Client) -> None:
    for row in admin.query("SHOW GRANTS").read_all().to_pylist():
        # What an owner denies is the owner's to revoke.
        if row["granted_by"].startswith("the owner"):
            continue
        admin.update(f"REVOKE {row['privilege']} ON {row['securable']} FROM {row['principal']}")


def count(client: Client, sql: str, **options: Any) -> int:
    return int(client.query(sql, **options).read_all()["n"][0].as_py())


def latest_read(client: Client, securable: str) -> dict[str, object]:
    """Return the newest audit record of a read, as its reader sees it."""
    sql = f"select * from {AUDIT} where object = '{securable}' and action = 'read'"
    (row,) = client.query(f"{sql} order by at desc limit 1").read_all().to_pylist()
    return dict(row)


def refusal(ask: Callable[..., object], *arguments: object) -> RemoteError:
    """Return what a server refused with, whose message must be clean; fail when it answered."""
    try:
        answered = ask(*arguments)
    except RemoteError as error:
        require_clean(str(error))
        return error
    raise AssertionError(f"answered: {answered!r}")


def refused_sql(client: Client, sql: str, **options: Any) -> RemoteError:
    return refusal(lambda: client.query(sql, **options).read_all())


def refused_ticket(client: Client, handle: bytes) -> RemoteError:
    return refusal(lambda: client.open_ticket(handle).read_all())


def require_clean(text: str) -> None:
    """Fail when a message tells anything of the server's inside."""
    # What follows is added by the client's own library.
    said = text.partition(". Detail:")[0].partition("gRPC client debug context")[0]
    found = SECRETS.search(said)
    assert found is None, f"{found.group() if found else ''} in {said}"


def kill(federation: DemoFederation, name: str) -> None:
    """End a process as a power cut does."""
    process = federation.processes[name].process
    process.send_signal(signal.SIGKILL)
    wait_for_end(federation, name, 30)


def wait_for_end(federation: DemoFederation, name: str, seconds: float) -> int:
    """Return the exit code of a process that ends in time."""
    process = federation.processes[name].process
    code = process.wait(seconds)
    for stream in (process.stdin, process.stdout):
        if stream is not None:
            stream.close()
    return int(code)


def restart(federation: DemoFederation, name: str) -> None:
    """Start a killed process again, the MoM at its old port."""
    if name == MOM:
        port = str(urlsplit(federation.uri(MOM)).port)
        federation._start(MOM, "flight_mom", ["--port", port], {})
    else:
        address = {"FLIGHT_MEMBER_MOM__ADDRESS": federation.uri(MOM)}
        federation._start(name, "flight_member", ["--port", "0"], address)


def bearer(token: str, *headers: tuple[str, str]) -> Any:
    """Return the options of a bare Flight call with a token, and other headers."""
    sent = (("authorization", f"Bearer {token}"), *headers)
    encoded = [(name.encode(), value.encode()) for name, value in sent]
    return flight.FlightCallOptions(timeout=30, headers=encoded)
