"""Views as the engine is given them, and the barrier between a view's query and who reads it.

A view's query runs by itself: nothing of the statement that reads the view runs below it, neither
its conditions nor its expressions, however the engine's optimiser would like to move them. That is
so because the columns of the view are put into a struct and taken out again by a step that the
optimiser takes nothing through: what lies above speaks of columns that are not there below.

`storage.providers` builds the barrier; here it is recognised in the plans that come of it.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from storage.metastore import Table
from storage.names import ObjectName

_STRUCT = re.compile(r" as (view_[0-9a-f]{32})\b")
_UNPACKED = re.compile(r"\s*Unnest: lists\[\] structs\[view_[0-9a-f]{32}\]")
_Scan: TypeAlias = tuple[tuple[str, ...], set[str]]
_QUALIFIER = re.compile(r"view_[0-9a-f]{32}\.")


@dataclass(frozen=True, slots=True)
class View:
    """A view, and all that its query may read.

    Attributes:
        table: The view as a table: its name, its columns.
        text: Its query.
        catalog: Where the query's names of fewer than three parts are looked for.
        schema: Where its names of one part are looked for.
        reads: The tables and views that the query names.
    """

    table: Table
    text: str
    catalog: str | None
    schema: str | None
    reads: tuple["Source", ...]

    @property
    def name(self) -> ObjectName:
        """The view's name."""
        return self.table.name


Source: TypeAlias = Table | View
"""What a statement may name: a table with its location, or a view with what it is made of."""


def shown_tables(sources: Sequence[Source]) -> list[Table]:
    """Return the tables that a statement sees, views as one table each."""
    return [source.table if isinstance(source, View) else source for source in sources]


def base_tables(sources: Sequence[Source]) -> Iterator[Table]:
    """Yield the tables whose files are read, those of views too."""
    for source in sources:
        if isinstance(source, View):
            yield from base_tables(source.reads)
        else:
            yield source


def columns_read(plan: Any, views: Iterable[View]) -> dict[ObjectName, tuple[str, ...]]:
    """Return the columns that a statement reads of each view, at least one.

    Args:
        plan: The engine's optimised logical plan of the statement, on tables in place of views.
        views: The views that it may read. Of one of which it is not certain what is read, all is.
    """
    scans = list(_scans(plan))
    printed = str(plan.display_indent()).splitlines()
    # The scans of subqueries hang on expressions, where they are not found.
    is_whole = len(scans) == sum(line.strip().startswith("TableScan: ") for line in printed)
    return {view.name: _columns_of(view, scans if is_whole else None) for view in views}


def _columns_of(view: View, scans: Sequence[_Scan] | None) -> tuple[str, ...]:
    names = view.table.arrow_schema.names
    if scans is None:
        return tuple(names)
    parts = (view.name.catalog, view.name.schema, view.name.table)
    read = {one for name, columns in scans if name == parts[-len(name) :] for one in columns}
    return tuple(name for name in names if name in read) or tuple(names[:1])


def _scans(plan: Any) -> Iterator[_Scan]:
    """Yield the parts of the name of each table that is scanned, and which columns of it."""
    variant = plan.to_variant()
    if type(variant).__name__ == "TableScan":
        name = tuple(part for part in variant.fqn() if part is not None)
        yield name, {str(column) for _, column in variant.projection()}
    for child in plan.inputs():
        yield from _scans(child)


def struct_name(table: Table) -> str:
    """Return what the struct of a view's barrier is called; nobody else can know it."""
    return f"view_{table.id}"


def without_barriers(display: str) -> str:
    """Return a logical plan, as the engine prints it, without the steps of barriers."""
    return "\n".join(line for line in display.splitlines() if not _UNPACKED.fullmatch(line))


def without_qualifiers(text: str) -> str:
    """Return an expression without the names of barriers before its columns."""
    return _QUALIFIER.sub("", text)


def struct_of(node: Any) -> str | None:
    """Return the struct that a step of a physical plan unpacks, if it is a barrier's.

    The engine may make the struct wherever it likes below, even while it reads files, but never
    below another step of the kind.
    """
    if not _is_unnest(str(node.display())):
        return None
    for child in node.children():
        for line in str(child.display_indent()).splitlines():
            found = _STRUCT.search(line)
            if found is not None:
                return found[1]
            if _is_unnest(line):
                return None
    return None


def _is_unnest(line: str) -> bool:
    return line.strip() == "UnnestExec"
