"""Command-line options that both programs share, and how they become settings."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from flight_member.errors import ConfigurationError
from flight_member.terminal import print_rows

if TYPE_CHECKING:
    from flight_member.configuration import LoadedSettings
    from flight_member.settings import ProcessSettings

S = TypeVar("S", bound="ProcessSettings")

Config = Annotated[
    Path | None, typer.Option("--config", help="Settings file; else the one in --dir.")
]
StateDatabase = Annotated[
    str | None,
    typer.Option("--database", help="SQLAlchemy URL of an empty database; else SQLite in --dir."),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]
ListenHost = Annotated[str | None, typer.Option("--host", help="Address to listen on.")]
ListenPort = Annotated[int | None, typer.Option("--port", help="Port to listen on; 0: a free one.")]
WithParent = Annotated[bool, typer.Option("--with-parent", help="Stop when standard input ends.")]
StatementFile = Annotated[
    Path | None, typer.Option("--file", help="File with the statement; - is stdin.")
]
ProfileFile = Annotated[
    Path | None,
    typer.Option("--profile", help="Who is asking, and where; else FLIGHT_MOM_PROFILE names it."),
]
Format = Annotated[str, typer.Option("--format", help="table, csv, json, parquet or arrow.")]
Output = Annotated[Path | None, typer.Option("--output", help="File to write.")]


def settings_in(
    kind: type[S],
    directory: Path,
    file_name: str,
    config: Path | None,
    flags: Mapping[str, object] | None = None,
) -> "LoadedSettings[S]":
    """Read the settings of the server whose state is in a directory.

    Args:
        kind: Whose settings.
        directory: The state directory.
        file_name: What the settings file in it is called.
        config: Another settings file, or None.
        flags: What the command line says; None values count as not given.

    Raises:
        ConfigurationError: When the settings cannot be used.
    """
    from flight_member.configuration import load_settings

    file = config or directory / file_name
    given = {"state.directory": str(directory), **(flags or {})}
    return load_settings(kind, file if config or file.exists() else None, given)


def require_directory(directory: Path, program: str) -> None:
    """Refuse a state directory that is not there, before its settings are missed.

    Raises:
        ConfigurationError: Saying how one is made.
    """
    if not directory.is_dir():
        raise ConfigurationError(
            [f"{directory}: no such directory; run {program} init --dir {directory} first"]
        )


def print_settings(loaded: "LoadedSettings[S]", *, as_json: bool) -> None:
    """Print every effective setting and where it comes from."""
    rows = [
        {"setting": one.name, "value": one.value, "source": one.source}
        for one in loaded.effective()
    ]
    print_rows(rows, ["setting", "value", "source"], as_json=as_json)
