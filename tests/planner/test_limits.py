"""Hostile texts: each is refused well under a second, or read as quickly."""

import time

import pyarrow as pa
import pytest

from planner import PlannerError, StatementTooLargeError, plan_query
from planner.limits import Limits, check_text
from tests.planner.federation import plan, read_query

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


def seconds_to_refuse(sql: str) -> float:
    started_at = time.process_time()
    with pytest.raises(PlannerError):
        plan(sql, home="shanghai")
    return time.process_time() - started_at


@pytest.mark.parametrize("sql", TOO_LARGE.values(), ids=TOO_LARGE.keys())
def test_oversized_statement_is_refused_at_once(sql: str) -> None:
    with pytest.raises(StatementTooLargeError):
        plan(sql)
    assert seconds_to_refuse(sql) < 1


@pytest.mark.parametrize("sql", ODD.values(), ids=ODD.keys())
def test_odd_statement_is_refused_at_once(sql: str) -> None:
    assert seconds_to_refuse(sql) < 1


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


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT * FROM (SELECT * FROM (SELECT * FROM t) a) b",
        "SELECT * FROM t UNION ALL SELECT * FROM t",
        "SELECT *, "
        + ", ".join(f"sum(c1) OVER (ORDER BY c{n}) AS w{n}" for n in range(9))
        + " FROM t",
    ],
)
def test_wide_table_is_not_handed_on_whole_again_and_again(sql: str) -> None:
    query = read_query(sql)
    wide = pa.schema([(f"c{n}", pa.float64()) for n in range(2_000)])
    started_at = time.process_time()
    with pytest.raises(StatementTooLargeError, match="2000 columns"):
        plan_query(query, dict.fromkeys(query.tables, wide))
    assert time.process_time() - started_at < 1
