"""Which queries are those of the parts of their tables; and that they are."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from planner import Defaults, Query, Values, parse_statement, plan_query
from storage.names import ObjectName
from tests.corpus.comparing import require_same
from tests.corpus.loading import corpus_tables, read_corpus
from tests.planner.examples import examples
from tests.planner.federation import plan, read_query, rows_of, run, schemas_of

COUNTS = (1, 2, 3, 7)
CORPUS = read_corpus()
TABLES = {ObjectName("hangzhou", *name.split(".")): rows for name, rows in corpus_tables().items()}


def part_of(
    tables: Mapping[ObjectName, pa.Table], at: int, count: int, name: ObjectName
) -> pa.Table:
    """Return every so manieth row of a table."""
    rows = tables[name]
    return rows.take(pa.array(range(at, rows.num_rows, count), pa.int64()))


def require_parts(
    query: Query, tables: Mapping[ObjectName, pa.Table], counts: Sequence[int]
) -> None:
    """Fail when the answers over the parts of the tables are not together the answer."""
    planned = plan_query(query, {name: tables[name].schema for name in query.tables})
    values = dict(planned.values)
    whole = run(query, planned.text, values, held=tables.__getitem__)
    for count in counts:
        parts = [
            run(query, planned.text, values, held=partial(part_of, tables, at, count))
            for at in range(count)
        ]
        # What can be null is told by batches, and of parts without rows there are none.
        assert all(part.schema.names == whole.schema.names for part in parts)
        assert sum(part.num_rows for part in parts) == whole.num_rows
        if whole.num_columns:
            alike = [part.cast(whole.schema) for part in parts]
            require_same(pa.concat_tables(alike), whole, is_ordered=False)


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT * FROM quote",
        "SELECT bid + 1 AS x, upper(sym) FROM quote WHERE size > 10 AND day < '2026-01-03'",
        "SELECT bid FROM quote@hangzhou UNION ALL SELECT ask FROM trade@hangzhou",
        "SELECT bid FROM quote UNION ALL SELECT bid FROM quote",
        "SELECT unnest(tags) AS tag FROM quote",
        "SELECT x.b FROM (SELECT bid AS b FROM quote WHERE sym = 'b') x WHERE x.b > 2",
        "WITH q AS (SELECT bid FROM quote) SELECT * FROM q",
        # The engine keeps no order of a derived table.
        "SELECT bid FROM (SELECT bid FROM quote ORDER BY bid) x",
        "SELECT random() AS r, bid FROM quote",
        "SELECT bid FROM quote WHERE false",
        "SELECT CASE WHEN size IN (10, 20) THEN 'few' ELSE 'many' END FROM quote",
    ],
)
def test_row_by_row_statement_is_divisible(sql: str) -> None:
    assert plan(sql).is_divisible


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT count(*) FROM quote",
        "SELECT sym FROM quote GROUP BY sym",
        "SELECT DISTINCT sym FROM quote",
        "SELECT DISTINCT ON (sym) sym, bid FROM quote",
        "SELECT bid FROM quote ORDER BY bid",
        "SELECT bid FROM quote LIMIT 3",
        "SELECT bid FROM quote OFFSET 1",
        "SELECT row_number() OVER () AS n FROM quote",
        "SELECT bid, sum(bid) OVER (PARTITION BY sym) AS s FROM quote",
        "SELECT bid FROM quote QUALIFY row_number() OVER () = 1",
        "SELECT bid FROM quote UNION SELECT bid FROM trade",
        "SELECT bid FROM quote WHERE bid = (SELECT max(bid) FROM quote)",
        "SELECT bid, (SELECT count(*) FROM quote) AS n FROM quote",
        "SELECT bid FROM quote UNION ALL SELECT 1.5",
        "SELECT bid FROM quote UNION ALL SELECT column1 FROM (VALUES (1.5)) v",
        "SELECT bid FROM quote UNION ALL SELECT value FROM generate_series(1, 3)",
        "WITH RECURSIVE r AS (SELECT bid FROM quote UNION ALL SELECT bid + 1 FROM r) FROM r",
        "SELECT 1 AS one",
        "EXPLAIN SELECT bid FROM quote",
        "EXPLAIN ANALYZE SELECT bid FROM quote",
        # One moment for the whole statement: its parts begin at several.
        "SELECT now() AS at, bid FROM quote",
        "SELECT bid FROM quote WHERE day < current_date",
        "SELECT current_timestamp AS at, bid FROM quote",
    ],
)
def test_any_other_is_not(sql: str) -> None:
    assert not plan(sql).is_divisible


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT a.bid FROM quote a JOIN trade b ON a.day = b.day",
        "SELECT bid FROM quote WHERE sym IN (SELECT sym FROM trade)",
        "SELECT bid FROM quote INTERSECT SELECT bid FROM trade",
        "SELECT a.bid FROM quote a, trade b",
        "SELECT bid, tag FROM quote, unnest(tags) AS t(tag)",
    ],
)
def test_what_is_joined_at_home_is_not(sql: str) -> None:
    assert not plan(sql, home="shanghai").is_divisible


def test_text_of_the_statement_makes_nothing_divisible() -> None:
    """A line break in a literal makes a further line of the plan, and that can only say no."""
    assert not plan("SELECT count(*) AS n FROM quote WHERE sym <> '\nTableScan: x'").is_divisible
    assert not plan("SELECT bid FROM quote WHERE sym <> '\nLimit: x'").is_divisible


def test_several_rows_of_values_are_answered_one_after_another() -> None:
    query = read_query("SELECT bid FROM quote WHERE size = $1")
    for rows, expected in (([10], True), ([10, 20], False)):
        values = Values.of(pa.record_batch({"0": pa.array(rows, pa.int64())}))
        bound = replace(query, values=values)
        assert plan_query(bound, schemas_of(query.tables)).is_divisible is expected


def test_statements_of_the_corpus_are_those_of_their_parts() -> None:
    schemas = {name: rows.schema for name, rows in TABLES.items()}
    found = 0
    for statement in CORPUS:
        query = parse_statement(statement.over("hangzhou"), Defaults("shanghai"))
        assert isinstance(query, Query)
        if plan_query(query, schemas).is_divisible:
            found += 1
            assert not statement.is_ordered
            # Each with another number of parts: the corpus has several statements of each kind.
            require_parts(query, TABLES, (COUNTS[found % len(COUNTS)],))
    assert 0.2 < found / len(CORPUS) < 0.8


READS = st.sampled_from(
    [
        "SELECT bid, sym, size FROM quote",
        "SELECT ask AS bid, sym, size FROM trading.stock.trade WHERE size > 10",
        "SELECT unnest(tags) AS bid, sym, size FROM quote",
    ]
)
AROUND = (
    "SELECT bid, sym, size FROM ({}) x WHERE bid > 2 OR sym = 'a'",
    "SELECT bid + size AS bid, upper(sym) AS sym, size FROM ({}) x",
    "SELECT unnest(make_array(bid, 0)) AS bid, sym, size FROM ({}) x",
    "SELECT bid, CASE WHEN size > 15 THEN sym END AS sym, 20 AS size FROM ({}) x",
    "SELECT * FROM (WITH c AS ({}) SELECT * FROM c WHERE size IS NOT NULL) y",
)
ENDS = ("SELECT sum(bid) AS s FROM ({}) x", "{} LIMIT 2", "SELECT DISTINCT sym FROM ({}) x")
STATEMENTS = st.recursive(
    READS,
    lambda query: st.one_of(
        st.builds(str.format, st.sampled_from(AROUND), query),
        st.builds("{} UNION ALL {}".format, query, query),
    ),
    max_leaves=4,
)


@examples(60)
@given(STATEMENTS, st.sampled_from(COUNTS[1:]))
def test_nested_statement_is_that_of_its_parts(sql: str, count: int) -> None:
    query = read_query(sql)
    assert plan(sql).is_divisible
    require_parts(query, {name: rows_of(name) for name in query.tables}, (count,))


@examples(30)
@given(STATEMENTS, st.sampled_from(ENDS))
def test_what_looks_at_several_rows_at_last_is_not_divisible(sql: str, end: str) -> None:
    assert not plan(end.format(sql)).is_divisible
