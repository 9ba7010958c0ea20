"""The `query` command of both programs: SQL in, a table, CSV, JSON, Parquet or Arrow out."""

import json
import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, ExitStack, nullcontext
from pathlib import Path
from typing import IO, Any, Self

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from flight_member.errors import ConfigurationError
from flight_member.profiles import Profile, read_profile
from flight_member.terminal import console, errors, json_value, print_arrow
from flight_sql import Client

PROFILE_VARIABLE = "FLIGHT_MOM_PROFILE"
FORMATS = ("table", "csv", "json", "parquet", "arrow")
_SHOWN_ROWS = 100


def find_profile(file: Path | None) -> Profile:
    """Read the profile that a command was given, or the one that the environment names.

    Raises:
        ConfigurationError: When there is none, or it cannot be used.
    """
    named = file or (Path(value) if (value := os.environ.get(PROFILE_VARIABLE)) else None)
    if named is None:
        raise ConfigurationError(
            [f"no profile: give --profile FILE, or set {PROFILE_VARIABLE} to one"]
        )
    return read_profile(named)


def connect(profile: Profile, *, at_home: bool = False) -> Client:
    """Open a client in the name of a profile, by its token or else its password.

    Args:
        profile: Who, and where.
        at_home: Ask the home cluster instead of the MoM.
    """
    certificates = profile.tls_root_certs.encode() if profile.tls_root_certs else None
    uri = profile.home_uri if at_home else profile.uri
    if profile.password is None:
        return Client(uri, token=profile.token, tls_root_certs=certificates)
    client = Client(uri, tls_root_certs=certificates)
    client.sign_in(profile.username, profile.password)
    return client


def read_sql(statement: str | None, file: Path | None) -> str:
    """Return the statement that was typed, or the text of the file; `-` is standard input.

    Raises:
        ConfigurationError: When there is neither, or both.
    """
    if (statement is None) == (file is None):
        raise ConfigurationError(["give one statement, or a file with --file (not both)"])
    if statement is not None:
        return statement
    if str(file) == "-":
        return sys.stdin.read()
    try:
        return Path(str(file)).read_text("utf-8")
    except OSError as error:
        raise ConfigurationError([f"{file}: {error.strerror}"]) from None


def run_query(client: Client, sql: str, kind: str, output: Path | None) -> None:
    """Run one statement and write its rows.

    Args:
        client: Signed in.
        sql: The statement.
        kind: One of `FORMATS`.
        output: A file, or None for standard output; Parquet and Arrow need one.

    Raises:
        ConfigurationError: When the format needs a file, or the file cannot be written.
        RemoteError: What the server refused.
    """
    if kind not in FORMATS:
        raise ConfigurationError([f"--format {kind}: choose one of {', '.join(FORMATS)}"])
    if output is None and kind in {"parquet", "arrow"}:
        raise ConfigurationError([f"--format {kind} needs a file: give --output FILE"])
    stream = client.query(sql)
    if kind == "table" and output is None:
        _print_table(stream.arrow_schema, stream)
        return
    aside = output.with_name(f".{output.name}.part") if output is not None else None
    with ExitStack() as stack:
        if aside is not None:
            stack.callback(aside.unlink, missing_ok=True)
        _write(stream.arrow_schema, _watched(stream, output), kind, aside)
        if aside is not None and output is not None:
            # A file that is there is whole: what fails on the way leaves the old one.
            aside.replace(output)


def _write(
    schema: pa.Schema, batches: Iterable[pa.RecordBatch], kind: str, file: Path | None
) -> None:
    try:
        out: AbstractContextManager[IO[bytes]] = (
            nullcontext(sys.stdout.buffer) if file is None else file.open("wb")
        )
    except OSError as error:
        raise ConfigurationError([f"{file}: {error.strerror}"]) from None
    with out as sink, _writer(kind, sink, schema) as writer:
        for batch in batches:
            writer.write_batch(batch)


def _writer(kind: str, sink: IO[bytes], schema: pa.Schema) -> Any:
    match kind:
        case "parquet":
            return pyarrow.parquet.ParquetWriter(sink, schema, compression="zstd")
        case "arrow":
            return pa.ipc.new_file(sink, schema)
        case "csv":
            return pyarrow.csv.CSVWriter(sink, schema)
        case _:
            return _JsonWriter(sink)


class _JsonWriter:
    """Writes one JSON array of objects, a row at a time, without holding the rows."""

    def __init__(self, sink: IO[bytes]) -> None:
        self._sink = sink
        self._is_first = True

    def __enter__(self) -> Self:
        self._sink.write(b"[")
        return self

    def write_batch(self, batch: pa.RecordBatch) -> None:
        for row in batch.to_pylist():
            self._sink.write(b"\n " if self._is_first else b",\n ")
            self._sink.write(json.dumps(row, default=json_value).encode())
            self._is_first = False

    def __exit__(self, *_: object) -> None:
        self._sink.write(b"\n]\n")


def _print_table(schema: pa.Schema, batches: Iterable[pa.RecordBatch]) -> None:
    """Print the first rows and say how many there were in all."""
    shown: list[pa.RecordBatch] = []
    count = 0
    for batch in batches:
        if count < _SHOWN_ROWS:
            shown.append(batch.slice(0, _SHOWN_ROWS - count))
        count += batch.num_rows
    print_arrow(pa.Table.from_batches(shown, schema), as_json=False)
    rows = "row" if count == 1 else "rows"
    more = f", the first {_SHOWN_ROWS} shown; --output writes all" if count > _SHOWN_ROWS else ""
    console.print(f"{count:,} {rows}{more}", style="dim", highlight=False)


def _watched(batches: Iterable[pa.RecordBatch], output: Path | None) -> Iterator[pa.RecordBatch]:
    if output is None or not errors.is_terminal:
        yield from batches
        return
    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=errors, transient=True) as progress:
        task = progress.add_task(f"writing {output.name}", total=None)
        count = 0
        for batch in batches:
            yield batch
            count += batch.num_rows
            progress.update(task, description=f"writing {output.name}: {count:,} rows")
