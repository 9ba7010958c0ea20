"""The law of the federation: it answers what one DataFusion session over the same files answers.

Every statement is asked at the MoM, which relays, and at the home of the tables; one in ten also at
the reader's home, which asks the MoM and hands on what it says.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest
from datafusion import SessionConfig, SessionContext
from datafusion.catalog import Catalog, Schema

from flight_mom.demo.federation import HANGZHOU, MOM, SHANGHAI, DemoFederation
from flight_sql import Client, wire_schema
from storage.delta import read_state
from storage.deltasnapshots import link_files
from tests.corpus.comparing import require_same
from tests.corpus.loading import CorpusStatement, corpus_tables, read_corpus
from tests.e2e.federation import (
    ADMIN,
    FLIGHTS_AT,
    READER,
    SAMPLES_AT,
    revoke_everything,
    stored_table,
)

CORPUS = read_corpus()
ALSO_AT_HOME = frozenset(CORPUS[::10])


@pytest.fixture(scope="module")
def clients(federation: DemoFederation) -> Iterator[dict[str, Client]]:
    """Where the same statement can be asked."""
    with federation.client(ADMIN, MOM, at=MOM) as admin:
        revoke_everything(admin)
        admin.update(f"GRANT TABLE_READ ON {FLIGHTS_AT} TO {READER}")
        admin.update(f"GRANT TABLE_READ ON {SAMPLES_AT} TO {READER}")
        with (
            federation.client("user1", SHANGHAI, at=MOM) as at_mom,
            federation.client("user1", SHANGHAI, at=SHANGHAI) as at_home,
            federation.client("user2", HANGZHOU, at=HANGZHOU) as owner,
        ):
            yield {"the MoM": at_mom, "the tables' home": owner, "the reader's home": at_home}
        revoke_everything(admin)


@pytest.fixture(scope="module")
def alone(federation: DemoFederation, tmp_path_factory: pytest.TempPathFactory) -> SessionContext:
    """DataFusion by itself over the files of the member."""
    config = SessionConfig(
        {"datafusion.execution.parquet.schema_force_view_types": "false"}
    ).with_create_default_catalog_and_schema(enabled=False)
    session = SessionContext(config)
    catalog = Catalog.memory_catalog()
    session.register_catalog_provider("aviation", catalog)
    for full_name in corpus_tables():
        table = stored_table(federation, HANGZHOU, full_name)
        _, schema, name = full_name.split(".")
        if schema not in catalog.schema_names():
            catalog.register_schema(schema, Schema.memory_schema())
        files = SessionContext(config)
        partitions = [
            (column, table.arrow_schema.field(column).type) for column in table.partition_columns
        ]
        files.register_catalog_provider("own", own := Catalog.memory_catalog())
        own.register_schema("own", Schema.memory_schema())
        folder, location = tmp_path_factory.mktemp(name) / "files", Path(str(table.location))
        link_files(location, read_state(location), folder)
        files.register_parquet(f"own.own.{name}", str(folder), table_partition_cols=partitions)
        catalog.schema(schema).register_table(name, own.schema("own").table(name))
    return session


@pytest.mark.parametrize("statement", CORPUS, ids=lambda statement: statement.name)
def test_federation_answers_what_datafusion_answers(
    clients: dict[str, Client], alone: SessionContext, statement: CorpusStatement
) -> None:
    frame = alone.sql(statement.over())
    expected = frame.to_arrow_table()
    for where, client in clients.items():
        if where == "the reader's home" and statement not in ALSO_AT_HOME:
            continue
        answered = client.query(statement.over(HANGZHOU)).read_all()
        assert answered.schema.equals(wire_schema(frame.schema())), where
        require_same(answered, expected, is_ordered=statement.is_ordered)
