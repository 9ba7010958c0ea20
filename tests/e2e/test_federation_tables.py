"""`system.federation`: the federation's own tables, asked like any other; everybody's own part."""

import pyarrow as pa
import pytest

from flight_mom.demo.federation import HANGZHOU, MOM, SHANGHAI
from flight_sql import Client
from tests.e2e.federation import (
    AUDIT,
    COUNT_FLIGHTS,
    READER,
    count,
    latest_read,
    refused_sql,
)


def test_it_is_asked_like_any_table(reader: Client) -> None:
    refused_sql(reader, COUNT_FLIGHTS)
    asked = reader.query(
        "with mine as (select action, allowed, date_trunc('day', at) as day, "
        "row_number() over (partition by action order by at desc) as nth "
        f"from {AUDIT} where at >= now() - interval '1 day') "
        "select action, day, count(*) as n, max(nth) as last from mine where nth <= 10 "
        "group by action, day order by n desc limit 3"
    ).read_all()
    assert asked.schema.names == ["action", "day", "n", "last"]
    assert 0 < asked.num_rows <= 3
    bound = pa.record_batch({"1": ["read"], "2": [False]})
    sql = f"select count(*) as n from {AUDIT} where action = ? and allowed = ?"
    assert count(reader, sql, parameters=bound) > 0
    prepared = reader.prepare(f"select at, allowed, epoch from {AUDIT} where actor = ?")
    assert prepared.arrow_schema is not None
    assert prepared.arrow_schema.types == [pa.timestamp("us", "UTC"), pa.bool_(), pa.int64()]
    assert prepared.parameter_schema is not None
    assert prepared.parameter_schema.types == [pa.utf8()]


def test_it_is_described_and_listed(reader: Client) -> None:
    described = reader.query(f"DESCRIBE {AUDIT}").read_all()
    columns = reader.query(f"select * from {AUDIT} limit 0").read_all().schema.names
    assert described["column_name"].to_pylist() == columns
    shown = reader.query("SHOW TABLES FROM system.federation").read_all()
    assert shown["table_name"].to_pylist() == [
        "audit",
        "cluster_states",
        "clusters",
        "grants",
        "heartbeat_handlers",
        "jobs",
        "nodes",
        "tables",
    ]
    assert shown["row_count"].null_count == shown.num_rows
    schemas = {
        entry["table_name"]: pa.ipc.read_schema(pa.py_buffer(entry["table_schema"]))
        for entry in reader.tables(include_schema=True).to_pylist()
        if (entry["catalog_name"], entry["db_schema_name"]) == ("system", "federation")
    }
    assert set(schemas) == set(shown["table_name"].to_pylist())
    assert schemas["audit"].names == columns
    assert "system" in reader.catalogs()


def test_it_lies_in_the_catalog_system_of_the_mom_and_nowhere_else(reader: Client) -> None:
    sql = "select count(*) as n from system.federation.audit{}"
    assert count(reader, sql.format(f"@{MOM}")) > 0
    assert count(reader, 'select count(*) as n from "system"."federation"."audit"') > 0
    headers = (("x-catalog", "system"), ("x-schema", "federation"))
    assert count(reader, "select count(*) as n from audit", headers=headers) > 0
    for elsewhere in (HANGZHOU, SHANGHAI, "nowhere"):
        assert refused_sql(reader, sql.format(f"@{elsewhere}")).code == "not-found"
        assert refused_sql(reader, f"SHOW TABLES FROM system@{elsewhere}").code == "not-found"
    for missing in ("system.federation.nothing", "system.monitor.audit", "system.monitor.nodes"):
        assert refused_sql(reader, f"select * from {missing}").code == "not-found"
        assert refused_sql(reader, f"DESCRIBE {missing}").code == "not-found"


def test_use_makes_it_the_place_of_bare_names(reader: Client) -> None:
    reader.update("USE system.federation")
    assert count(reader, "select count(*) as n from audit") > 0
    reader.update("USE DEFAULT")


def test_what_is_refused_of_any_table_is_refused_here(reader: Client) -> None:
    join = f"select * from {AUDIT} a join system.federation.grants g on a.actor = g.principal"
    assert refused_sql(reader, join).code == "join-not-supported"
    assert refused_sql(reader, f"EXPLAIN select * from {AUDIT}").code == "statement-not-supported"
    both = f"select actor from {AUDIT} union all select sym from trading.stock.quote"
    assert refused_sql(reader, both).code == "statement-not-supported"
    assert refused_sql(reader, f"select who from {AUDIT}").code == "unknown-column"
    for change in (f"DELETE FROM {AUDIT}", f"INSERT INTO {AUDIT} SELECT * FROM {AUDIT}"):
        assert refused_sql(reader, change).status in {"UNIMPLEMENTED", "INVALID_ARGUMENT"}


@pytest.mark.usefixtures("granted")
def test_the_other_tables_tell_what_show_tells(reader: Client, admin: Client) -> None:
    for name, shown in (("grants", "SHOW GRANTS"), ("clusters", "SHOW CLUSTERS")):
        for client in (reader, admin):
            told = client.query(f"select * from system.federation.{name}").read_all().to_pylist()
            assert told
            assert steady(told) == steady(client.query(shown).read_all().to_pylist())
    listed = (
        "select cluster_name, table_name, row_count from system.federation.tables order by 1, 2"
    )
    names = reader.query(listed).read_all().to_pylist()
    assert [(row["cluster_name"], row["table_name"]) for row in names] == [
        (HANGZHOU, "flights"),
        (SHANGHAI, "quote"),
    ]


def steady(rows: list[dict[str, object]]) -> list[dict[str, object]]:
    """Return the rows that are the federation's, without what changes between two questions."""
    ours = [row for row in rows if row.get("authority") != "home"]
    return [{k: v for k, v in row.items() if k != "last_heartbeat_at"} for row in ours]


def test_reading_it_is_written_down_too(reader: Client) -> None:
    count(reader, f"select count(*) as n from {AUDIT}")
    seen = latest_read(reader, f"{AUDIT}@{MOM}")
    assert (seen["actor"], seen["allowed"]) == (READER, True)
