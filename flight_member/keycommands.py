"""The commands `keys …` of both programs."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Protocol

import typer

from auth import RotatingKey, rotate
from flight_member.changing import Home, changing
from flight_member.clock import utc_now
from flight_member.options import AsJson
from flight_member.terminal import console, print_rows, reported_errors

_COLUMNS = ["kid", "state", "until"]


class KeyHome(Home, Protocol):
    """A state directory with a signing key."""

    @property
    def directory(self) -> Path:
        """Where it is."""

    def publication_s(self) -> float | None:
        """Seconds from publishing a key to signing with it; None: until others say they know it."""


def key_commands(
    program: str, example_dir: str, here: Path, open_home: Callable[[Path], KeyHome]
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
        with reported_errors():
            home = open_home(directory)
            rotate_key(home, timedelta(hours=overlap_h))
            print_rows(_rows(home), _COLUMNS, as_json=False)

    @app.command("list", epilog=f"Example: {program} keys list --dir {example_dir}")
    def list_keys(directory: Path = place, as_json: AsJson = False) -> None:
        """List the keys that count: the one that signs, the next, and those that end."""
        with reported_errors():
            print_rows(_rows(open_home(directory)), _COLUMNS, as_json=as_json)
            if not as_json:
                console.print("a server that runs notices within a second", highlight=False)

    return app


def rotate_key(home: KeyHome, overlap: timedelta) -> None:
    """Make a cluster's next key, with its audit row.

    Raises:
        AlreadyExistsError: While an earlier rotation is under way.
    """
    with changing(home) as change:
        wait_s = home.publication_s()
        signs_from = None if wait_s is None else change.at + timedelta(seconds=wait_s)
        chain = rotate(home.directory, change.at, overlap=overlap, signs_from=signs_from)
        fresh = chain.signing if chain.coming is None else chain.coming.key
        change.record("rotate key", home.settings.cluster.name, rule=fresh.kid)


def _rows(home: KeyHome) -> list[dict[str, object]]:
    chain = RotatingKey(home.directory, utc_now).chain
    rows: list[dict[str, object]] = [{"kid": chain.signing.kid, "state": "signs", "until": None}]
    if chain.coming is not None:
        moment = chain.coming.signs_from
        when = "once the MoM knows it" if moment is None else f"from {moment:%Y-%m-%d %H:%M:%S} UTC"
        rows.append({"kid": chain.coming.key.kid, "state": f"signs {when}", "until": None})
    rows += [{"kid": key.kid, "state": "ends", "until": key.ends_at} for key in chain.earlier]
    return rows
