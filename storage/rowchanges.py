"""Removes and changes rows of managed tables, as the engine understands the statement's words.

Which rows a condition chooses, and what an expression makes of them, is asked of the same engine
that answers queries. Files without such rows are left alone; of the others the rows that stay, and
the changed ones, are written anew, and one commit puts the new files in the place of the old.

Every row of a file that is rewritten must come out as exactly one of chosen and left: that is
counted, so that no condition, however odd, can lose a row.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol
from uuid import uuid4

import pyarrow as pa

from storage.assigning import assigned
from storage.delta import Change, open_newest
from storage.deltafiles import PendingFiles, Progress, no_progress, pending_files
from storage.deltalog import DataFile, DeltaLog, DeltaState
from storage.deltasnapshots import Snapshots, link_files
from storage.engine import Engine
from storage.errors import StatementRefusedError
from storage.metastore import Table, TableKind
from storage.parquet import list_files, snapshot_of

_NUMBER = "file_number"
_WHOLE = -1
_VOLATILE = re.compile(r"\b(?:random|uuid\w*|gen_random_uuid)\(", re.IGNORECASE)
_UNSURE = StatementRefusedError(
    "the condition does not choose the same rows each time it is looked at; first write what it "
    "chooses into a column"
)


@dataclass(frozen=True, slots=True)
class Wording:
    """The words of a statement that changes rows, as one would write them in a query.

    Attributes:
        condition: What stands after WHERE; None chooses every row.
        alias: What the table is called in it, if not by its name.
        others: Tables that its subqueries read, which may be the table itself.
        catalog: Where names of fewer than three parts are looked for.
        schema: Where names of one part are looked for.
        parameters: The values of its `$1`, `$2`, … or `$name`.
    """

    condition: str | None = None
    alias: str | None = None
    others: Sequence[Table] = ()
    catalog: str | None = None
    schema: str | None = None
    parameters: Mapping[str, pa.Scalar] | None = None


class ChangingEngine(Engine, Protocol):
    """An engine whose words for a statement this module understands: see `logical_plan`."""

    snapshots: Snapshots
    """Where versions are laid out."""

    def logical_plan(
        self,
        tables: Sequence[Table],
        text: str,
        *,
        catalog: str | None,
        schema: str | None,
        parameters: Mapping[str, pa.Scalar] | None = None,
    ) -> str:
        """Return what a statement means as DataFusion indents it; nothing runs.

        Raises:
            StorageError: As `execute` does.
        """


class RowChanger:
    """Changes rows of tables with one engine. Used from many threads."""

    def __init__(self, engine: ChangingEngine) -> None:
        """Keep the engine, which also lays out the versions that are changed."""
        self._engine = engine

    def delete(
        self,
        table: Table,
        wording: Wording,
        *,
        progress: Progress = no_progress,
        is_cancelled: Callable[[], bool] = bool,
    ) -> Change:
        """Remove the rows for which the condition is true.

        Args:
            table: As the metastore has it.
            wording: Which rows.
            progress: Told how many rows that stay have been written so far.
            is_cancelled: Asked between batches, and at least every 50 ms while waiting for one.

        Raises:
            WriteConflictError: When others removed or changed the same files meanwhile.
            StatementRefusedError: When it is not sure which rows are meant.
            StorageError: What the engine says to the condition.
        """
        location, base = open_newest(table)
        log = DeltaLog(location)
        if wording.condition is None:
            return Change(log.replace(base, base.files, (), "delete"), base.row_count)
        with self._reading(table, location, base, wording, is_cancelled) as reading:
            # What changes with every look is looked at once: every file is rewritten.
            touched = reading.touched(is_certain=not reading.is_volatile)
            if not touched:
                return Change(base, 0)
            with pending_files(location, base.arrow_schema, base.partition_columns) as pending:
                partly = reading.partly(touched)
                if partly:
                    pending.write(reading.left(partly), progress=progress)
                removed = reading.files(touched)
                row_count = sum(file.row_count for file in removed) - pending.row_count
                reading.require_counted(touched, row_count)
                state = log.replace(base, removed, pending.finish(), "delete")
        return Change(state, row_count)

    def update(
        self,
        table: Table,
        assignments: Mapping[str, str],
        wording: Wording,
        *,
        progress: Progress = no_progress,
        is_cancelled: Callable[[], bool] = bool,
    ) -> Change:
        """Give columns of the rows for which the condition is true other values.

        Args:
            table: As the metastore has it.
            assignments: An expression for each column; cast to the column's type as CAST does.
            wording: Which rows.
            progress: Told how many rows have been written so far.
            is_cancelled: Asked between batches, and at least every 50 ms while waiting for one.

        Raises:
            WriteConflictError: When others removed or changed the same files meanwhile.
            StatementRefusedError: When it is not sure which rows are meant.
            UnusableTableError: When a value does not fit its column.
            StorageError: What the engine says to the condition or an expression.
        """
        location, base = open_newest(table)
        sure = wording if wording.condition is not None else replace(wording, condition="true")
        with self._reading(table, location, base, sure, is_cancelled) as reading:
            if reading.is_volatile:
                raise _UNSURE
            touched = reading.touched(is_certain=True)
            if not touched:
                return Change(base, 0)
            with pending_files(location, base.arrow_schema, base.partition_columns) as pending:
                row_count = self._write_changed(reading, assignments, touched, pending, progress)
                removed = reading.files(touched)
                state = DeltaLog(location).replace(base, removed, pending.finish(), "update")
        return Change(state, row_count)

    @staticmethod
    def _write_changed(
        reading: "_Reading",
        assignments: Mapping[str, str],
        touched: Mapping[int, int],
        pending: PendingFiles,
        progress: Progress,
    ) -> int:
        """Write the rows of some files, changed where they are chosen; returns how many are."""
        pending.write(reading.chosen(list(touched), assignments), progress=progress)
        changed = pending.row_count
        reading.require_counted(touched, changed)
        partly = reading.partly(touched)
        if partly:
            pending.write(reading.left(partly), progress=progress)
        if pending.row_count != sum(file.row_count for file in reading.files(touched)):
            raise _UNSURE
        return changed

    @contextmanager
    def _reading(
        self,
        table: Table,
        location: Path,
        base: DeltaState,
        wording: Wording,
        is_cancelled: Callable[[], bool],
    ) -> "Iterator[_Reading]":
        with self._engine.snapshots.scratch() as scratch:
            numbered = _NUMBER
            while numbered in {name.lower() for name in base.arrow_schema.names}:
                numbered += "_"
            link_files(location, base, scratch / "files", numbered=numbered)
            target = _as_read(table, base, scratch / "files", numbered)
            reading = _Reading(self._engine, target, base, wording, numbered, is_cancelled)
            if reading.reads_itself:
                # In what it reads of itself the number of the file must not show.
                link_files(location, base, scratch / "plain")
                target = _as_read(table, base, scratch / "plain", None)
                reading = _Reading(self._engine, target, base, wording, None, is_cancelled)
            yield reading


class _Reading:
    """One version of a table, read by the words of a statement, file by file or as a whole."""

    def __init__(
        self,
        engine: ChangingEngine,
        target: Table | None,
        base: DeltaState,
        wording: Wording,
        numbered: str | None,
        is_cancelled: Callable[[], bool],
    ) -> None:
        self._engine = engine
        self._base = base
        self._wording = wording
        self._is_cancelled = is_cancelled
        self._number = _quoted(numbered) if numbered is not None else str(_WHOLE)
        self._is_empty = target is None
        self._tables: list[Table] = []
        if target is None:
            self.is_volatile = self.reads_itself = False
            return
        name = target.name
        others = [table for table in wording.others if table.name != name]
        self._tables = [target, *others]
        parts = (str(name.catalog), str(name.schema), str(name.table))
        self._from = ".".join(map(_quoted, parts))
        if wording.alias is not None:
            self._from += f" AS {_quoted(wording.alias)}"
        plan = engine.logical_plan(
            self._tables,
            self._select("1", f"(\n{wording.condition}\n)"),
            catalog=wording.catalog,
            schema=wording.schema,
            parameters=wording.parameters,
        )
        # A table of the same name elsewhere costs no more than the rewriting of some files.
        scans = re.findall(rf"TableScan: (?:\w+\.){{0,2}}{name.table}(?![\w.])", plan)
        self.reads_itself = len(scans) > 1
        self.is_volatile = _VOLATILE.search(plan) is not None

    def partly(self, touched: Mapping[int, int]) -> list[int]:
        """Return the files in which not every row is chosen."""
        return [
            number
            for number, hits in touched.items()
            if hits != sum(file.row_count for file in self.files([number]))
        ]

    def files(self, numbers: Sequence[int] | Mapping[int, int]) -> list[DataFile]:
        """Return the files of these numbers."""
        if _WHOLE in numbers:
            return list(self._base.files)
        return [self._base.files[number] for number in numbers]

    def touched(self, *, is_certain: bool) -> dict[int, int]:
        """Return the files in which rows are chosen, and how many of each.

        All files, with a number that none has, where it is not certain.
        """
        if self._is_empty:
            return {}
        if not is_certain:
            return dict.fromkeys(self._numbers(), -1)
        columns = f"{self._number} AS number, count(*) AS hits"
        text = self._select(columns, f"(\n{self._wording.condition}\n)") + " GROUP BY 1"
        return {
            int(row["number"]): int(row["hits"])
            for batch in self._run(text)
            for row in batch.to_pylist()
        }

    def require_counted(self, touched: Mapping[int, int], row_count: int) -> None:
        """Refuse when another look chose another number of rows.

        Raises:
            StatementRefusedError: When it did.
        """
        if -1 not in touched.values() and sum(touched.values()) != row_count:
            raise _UNSURE

    def left(self, numbers: Sequence[int]) -> Iterator[pa.RecordBatch]:
        """Yield the rows of some files that are not chosen."""
        columns = ", ".join(_quoted(name) for name in self._base.arrow_schema.names)
        condition = f"(\n{self._wording.condition}\n) IS NOT TRUE"
        return self._run(self._select(columns, f"{self._among(numbers)} AND {condition}"))

    def chosen(
        self, numbers: Sequence[int], assignments: Mapping[str, str]
    ) -> Iterator[pa.RecordBatch]:
        """Yield the rows of some files that are chosen, with other values."""
        columns = ", ".join(
            f"{assigned(assignments[field.name], field.type)} AS {_quoted(field.name)}"
            if field.name in assignments
            else _quoted(field.name)
            for field in self._base.arrow_schema
        )
        condition = f"(\n{self._wording.condition}\n)"
        return self._run(self._select(columns, f"{self._among(numbers)} AND {condition}"))

    def _numbers(self) -> list[int]:
        if self._number == str(_WHOLE):
            return [_WHOLE]
        return list(range(len(self._base.files)))

    def _among(self, numbers: Sequence[int]) -> str:
        if len(numbers) == len(self._numbers()):
            return "true"
        return f"{self._number} IN ({', '.join(map(str, numbers))})"

    def _select(self, columns: str, condition: str) -> str:
        return f"SELECT {columns} FROM {self._from} WHERE {condition}"

    def _run(self, text: str) -> Iterator[pa.RecordBatch]:
        execution = self._engine.execute(
            self._tables,
            text,
            catalog=self._wording.catalog,
            schema=self._wording.schema,
            parameters=self._wording.parameters,
            is_cancelled=self._is_cancelled,
        )
        try:
            yield from execution.batches()
        finally:
            execution.close()


def _as_read(table: Table, base: DeltaState, folder: Path, numbered: str | None) -> Table | None:
    """Return a version as the engine reads it, or None when it has no rows."""
    if not base.files:
        return None
    keys = ((numbered,) if numbered else ()) + base.partition_columns
    held = [field for field in base.arrow_schema if field.name not in base.partition_columns]
    partitions = [base.arrow_schema.field(name) for name in base.partition_columns]
    number = [pa.field(numbered, pa.int64(), nullable=False)] if numbered else []
    return replace(
        table,
        id=uuid4().hex,
        kind=TableKind.EXTERNAL,
        arrow_schema=pa.schema([*held, *number, *partitions]),
        partition_columns=keys,
        snapshot=snapshot_of(list_files(folder)),
        location=str(folder),
    )


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
