"""The rows of a statement as a client reads them."""

import threading
from collections.abc import Iterator
from types import TracebackType
from typing import Any, Self

import pyarrow as pa

from flight_sql.remote import remote_errors


class Rows:
    """The record batches of a statement, in order; an iterator that can be left at any time.

    Leaving it (`close`, also from another thread, or the end of a `with`) cancels the stream at
    the server.

    Args:
        readers: pyarrow's readers with the address of each; the next is taken when the one before
            is read, the first at once.
        arrow_schema: The schema when there may be no reader at all.
    """

    def __init__(
        self, readers: Iterator[tuple[Any, str]], arrow_schema: pa.Schema | None = None
    ) -> None:
        self._readers = readers
        self._lock = threading.Lock()
        self._reader: Any
        self._reader, self._where = next(readers, (None, ""))
        if self._reader is not None:
            with remote_errors(self._where):
                arrow_schema = self._reader.schema
        self.arrow_schema: pa.Schema = arrow_schema

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        return self

    def __next__(self) -> pa.RecordBatch:
        while (reader := self._reader) is not None:
            with remote_errors(self._where):
                try:
                    # Not read_all: pyarrow takes a cancelled stream for a signal to the process.
                    batch = reader.read_chunk().data
                except StopIteration:
                    self._advance()
                    continue
            if batch is not None:
                return batch
        raise StopIteration

    def _advance(self) -> None:
        following, where = next(self._readers, (None, ""))
        with self._lock:
            if self._reader is not None:
                self._reader, self._where = following, where

    def read_all(self) -> pa.Table:
        """Return all rows that are left as one table."""
        return pa.Table.from_batches(list(self), schema=self.arrow_schema)

    def to_reader(self) -> pa.RecordBatchReader:
        """Return the rows as pyarrow's own kind of reader."""
        return pa.RecordBatchReader.from_batches(self.arrow_schema, self)

    def close(self) -> None:
        """Stop reading; the server is told."""
        with self._lock:
            reader, self._reader = self._reader, None
        if reader is not None:
            reader.cancel()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
