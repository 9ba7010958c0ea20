"""What statements say that change the rows of tables. Values only.

Each of them that reads holds a `Query`, bound like any other, whose rows say what is written: the
rows of an INSERT; of an UPDATE or DELETE one for each row that it would change.
"""

from dataclasses import dataclass
from typing import TypeAlias

from planner.statement import Query
from storage.names import ObjectName


@dataclass(frozen=True, slots=True)
class WrittenColumn:
    """A column as a statement names it, and where.

    Attributes:
        name: Without quotes.
        is_quoted: Whether its case counts.
        start: Where it stands in the text.
    """

    name: str
    is_quoted: bool
    start: int


@dataclass(frozen=True, slots=True)
class Insert:
    """INSERT INTO table [(columns)] query.

    Attributes:
        table: What is written to.
        columns: What the query's columns are for; None for all, in the table's order.
        query: The rows.
        start: Where the table stands in the text.
        cells: Of VALUES, the parameters that are values by themselves, as (column, parameter).
        is_values: Whether the query is VALUES, whose texts take the columns' types.
        is_one_row: Whether it is VALUES with one row that holds nothing but parameters.
    """

    table: ObjectName
    columns: tuple[WrittenColumn, ...] | None
    query: Query
    start: int = 0
    cells: tuple[tuple[int, str], ...] = ()
    is_values: bool = False
    is_one_row: bool = False


@dataclass(frozen=True, slots=True)
class CreateTableAs:
    """CREATE TABLE table AS query.

    Attributes:
        table: The new table.
        query: Its rows, and its columns.
        partition_columns: Which of the query's columns partition it.
        if_not_exists: Whether one that is there is left as it is.
        or_replace: Whether one that is there gives way.
    """

    table: ObjectName
    query: Query
    partition_columns: tuple[WrittenColumn, ...] = ()
    if_not_exists: bool = False
    or_replace: bool = False


@dataclass(frozen=True, slots=True)
class CreateView:
    """CREATE VIEW view AS query.

    Attributes:
        table: The new view.
        query: What its rows are, whenever it is read.
        if_not_exists: Whether one that is there is left as it is.
        or_replace: Whether one that is there gives way.
    """

    table: ObjectName
    query: Query
    if_not_exists: bool = False
    or_replace: bool = False


@dataclass(frozen=True, slots=True)
class Assignment:
    """One column of UPDATE … SET, and what it is set to.

    Attributes:
        column: Which column.
        is_text: Whether the value is a text alone, which takes the column's type.
        parameter: The parameter that the value is, if it is nothing else.
    """

    column: WrittenColumn
    is_text: bool = False
    parameter: str | None = None


@dataclass(frozen=True, slots=True)
class Update:
    """UPDATE table SET assignments [WHERE condition].

    Attributes:
        table: What is written to.
        assignments: In the order of the text; as many as the query has columns.
        query: What the columns are set to, for each row that is changed.
        alias: What the table is called in it, if not by its name.
    """

    table: ObjectName
    assignments: tuple[Assignment, ...]
    query: Query
    alias: str | None = None


@dataclass(frozen=True, slots=True)
class Delete:
    """DELETE FROM table [WHERE condition].

    Attributes:
        table: What is written to.
        query: One row for each that is deleted.
        alias: What the table is called in it, if not by its name.
        has_condition: Whether there is a WHERE; without it every row goes.
    """

    table: ObjectName
    query: Query
    alias: str | None = None
    has_condition: bool = True


@dataclass(frozen=True, slots=True)
class Truncate:
    """TRUNCATE TABLE: every row goes."""

    table: ObjectName


@dataclass(frozen=True, slots=True)
class Optimize:
    """OPTIMIZE TABLE: many small files become few."""

    table: ObjectName


@dataclass(frozen=True, slots=True)
class Vacuum:
    """VACUUM TABLE: files of old versions go.

    Attributes:
        table: Whose files.
        retain_hours: How long a version is kept after it was replaced; None for the default.
    """

    table: ObjectName
    retain_hours: int | None = None


Write: TypeAlias = (
    Insert | CreateTableAs | CreateView | Update | Delete | Truncate | Optimize | Vacuum
)
"""Statements that write a managed table of the member where they are typed, or define a view."""

CountedWrite: TypeAlias = Insert | CreateTableAs | Update | Delete
"""Those that answer how many rows they wrote, changed or deleted."""
