"""Statements as values, plans on empty tables, and what their errors give away."""

import time

import pyarrow as pa
import pytest

import planner
from planner import (
    Defaults,
    Explain,
    JoinNotSupportedError,
    NotFoundError,
    OneStatementOnlyError,
    PlannerError,
    Query,
    UnknownColumnError,
    parse_statement,
    plan_query,
)
from planner.errors import PlannerError as Root
from storage.names import ObjectName
from tests.planner.federation import DEFAULTS, plan, read_query, schemas_of

HANGZHOU = ObjectName("hangzhou", "trading", "stock", "quote")


def test_query_knows_its_tables_sorted_and_once() -> None:
    query = read_query(
        "SELECT bid FROM trade@hangzhou UNION SELECT bid FROM QUOTE@Hangzhou "
        "UNION SELECT bid FROM trading.stock.quote@hangzhou"
    )
    assert query.tables == (HANGZHOU, ObjectName("hangzhou", "trading", "stock", "trade"))
    assert query.cluster == "hangzhou"
    assert (query.catalog, query.schema) == ("trading", "stock")


def test_statement_that_reads_no_table_is_of_the_default_cluster() -> None:
    query = read_query("SELECT 1")
    assert (query.cluster, query.tables) == ("shanghai", ())


@pytest.mark.parametrize(
    "sql, explain",
    [
        ("SELECT 1", None),
        ("EXPLAIN SELECT 1", Explain()),
        ("explain analyze SELECT 1;", Explain(analyze=True)),
        ("EXPLAIN FORMAT 'tree' SELECT 1", Explain(is_tree=True)),
        ("EXPLAIN VERBOSE FORMAT text ANALYZE SELECT 1", Explain(analyze=True, verbose=True)),
        ("EXPLAIN (ANALYZE, FORMAT TREE) SELECT 1", Explain(analyze=True, is_tree=True)),
        ("EXPLAIN (analyze off, verbose 1, format INDENT) SELECT 1", Explain(verbose=True)),
    ],
)
def test_explain_is_a_flag_and_not_in_the_text(sql: str, explain: Explain | None) -> None:
    query = read_query(sql)
    assert (query.explain, query.text) == (explain, "SELECT 1")
    assert query.sql == sql


def test_semicolons_around_a_statement_are_nothing() -> None:
    assert read_query(";; SELECT 1 ;;").text == "SELECT 1"
    with pytest.raises(OneStatementOnlyError, match=r"line 1, column 11: .* 'SELECT'"):
        read_query("SELECT 1;;SELECT 2")


@pytest.mark.parametrize(
    "name, catalog, schema",
    [("quote", None, None), ("stock.quote", None, None), ("quote", "trading", None)],
)
def test_name_without_defaults_is_refused_with_the_full_form(
    name: str, catalog: str | None, schema: str | None
) -> None:
    with pytest.raises(NotFoundError, match=r"line 1, column 15.*catalog\.schema\.table@cluster"):
        parse_statement(f"SELECT * FROM {name}", Defaults("shanghai", catalog, schema))


def test_full_name_needs_no_defaults() -> None:
    query = parse_statement("SELECT bid FROM a.b.c", Defaults("shanghai"))
    assert isinstance(query, Query)
    assert query.tables == (ObjectName("shanghai", "a", "b", "c"),)
    assert plan_query(query, schemas_of(query.tables)).arrow_schema.names == ["bid"]


def test_home_is_where_the_reader_is_and_nowhere_else() -> None:
    join = "SELECT q.bid FROM quote{0} q, trade{0} t"
    assert read_query(join.format(""), home="shanghai").is_home
    for sql, home in ((join.format(""), None), (join.format("@hangzhou"), "shanghai")):
        with pytest.raises(JoinNotSupportedError):
            read_query(sql, home=home)


def test_columns_are_named_as_the_engine_names_them() -> None:
    assert plan("SELECT sum(quote.bid) FROM quote@hangzhou").arrow_schema == pa.schema(
        [pa.field("sum(quote.bid)", pa.float64())]
    )


def test_unknown_column_lists_near_names_of_its_table_only() -> None:
    query = read_query("SELECT bidd FROM quote")
    schemas = schemas_of(query.tables)
    schemas[HANGZHOU] = pa.schema([("biddd", pa.int64())])
    with pytest.raises(UnknownColumnError) as refusal:
        plan_query(query, schemas)
    assert "did you mean bid?" in str(refusal.value)
    assert "biddd" not in str(refusal.value)
    assert "Carrier" not in str(refusal.value)


def test_missing_schema_is_not_found() -> None:
    with pytest.raises(NotFoundError, match=r"trading\.stock\.quote@shanghai"):
        plan_query(read_query("SELECT bid FROM quote"), {})


def test_plan_follows_a_changed_schema() -> None:
    query = read_query("SELECT x FROM quote")
    (table,) = query.tables
    for kind in (pa.int64(), pa.string(), pa.int64()):
        schema = pa.schema([("x", kind)])
        assert plan_query(query, {table: schema}).arrow_schema.field("x").type == kind


def test_text_that_speaks_of_joins_is_no_join() -> None:
    sql = "SELECT 'Inner Join: x' AS \"Join\", sym AS \"Left Join:\" FROM quote WHERE sym <> 'JOIN'"
    assert plan(sql).arrow_schema.names == ["Join", "Left Join:"]


def test_place_counts_in_the_typed_text_not_the_spliced_one() -> None:
    sql = "EXPLAIN SELECT quote@hangzhou.bid\nFROM quote@hangzhou WHERE quote@hangzhou.bud > 1"
    with pytest.raises(UnknownColumnError, match="did you mean bid"):
        plan(sql)
    with pytest.raises(PlannerError, match="line 1, column 45: unexpected 'bid3'"):
        plan("EXPLAIN SELECT bid, quote@hangzhou.bid bid2 bid3 FROM quote@hangzhou")
    with pytest.raises(PlannerError, match="line 1, column 36: unexpected '#'"):
        plan("EXPLAIN SELECT quote@hangzhou.size # 1 FROM quote@hangzhou")


def test_refusals_pass_on_no_words_of_the_engine() -> None:
    secret = "Valid fields|DataFusion|SQL error|planning|Candidate|datafusion\\."
    for sql in (
        "SELECT zzz FROM quote",
        "SELECT sum(sym) FROM quote",
        "SELECT sqrt(sym, 1, 2) FROM quote",
        "SELECT bid FROM quote WHERE bid",
        "SELECT bid || FROM quote",
        "SELECT unnest(bid) FROM quote",
        "SELECT CAST(bid AS nothing) FROM quote",
        "SELECT arrow_cast(bid, 'Nothing') FROM quote",
        "SELECT a.b.c.d.e.f FROM quote",
    ):
        with pytest.raises(PlannerError) as refusal:
            plan(sql)
        assert not any(word in str(refusal.value) for word in secret.split("|")), refusal.value


def test_repeated_statement_is_read_and_planned_from_memory() -> None:
    sql = "SELECT sym, sum(bid) FROM trading.stock.quote@hangzhou GROUP BY sym ORDER BY 2 DESC"
    query = read_query(sql)
    schemas = schemas_of(query.tables)
    first = plan_query(query, schemas)
    started_at = time.process_time()
    for _ in range(1_000):
        again = parse_statement(sql, DEFAULTS)
        assert isinstance(again, Query)
        assert plan_query(again, schemas) is first
    assert time.process_time() - started_at < 0.5


def test_errors_have_unique_codes_and_one_root() -> None:
    kinds = Root.__subclasses__()
    assert len({kind.code for kind in kinds}) == len(kinds)
    assert str(UnknownColumnError("no x")) == "unknown-column: no x"


def test_package_exports_are_sorted_and_there() -> None:
    assert planner.__all__ == sorted(planner.__all__)
    assert all(hasattr(planner, name) for name in planner.__all__)


def test_fault_of_a_long_statement_still_has_its_place() -> None:
    numbers = ", ".join(["1"] * 6_000)
    with pytest.raises(UnknownColumnError, match=r"line 1, column 18: .* bidd; did you mean bid\?"):
        plan(f"SELECT bid, sym, bidd FROM quote WHERE size IN ({numbers})")
