"""TPC-H through a running federation: two of its queries for visitors, all 22 at home."""

from collections.abc import Iterator

import pytest
from datafusion import SessionConfig, SessionContext
from datafusion.catalog import Catalog, Schema

from flight_mom.demo.federation import HANGZHOU, MOM, SHANGHAI, DemoFederation
from flight_sql import Client
from tests.corpus.comparing import require_same
from tests.corpus.tpchqueries import (
    ANSWERED,
    QUERIES,
    REFUSED_FOR,
    over,
    require_refused_for,
)
from tests.corpus.tpchtables import TPCH_SCHEMA, make_tpch
from tests.e2e.federation import ADMIN, READER, refused_sql, revoke_everything


@pytest.fixture(scope="module")
def visitor(federation: DemoFederation) -> Iterator[Client]:
    """user1@shanghai at the MoM, who may read all of TPC-H."""
    with federation.client(ADMIN, MOM, at=MOM) as admin:
        admin.update(f"GRANT SCHEMA_READ ON {TPCH_SCHEMA}@{HANGZHOU} TO {READER}")
        with federation.client("user1", SHANGHAI, at=MOM) as at_mom:
            yield at_mom
        revoke_everything(admin)


@pytest.fixture(scope="module")
def owner(federation: DemoFederation) -> Iterator[Client]:
    with federation.client("user2", HANGZHOU, at=HANGZHOU) as at_home:
        yield at_home


@pytest.fixture(scope="module")
def alone() -> SessionContext:
    session = SessionContext(SessionConfig().with_create_default_catalog_and_schema(enabled=False))
    catalog = Catalog.memory_catalog()
    session.register_catalog_provider("tpch", catalog)
    catalog.register_schema("tiny", Schema.memory_schema())
    for name, rows in make_tpch().items():
        session.register_record_batches(f"{TPCH_SCHEMA}.{name}", [rows.to_batches()])
    return session


@pytest.mark.parametrize("name", sorted(QUERIES))
def test_owner_gets_what_datafusion_answers(
    owner: Client, alone: SessionContext, name: str
) -> None:
    answered = owner.query(over(QUERIES[name])).read_all()
    expected = alone.sql(over(QUERIES[name])).to_arrow_table()
    assert answered.schema.names == expected.schema.names
    require_same(answered, expected, is_ordered="order by" in QUERIES[name])


@pytest.mark.parametrize("name", sorted(ANSWERED))
def test_visitor_gets_what_needs_no_join(visitor: Client, alone: SessionContext, name: str) -> None:
    answered = visitor.query(over(QUERIES[name], HANGZHOU)).read_all()
    expected = alone.sql(over(QUERIES[name])).to_arrow_table()
    require_same(answered, expected, is_ordered=True)


@pytest.mark.parametrize("name", sorted(REFUSED_FOR))
def test_visitor_is_refused_for_the_construct(visitor: Client, name: str) -> None:
    refusal = refused_sql(visitor, over(QUERIES[name], HANGZHOU))
    require_refused_for(name, str(refusal))
