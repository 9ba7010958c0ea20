"""Rows to a terminal or a file: a table for people; CSV, JSON, Parquet or Arrow for programs."""

import json
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
from flight_member.terminal import console, errors, json_value, print_arrow

FORMATS = ("table", "csv", "json", "parquet", "arrow")
_SHOWN_ROWS = 100


def require_format(kind: str, output: Path | None) -> None:
    """Check what rows are asked for, before any is made.

    Raises:
        ConfigurationError: When there is no such format, or it needs a file.
    """
    if kind not in FORMATS:
        raise ConfigurationError([f"--format {kind}: choose one of {', '.join(FORMATS)}"])
    if output is None and kind in {"parquet", "arrow"}:
        raise ConfigurationError([f"--format {kind} needs a file: give --output FILE"])


def write_result(
    arrow_schema: pa.Schema, batches: Iterable[pa.RecordBatch], kind: str, output: Path | None
) -> None:
    """Write rows as they come.

    Args:
        arrow_schema: Their columns.
        batches: The rows.
        kind: One of `FORMATS`.
        output: A file, or None for standard output.

    Raises:
        ConfigurationError: When the file cannot be written.
    """
    if kind == "table" and output is None:
        _print_table(arrow_schema, batches)
        return
    aside = output.with_name(f".{output.name}.part") if output is not None else None
    with ExitStack() as stack:
        if aside is not None:
            stack.callback(aside.unlink, missing_ok=True)
        _write(arrow_schema, _watched(batches, output), kind, aside)
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
