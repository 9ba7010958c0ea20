"""The commands `flight-member table …`: tables that go, or get another name."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from flight_member.memberhome import MemberHome
from flight_member.tables import TableDesk
from flight_member.terminal import console, reported_errors

TableName = Annotated[str, typer.Argument(help="catalog.schema.table")]
Directory = Annotated[Path, typer.Option("--dir", help="The member's state directory.")]


def table_commands(here: Path, home_in: Callable[[Path], MemberHome]) -> typer.Typer:
    """Return the commands; `home_in` opens the member of a directory."""
    app = typer.Typer(help="The member's own tables.", no_args_is_help=True)

    @app.command("drop", epilog="Example: flight-member table drop trading.stock.quote")
    def drop(table: TableName, directory: Directory = here) -> None:
        """Forget a table, and with it what others were granted on it; its files stay."""
        with reported_errors():
            dropped = TableDesk.open(home_in(directory)).drop(table)
            console.print(f"dropped {dropped.name}; its files stay", highlight=False)

    @app.command("rename", epilog="Example: flight-member table rename trading.stock.q quote")
    def rename(
        table: TableName,
        new_name: Annotated[str, typer.Argument(help="catalog.schema.table, or the last part.")],
        directory: Directory = here,
    ) -> None:
        """Give a table another name; what others were granted on the old one ends."""
        with reported_errors():
            renamed = TableDesk.open(home_in(directory)).rename(table, new_name)
            console.print(f"{table} is {renamed.name} now", highlight=False)

    return app
