"""The commands that drop and rename tables, schemas and catalogs: they go by the same words."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from flight_member.terminal import console, reported_errors
from storage.names import Level

if TYPE_CHECKING:
    from flight_member.memberhome import MemberHome

TableName = Annotated[str, typer.Argument(help="catalog.schema.table")]
Directory = Annotated[Path, typer.Option("--dir", help="The member's state directory.")]
_FORMS = {Level.SCHEMA: "catalog.schema", Level.CATALOG: "catalog"}
_SHORT = {Level.SCHEMA: "catalog.schema, or the last part.", Level.CATALOG: "catalog"}
_NAMED = {Level.SCHEMA: "trading.stock", Level.CATALOG: "trading"}
_RENAMED = {Level.SCHEMA: "shares", Level.CATALOG: "markets"}


def table_commands(here: Path, home_in: Callable[[Path], "MemberHome"]) -> typer.Typer:
    """Return the commands; `home_in` opens the member of a directory."""
    app = typer.Typer(help="The member's own tables.", no_args_is_help=True)

    @app.command("drop", epilog="Example: flight-member table drop trading.stock.quote")
    def drop(table: TableName, directory: Directory = here) -> None:
        """Forget a table with its managed files, and what anybody was granted on it."""
        from flight_member.tables import TableDesk
        from storage.metastore import TableKind

        with reported_errors():
            dropped = TableDesk.open(home_in(directory)).drop(table)
            files = "are removed" if dropped.kind is TableKind.MANAGED else "stay"
            console.print(f"dropped {dropped.name}; its files {files}", highlight=False)

    @app.command("rename", epilog="Example: flight-member table rename trading.stock.q quote")
    def rename(
        table: TableName,
        new_name: Annotated[str, typer.Argument(help="catalog.schema.table, or the last part.")],
        directory: Directory = here,
    ) -> None:
        """Give a table another name; what anybody was granted on it follows."""
        from flight_member.tables import TableDesk

        with reported_errors():
            renamed = TableDesk.open(home_in(directory)).rename(table, new_name)
            console.print(f"{table} is {renamed.name} now", highlight=False)

    return app


def place_commands(
    level: Level, here: Path, home_in: Callable[[Path], "MemberHome"]
) -> typer.Typer:
    """Return the commands for schemas, or for catalogs; `home_in` opens a directory's member."""
    kind = level.value
    app = typer.Typer(help=f"The member's own {kind}s.", no_args_is_help=True)
    named = Annotated[str, typer.Argument(help=_FORMS[level])]
    newly_named = Annotated[str, typer.Argument(help=_SHORT[level])]

    @app.command(
        "drop",
        help=f"Forget a {kind} with its tables and managed files, and what was granted there.",
        epilog=f"Example: flight-member {kind} drop {_NAMED[level]}",
    )
    def drop(name: named, directory: Directory = here) -> None:
        from flight_member.places import PlaceDesk

        with reported_errors():
            dropped, count = PlaceDesk.open(home_in(directory), level).drop(name)
            tables = "1 table" if count == 1 else f"{count} tables"
            console.print(
                f"dropped {dropped} with {tables}; only external files stay", highlight=False
            )

    @app.command(
        "rename",
        help=f"Give a {kind} another name; what anybody was granted there follows.",
        epilog=f"Example: flight-member {kind} rename {_NAMED[level]} {_RENAMED[level]}",
    )
    def rename(
        name: named,
        new_name: newly_named,
        directory: Directory = here,
    ) -> None:
        from flight_member.places import PlaceDesk

        with reported_errors():
            old, new = PlaceDesk.open(home_in(directory), level).rename(name, new_name)
            console.print(f"{old} is {new} now", highlight=False)

    return app
