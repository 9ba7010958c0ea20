"""Every statement of the corpus is read, planned on empty tables, and runs as it was written."""

import pyarrow as pa
import pytest
from datafusion import SessionConfig, SessionContext
from datafusion.catalog import Catalog, Schema

from planner import Defaults, Query, parse_statement, plan_query
from storage.names import ObjectName
from tests.corpus.comparing import require_same
from tests.corpus.functions import UNCOMPARABLE, functions_of_engine, functions_of_tree
from tests.corpus.loading import CorpusStatement, corpus_tables, read_corpus

CLUSTER = "hangzhou"
CORPUS = read_corpus()
TABLES = corpus_tables()
SCHEMAS = {ObjectName(CLUSTER, *name.split(".")): rows.schema for name, rows in TABLES.items()}


def make_session(names: list[str], *, reverse: bool = False) -> SessionContext:
    """Return DataFusion over some of the tables; in reverse, in another order and three parts."""
    config = SessionConfig().with_create_default_catalog_and_schema(False).with_target_partitions(2)
    session = SessionContext(config)
    catalog = Catalog.memory_catalog()
    session.register_catalog_provider("aviation", catalog)
    for schema in ("nyc", "lab"):
        catalog.register_schema(schema, Schema.memory_schema())
    for name in names:
        rows = TABLES[name]
        if reverse:
            rows = rows.take(pa.array(range(len(rows) - 1, -1, -1)))
        batches = rows.to_batches(max_chunksize=len(rows) // 3 + 1 if reverse else None)
        session.register_record_batches(name, [[batch] for batch in batches])
    return session


@pytest.fixture(scope="module")
def alone() -> SessionContext:
    return make_session(list(TABLES))


def test_corpus_holds_each_statement_once() -> None:
    assert len(CORPUS) >= 300
    assert len({" ".join(statement.text.split()) for statement in CORPUS}) == len(CORPUS)


@pytest.mark.parametrize("statement", CORPUS, ids=lambda statement: statement.name)
def test_planned_text_answers_what_the_written_one_does(
    alone: SessionContext, statement: CorpusStatement
) -> None:
    query = parse_statement(statement.over(CLUSTER), Defaults("shanghai"))
    assert isinstance(query, Query)
    planned = plan_query(query, SCHEMAS)
    frame = alone.sql(statement.over())
    expected = frame.to_arrow_table()
    # The tables that were read off the text, and no others.
    permitted = make_session([table.local for table in query.tables], reverse=True)
    answered = permitted.sql(planned.text).to_arrow_table()
    assert planned.arrow_schema.equals(frame.schema())
    assert answered.schema.equals(expected.schema)
    require_same(answered, expected, is_ordered=statement.is_ordered)


@pytest.mark.parametrize(
    "statement",
    [statement for statement in CORPUS if statement.name.startswith("columns-")],
    ids=lambda statement: statement.name,
)
def test_column_in_another_case_means_the_same(
    alone: SessionContext, statement: CorpusStatement
) -> None:
    loose = statement.over(CLUSTER).replace('"MixedCase"', "mixedCASE").replace('"Tail"', "TAIL")
    query = parse_statement(loose, Defaults("shanghai"))
    assert isinstance(query, Query)
    answered = alone.sql(plan_query(query, SCHEMAS).text).to_arrow_table()
    expected = alone.sql(statement.over()).to_arrow_table()
    assert answered.schema.equals(expected.schema)
    require_same(answered, expected, is_ordered=statement.is_ordered)


def test_corpus_calls_every_function_of_the_engine() -> None:
    called = {name for statement in CORPUS for name in functions_of_tree(statement.tree)}
    missing = functions_of_engine() - called
    assert sorted(missing) == sorted(UNCOMPARABLE)
