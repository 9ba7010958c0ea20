"""How both commands talk at a terminal: tables for people, JSON for programs, exit codes.

0 done, 1 failed, 2 usage or configuration, 3 could not start.
"""

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import typer
from rich.console import Console, JustifyMethod
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.prompt import Prompt
from rich.table import Table
from rich.text import Text

from flight_member.errors import ConfigurationError, StartupError

if TYPE_CHECKING:
    import pyarrow as pa

FAILED, MISUSED, NOT_STARTED = 1, 2, 3

console = Console()
errors = Console(stderr=True)


@contextmanager
def reported_errors() -> Iterator[None]:
    """Turn what a command can raise into one clear line and the right exit code."""
    try:
        yield
    except ConfigurationError as error:
        for fault in error.faults:
            errors.print(f"configuration: {fault}", style="red", markup=False, highlight=False)
        raise typer.Exit(MISUSED) from None
    except StartupError as error:
        fail(str(error), NOT_STARTED)
    except BrokenPipeError:
        raise typer.Exit(FAILED) from None
    except Exception as error:
        # Coded errors say what happened and what to do; anything else is ours to explain.
        if not hasattr(error, "code"):
            raise
        fail(str(error), FAILED)


def fail(text: str, code: int = FAILED) -> NoReturn:
    """Print one line to standard error and end with a code."""
    errors.print(text, style="red", markup=False, highlight=False, soft_wrap=True)
    raise typer.Exit(code)


@contextmanager
def working(text: str) -> Iterator[None]:
    """Show on a terminal that something goes on, and for how long; elsewhere nothing."""
    if not errors.is_terminal:
        yield
        return
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=errors, transient=True) as progress:
        progress.add_task(text, total=None)
        yield


def print_rows(
    rows: Sequence[Mapping[str, Any]], columns: Sequence[str], *, as_json: bool, title: str = ""
) -> None:
    """Print rows as a table to people, or as a JSON array to programs."""
    if as_json:
        sys.stdout.write(json.dumps(list(rows), default=json_value, indent=2) + "\n")
        return
    # Text, not str: a value in brackets is a value, and no markup of ours.
    table = Table(title=Text(title) if title else None, title_justify="left")
    for column in columns:
        numeric = any(isinstance(row.get(column), int | float) for row in rows)
        justify: JustifyMethod = "right" if numeric else "left"
        table.add_column(Text(column), justify=justify, overflow="fold")
    for row in rows:
        table.add_row(*(Text(_cell(row.get(column))) for column in columns))
    console.print(table)


def print_arrow(table: "pa.Table", *, as_json: bool, title: str = "") -> None:
    """Print an Arrow table as `print_rows` prints rows."""
    print_rows(table.to_pylist(), table.column_names, as_json=as_json, title=title)


def json_value(value: object) -> object:
    """Return what stands for a value in JSON that has no form of its own there."""
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, bytes):
        return value.hex()
    return str(value)


def _cell(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, datetime):
        return value.isoformat(sep=" ", timespec="seconds")
    return str(value)


def read_secret(file: Path | None, what: str) -> str:
    """Read a secret from a file, a prompt or standard input; never from an argument.

    Raises:
        ConfigurationError: When the file cannot be read, or there is nothing in it.
    """
    try:
        if file is not None:
            text = file.read_text("utf-8")
        elif sys.stdin.isatty():
            text = Prompt.ask(what, password=True, console=console)
        else:
            text = sys.stdin.readline()
    except OSError as error:
        raise ConfigurationError([f"{file}: {error.strerror}"]) from None
    except UnicodeDecodeError:
        raise ConfigurationError([f"the {what} is not text"]) from None
    if not text.strip():
        raise ConfigurationError([f"the {what} is empty"])
    return text.strip()
