"""`keep`: the handler that appends the rows of heartbeats to a table of the MoM's own.

What `append` has returned from is kept: it lies in the spool, synchronised, before that, and is
removed from there when it is in the table. So `kill -9` loses no row that was acknowledged or that
a statement has shown, and adds none twice. The table is partitioned by cluster and day (UTC, of
`received_at`); rows go into it in batches, its small files are joined, and days that are too old
are removed. Replicas over one state write into one table, each what it took itself.
"""

import threading
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from auth import AuditRecord
from flight_member.clock import Moment
from flight_member.logs import get_logger
from flight_member.managedtables import ManagedTables
from flight_member.noderow import PERF_SCHEMA
from flight_member.statestore import Database
from flight_mom.processfolder import ProcessFolder
from flight_mom.settings import MomHeartbeatSection
from flight_mom.spool import Spool
from storage.appendonce import append_once
from storage.delta import latest_version
from storage.deltaretention import remove_partitions
from storage.errors import StorageError, TableExistsError, WriteConflictError
from storage.metastore import Table
from storage.names import ObjectName
from storage.partitionwriter import Pause
from storage.tablestore import TableStore
from storage.tidying import optimize, vacuum

_log = get_logger(__name__)
KEPT_SCHEMA = PERF_SCHEMA.append(pa.field("day", pa.date32(), nullable=False))
"""As a heartbeat's rows, and `day`: the UTC date of `received_at`."""
_PARTITIONS = ("cluster_name", "day")
# So long the spool grows when the table cannot be written; a file is about a second.
_MAX_FILES = 200_000
_FILES_PER_BATCH = 600
_TIDY_EVERY_S = 1_800.0
# A commit writes a file for each cluster. With a thousand of them that takes seconds of a core:
# after each so much of it, it rests for so many times as long, and takes no more of any minute.
_AT_A_TIME_S = 0.05
_REST = 40.0
# Statements have a ticket for five minutes, and run for ten at most.
_READABLE_S = 3_600.0


class HeartbeatKeeper:
    """The table, the spool before it, and the thread that moves rows from one to the other."""

    def __init__(
        self,
        name: ObjectName,
        database: Database,
        tables_directory: Path,
        spool_directory: Path,
        settings: MomHeartbeatSection,
        now: Moment,
        noticed: Callable[[], object],
        may_tidy: Callable[[], bool] = lambda: True,
    ) -> None:
        """Take over what killed processes left.

        Args:
            name: The table's.
            database: Where the MoM's metastore is.
            tables_directory: Where its tables lie.
            spool_directory: Where rows wait.
            settings: How often, and for how long.
            now: The clock.
            noticed: Called when the metastore has changed.
            may_tidy: Whether it is this replica that looks after the table for all of them.
        """
        tables_directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._name = name
        self._database = database
        self._managed = ManagedTables(database, tables_directory)
        self._folder = ProcessFolder(spool_directory)
        self._spool = Spool(self._folder.path)
        self._settings = settings
        self._now = now
        self._noticed = noticed
        self._may_tidy = may_tidy
        self._moving = threading.Lock()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="keep", daemon=True)

    def append(self, rows: pa.Table) -> None:
        """Keep rows of heartbeats; they are not lost any more once this has returned.

        Raises:
            RuntimeError: When the table could not be written for so long that too much waits.
        """
        if self._spool.file_count >= _MAX_FILES:
            raise RuntimeError("too much waits to be written into the table")
        self._spool.write(rows)

    def start(self) -> None:
        """Begin to move rows into the table."""
        self._thread.start()

    def stop(self) -> None:
        """Move what is there, without any rest, and stop."""
        self._stopping.set()
        if self._thread.ident is not None:
            self._thread.join(timeout=10)
        self._folder.close()

    def commit(self) -> None:
        """Move what waits into the table, also what processes left that are gone."""
        with self._moving:
            # Also before the first row: it can be granted then.
            table = self._find() or self._create()
            self._move(self._spool, table)
            with self._folder.left() as folders:
                for folder in folders:
                    self._move(Spool(folder), table)
                    if not any(folder.iterdir()):
                        folder.rmdir()

    def tidy(self) -> None:
        """Remove days that are too old, join small files, remove files that nobody needs."""
        table = self._find()
        if table is None or not self._may_tidy():
            return
        oldest = (self._now() - timedelta(days=self._settings.keep_days)).date()
        remove_partitions(table, lambda values: values["day"] < oldest)
        try:
            joined = optimize(table, pause=self._resting())
        except WriteConflictError:
            return  # another replica was faster
        vacuum(table, keep_s=_READABLE_S)
        self._managed.note(table)
        self._noticed()
        _log.info("heartbeats_tidied", table=str(self._name), file_count=len(joined.state.files))

    def _run(self) -> None:
        # At once: what was left lies there for long enough.
        rest_s = self._try(self.commit)
        tidy_at = time.monotonic() + _TIDY_EVERY_S
        # Also what reads the table's log takes, which grows until the table is tidied.
        while not self._stopping.wait(max(self._settings.commit_s, rest_s)):
            rest_s = self._try(self.commit)
            if time.monotonic() >= tidy_at:
                self._try(self.tidy)
                tidy_at = time.monotonic() + _TIDY_EVERY_S
        self._try(self.commit)

    @staticmethod
    def _try(act: Callable[[], None]) -> float:
        """Do something, whatever comes of it; returns for how long to rest from it, in seconds."""
        began_s, busy_s = time.monotonic(), time.thread_time()
        try:
            act()
        except Exception as error:  # noqa: BLE001  what waits is tried again
            code = error.code if isinstance(error, StorageError) else type(error).__name__
            _log.exception("heartbeats_not_kept", code=code)
        # What it rested meanwhile counts.
        return (time.thread_time() - busy_s) * _REST - (time.monotonic() - began_s)

    def _resting(self) -> Pause:
        """Return what rests when the thread has taken much of a core since it last did."""
        since_s = time.thread_time()

        def rest() -> None:
            nonlocal since_s
            took_s = time.thread_time() - since_s
            if took_s >= _AT_A_TIME_S:
                self._stopping.wait(took_s * _REST)
                since_s = time.thread_time()

        return rest

    def _move(self, spool: Spool, table: Table) -> None:
        while True:
            since = latest_version(Path(str(table.location)))
            batch = spool.form_batch(since, _FILES_PER_BATCH)
            if batch is None:
                return
            rows = batch.read()
            if rows is not None:
                kept = _with_day(rows, table.arrow_schema)
                append_once(
                    table,
                    kept.to_batches(),
                    mark=batch.mark,
                    since=batch.since,
                    pause=self._resting(),
                )
                self._managed.note(table)
                self._noticed()
            spool.remove(batch)

    def _find(self) -> Table | None:
        with self._database.read() as connection:
            tables = TableStore(connection).all()
        return next((table for table in tables if table.name == self._name), None)

    def _create(self) -> Table:
        record = AuditRecord(
            at=self._now(),
            actor=self._name.cluster,
            source="server",
            action="create table",
            object=str(self._name),
            allowed=True,
        )
        try:
            table = self._managed.create(self._name, KEPT_SCHEMA, _PARTITIONS, record=record)
        except TableExistsError:
            found = self._find()  # another replica was faster
            if found is None:
                raise
            return found
        self._noticed()
        return table


def _with_day(rows: pa.Table, arrow_schema: pa.Schema) -> pa.Table:
    """Return rows as the table has them, those of one node together.

    A table that an older version made has fewer columns, and keeps them.
    """
    day = pc.cast(rows["received_at"], pa.date32())
    kept = rows.append_column(KEPT_SCHEMA.field("day"), day)
    order = [("cluster_name", "ascending"), ("node", "ascending"), ("received_at", "ascending")]
    return kept.sort_by(order).select(arrow_schema.names)
