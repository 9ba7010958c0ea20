"""What is told of how a statement runs: values only, in which no path or file name can stand."""

from dataclasses import dataclass

from storage.names import ObjectName


@dataclass(frozen=True, slots=True)
class ScanMeasure:
    """What one scan really read. Filters that only arise while running may have spared more."""

    row_group_count: int
    row_count: int
    """Rows that it handed on, after the filters that it applies itself."""
    byte_count: int


@dataclass(frozen=True, slots=True)
class ScanExplanation:
    """One reading of a table, after pruning.

    Attributes:
        table: Which.
        file_count: Files that are left; `file_total` is how many the table has.
        row_group_count: Row groups of those files that their statistics do not rule out, at most;
            `row_group_total` is how many the table has.
        byte_count: Bytes of the files that are left; `byte_total` those of the table.
        columns: What is read of each row, partition columns among them.
        partition_filters: Conditions that chose the files.
        filters: The other conditions that the scan applies.
        measure: What was read; None when nothing was run.
        is_view: Whether it is a view: of what it is made of nothing is told.
    """

    table: ObjectName
    file_count: int
    file_total: int
    row_group_count: int
    row_group_total: int
    byte_count: int
    byte_total: int
    columns: tuple[str, ...] = ()
    partition_filters: tuple[str, ...] = ()
    filters: tuple[str, ...] = ()
    measure: ScanMeasure | None = None
    is_view: bool = False


@dataclass(frozen=True, slots=True)
class OperatorExplanation:
    """One step of a plan and the steps that it takes its rows from.

    `row_count` is what it handed on and `elapsed_s` its own time, summed over threads; None when
    nothing was run or the engine does not measure it.
    """

    name: str
    detail: str = ""
    children: tuple["OperatorExplanation", ...] = ()
    row_count: int | None = None
    elapsed_s: float | None = None


@dataclass(frozen=True, slots=True)
class Explanation:
    """How a statement runs.

    `scans` are in the order of the plan, then the tables that are not read at all; a table that
    is scanned twice stands there twice. `row_count` and `elapsed_s` are the whole statement's,
    None when it was not run.
    """

    scans: tuple[ScanExplanation, ...]
    root: OperatorExplanation
    row_count: int | None = None
    elapsed_s: float | None = None
