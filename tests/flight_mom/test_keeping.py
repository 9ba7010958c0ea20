"""The table of heartbeats: what was acknowledged is in it, once, whatever kills the MoM when."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.dataset as ds
import pytest

from flight_member.noderow import NodeRow, perf_table
from flight_mom.keeping import KEPT_SCHEMA, HeartbeatKeeper
from flight_mom.momhome import MomHome
from flight_mom.settings import MomHeartbeatSection
from storage.deltalog import DeltaLog, DeltaState
from storage.metastore import Table, TableKind
from storage.names import ObjectName
from storage.tablestore import TableStore
from tests.flight_member.factories import NOW, Clock
from tests.flight_member.test_noderow import FIRST_VERSION
from tests.flight_mom.factories import MOM, Mom, make_mom_settings

NAME = ObjectName.parse("monitor.heartbeat.cluster_perf", cluster=MOM)
DAY_S = 86_400.0


class Kept:
    """A keeper whose thread does not run, over the database of a MoM without a server."""

    def __init__(self, mom: Mom) -> None:
        self.mom = mom
        self.clock = mom.clock
        self.notices: list[bool] = []
        self.keeper = self.open()

    def open(self, **settings: object) -> HeartbeatKeeper:
        return HeartbeatKeeper(
            NAME,
            self.mom.database,
            self.mom.home.tables_directory,
            self.mom.home.spool_directory,
            MomHeartbeatSection.model_validate(settings),
            self.clock,
            lambda: self.notices.append(True),
        )

    def table(self) -> Table | None:
        with self.mom.database.read() as connection:
            found = TableStore(connection).all()
        return found[0] if found else None

    def state(self) -> DeltaState:
        table = self.table()
        assert table is not None
        return DeltaLog(Path(str(table.location))).read()

    def rows(self) -> list[dict[str, object]]:
        """Return the rows of the newest version, without their partition's columns."""
        table = self.table()
        assert table is not None
        files = [f"{table.location}/{file.path}" for file in self.state().files]
        found: list[dict[str, object]] = ds.dataset(files).to_table().to_pylist()
        return sorted(found, key=lambda row: str((row["received_at"], row["node"])))


@pytest.fixture
def kept(mom: Mom) -> Iterator[Kept]:
    kept = Kept(mom)
    yield kept
    kept.keeper.stop()


def beat(*clusters: str, at: datetime = NOW, node: str = "n1") -> pa.Table:
    row = NodeRow(**(FIRST_VERSION | {"node": node}), sampled_at=(at - timedelta(1)).timestamp())
    return perf_table((cluster, at.timestamp(), [row]) for cluster in clusters)


def test_table_is_made_at_once_and_partitioned_by_cluster_and_day(kept: Kept) -> None:
    kept.keeper.commit()
    empty = kept.table()
    assert empty is not None
    assert empty.row_count == 0
    kept.keeper.append(beat("a", "b"))
    kept.keeper.append(beat("a", at=NOW + timedelta(days=1)))
    kept.keeper.commit()
    table = kept.table()
    assert table is not None
    assert (table.name, table.kind, table.row_count) == (NAME, TableKind.MANAGED, 3)
    assert table.partition_columns == ("cluster_name", "day")
    assert set(table.arrow_schema.names) == set(KEPT_SCHEMA.names)
    # The day of arrival, and not what the node believes it is.
    days = [date(2026, 8, 1), date(2026, 8, 2)]
    assert sorted(file.values for file in kept.state().files) == [
        ("a", days[0]),
        ("a", days[1]),
        ("b", days[0]),
    ]
    assert kept.notices


def test_rows_of_many_seconds_go_into_one_file_of_their_partition(kept: Kept) -> None:
    for second in range(60):
        kept.keeper.append(beat("a", "b", at=NOW + timedelta(seconds=second)))
    kept.keeper.commit()
    state = kept.state()
    # Made empty, then one commit.
    assert (state.version, len(state.files), state.row_count) == (1, 2, 120)
    assert len(kept.rows()) == 120


def test_small_files_are_joined_and_old_days_removed(kept: Kept) -> None:
    keeper = kept.open(keep_days=2)
    for day in range(5):
        for hour in range(3):
            at = NOW + timedelta(days=day, hours=hour)
            keeper.append(beat("a", "b", at=at))
            keeper.commit()
    kept.clock.move(4 * DAY_S)
    assert len(kept.state().files) == 30
    keeper.tidy()
    state = kept.state()
    assert (len(state.files), state.row_count) == (6, 18)
    assert min(row["received_at"] for row in kept.rows()) == NOW + timedelta(days=2)  # type: ignore[type-var]  # datetimes
    table = kept.table()
    assert table is not None
    assert table.snapshot == state.snapshot
    keeper.stop()


def test_nothing_is_left_behind_when_it_stops(kept: Kept) -> None:
    keeper = kept.open(commit_s=3600)
    keeper.start()
    keeper.append(beat("a"))
    keeper.stop()
    assert len(kept.rows()) == 1
    assert [one for one in kept.mom.home.spool_directory.iterdir() if any(one.iterdir())] == []


def test_replicas_write_into_one_table(kept: Kept) -> None:
    other = kept.open()
    for keeper, cluster in ((kept.keeper, "a"), (other, "b"), (kept.keeper, "c")):
        keeper.append(beat(cluster))
    other.commit()
    kept.keeper.commit()
    assert sorted(file.values[0] for file in kept.state().files) == ["a", "b", "c"]  # type: ignore[type-var]  # texts
    other.stop()


# A MoM that is killed at a place in the middle of its work, which the last argument names.
_KILLED = """
import json, os, signal, sys
from pathlib import Path
from tests.flight_mom.test_keeping import keep_and_die
keep_and_die(Path(sys.argv[1]), sys.argv[2], sys.argv[3], int(sys.argv[4]))
"""
_AGAIN = ("before rows are committed", "in the middle of forgetting")
_PLACES = {
    "before the batch is formed": "flight_mom.spool.Spool.form_batch",
    "before the table is made": "flight_member.managedtables.ManagedTables.create",
    "before rows are committed": "flight_mom.keeping.append_once",
    "in the middle of the commit": "storage.deltalog.DeltaLog.append",
    "before the metastore knows": "flight_member.managedtables.ManagedTables.note",
    "before the spool forgets": "flight_mom.spool.Spool.remove",
    "in the middle of forgetting": "flight_mom.spool.sync",
}


def keep_and_die(directory: Path, database_url: str, place: str, nth: int) -> None:
    """Append rows for ever, telling of each that was acknowledged, until a place is reached."""
    home = MomHome(make_mom_settings(directory, state__database=database_url))
    now = Clock(datetime.now(UTC))
    with closing(home.open_database()) as database:
        keeper = HeartbeatKeeper(
            NAME,
            database,
            home.tables_directory,
            home.spool_directory,
            MomHeartbeatSection(),
            now,
            lambda: None,
        )
        target, _, name = _PLACES[place].rpartition(".")
        owner, _, kind = target.rpartition(".")
        module = sys.modules[target] if target in sys.modules else sys.modules[owner]
        holder = module if target in sys.modules else getattr(module, kind)
        original, calls = getattr(holder, name), [0]

        def die(*arguments: object, **named: object) -> object:
            calls[0] += 1
            if calls[0] >= nth and is_armed:
                os.kill(os.getpid(), signal.SIGKILL)
            return original(*arguments, **named)

        is_armed = False
        pytest.MonkeyPatch().setattr(holder, name, die)
        for number in range(1, 200):
            keeper.append(beat("a", node=f"n{number}"))
            sys.stdout.write(f"{json.dumps(number)}\n")
            sys.stdout.flush()
            if number % 5 == 0:
                is_armed = True
                keeper.commit()
                is_armed = False


@pytest.mark.parametrize(
    "place, nth",
    [*((place, 1) for place in _PLACES), *((place, 2) for place in _AGAIN)],
)
def test_kill_loses_nothing_acknowledged_and_adds_nothing_twice(
    mom: Mom, place: str, nth: int
) -> None:
    directory, database_url = mom.home.directory, mom.settings.state.database_url
    killed = subprocess.run(  # noqa: S603  our own program
        [sys.executable, "-c", _KILLED, str(directory), database_url, place, str(nth)],
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    acknowledged = [f"n{line}" for line in killed.stdout.splitlines()]
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert acknowledged
    kept = Kept(mom)
    # Whoever starts next takes over what was left, and so it does when it is killed in turn.
    kept.keeper.commit()
    nodes = sorted((str(row["node"]) for row in kept.rows()), key=lambda name: int(name[1:]))
    assert nodes == acknowledged
    kept.keeper.commit()
    assert len(kept.rows()) == len(acknowledged)
    kept.keeper.stop()
