"""The values that are bound to a statement's parameters, on their way from the client."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Self

import pyarrow as pa


@dataclass(frozen=True, slots=True)
class Values:
    """Rows of values, one for each parameter of a statement, as an Arrow IPC stream.

    A statement runs once for each row. Bytes, because they travel inside signed values and are
    compared and hashed; they show in no representation, so that no log can hold them.
    """

    data: bytes = field(repr=False)

    @classmethod
    def of(cls, batch: pa.RecordBatch) -> Self:
        """Keep the rows of a batch."""
        sink = pa.BufferOutputStream()
        # A slice is written with its own rows only.
        with pa.ipc.new_stream(sink, batch.schema) as writer:
            writer.write_batch(batch)
        return cls(bytes(sink.getvalue()))

    def batch(self) -> pa.RecordBatch:
        """Return all rows."""
        with pa.ipc.open_stream(pa.py_buffer(self.data)) as reader:
            return reader.read_next_batch()

    def each(self) -> Iterator[Self]:
        """Yield the rows one by one."""
        batch = self.batch()
        for number in range(batch.num_rows):
            yield self.of(batch.slice(number, 1))

    def typical(self) -> Self:
        """Return one row that has a value wherever any row has one."""
        batch = self.batch()
        columns = [_first_valid(column) for column in batch.columns]
        return self.of(pa.RecordBatch.from_arrays(columns, names=batch.schema.names))


def _first_valid(column: pa.Array) -> pa.Array:
    valid = column.drop_null()
    return valid.slice(0, 1) if len(valid) else pa.nulls(1, column.type)
