"""The values that clients bind to parameters, as they come in a DoPut.

Clients differ in names ("0", "1", "param_0", …), in whether a value travels inside a union, and in
how they say that there is none. What a backend gets is a batch with one column per parameter, in
their order, in the types of the wire. A batch is checked before it is looked at: its bytes are a
stranger's.
"""

from typing import Any

import pyarrow as pa

from flight_sql.errors import InvalidRequestError
from flight_sql.wire import cast_batch, wire_schema

MAX_VALUE_BYTES = 1_048_576
_TOO_LARGE = (
    f"the bound values take more than {MAX_VALUE_BYTES:,} bytes; bind less, and read long lists in "
    "several statements"
)


def read_values(reader: Any) -> list[pa.RecordBatch]:
    """Return what was bound, one batch for each row; nothing for none.

    Raises:
        InvalidRequestError: When the values are too large, or no values.
    """
    rows: list[pa.RecordBatch] = []
    byte_count = 0
    for chunk in reader:
        batch = chunk.data
        if batch is None or not batch.num_columns or not batch.num_rows:
            continue
        byte_count += batch.nbytes
        if byte_count > MAX_VALUE_BYTES or len(rows) + batch.num_rows > MAX_VALUE_BYTES:
            raise InvalidRequestError(_TOO_LARGE)
        _check(batch)
        # One by one: a union may hold another type in each row.
        rows += (_plain(batch.slice(row, 1)) for row in range(batch.num_rows))
    return rows


def _check(batch: pa.RecordBatch) -> None:
    try:
        batch.validate(full=True)
    except pa.ArrowException:
        pass
    else:
        return
    raise InvalidRequestError("the bound values are damaged; bind them again")


def _plain(batch: pa.RecordBatch) -> pa.RecordBatch:
    """Return a row without unions, in the types of the wire."""
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
