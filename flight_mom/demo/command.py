"""The command `flight-mom demo`: data, processes, story, and serving until it is stopped."""

import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Self

import pyarrow as pa
from rich.markup import escape
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
)

from auth.userstore import UserStore
from flight_member.errors import ConfigurationError
from flight_member.process import on_stop_signals, require_free_port, watch_parent
from flight_member.tables import TableDesk
from flight_member.terminal import FAILED, console
from flight_member.users import UserDesk
from flight_mom.demo.data import FLIGHT_COUNT, QUOTE_COUNT, generate_quotes, read_flights
from flight_mom.demo.federation import HANGZHOU, MEMBERS, MOM, SHANGHAI, USERS, DemoFederation
from flight_mom.demo.story import FLIGHTS, Story
from storage.names import InvalidNameError, ObjectName

_HOST = "127.0.0.1"
_WATCH_S = 0.5


@dataclass(frozen=True)
class AttachedTable:
    """One `--attach`: a directory of Parquet that becomes a table of a member."""

    name: ObjectName
    location: Path

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `CLUSTER:CATALOG.SCHEMA.TABLE=PARQUET_DIR`.

        Raises:
            ConfigurationError: When it is not that, names no member, or there is no directory.
        """
        cluster, colon, rest = text.partition(":")
        table, equals, directory = rest.partition("=")
        if not (colon and equals):
            raise ConfigurationError(
                [f"--attach {text}: write CLUSTER:CATALOG.SCHEMA.TABLE=PARQUET_DIR"]
            )
        try:
            name = ObjectName.parse(table, cluster=cluster)
        except InvalidNameError as error:
            raise ConfigurationError([f"--attach {text}: {error}"]) from None
        is_one = name.cluster == cluster.lower() and name.table is not None
        if name.cluster not in MEMBERS or not is_one:
            raise ConfigurationError([f"--attach {text}: name a table of {' or '.join(MEMBERS)}"])
        location = Path(directory).expanduser().resolve()
        if not location.is_dir():
            raise ConfigurationError([f"--attach {text}: {directory} is not a directory"])
        return cls(name, location)


@dataclass(frozen=True)
class _DemoTable:
    cluster: str
    name: str
    partition_by: tuple[str, ...]
    row_count: int
    read: Callable[[], Iterator[pa.RecordBatch]]


_TABLES = (
    _DemoTable(HANGZHOU, "aviation.nyc.flights", ("origin", "month"), FLIGHT_COUNT, read_flights),
    _DemoTable(SHANGHAI, "trading.stock.quote", ("trading_day",), QUOTE_COUNT, generate_quotes),
)


def run_demo(
    directory: Path,
    port: int,
    *,
    once: bool,
    attached: Sequence[AttachedTable],
    with_parent: bool = False,
) -> int:
    """Run the demo and return the exit code.

    Args:
        directory: Keeps everything; a second run goes on with what it finds.
        port: The MoM's; 0 takes a free one.
        once: Stop after the story instead of serving on.
        attached: Further tables.
        with_parent: Stop when standard input ends.

    Raises:
        StartupError: When the port is taken or a process did not start.
    """
    stopping = threading.Event()
    on_stop_signals(stopping.set)
    if with_parent:
        watch_parent(stopping)
    directory = directory.resolve()
    ready = directory / "ready"
    ready.unlink(missing_ok=True)
    require_free_port(_HOST, port)
    roots = {
        cluster: [one.location for one in attached if one.name.cluster == cluster]
        for cluster in MEMBERS
    }
    federation = DemoFederation(directory, port, roots)
    federation.create()
    _load_tables(federation, stopping)
    _attach_tables(federation, attached)
    _add_users(federation)
    if stopping.is_set():
        return FAILED
    with federation.running():
        federation.write_profiles()
        differences = Story(federation, console).play()
        for difference in differences:
            console.print(difference, style="bold red", markup=False, highlight=False)
        if once:
            _tell_outcome(differences)
            return FAILED if differences else 0
        _tell_how_to_connect(federation)
        ready.touch()
        try:
            while not stopping.wait(_WATCH_S):
                federation.check_alive()
        finally:
            ready.unlink(missing_ok=True)
            console.print("stopping", style="dim")
    return 0


def _load_tables(federation: DemoFederation, stopping: threading.Event) -> None:
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console) as progress:
        for table in _TABLES:
            desk = TableDesk.open(federation.member_home(table.cluster))
            name = f"{table.name}@{table.cluster}"
            if desk.find(table.name) is not None:
                console.print(f"{name} is there already", style="dim", highlight=False)
                continue
            task = progress.add_task(f"loading {name}", total=table.row_count)
            desk.load_batches(
                table.name,
                _until(stopping, table.read()),
                partition_by=table.partition_by,
                progress=partial(_advance, progress, task),
            )


def _advance(progress: Progress, task: TaskID, row_count: int) -> None:
    progress.update(task, completed=row_count)


def _until(
    stopping: threading.Event, batches: Iterator[pa.RecordBatch]
) -> Iterator[pa.RecordBatch]:
    for batch in batches:
        if stopping.is_set():
            raise KeyboardInterrupt
        yield batch


def _attach_tables(federation: DemoFederation, attached: Sequence[AttachedTable]) -> None:
    for one in attached:
        desk = TableDesk.open(federation.member_home(one.name.cluster))
        table = desk.attach(one.name.local, one.location, replace=True)
        console.print(
            f"attached {table.name}: {table.row_count:,} rows in {table.file_count} files",
            highlight=False,
        )


def _add_users(federation: DemoFederation) -> None:
    for user, cluster in USERS.items():
        home = federation.member_home(cluster)
        database = home.open_database()
        with database.read() as connection:
            is_there = UserStore(connection).find(user) is not None
        database.close()
        if not is_there:
            UserDesk(home).add(user, federation.password(user), readable=("*",))


def _tell_outcome(differences: Sequence[str]) -> None:
    if differences:
        console.print(f"\n{len(differences)} steps differ", style="bold red")
    else:
        console.print("\nthe story came out as it should", style="bold green")


def _tell_how_to_connect(federation: DemoFederation) -> None:
    profile = federation.profile_file("user1")
    query = f"select count(*) from {FLIGHTS}"
    console.rule("the federation is served; Ctrl-C stops it")
    console.print(f"the MoM: {federation.uri(MOM)}", highlight=False)
    for name in MEMBERS:
        console.print(f"{name}: {federation.uri(name)}", highlight=False)
    console.print("\n[bold]on the command line[/bold]", highlight=False)
    console.print(
        escape(f'flight-mom query --profile {profile} "{query}"'), highlight=False, soft_wrap=True
    )
    console.print("\n[bold]in Python, with ADBC[/bold]", highlight=False)
    console.print(escape(_SNIPPET.format(profile=profile, query=query)), highlight=False)


_SNIPPET = """\
import json
from adbc_driver_flightsql import dbapi

me = json.load(open("{profile}"))
with dbapi.connect(
    me["uri"],
    db_kwargs={{"username": me["username"], "password": me["password"]}},
    autocommit=True,
) as connection, connection.cursor() as cursor:
    cursor.execute("{query}")
    print(cursor.fetch_arrow_table())
"""
