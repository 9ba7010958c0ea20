"""Audit records as Arrow rows, wherever they are read: exported, or asked for in SQL."""

from collections.abc import Iterable, Sequence

import pyarrow as pa

AUDIT_SCHEMA = pa.schema(
    [
        pa.field("at", pa.timestamp("us", "UTC"), nullable=False),
        pa.field("actor", pa.string(), nullable=False),
        pa.field("source", pa.string(), nullable=False),
        pa.field("action", pa.string(), nullable=False),
        pa.field("object", pa.string(), nullable=False),
        pa.field("allowed", pa.bool_(), nullable=False),
        pa.field("rule", pa.string(), nullable=False),
        pa.field("epoch", pa.int64(), nullable=False),
        pa.field("ticket_id", pa.string(), nullable=False),
        pa.field("statement_digest", pa.string(), nullable=False),
        pa.field("detail", pa.string(), nullable=False),
    ]
)


def audit_rows(stored: Iterable[Sequence[object]]) -> pa.Table:
    """Return stored records as rows of `AUDIT_SCHEMA`, in their order; it may be empty."""
    columns = list(zip(*stored, strict=True)) or [()] * len(AUDIT_SCHEMA)
    arrays = [
        pa.array(values, field.type) for values, field in zip(columns, AUDIT_SCHEMA, strict=True)
    ]
    return pa.table(arrays, schema=AUDIT_SCHEMA)
