"""Views as the engine is given them, and the barrier between a view's query and who reads it.

A view's query runs by itself: nothing of the statement that reads the view runs below it, neither
its conditions nor its expressions, however the engine's optimiser would like to move them. That is
so because the columns of the view are put into a struct and taken out again by a step that the
optimiser takes nothing through: what lies above speaks of columns that are not there below.

`storage.engine` builds the barrier; here it is recognised in the plans that come of it.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from storage.metastore import Table
from storage.names import ObjectName

_STRUCT = re.compile(r" as (view_[0-9a-f]{32})\]$", re.IGNORECASE)
_UNPACKED = re.compile(r"\s*Unnest: lists\[\] structs\[view_[0-9a-f]{32}\]")
_QUALIFIER = re.compile(r"view_[0-9a-f]{32}\.")
# What the engine may put between the two steps of a barrier, which passes rows on as they are.
_BETWEEN = frozenset({"RepartitionExec", "CoalesceBatchesExec", "CoalescePartitionsExec"})


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
    """Return the struct that a step of a physical plan unpacks, if it is a barrier's."""
    if not str(node.display()).strip().startswith("UnnestExec"):
        return None
    (below,) = node.children()
    while True:
        printed = str(below.display()).strip()
        if printed.startswith("ProjectionExec:"):
            found = _STRUCT.search(printed)
            return found[1] if found else None
        kind = printed.partition(":")[0]
        if kind not in _BETWEEN:
            return None
        (below,) = below.children()
