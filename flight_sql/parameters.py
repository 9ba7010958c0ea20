"""The values that clients bind to parameters, as they come in a DoPut.

Clients differ in names ("0", "1", "param_0", …), in whether a value travels inside a union, and in
how they say that there is none. What a backend gets is one batch with a column per parameter, in
their order, in the types of the wire; the statement is meant to run once for each of its rows. What
comes is checked before it is looked at: its bytes are a stranger's.
"""

from collections.abc import Sequence
from typing import Any

import pyarrow as pa

from flight_sql.casting import cast_batch
from flight_sql.errors import InvalidRequestError
from flight_sql.wiretypes import wire_schema

MAX_VALUE_BYTES = 1_048_576
# Those of a statement that writes, all of whose rows are bound at once.
MAX_UPDATE_BYTES = 67_108_864


def read_values(reader: Any, max_bytes: int = MAX_VALUE_BYTES) -> pa.RecordBatch | None:
    """Return the rows that were bound; None when there was not even a column.

    Columns without rows are rows too: none. A statement then runs not at all.

    Args:
        reader: What they are read from.
        max_bytes: How many bytes they may take.

    Raises:
        InvalidRequestError: When the values are too large, no values, or of other types in one row
            than in another.
    """
    batches: list[pa.RecordBatch] = []
    byte_count = row_count = 0
    for chunk in reader:
        batch = chunk.data
        if batch is None or not batch.num_columns:
            continue
        byte_count += batch.nbytes
        row_count += batch.num_rows
        if byte_count > max_bytes or row_count > max_bytes:
            raise InvalidRequestError(
                f"the bound values take more than {max_bytes:,} bytes; bind less, and read long "
                "lists in several statements"
            )
        _check(batch)
        batches.append(batch)
    if not batches:
        return _no_rows(reader)
    return _joined([plain for batch in batches for plain in _plain_batches(batch)])


def _no_rows(reader: Any) -> pa.RecordBatch | None:
    """Return what a stream without batches binds: no rows of its columns, if it has any."""
    try:
        sent = reader.schema
    except (pa.ArrowException, AttributeError):
        return None
    if not len(sent):
        return None
    batch = pa.RecordBatch.from_pylist([], schema=_without_unions(sent))
    return cast_batch(batch, wire_schema(batch.schema))


def _without_unions(sent: pa.Schema) -> pa.Schema:
    # Nothing is in them, so that any type will do.
    return pa.schema(
        [each.with_type(pa.null()) if pa.types.is_union(each.type) else each for each in sent]
    )


def _plain_batches(batch: pa.RecordBatch) -> Sequence[pa.RecordBatch]:
    """Return a batch without unions: row by row, as one may hold another type in each."""
    if not any(pa.types.is_union(kind) for kind in batch.schema.types):
        return [_plain(batch)]
    if not batch.num_rows:
        return [pa.RecordBatch.from_pylist([], schema=_without_unions(batch.schema))]
    return [_plain(batch.slice(row, 1)) for row in range(batch.num_rows)]


def _joined(batches: Sequence[pa.RecordBatch]) -> pa.RecordBatch:
    """Return all rows in one batch; a column of nulls takes the type that it has in other rows."""
    if len(batches) == 1:
        return batches[0]
    try:
        rows = pa.concat_tables(map(_as_table, batches), promote_options="default")
    except (pa.ArrowException, ValueError, TypeError):
        pass
    else:
        (batch, *_) = rows.combine_chunks().to_batches() or [None]
        return pa.RecordBatch.from_pylist([], schema=rows.schema) if batch is None else batch
    raise InvalidRequestError(
        "the bound rows have values of different types for one parameter; bind each parameter in "
        "one type, or execute the statement several times"
    )


def _as_table(batch: pa.RecordBatch) -> pa.Table:
    return pa.Table.from_batches([batch])


def _check(batch: pa.RecordBatch) -> None:
    try:
        batch.validate(full=True)
    except pa.ArrowException:
        pass
    else:
        return
    raise InvalidRequestError("the bound values are damaged; bind them again")


def _plain(batch: pa.RecordBatch) -> pa.RecordBatch:
    """Return rows without unions, in the types of the wire; where there are unions, one row."""
    try:
        columns = [_without_union(column) for column in batch.columns]
        plain = pa.RecordBatch.from_arrays(columns, names=batch.schema.names)
        return cast_batch(plain, wire_schema(plain.schema))
    except (pa.ArrowException, ValueError, TypeError):
        pass
    raise InvalidRequestError("the bound values cannot be read; bind values of plain types")


def _without_union(column: Any) -> Any:
    """Return a column of one row; if it travels in a union, in its own type."""
    if not pa.types.is_union(column.type):
        return column
    return pa.array([column[0].value])
