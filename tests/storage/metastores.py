"""Two tables of one cluster, as its metastore knows them."""

from dataclasses import replace

import pyarrow as pa

from storage.metastore import Table
from storage.names import ObjectName

SCHEMA = pa.schema(
    [
        pa.field("Bid", pa.decimal128(15, 2), nullable=False),
        pa.field("at", pa.timestamp("us", tz="UTC")),
        pa.field("tags", pa.list_(pa.struct([pa.field("key", pa.utf8())]))),
        pa.field("day", pa.date32(), nullable=False),
    ]
)
QUOTE = Table(
    id="1" * 32,
    name=ObjectName("hangzhou", "trading", "stock", "quote"),
    arrow_schema=SCHEMA,
    partition_columns=("day",),
    schema_version=3,
    snapshot="2" * 32,
    row_count=12,
    byte_count=3_000_000_000,
    file_count=2,
    location="/secret/place",
)
TRADE = replace(QUOTE, id="3" * 32, name=ObjectName("hangzhou", "trading", "stock", "trade"))
