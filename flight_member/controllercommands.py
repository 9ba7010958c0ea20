"""The commands on a member's controllers: `controller add`, `controller join`, `controllers`."""

from collections.abc import Callable
from contextlib import closing
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from flight_member.options import AsJson, StateDatabase, settings_in
from flight_member.terminal import console, print_rows, read_secret, reported_errors

if TYPE_CHECKING:
    from flight_member.memberhome import MemberHome
    from flight_member.settings import MemberSettings

_COLUMNS = ["name", "uri", "is_leader", "number", "lease_s", "heard_at"]


def controller_commands(here: Path, open_home: Callable[[Path], "MemberHome"]) -> typer.Typer:
    """Return the commands that add controllers to a member.

    Args:
        here: The state directory where none is given.
        open_home: Opens a state directory.
    """
    app = typer.Typer(help="Further controllers of the member.", no_args_is_help=True)

    @app.command("add", epilog="Example: flight-member controller add second --dir hangzhou")
    def add(
        name: Annotated[str, typer.Argument(help="What the new controller is called.")],
        directory: Annotated[
            Path, typer.Option("--dir", help="State directory of a controller that is there.")
        ] = here,
    ) -> None:
        """Print the one-time token that a further controller joins with; it lasts a day."""
        from flight_member.controllerdesk import add_controller

        with reported_errors():
            home = open_home(directory)
            with closing(home.open_database()) as database:
                token = add_controller(home, database, name)
            # Nothing else on standard output: it goes into a file, or a pipe.
            typer.echo(token.text)

    @app.command("remove", epilog="Example: flight-member controller remove second --dir hangzhou")
    def remove(
        name: Annotated[str, typer.Argument(help="The controller, which does not run.")],
        directory: Annotated[
            Path, typer.Option("--dir", help="State directory of a controller that stays.")
        ] = here,
    ) -> None:
        """Forget a controller: nothing that it signed counts any more."""
        from flight_member.controllerdesk import remove_controller

        with reported_errors():
            home = open_home(directory)
            with closing(home.open_database()) as database:
                remove_controller(home, database, name)
            console.print(f"{name} is no controller any more", highlight=False)

    @app.command(
        "join",
        epilog="Example: flight-member controller join --dir second --token-file second.join "
        "--database postgresql+psycopg://flight@db/hangzhou --port 32021",
    )
    def join(
        directory: Annotated[
            Path, typer.Option("--dir", help="State directory of the new controller.")
        ],
        database: StateDatabase = None,
        token_file: Annotated[
            Path | None, typer.Option(help="File with the join token; else standard input.")
        ] = None,
        controller: Annotated[
            str | None,
            typer.Option(help="URI of a controller that is there; else as the token says."),
        ] = None,
        host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
        port: Annotated[int, typer.Option(help="Port to listen on; 0 takes a free one.")] = 32011,
    ) -> None:
        """Make a further controller of a member, over the same database."""
        from flight_member.controllerjoining import join_cluster
        from flight_member.settings import SETTINGS_FILE, MemberSettings

        with reported_errors():

            def read_settings(cluster: str, name: str, tables: str | None) -> "MemberSettings":
                flags = {
                    "cluster.name": cluster,
                    "server.host": host,
                    "server.port": port,
                    "state.database": database,
                    "state.server": name,
                    "tables.directory": tables,
                }
                return settings_in(MemberSettings, directory, SETTINGS_FILE, None, flags).settings

            token = read_secret(token_file, "join token")
            home = join_cluster(directory, token, controller, read_settings)
            console.print(
                f"{home.settings.server_name} is a controller of {home.settings.cluster.name}",
                highlight=False,
            )
            console.print(f"next: flight-member serve --dir {directory}", highlight=False)

    return app


def list_command(
    here: Path, open_home: Callable[[Path], "MemberHome"]
) -> Callable[[Path, bool], None]:
    """Return the command that lists the controllers of a member."""

    def controllers(
        directory: Annotated[
            Path, typer.Option("--dir", help="State directory of one of the controllers.")
        ] = here,
        as_json: AsJson = False,
    ) -> None:
        """List the member's controllers: which leads, for how long, and when each was heard."""
        from flight_member.clock import utc_now
        from flight_member.controllerdesk import list_controllers

        with reported_errors(), closing(open_home(directory).open_database()) as database:
            rows = [asdict(one) for one in list_controllers(database, utc_now())]
            print_rows(rows, _COLUMNS, as_json=as_json)

    return controllers
