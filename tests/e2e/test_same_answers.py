"""The law of the federation: it answers what one DataFusion session over the same files answers."""

from collections import Counter
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest
from datafusion import SessionConfig, SessionContext

from flight_mom.demo.federation import HANGZHOU, MOM, SHANGHAI, DemoFederation
from flight_sql import Client, wire_schema
from tests.e2e.factories import FLIGHTS
from tests.e2e.federation import FLIGHTS_AT, READER, stored_table

# {t} is the table, with its cluster where the federation is asked.
STATEMENTS = (
    "select * from {t}",
    "select carrier, flight, origin, month from {t} where month = 2 and origin = 'JFK'",
    'select "Tail", upper("Tail") as loud, length("Tail") from {t} where "Tail" is not null',
    "select count(*), count(arr_delay), sum(flight), min(flight), max(flight) from {t}",
    "select avg(arr_delay) from {t} where arr_delay > 0",
    "select carrier, count(*) as n from {t} group by carrier order by carrier",
    "select carrier, origin, count(*) from {t} group by rollup (carrier, origin)",
    "select carrier, origin, count(*) from {t} group by cube (carrier, origin)",
    "select carrier, month, count(*) from {t} group by grouping sets ((carrier), (month), ())",
    "select carrier, count(*) as n from {t} group by carrier having count(*) > 10",
    "select distinct origin, month from {t}",
    "select flight from {t} order by flight desc limit 7 offset 3",
    "select flight, row_number() over (partition by carrier order by flight) as r from {t}",
    "select flight, lag(flight) over (order by flight) - flight as gap from {t} where month = 1",
    "select flight, sum(flight) over (order by flight rows 3 preceding) from {t} where month = 3",
    "select case when arr_delay > 5 then 'late' else 'fine' end, count(*) from {t} group by 1",
    "select cast(flight as decimal(18, 4)) / 3 as third, try_cast(carrier as int) from {t}",
    "select flight from {t} where carrier like 'A%' or carrier ilike '%l' or carrier ~ '^U'",
    "select flight from {t} where arr_delay between -2 and 2 and month in (1, 3)",
    "select flight from {t} where flight > (select avg(flight) from {t})",
    "with b as (select carrier, count(*) as n from {t} group by carrier) select max(n) from b",
    "select q.carrier, q.m from (select carrier, max(flight) as m from {t} group by carrier) q",
    "select carrier from {t} where month = 1 union all select carrier from {t} where month = 2",
    "select carrier from {t} where month = 1 union select origin from {t}",
    "select array_agg(month order by flight) filter (where flight < 9) from {t}",
    "select unnest([flight, flight + 1]) as n from {t} where flight < 4",
    "select {{'a': flight, 'b': carrier}} as s from {t} where flight < 4",
    "select date '2024-01-31' + interval '1 month' as d, now() > timestamp '2020-01-01' as later",
    "select approx_distinct(carrier), median(flight), stddev(flight) from {t}",
    "select percentile_cont(0.5) within group (order by flight) from {t}",
    "select first_value(carrier order by flight), last_value(carrier order by flight) from {t}",
    "select f.* from {t} as f where f.flight < 3",
    "select count(*) from {t} where false",
    "select 1 as one, 'x' as x, null as nothing, true as yes",
    "values (1, 'a'), (2, 'b')",
    "select /* a comment */ flight -- another\n from {t} where flight = 5;",
)


@pytest.fixture
def clients(federation: DemoFederation, admin: Client) -> Iterator[dict[str, Client]]:
    """The same statement can be asked at the MoM, at the reader's home, and by the owner."""
    admin.update(f"GRANT TABLE_READ ON {FLIGHTS_AT} TO {READER}")
    with (
        federation.client("user1", SHANGHAI, at=MOM) as at_mom,
        federation.client("user1", SHANGHAI, at=SHANGHAI) as at_home,
        federation.client("user2", HANGZHOU, at=HANGZHOU) as owner,
    ):
        yield {"the MoM": at_mom, "home": at_home, "the owner": owner}


@pytest.fixture(scope="module")
def alone(federation: DemoFederation) -> SessionContext:
    """DataFusion by itself over the files of the member."""
    table = stored_table(federation, HANGZHOU, FLIGHTS)
    catalog, schema, name = FLIGHTS.split(".")
    config = SessionConfig(
        {"datafusion.execution.parquet.schema_force_view_types": "false"}
    ).with_default_catalog_and_schema(catalog, schema)
    context = SessionContext(config)
    context.register_parquet(
        name,
        str(table.location),
        table_partition_cols=[
            (column, table.arrow_schema.field(column).type) for column in table.partition_columns
        ],
    )
    return context


def rows_of(table: pa.Table) -> Counter[Any]:
    return Counter(repr([_rounded(value) for value in row.values()]) for row in table.to_pylist())


def _rounded(value: Any) -> Any:
    # Sums of floats depend on the order of the partitions.
    return round(value, 6) if isinstance(value, float | Decimal) else value


@pytest.mark.parametrize("statement", STATEMENTS)
def test_federation_answers_what_datafusion_answers(
    clients: dict[str, Client], alone: SessionContext, statement: str
) -> None:
    expected = alone.sql(statement.format(t=FLIGHTS).rstrip(";")).to_arrow_table()
    for where, client in clients.items():
        answered = client.query(statement.format(t=FLIGHTS_AT)).read_all()
        assert answered.schema.names == expected.schema.names, where
        assert answered.schema.types == wire_schema(expected.schema).types, where
        assert rows_of(answered) == rows_of(expected), where
        if "order by flight desc" in statement:
            assert answered.to_pylist() == expected.to_pylist(), where
