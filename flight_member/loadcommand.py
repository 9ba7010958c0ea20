"""The command that loads files into a managed table."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from flight_member.terminal import console, print_rows, reported_errors

if TYPE_CHECKING:
    from flight_member.memberhome import MemberHome
    from storage.sources import Sources

_COLUMNS = (
    TextColumn("{task.description}"),
    BarColumn(),
    MofNCompleteColumn(),
    TimeElapsedColumn(),
)


def load_command(here: Path, home_in: Callable[[Path], "MemberHome"]) -> Callable[..., None]:
    """Return the command; `home_in` opens the member of a directory."""

    def load(
        table: Annotated[str, typer.Argument(help="catalog.schema.table to make, or to add to.")],
        sources: Annotated[
            list[str], typer.Argument(help="CSV, JSON, Parquet or Arrow files, or globs.")
        ],
        directory: Annotated[
            Path, typer.Option("--dir", help="The member's state directory.")
        ] = here,
        partition_by: Annotated[
            list[str] | None, typer.Option(help="A partition column; repeat for more.")
        ] = None,
        append: Annotated[
            bool, typer.Option("--append", help="Add to a table instead of making one.")
        ] = False,
        dry_run: Annotated[
            bool, typer.Option("--dry-run", help="Show the columns and load nothing.")
        ] = False,
        yes: Annotated[bool, typer.Option("--yes", help="Do not ask at a terminal.")] = False,
    ) -> None:
        """Copy files into a managed table, all of their rows or none; shows the columns first."""
        from flight_member.tables import TableDesk
        from storage.sources import Sources

        with reported_errors():
            desk = TableDesk.open(home_in(directory))
            found = Sources(sources)
            _show_columns(found, partition_by or [])
            if dry_run:
                return
            if not yes and sys.stdin.isatty() and not typer.confirm(f"load them into {table}?"):
                raise typer.Exit(1)
            with Progress(*_COLUMNS, console=console, transient=True) as progress:
                task = progress.add_task(f"loading {table} (rows)", total=None)
                loaded = desk.load(
                    table,
                    found,
                    partition_by=tuple(partition_by or ()),
                    appends=append,
                    progress=lambda rows: progress.update(task, completed=rows),
                )
            console.print(
                f"loaded {loaded.name}: {loaded.row_count:,} rows in {loaded.file_count} files",
                highlight=False,
            )

    return load


def _show_columns(sources: "Sources", partition_by: list[str]) -> None:
    rows = [
        {
            "column": field.name,
            "type": str(field.type),
            "nulls": "no" if not field.nullable or field.name in partition_by else "yes",
            "partition": "yes" if field.name in partition_by else "",
        }
        for field in sources.arrow_schema
    ]
    print_rows(rows, ["column", "type", "nulls", "partition"], as_json=False)
