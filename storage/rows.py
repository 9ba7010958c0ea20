"""Rows on their way into a table: which columns can partition it, and whether rows fit it."""

from collections.abc import Sequence

import pyarrow as pa
import pyarrow.types as pat

from storage.errors import UnusableTableError
from storage.hive import split_segment


def check_partition_columns(schema: pa.Schema, partition_by: Sequence[str]) -> None:
    """Refuse columns that a table cannot be partitioned by.

    Raises:
        UnusableTableError: Naming the column and what is wrong with it.
    """
    for column in partition_by:
        if column not in schema.names:
            raise UnusableTableError(
                f"there is no column {column} to partition by; there are {', '.join(schema.names)}"
            )
        kind = schema.field(column).type
        if not (pat.is_integer(kind) or pat.is_date32(kind) or pat.is_string(kind)):
            raise UnusableTableError(
                f"column {column} is {kind}; partition by integers, dates or text"
            )
        if split_segment(f"{column}=0") != (column, "0") or not column.isidentifier():
            raise UnusableTableError(f"the name of column {column} cannot be a directory's")
    if len(set(partition_by)) != len(partition_by):
        raise UnusableTableError("a column can be partitioned by once")
    if len(partition_by) == len(schema):
        raise UnusableTableError("at least one column must stay in the files")


def fit_rows(
    batch: pa.RecordBatch, schema: pa.Schema, partition_by: Sequence[str]
) -> pa.RecordBatch:
    """Return the rows in the schema of the table, with a value for each partition column.

    Raises:
        UnusableTableError: When a column is missing or too many, a value does not fit its type, or
            one is missing where it must not; the column is named.
    """
    if batch.schema.names != schema.names:
        _refuse_columns(batch.schema.names, schema.names)
        batch = batch.select(schema.names)
    fitted = pa.RecordBatch.from_arrays(
        [_fit_column(batch.column(field.name), field) for field in schema], schema=schema
    )
    for column in partition_by:
        values = fitted.column(column)
        has_empty = pat.is_string(values.type) and "" in values.unique().to_pylist()
        if values.null_count or has_empty:
            raise UnusableTableError(
                f"column {column} has rows without a value; they have no partition to go to"
            )
    return fitted


def _refuse_columns(found: Sequence[str], wanted: Sequence[str]) -> None:
    fault = "the rows do not fit the columns of the table"
    for column in wanted:
        if column not in found:
            raise UnusableTableError(f"{fault}: column {column} is missing")
    for column in found:
        if column not in wanted:
            raise UnusableTableError(f"{fault}: there is no column {column} in it")
    if len(set(found)) != len(found):
        raise UnusableTableError(f"{fault}: a column is there twice")


def _fit_column(values: pa.Array, field: pa.Field) -> pa.Array:
    if values.type != field.type:
        try:
            values = values.cast(field.type)
        except (pa.ArrowException, ValueError):
            values = None
        if values is None:
            raise UnusableTableError(
                f"the rows do not fit the columns of the table: column {field.name} is {field.type}"
            )
    if not field.nullable and values.null_count:
        raise UnusableTableError(f"column {field.name} has rows without a value, and must have one")
    return values
