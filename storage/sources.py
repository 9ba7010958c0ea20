"""Files that rows are loaded from: CSV, JSON, Parquet and Arrow, one kind at a time.

What the columns are is told before a row is taken: those of all files together, by the rules of
`storage.drifting`. Files of text are judged by their first megabyte; a value further on that does
not fit is refused with the file and the column. Errors name files by their base name.
"""

import glob
import json
import re
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from pathlib import Path

import pyarrow as pa
import pyarrow.dataset as ds

from storage.arrowtypes import plain_schema
from storage.drifting import common_schema
from storage.errors import UnusableTableError
from storage.rows import fit_rows

_READ_AHEAD = 2
_KINDS = {
    ".csv": "csv",
    ".json": "json",
    ".jsonl": "json",
    ".ndjson": "json",
    ".parquet": "parquet",
    ".arrow": "arrow",
    ".arrows": "arrow",
    ".feather": "arrow",
    ".ipc": "arrow",
}
_IPC_FILE = b"ARROW1"
_MAX_ARRAY_BYTES = 256 * 1024 * 1024
_ARRAY_ROWS = 65_536
_CSV_COLUMN = re.compile(r"CSV column #(\d+)")
_JSON_COLUMN = re.compile(r"Column\(/?([^)]*)\)")


class Sources:
    """The files that some patterns match, in the order of their names."""

    def __init__(self, patterns: Sequence[str]) -> None:
        """Find the files; none is opened.

        Args:
            patterns: File names or globs; all files must be of one kind.

        Raises:
            UnusableTableError: When nothing matches, or the files are of several kinds.
        """
        self.files = sorted({Path(name) for each in patterns for name in glob.glob(each)})  # noqa: PTH207  patterns may be absolute
        if not self.files:
            names = " ".join(Path(pattern).name for pattern in patterns)
            raise UnusableTableError(f"no file matches {names}")
        kinds = {_KINDS.get(file.suffix.lower()) for file in self.files}
        kind = kinds.pop()
        if kinds or kind is None:
            raise UnusableTableError(
                f"load reads {', '.join(sorted(_KINDS))} files, one kind at a time"
            )
        self._kind = kind

    @cached_property
    def arrow_schema(self) -> pa.Schema:
        """The columns of all files together, in plain types.

        Raises:
            UnusableTableError: When a file cannot be read, or does not fit the ones before it.
        """
        return common_schema((file.name, self._schema_of(file)) for file in self.files)

    def batches(self, arrow_schema: pa.Schema | None = None) -> Iterator[pa.RecordBatch]:
        """Yield the rows of all files in these columns, their own by default.

        A column that a file lacks is NULL, if the other files have it.

        Raises:
            UnusableTableError: When a file cannot be read, or a value does not fit; the file and
                the column are named.
        """
        wanted = self.arrow_schema if arrow_schema is None else arrow_schema
        known = set(self.arrow_schema.names)
        for file in self.files:
            for batch in self._read(file, wanted):
                yield _fitted(file, _with_missing(batch, wanted, known), wanted)

    def _schema_of(self, file: Path) -> pa.Schema:
        try:
            match self._kind:
                case "arrow":
                    first = next(_arrow_batches(file, is_schema=True)).schema
                case "json" if _is_array(file):
                    first = next(_array_batches(file)).schema
                case _:
                    first = ds.dataset(file, format=self._kind).schema
        except (OSError, ValueError, pa.ArrowException, StopIteration) as error:
            fault = str(error)
        else:
            return plain_schema(first)
        raise self._unreadable(file, fault, None)

    def _read(self, file: Path, wanted: pa.Schema) -> Iterator[pa.RecordBatch]:
        """Yield the rows of a file; errors of whoever takes them are not taken for the file's."""
        batches: Iterator[pa.RecordBatch] | None = None
        while True:
            try:
                if batches is None:
                    batches = iter(self._scan(file, wanted))
                batch = next(batches, None)
            except (OSError, ValueError, pa.ArrowException) as error:
                fault = str(error)
                break
            if batch is None:
                return
            yield batch
        raise self._unreadable(file, fault, wanted)

    def _scan(self, file: Path, wanted: pa.Schema) -> Iterable[pa.RecordBatch]:
        match self._kind:
            case "arrow":
                return _arrow_batches(file, is_schema=False)
            case "json" if _is_array(file):
                return _array_batches(file)
            case "parquet":
                schema = None
            case _:
                # Text is read as what the table wants where it has the column.
                own = ds.dataset(file, format=self._kind).schema
                schema = pa.schema(
                    [
                        wanted.field(field.name) if field.name in wanted.names else field
                        for field in own
                    ]
                )
        dataset = ds.dataset(file, schema=schema, format=self._kind)
        batches: Iterable[pa.RecordBatch] = dataset.to_batches(
            batch_readahead=_READ_AHEAD, fragment_readahead=1
        )
        return batches

    def _unreadable(self, file: Path, fault: str, wanted: pa.Schema | None) -> UnusableTableError:
        """Return the refusal of a file; of a fault only the column that it names is told."""
        in_csv, in_json = _CSV_COLUMN.search(fault), _JSON_COLUMN.search(fault)
        column = in_json[1] if in_json is not None else None
        if in_csv is not None:
            names = ds.dataset(file, format="csv").schema.names
            position = int(in_csv[1])
            column = names[position] if position < len(names) else None
        if column is None:
            return UnusableTableError(f"{file.name} cannot be read as {self._kind}")
        known = wanted is not None and column in wanted.names
        kind = wanted.field(column).type if wanted is not None and known else "one type"
        return UnusableTableError(
            f"{file.name} has a value in column {column} that is not {kind}; correct it, or load "
            "into a table whose column is text"
        )


def _with_missing(batch: pa.RecordBatch, wanted: pa.Schema, known: set[str]) -> pa.RecordBatch:
    """Return the rows with NULL in columns that other files have."""
    for field in wanted:
        if field.name in known and field.name not in batch.schema.names:
            batch = batch.append_column(field, pa.nulls(batch.num_rows, field.type))
    return batch


def _fitted(file: Path, batch: pa.RecordBatch, wanted: pa.Schema) -> pa.RecordBatch:
    try:
        return fit_rows(batch, wanted, ())
    except UnusableTableError as error:
        fault = error.text
    raise UnusableTableError(f"{file.name}: {fault}")


def _arrow_batches(file: Path, *, is_schema: bool) -> Iterator[pa.RecordBatch]:
    """Yield the batches of a file of Arrow's, or one without rows for its schema."""
    with pa.memory_map(str(file)) as held:
        is_file = held.read(len(_IPC_FILE)) == _IPC_FILE
        held.seek(0)
        reader = pa.ipc.open_file(held) if is_file else pa.ipc.open_stream(held)
        if is_schema:
            yield pa.RecordBatch.from_pylist([], reader.schema)
        elif is_file:
            for number in range(reader.num_record_batches):
                yield reader.get_batch(number)
        else:
            yield from reader


def _is_array(file: Path) -> bool:
    with file.open("rb") as held:
        return held.read(4096).lstrip()[:1] == b"["


def _array_batches(file: Path) -> Iterator[pa.RecordBatch]:
    """Yield the rows of a file that is one JSON array; it is read as a whole."""
    if file.stat().st_size > _MAX_ARRAY_BYTES:
        raise UnusableTableError(
            f"{file.name} is one array above {_MAX_ARRAY_BYTES >> 20} MiB; write one object a line"
        )
    objects = pa.array(json.loads(file.read_bytes()))
    if not pa.types.is_struct(objects.type):
        raise ValueError("not an array of objects")
    rows = pa.RecordBatch.from_struct_array(objects)
    for start in range(0, rows.num_rows, _ARRAY_ROWS):
        yield rows.slice(start, _ARRAY_ROWS)
