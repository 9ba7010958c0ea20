"""Tables as a caller sees them."""

import pyarrow as pa

from flight_member.listing import ListedTable
from storage.metastore import Table
from storage.names import ObjectName

QUOTES = pa.schema([pa.field("symbol", pa.utf8(), nullable=False), pa.field("day", pa.int64())])


def make_listed(
    text: str = "trading.stock.quote@hangzhou",
    *,
    home: str | None = None,
    arrow_schema: pa.Schema = QUOTES,
) -> ListedTable:
    name = ObjectName.parse(text)
    table = Table(
        id="0" * 32,
        name=name,
        arrow_schema=arrow_schema,
        partition_columns=("day",) if "day" in arrow_schema.names else (),
        schema_version=1,
        snapshot="s",
        row_count=3,
        byte_count=2,
        file_count=1,
        location="/secret/place",
    )
    catalog = str(name.catalog)
    return ListedTable(catalog if name.cluster == home else f"{catalog}@{name.cluster}", table)


LISTED = [
    make_listed("trading.stock.quote@hangzhou"),
    make_listed("trading.bonds.quote@hangzhou"),
    make_listed("aviation.nyc.flights@shanghai", home="shanghai"),
]
