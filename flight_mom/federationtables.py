"""The live tables of `system.federation`: what the federation knows of itself, in SQL.

Everybody sees their own part: administrators of the federation all of it, administrators of a
member what concerns its objects and users, everybody else what concerns themselves.
"""

from collections.abc import Callable

import pyarrow as pa

from auth import Identity
from auth.auditstore import AuditStore, Viewer, is_selectable
from flight_member.answers import answer_schema
from flight_member.audit import AuditTrail
from flight_member.auditrows import AUDIT_SCHEMA, audit_rows
from flight_member.errors import ScanLimitError
from flight_member.livetables import Wanted
from flight_member.statestore import Database
from flight_sql import Call
from planner import Statement
from storage.names import SYSTEM_CATALOG

_NEWEST_BY = {None, "at"}


class AuditTable:
    """`audit`: every decision and every administrative act.

    What a statement filters by (times, and equality of who, what and which) is sought by the
    database's indexes; of the rest no more than so many records are looked at.
    """

    name = "audit"
    arrow_schema = AUDIT_SCHEMA

    def __init__(
        self, mom: str, database: Database, trail: AuditTrail, *, max_record_count: int
    ) -> None:
        """Keep where the records lie, and how many one statement may look at."""
        self._mom = mom
        self._database = database
        self._trail = trail
        self._max_record_count = max_record_count

    def rows(self, wanted: Wanted) -> pa.Table:
        """Return the records that the caller may see and the statement can need.

        Raises:
            ScanLimitError: When it needs more of them than one statement may look at.
        """
        self._trail.settle()
        needed, bound = wanted.needed, self._max_record_count
        conditions = [
            (one.column, one.operator, one.value)
            for one in needed.conditions
            if is_selectable(one.column, one.operator, one.value)
        ]
        is_exact = len(conditions) == len(needed.conditions) and needed.newest_by in _NEWEST_BY
        row_count = needed.row_count if is_exact else None
        with self._database.read() as connection:
            records = AuditStore(connection).select(
                viewer_of(wanted.caller, self._mom),
                conditions,
                limit=bound + 1 if row_count is None else min(row_count, bound + 1),
                is_newest=row_count is not None and needed.newest_by is not None,
            )
        if len(records) > bound:
            raise ScanLimitError(
                f"the statement needs more than {bound:,} records of the audit; narrow the time "
                "range, as in WHERE at >= now() - INTERVAL '1 day', or ask for the newest with "
                "ORDER BY at DESC LIMIT 100"
            )
        return audit_rows(records)


class AnswerTable:
    """A table with the rows that a SHOW statement answers."""

    def __init__(
        self, name: str, statement: Statement, answer: Callable[[Call, Statement], pa.Table]
    ) -> None:
        """Keep the statement, and what answers it for a call."""
        self.name = name
        self.arrow_schema = answer_schema(statement)
        self._statement = statement
        self._answer = answer

    def rows(self, wanted: Wanted) -> pa.Table:
        """Return what the caller would be shown."""
        return self._answer(wanted.call, self._statement)


class TablesTable:
    """`tables`: every table that the caller may read, as the MoM's metastore has it."""

    name = "tables"
    arrow_schema = pa.schema(
        [
            pa.field("cluster_name", pa.utf8(), nullable=False),
            pa.field("catalog_name", pa.utf8(), nullable=False),
            pa.field("schema_name", pa.utf8(), nullable=False),
            pa.field("table_name", pa.utf8(), nullable=False),
            pa.field("column_count", pa.int64(), nullable=False),
            pa.field("row_count", pa.int64(), nullable=False),
            pa.field("byte_count", pa.int64(), nullable=False),
            pa.field("file_count", pa.int64(), nullable=False),
            pa.field("schema_version", pa.int64(), nullable=False),
        ]
    )

    def rows(self, wanted: Wanted) -> pa.Table:
        """Return one row per table, ordered by name."""
        tables = [one.table for one in wanted.listing(None) if one.catalog != SYSTEM_CATALOG]
        rows = [
            (
                table.name.cluster,
                table.name.catalog,
                table.name.schema,
                table.name.table,
                len(table.arrow_schema),
                table.row_count,
                table.byte_count,
                table.file_count,
                table.schema_version,
            )
            for table in sorted(tables, key=lambda table: table.name)
        ]
        columns = list(zip(*rows, strict=True)) or [()] * len(self.arrow_schema)
        arrays = [
            pa.array(values, field.type)
            for values, field in zip(columns, self.arrow_schema, strict=True)
        ]
        return pa.table(arrays, schema=self.arrow_schema)


def viewer_of(caller: Identity, mom: str) -> Viewer:
    """Return which part of the audit a caller sees."""
    return Viewer(
        caller.name,
        administers=caller.cluster if caller.is_admin else None,
        sees_all=caller.administers(mom),
    )
