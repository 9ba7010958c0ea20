"""The commands `keys …` of both programs."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from flight_member.options import AsJson
from flight_member.terminal import console, print_rows, reported_errors

if TYPE_CHECKING:
    from flight_member.keyrotation import KeyHome

_COLUMNS = ["kid", "state", "until"]


def key_commands(
    program: str, example_dir: str, here: Path, open_home: Callable[[Path], "KeyHome"]
) -> typer.Typer:
    """Return the commands on a cluster's signing keys.

    Args:
        program: The command's first word, for the examples.
        example_dir: A state directory, for the examples.
        here: The state directory where none is given.
        open_home: Opens a state directory.
    """
    app = typer.Typer(help="The cluster's signing keys.", no_args_is_help=True)
    place = typer.Option(here, "--dir", help="The cluster's state directory.")

    @app.command("rotate", epilog=f"Example: {program} keys rotate --dir {example_dir}")
    def rotate_keys(
        directory: Path = place,
        overlap_h: Annotated[
            float,
            typer.Option(min=0, max=744, help="Hours that the old key counts on; 0: not at all."),
        ] = 24,
    ) -> None:
        """Sign with a new key soon; what the old one signed counts on for a while."""
        from flight_member.keyrotation import key_rows, rotate_key

        with reported_errors():
            home = open_home(directory)
            rotate_key(home, timedelta(hours=overlap_h))
            print_rows(key_rows(home), _COLUMNS, as_json=False)

    @app.command("list", epilog=f"Example: {program} keys list --dir {example_dir}")
    def list_keys(directory: Path = place, as_json: AsJson = False) -> None:
        """List the keys that count: the one that signs, the next, and those that end."""
        from flight_member.keyrotation import key_rows

        with reported_errors():
            print_rows(key_rows(open_home(directory)), _COLUMNS, as_json=as_json)
            if not as_json:
                console.print("a server that runs notices within a second", highlight=False)

    return app
