"""When two answers are the same: as multisets of rows, floats to ten digits."""

from collections import Counter
from typing import Any

import pyarrow as pa


def require_same(answered: pa.Table, expected: pa.Table, *, is_ordered: bool) -> None:
    """Fail when the rows differ, or when their order does and should not."""
    assert answered.num_rows == expected.num_rows
    found, wanted = _rows(answered), _rows(expected)
    if is_ordered:
        assert found == wanted
    else:
        assert Counter(found) == Counter(wanted)


def _rows(table: pa.Table) -> list[str]:
    columns = [[_plain(value) for value in column.to_pylist()] for column in _readable(table)]
    return [repr(row) for row in zip(*columns, strict=True)]


def _readable(table: pa.Table) -> list[pa.ChunkedArray]:
    # pandas would be needed for nanoseconds: as integers they are as good.
    return [
        column.cast(pa.int64())
        if pa.types.is_timestamp(column.type) or pa.types.is_time64(column.type)
        else column
        for column in table.columns
    ]


def _plain(value: Any) -> Any:
    # Sums of floats depend on the order of the partitions.
    if isinstance(value, float):
        return round(float(f"{value:.10g}"), 9) + 0.0
    if isinstance(value, dict):
        return {key: _plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    return value
