"""TPC-H: visitors get two of its queries, and owners all 22."""

import pytest
from datafusion import SessionConfig, SessionContext
from datafusion.catalog import Catalog, Schema

from planner import Defaults, JoinNotSupportedError, Query, parse_statement, plan_query
from storage.names import ObjectName
from tests.corpus.comparing import require_same
from tests.corpus.tpchqueries import (
    ANSWERED,
    QUERIES,
    REFUSED_FOR,
    over,
    require_refused_for,
)
from tests.corpus.tpchtables import make_tpch

CLUSTER = "hangzhou"
TABLES = make_tpch()
SCHEMAS = {ObjectName(CLUSTER, "tpch", "tiny", name): rows.schema for name, rows in TABLES.items()}


@pytest.fixture(scope="module")
def alone() -> SessionContext:
    session = SessionContext(SessionConfig().with_create_default_catalog_and_schema(enabled=False))
    catalog = Catalog.memory_catalog()
    session.register_catalog_provider("tpch", catalog)
    catalog.register_schema("tiny", Schema.memory_schema())
    for name, rows in TABLES.items():
        session.register_record_batches(f"tpch.tiny.{name}", [rows.to_batches()])
    return session


def test_each_query_is_answered_or_refused() -> None:
    assert len(QUERIES) == 22
    assert sorted(QUERIES) == sorted([*ANSWERED, *REFUSED_FOR])


@pytest.mark.parametrize("name", sorted(QUERIES))
def test_owner_gets_what_datafusion_answers(alone: SessionContext, name: str) -> None:
    written = over(QUERIES[name], CLUSTER)
    query = parse_statement(written, Defaults("shanghai"), home=CLUSTER)
    assert isinstance(query, Query)
    frame = alone.sql(over(QUERIES[name]))
    planned = plan_query(query, SCHEMAS)
    assert planned.arrow_schema.equals(frame.schema())
    expected = frame.to_arrow_table()
    assert expected.num_rows > 0
    answered = alone.sql(planned.text).to_arrow_table()
    require_same(answered, expected, is_ordered="order by" in written)


@pytest.mark.parametrize("name", sorted(ANSWERED))
def test_visitor_gets_what_needs_no_join(name: str) -> None:
    written = over(QUERIES[name], CLUSTER)
    owned = parse_statement(written, Defaults("shanghai"), home=CLUSTER)
    visited = parse_statement(written, Defaults("shanghai"))
    assert isinstance(owned, Query)
    assert isinstance(visited, Query)
    assert plan_query(visited, SCHEMAS).text == plan_query(owned, SCHEMAS).text


@pytest.mark.parametrize("name", sorted(REFUSED_FOR))
def test_visitor_is_refused_for_the_construct(name: str) -> None:
    with pytest.raises(JoinNotSupportedError) as refusal:
        parse_statement(over(QUERIES[name], CLUSTER), Defaults("shanghai"))
    require_refused_for(name, str(refusal.value))
