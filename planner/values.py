"""The values that are bound to a statement's parameters, on their way from the client."""

from dataclasses import dataclass, field
from typing import Self

import pyarrow as pa


@dataclass(frozen=True, slots=True)
class Values:
    """One value for each parameter of a statement, by position, as an Arrow IPC stream.

    Bytes, because they travel inside signed values and are compared and hashed; they show in no
    representation, so that no log can hold them.
    """

    data: bytes = field(repr=False)

    @classmethod
    def of(cls, batch: pa.RecordBatch) -> Self:
        """Keep the only row of a batch."""
        sink = pa.BufferOutputStream()
        # A slice is written with its own rows only.
        with pa.ipc.new_stream(sink, batch.schema) as writer:
            writer.write_batch(batch)
        return cls(bytes(sink.getvalue()))

    def row(self) -> pa.RecordBatch:
        """Return the batch of one row."""
        with pa.ipc.open_stream(pa.py_buffer(self.data)) as reader:
            return reader.read_next_batch()
