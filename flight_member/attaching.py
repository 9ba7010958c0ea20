"""Carries out CREATE EXTERNAL TABLE: files that somebody else writes, and that stay where they are.

A place is named by its path, and paths lead to whatever lies there. So it must lie in one of the
configured roots or object stores, not among the files of managed tables, and not where another
table lies that the caller may not read. All of that is refused in the same words, whether or not
anything is there.
"""

from collections.abc import Callable
from pathlib import Path

import pyarrow as pa

from flight_member.answers import answer
from flight_member.asked import Asked
from flight_member.gatekeeper import Gatekeeper
from flight_member.jobs import Job
from flight_member.memberhome import MemberHome
from flight_member.memberstate import MemberState
from flight_member.tablemaking import TableMaker
from flight_member.tables import TableDesk
from planner import CreateExternalTable
from storage.errors import UnusableTableError
from storage.objecturl import is_remote


class Attacher:
    """Makes external tables of one member, for its own users."""

    def __init__(
        self,
        home: MemberHome,
        state: MemberState,
        gatekeeper: Gatekeeper,
        making: TableMaker,
        tables: TableDesk,
        changed: Callable[[], object],
    ) -> None:
        """Keep what it takes; `changed` is called after each change, when it is durable."""
        self._home = home
        self._state = state
        self._gatekeeper = gatekeeper
        self._making = making
        self._tables = tables
        self._changed = changed

    def create(self, asked: Asked, create: CreateExternalTable, job: Job) -> pa.Table:
        """Make a table of files.

        Returns:
            One row: {status: utf8, row_count: int64, warning: utf8}.

        Raises:
            NotFoundError: When its schema is not there, or the caller may not know of it.
            PermissionDeniedError: When they may not make tables there.
            TableExistsError: When there is such a table.
            UnusableTableError: When the location is none that they may name, or no table.
        """
        job.run()
        record = self._making.require_maker(asked, create.table)
        known = self._state.snapshot.table(create.table)
        if known is not None and create.if_not_exists:
            return answer(CreateExternalTable, [("exists already", None, None)])
        location = self._require_location(asked, create.location)
        table = self._tables.attach(
            create.table.local,
            location,
            partition_by=create.partition_columns,
            record=record,
            owner=asked.caller.name,
        )
        self._changed()
        return answer(CreateExternalTable, [("created", table.row_count, None)])

    def _require_location(self, asked: Asked, written: str) -> str:
        """Return a place that the caller may make a table of."""
        place = self._find_remote(written) if is_remote(written) else self._find_local(written)
        if place is None or self._holds_hidden(asked, place):
            raise UnusableTableError(
                "the location lies outside the configured roots, or where you may not read; name a "
                "directory below one of tables.roots, or a prefix below one of tables.object_stores"
            )
        return place

    def _find_remote(self, written: str) -> str | None:
        try:
            return self._home.object_stores.require_within(written)
        except UnusableTableError:
            return None

    def _find_local(self, written: str) -> str | None:
        location = Path(written)
        real = location.resolve()
        managed = self._home.tables_directory.resolve()
        is_within = location.is_absolute() and any(
            real.is_relative_to(root.resolve()) for root in self._home.settings.tables.roots
        )
        overlaps_managed = real.is_relative_to(managed) or managed.is_relative_to(real)
        return str(real) if is_within and not overlaps_managed else None

    def _holds_hidden(self, asked: Asked, place: str) -> bool:
        """Whether a table lies there that the caller may not read."""
        if asked.caller.administers(self._home.settings.cluster.name):
            return False
        return any(
            not self._gatekeeper.may_read(asked.caller, table.name)
            for table in self._state.snapshot.metastore.all_tables()
            if table.location is not None and _overlaps(place, table.location)
        )


def _overlaps(one: str, other: str) -> bool:
    return Path(one).is_relative_to(other) or Path(other).is_relative_to(one)
