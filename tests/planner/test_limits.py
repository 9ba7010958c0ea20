"""Hostile texts: each is refused before an engine is asked, or is little work.

How long either takes is measured by `python -m bench limits`.
"""

import logging
from dataclasses import replace
from functools import partial

import pyarrow as pa
import pytest

from planner import Limits, PlannerError, StatementTooLargeError, parse_statement, plan_query
from planner.counting import AGGREGATES
from planner.limits import check_text
from planner.plan import known_functions
from tests.planner.federation import DEFAULTS, plan, read_query, schemas_of

DOUBLING = ", ".join(f"c{n} AS (SELECT * FROM c{n - 1} UNION ALL SELECT * FROM c{n - 1})"
                     for n in range(1, 30))  # fmt: skip

TOO_LARGE = {
    "or": "SELECT 1 FROM t WHERE " + " OR ".join(["size = 1"] * 10_000),
    "and": "SELECT 1 FROM t WHERE " + " AND ".join(["size = 1"] * 2_000),
    "concatenation": "SELECT " + "||".join(["sym"] * 10_000) + " FROM t",
    "sum": "SELECT " + "+".join(["size"] * 10_000) + " FROM t",
    "product in parentheses": "SELECT (" + "*".join(["size"] * 1_000) + ") FROM t",
    "parentheses": "SELECT " + "(" * 100_000 + "1" + ")" * 100_000,
    "parentheses above the stack": "SELECT " + "(" * 240 + "1" + ")" * 240,
    "open parentheses": "(" * 200_000,
    "casts": "SELECT size" + "::int" * 5_000 + " FROM t",
    "fields": "SELECT " + ".".join(["a"] * 5_000) + " FROM t",
    "fields named like clauses": "SELECT " + ".".join(["a", "from", "where"] * 2_000),
    "subscripts": "SELECT tags" + "[1]" * 3_000 + " FROM t",
    "not": "SELECT " + "NOT " * 5_000 + "true",
    "minus": "SELECT " + "- " * 5_000 + "1",
    "is null": "SELECT size" + " IS NULL" * 3_000 + " FROM t",
    "time zones": "SELECT now()" + " AT TIME ZONE 'UTC'" * 2_000,
    "types": "SELECT CAST(1 AS " + "ARRAY<" * 3_000 + "INT" + ">" * 3_000 + ")",
    "case in case": "SELECT " + "CASE WHEN true THEN " * 2_000 + "1" + " END" * 2_000,
    "unions": " UNION ALL ".join(["SELECT 1"] * 3_000),
    "joins": "SELECT 1 FROM " + " JOIN ".join(["t"] * 1_000),
    "commas in from": "SELECT 1 FROM " + ",".join(["t"] * 1_000),
    "doubling with parts": f"WITH c0 AS (SELECT * FROM t), {DOUBLING} SELECT * FROM c29",
    "many with parts": "WITH c0 AS (SELECT size FROM t), "
    + ", ".join(f"c{n} AS (SELECT size FROM c{n - 1})" for n in range(1, 1_000))
    + " SELECT size FROM c999",
    "wide times many": "WITH c0 AS (SELECT "
    + ", ".join(f"size + {n} AS c{n}" for n in range(500))
    + " FROM t) "
    + " UNION ALL ".join(["SELECT * FROM c0"] * 200),
    "windows": "SELECT "
    + ", ".join(f"sum(size) OVER (PARTITION BY size + {n}) AS w{n}" for n in range(900))
    + " FROM t",
    "items of a union": " UNION ALL ".join(
        ["SELECT " + ", ".join(f"size + {n}" for n in range(20)) + " FROM t"] * 120
    ),
    "deep type": "SELECT arrow_cast(1, '" + "List(" * 20_000 + "')",
    "a long name": "SELECT " + "x" * 200_000 + " FROM t",
    "a mebibyte": "SELECT '" + "x" * (1 << 20) + "'",
    "a mebibyte of spaces": " " * (1 << 20),
    "a mebibyte of comments": "/*" * (1 << 19),
    "list": "SELECT 1 FROM t WHERE size IN (" + ",".join(map(str, range(30_000))) + ")",
    "rollups": "SELECT 1 FROM t GROUP BY "
    + ", ".join(f"ROLLUP (size + {n}, size + {n + 1})" for n in range(14)),
    "range of constants": "SELECT range(1, 10000000000000)",
    "range in from": "SELECT * FROM unnest(range(1, 10000000000))",
}

ODD = {
    "nul": "SELECT 1\0 FROM t",
    "half a character": "SELECT '\ud800'",
    "open comment": "SELECT 1 /* " + "/*" * 10_000,
    "open quotation": "SELECT '" + "''" * 10_000,
    "quotes": '"' * 20_001,
    "dollars": "$a$ $b$ " * 5_000,
    "selects": "SELECT " * 5_000,
    "withs": "WITH " * 5_000,
    "froms": "FROM " * 5_000,
    "at signs": "SELECT " + "@" * 5_000,
    "names": "SELECT " + "a@b " * 5_000,
    "pipes": "FROM t " + "|> WHERE size = 1 " * 100,
    "template": "{% for x in y %}{{ x }}{% endfor %}",
    "right to left": "SELECT \u202e FROM t",
    "empty quoted name": 'SELECT * FROM ""',
    "only an at sign": 'SELECT * FROM "@"',
    "two at signs": 'SELECT * FROM "a@b@c"',
    "dots in a quoted name": 'SELECT * FROM "a.b.c@d"',
    "zero width space": "SELECT * FROM quote\u200b@hangzhou",
    "long name": "SELECT * FROM " + "x" * 64 + "@hangzhou",
    "semicolons": ";" * 5_000,
    "grants": "GRANT TABLE_READ ON " + ",".join(["a.b.c@d"] * 1_000),
}

LARGE = {
    "list": "SELECT 1 FROM t WHERE size IN (" + ",".join(map(str, range(5_000))) + ")",
    "or": "SELECT 1 FROM t WHERE " + " OR ".join(f"size = {n}" for n in range(240)),
    "sum": "SELECT " + "+".join(["size"] * 240) + " FROM t",
    "unions": " UNION ALL ".join(["SELECT size FROM t"] * 200),
    "parentheses": "SELECT " + "(" * 40 + "1" + ")" * 40,
    "text": "SELECT '" + "x" * 200_000 + "' AS x",
    "with parts": "WITH c0 AS (SELECT carrier FROM t), "
    + ", ".join(f"c{n} AS (SELECT carrier FROM c{n - 1})" for n in range(1, 200))
    + " SELECT carrier FROM c199",
}


HOMES = (None, DEFAULTS.cluster)


@pytest.mark.parametrize("home", HOMES)
@pytest.mark.parametrize("sql", TOO_LARGE.values(), ids=TOO_LARGE.keys())
def test_oversized_statement_is_refused_unplanned(sql: str, home: str | None) -> None:
    with pytest.raises(StatementTooLargeError):
        parse_statement(sql, DEFAULTS, home=home)


@pytest.mark.parametrize("home", HOMES)
@pytest.mark.parametrize("sql", ODD.values(), ids=ODD.keys())
def test_odd_statement_is_refused(sql: str, home: str | None) -> None:
    with pytest.raises(PlannerError):
        plan(sql, home=home)


@pytest.mark.parametrize("sql", LARGE.values(), ids=LARGE.keys())
def test_large_statement_within_the_limits_is_planned(sql: str) -> None:
    assert len(plan(sql).arrow_schema) == 1


def test_limits_are_settings() -> None:
    with pytest.raises(StatementTooLargeError, match="longer than 8 bytes"):
        check_text("SELECT 1234", Limits(max_text_bytes=8))


def test_length_is_counted_in_bytes() -> None:
    with pytest.raises(StatementTooLargeError):
        check_text("SELECT 'ÄÄÄÄ'", Limits(max_text_bytes=14))


def test_refusal_says_where_the_height_is_passed() -> None:
    with pytest.raises(StatementTooLargeError, match=r"line 2, column \d+.*250"):
        plan("SELECT\n" + "+".join(["size"] * 300) + " FROM t")


# Little to read and much to plan: each over a table of 1,000 columns.
WIDE = {
    "stars in stars": "SELECT * FROM (SELECT * FROM (SELECT * FROM (SELECT * FROM (SELECT * FROM t"
    ") a) b) c) d",
    "union of stars": " UNION ALL ".join(["SELECT * FROM t"] * 5),
    "windows and all columns": "SELECT *, "
    + ", ".join(f"sum(c1) OVER (ORDER BY c{n}) AS w{n}" for n in range(30))
    + " FROM t",
    "windows": "SELECT "
    + ", ".join(f"sum(c1) OVER (ORDER BY c{n}) AS w{n}" for n in range(150))
    + " FROM t",
    "tables": " UNION ALL ".join(["SELECT c1 FROM t"] * 240),
}


@pytest.mark.parametrize("sql", WIDE.values(), ids=WIDE.keys())
def test_much_work_over_a_wide_table_is_refused_unplanned(
    sql: str, caplog: pytest.LogCaptureFixture
) -> None:
    query = read_query(sql)
    refuse = partial(
        plan_query,
        query,
        dict.fromkeys(query.tables, pa.schema([(f"c{n}", pa.float64()) for n in range(1_000)])),
    )
    with (
        caplog.at_level(logging.DEBUG, "planner"),
        pytest.raises(StatementTooLargeError, match=r"up to 1000 columns .*limits\.max_plan_steps"),
    ):
        refuse()
    assert not caplog.records  # which tell what an engine said


@pytest.mark.parametrize(
    "sql",
    [
        "WITH a AS (SELECT c1 FROM t), b AS (SELECT c1 FROM a) SELECT * FROM b",
        "SELECT * FROM (SELECT * FROM t WHERE c1 > 1) a LIMIT 10",
        "SELECT "
        + ", ".join(f"lag(c{n}) OVER (ORDER BY c0) AS w{n}" for n in range(300))
        + " FROM t",
        "SELECT " + ", ".join(f"sum(c{n}) AS s{n}" for n in range(500)) + " FROM t GROUP BY c999",
        " UNION ALL ".join(["SELECT c1, c2, c3 FROM t"] * 50),
    ],
)
def test_ordinary_work_over_a_wide_table_is_planned(sql: str) -> None:
    query = read_query(sql)
    wide = pa.schema([(f"c{n}", pa.float64()) for n in range(1_000)])
    assert len(plan_query(query, dict.fromkeys(query.tables, wide)).arrow_schema)


FILTERS = {
    "last": ("SELECT x + x AS x FROM p{}", "SELECT x FROM p{} WHERE x > 1"),
    "each": ("SELECT x + x AS x FROM p{} WHERE x > 1", "SELECT x FROM p{}"),
    "behind a star": ("SELECT * REPLACE (x + x AS x) FROM p{}", "SELECT x FROM p{} WHERE x > 1"),
    "through other names": (
        "SELECT y + y AS x, 1 AS y FROM (SELECT x AS y FROM p{}) AS d",
        "SELECT * FROM p{} AS d (z, w) WHERE z > 1",
    ),
    "through groups": (
        "SELECT x + x AS x FROM p{} GROUP BY x + x",
        "SELECT x FROM p{} HAVING x > 1",
    ),
    "through a union": (
        "SELECT x + x AS x FROM p{0} UNION ALL SELECT 1 AS x",
        "SELECT x FROM p{} QUALIFY x > 1",
    ),
}


def parts_that_double(following: str, last: str, count: int) -> str:
    parts = ["p0 AS (SELECT size AS x FROM quote)"]
    parts += [f"p{n} AS ({following.format(n - 1)})" for n in range(1, count)]
    return f"WITH {', '.join(parts)} {last.format(count - 1)}"


@pytest.mark.parametrize("following, last", FILTERS.values(), ids=FILTERS.keys())
def test_filter_over_columns_that_double_is_refused_unplanned(following: str, last: str) -> None:
    with pytest.raises(StatementTooLargeError, match=r"filters over computed columns"):
        parse_statement(parts_that_double(following, last, 40), DEFAULTS)
    assert parse_statement(parts_that_double(following, last, 4), DEFAULTS)


@pytest.mark.parametrize(
    "sql",
    [
        parts_that_double("SELECT x + x AS x FROM p{}", "SELECT x FROM p{}", 40),
        parts_that_double("SELECT sum(x) + x AS x FROM p{} GROUP BY x", FILTERS["last"][1], 40),
        parts_that_double("SELECT x + x AS y, x FROM p{}", FILTERS["last"][1], 40),
    ],
)
def test_columns_that_double_cost_little_where_no_filter_reaches_them(sql: str) -> None:
    assert sum(read_query(sql).work.steps(8).values()) < 50_000
    assert plan(sql)


def test_list_of_ten_thousand_is_planned() -> None:
    listed = ",".join(map(str, range(10_000)))
    assert plan(f"SELECT size FROM quote WHERE size IN ({listed})")
    texts = ",".join(f"'{n}'" for n in range(10_000))
    assert plan(f"SELECT sym FROM quote WHERE sym NOT IN ({texts})")


@pytest.mark.parametrize(
    "limits, match",
    [
        (Limits(max_text_bytes=20), r"longer than 20 bytes \(limits\.max_text_bytes\)"),
        (Limits(max_tokens=3), r"has \d+ words .* at most 3 can be \(limits\.max_tokens\)"),
        (Limits(max_height=2), r"line 1, column \d+: .* higher than 2 .*limits\.max_height"),
        (Limits(max_plan_steps=9), r"would take \d+ steps, .* at most 9 .*limits\.max_plan_steps"),
        (Limits(max_grouping_sets=3), r"for 4 sets .* at most 3 .*limits\.max_grouping_sets"),
    ],
)
def test_every_limit_is_named_with_what_was_counted(limits: Limits, match: str) -> None:
    sql = "SELECT 1 + (2 * 3 + size) FROM quote GROUP BY CUBE (size, bid)"
    with pytest.raises(StatementTooLargeError, match=match):
        parse_statement(sql, DEFAULTS, limits=limits)


def test_limit_of_steps_holds_when_the_tables_are_known() -> None:
    sql = "SELECT * FROM (SELECT * FROM quote) q"
    query = replace(read_query(sql), limits=Limits(max_plan_steps=600))
    schemas = schemas_of(query.tables)
    assert plan_query(query, schemas)
    wide = pa.schema([(f"c{n}", pa.int64()) for n in range(200)])
    with pytest.raises(StatementTooLargeError, match=r"at most 600 .*limits\.max_plan_steps"):
        plan_query(query, dict.fromkeys(schemas, wide))


def test_aggregates_are_those_that_the_engine_knows() -> None:
    kinds = {name for name, known in known_functions().items() if known.kind == "AGGREGATE"}
    assert kinds <= AGGREGATES
    assert known_functions().keys() >= AGGREGATES
