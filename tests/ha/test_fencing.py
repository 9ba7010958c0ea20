"""What a controller had begun before it was paused, when it wakes and another has taken over."""

from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from uuid import uuid4

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from flight_member import statestore
from flight_member.configuration import load_settings
from flight_member.departures import terminal_record
from flight_member.errors import FencedError, StateUnavailableError
from flight_member.leadership import Leadership, place_of
from flight_member.leasestore import LeaseStore
from flight_member.managedtables import ManagedTables
from flight_member.memberhome import MemberHome
from flight_member.placechanges import changing_objects
from flight_member.settings import MemberSettings
from flight_member.statestore import Database
from flight_member.tables import TableDesk
from storage.delta import append_rows, overwrite_rows, read_state
from storage.lastlook import take_last_look
from storage.metastore import Table
from storage.names import ObjectName
from storage.tidying import optimize, vacuum
from tests.databases import PostgresServer
from tests.waiting import wait_until

pytestmark = pytest.mark.ha
QUOTE = "trading.stock.quote"
NAME = ObjectName.parse(QUOTE, cluster="shanghai")
OTHER = ObjectName.parse("trading.stock.other", cluster="shanghai")
TTL_S = 1.0


@dataclass
class Sleeper:
    """A controller that is paused in the middle of what it does, and wakes a leader later."""

    home: MemberHome
    database: Database
    leadership: Leadership

    @property
    def managed(self) -> ManagedTables:
        return ManagedTables(self.database, self.home.tables_directory)

    @property
    def desk(self) -> TableDesk:
        return TableDesk("shanghai", self.database, self.home)

    @property
    def table(self) -> Table:
        found = self.desk.find(QUOTE)
        assert found is not None
        return found

    @property
    def version(self) -> int:
        """The newest version in the table's own log."""
        return read_state(Path(str(self.table.location))).version

    def sleep(self) -> None:
        """Lose the place and the lead, as in a pause, and have both again before going on."""
        with self.database.aside() as connection:
            leases = LeaseStore(connection)
            for name in ("leader", place_of("a")):
                row = leases.find(name)
                assert row is not None
                leases.give_up(name, "a", row.number)
        wait_until(self._is_awake, 20)

    def _is_awake(self) -> bool:
        try:
            for begun in (self.leadership.changing, self.leadership.leading):
                with begun():
                    take_last_look()
        except FencedError:
            return False
        return True

    def rows(self, *, sleeps: bool) -> Iterator[pa.RecordBatch]:
        """Yield rows to write; before the last of them comes the pause."""
        batch = pa.record_batch({"n": list(range(10))})
        yield batch
        if sleeps:
            self.sleep()
        yield batch


@pytest.fixture
def sleeper(tmp_path: Path, postgresql: PostgresServer) -> Iterator[Sleeper]:
    flags = {
        "cluster.name": "shanghai",
        "state.directory": str(tmp_path),
        "state.database": postgresql.url(f"fencing_{uuid4().hex}"),
    }
    home = MemberHome.create(load_settings(MemberSettings, None, flags).settings)
    with closing(home.open_database()) as database:
        leadership = Leadership(database, "a", TTL_S)
        sleeper = Sleeper(home, database, leadership)
        leadership.start()
        wait_until(lambda: leadership.is_leader and leadership.may_change, 20)
        sleeper.managed.create(
            NAME,
            pa.schema({"n": pa.int64()}),
            batches=sleeper.rows(sleeps=False),
            record=terminal_record("load", NAME),
        )
        append_rows(sleeper.table, sleeper.rows(sleeps=False))
        sleeper.managed.note(sleeper.table)
        yield sleeper
        leadership.stop()


def insert(sleeper: Sleeper) -> None:
    append_rows(sleeper.table, sleeper.rows(sleeps=True))


def overwrite(sleeper: Sleeper) -> None:
    overwrite_rows(sleeper.table, sleeper.rows(sleeps=True))


def tidy(sleeper: Sleeper) -> None:
    slept: list[int] = []

    def progress(row_count: int) -> None:
        if not slept:
            slept.append(row_count)
            sleeper.sleep()

    optimize(sleeper.table, progress=progress)


def load(sleeper: Sleeper) -> None:
    sleeper.managed.create(
        OTHER,
        pa.schema({"n": pa.int64()}),
        batches=sleeper.rows(sleeps=True),
        record=terminal_record("load", OTHER),
    )


def drop(sleeper: Sleeper) -> None:
    sleeper.sleep()
    with changing_objects(sleeper.database) as stores:
        stores.drop(NAME, terminal_record("drop", NAME))


def drop_in_the_transaction(sleeper: Sleeper) -> None:
    with changing_objects(sleeper.database) as stores:
        stores.drop(NAME, terminal_record("drop", NAME))
        # Who says nothing for so long is not waited for by the next.
        with sleeper.database.aside(waits_for_changes=True):
            pass


def remove_old_files(sleeper: Sleeper) -> None:
    sleeper.sleep()
    vacuum(sleeper.table, keep_s=0)


def look_for_files(sleeper: Sleeper) -> None:
    """Look for changes of an external table, which the leader alone does again and again."""
    slept: list[Table] = []
    every = TableDesk.all

    def all_then_sleep(desk: TableDesk) -> list[Table]:
        slept.extend(every(desk))
        sleeper.sleep()
        return slept

    desk = sleeper.desk
    desk.all = partial(all_then_sleep, desk)  # type: ignore[method-assign]  # where it is paused
    desk.rescan()


def kept(sleeper: Sleeper) -> tuple[object, ...]:
    """Return all that a change could have left: in the database, in the log and on the disk."""
    files = sorted(
        path.relative_to(sleeper.home.tables_directory)
        for path in sleeper.home.tables_directory.rglob("*")
        if path.is_file() and ".snapshots" not in path.parts
    )
    tables = sleeper.desk.all()
    return ([(one.name, one.snapshot) for one in tables], tables and sleeper.version, files)


@pytest.mark.parametrize(
    "act",
    [insert, overwrite, tidy, load, drop, drop_in_the_transaction, remove_old_files],
    ids=lambda act: act.__name__,
)
def test_nothing_is_left_of_what_was_begun_before_the_pause(
    sleeper: Sleeper, act: Callable[[Sleeper], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(statestore, "_PAUSE_S", 0.5)
    if act is remove_old_files:
        optimize(sleeper.table)
    before = kept(sleeper)
    with pytest.raises((FencedError, StateUnavailableError)) as caught:
        carry_out(sleeper, act)
    assert caught.value.retryable
    assert "nothing was changed" in str(caught.value)
    assert kept(sleeper) == before
    # Once more, and awake: it is done.
    monkeypatch.setattr(Sleeper, "sleep", lambda _: None)
    if act is not drop_in_the_transaction:
        carry_out(sleeper, act)
        assert kept(sleeper) != before


def carry_out(sleeper: Sleeper, act: Callable[[Sleeper], None]) -> None:
    with sleeper.leadership.changing():
        act(sleeper)


def test_leader_that_wakes_writes_nothing_of_what_it_saw_of_files_before(
    sleeper: Sleeper, tmp_path: Path
) -> None:
    (tmp_path / "tables" / "quotes").mkdir()
    pq.write_table(pa.table({"n": [1]}), tmp_path / "tables" / "quotes" / "one.parquet")
    sleeper.desk.attach("trading.stock.outside", tmp_path / "tables" / "quotes")
    pq.write_table(pa.table({"n": [2]}), tmp_path / "tables" / "quotes" / "two.parquet")
    before = kept(sleeper)
    with pytest.raises(FencedError), sleeper.leadership.leading():
        look_for_files(sleeper)
    assert kept(sleeper) == before
    with sleeper.leadership.leading():
        assert sleeper.desk.rescan()


def test_what_was_committed_before_the_pause_is_told_as_done(sleeper: Sleeper) -> None:
    with sleeper.leadership.changing():
        append_rows(sleeper.table, sleeper.rows(sleeps=False))
        sleeper.sleep()
        assert sleeper.managed.note(sleeper.table).row_count == 60
