"""A join as statements that run: each is planned, and together they answer the same."""

import datetime as dt
import re
from pathlib import Path

import pyarrow as pa
import pytest
from datafusion import SessionContext

from planner import Defaults, PlannerError, Query, SplittableError, parse_statement, suggest_parts
from tests.planner.federation import DEFAULTS, answer, plan, run, schemas_of
from tests.planner.test_fixtures import REFUSED, name

_PART = re.compile(r"^(?P<label>\w+): (?P<sql>(?:select|with) .*)$", re.IGNORECASE | re.MULTILINE)
_SPLITTABLE = [
    path
    for path in REFUSED
    # What reads is a part of these, and they are answered at home alone.
    if path.parent.name != "home_writes"
    and path.with_suffix(".refused").read_text().startswith(("join-", "multi-cluster-"))
]

_QUOTES = pa.table(
    {
        "sym": ["a", "b", "b", None],
        "bid": [1.5, 2.5, 3.5, 4.5],
        "size": pa.array([10, 20, 30, 40], pa.int64()),
        "day": [dt.date(2026, 1, day) for day in (1, 2, 3, 3)],
        "Venue": ["X", "Y", None, "Y"],
    }
)
_TRADES = pa.table(
    {
        "sym": ["b", "c", "b", None],
        "price": [2.0, 9.0, 4.0, 1.0],
        "day": [dt.date(2026, 1, day) for day in (2, 2, 3, 3)],
    }
)
_ROWS = {"quote": _QUOTES, "trade": _TRADES}


def refusal_of(sql: str) -> SplittableError:
    with pytest.raises(SplittableError) as refusal:
        answer(sql)
    return refusal.value


def suggested(sql: str, defaults: Defaults = DEFAULTS) -> str:
    return suggest_parts(sql, defaults, schemas_of(refusal_of(sql).tables))


def parts_in(text: str) -> dict[str, str]:
    return {found["label"]: found["sql"] for found in _PART.finditer(text)}


@pytest.mark.parametrize("path", _SPLITTABLE, ids=name)
def test_every_suggested_statement_is_planned_and_runs(path: Path) -> None:
    sql = path.read_text()
    for part in parts_in(suggested(sql)).values():
        query = parse_statement(part, Defaults("nowhere"))
        assert isinstance(query, Query)
        run(query, plan(part).text)


@pytest.mark.parametrize("path", _SPLITTABLE, ids=name)
def test_message_with_its_suggestion_fits_the_wire(path: Path) -> None:
    refusal = refusal_of(path.read_text())
    assert len(str(refusal.followed_by(suggested(path.read_text()))).encode()) < 1_200


_JOINS = (
        "SELECT q.bid, t.price FROM {q} JOIN {t} ON q.sym = t.sym WHERE q.bid > 2 AND t.price < 3",
        "SELECT q.bid, price FROM {q} LEFT JOIN {t} ON q.sym = t.sym AND t.price > 3 AND q.bid > 3",
        "SELECT q.bid, price FROM {q} LEFT JOIN {t} ON q.sym = t.sym WHERE t.price IS NULL",
        "SELECT q.bid, price FROM {q} LEFT JOIN {t} ON q.sym = t.sym WHERE q.bid < 3 OR bid > 4",
        "SELECT bid, price FROM {q} RIGHT JOIN {t} ON q.sym = t.sym WHERE q.bid > 3 AND price > 1",
        "SELECT q.bid, price FROM {q} FULL JOIN {t} ON q.sym = t.sym WHERE q.bid > 3",
        "SELECT bid FROM {q}, {t} WHERE (q.sym = t.sym OR price = 9) AND bid > 2 OR bid < 2",
        "SELECT * FROM {q} NATURAL JOIN {t} WHERE bid BETWEEN 2 AND 3 AND price > 0",
        "SELECT sym, count(*) FROM {q} JOIN {t} USING (sym, day) WHERE size > 1 GROUP BY sym",
        "SELECT bid FROM {q} JOIN {t} ON q.sym = t.sym AND (price > 3 OR price = 2) WHERE size > 1",
        "SELECT bid FROM {q}, {t} WHERE CASE WHEN bid > 2 AND size > 1 THEN true END AND Q.Bid > 3",
        "SELECT bid FROM {q} LEFT SEMI JOIN {t} ON q.sym = t.sym WHERE bid > 2",
        "SELECT bid FROM {q} LEFT ANTI JOIN {t} ON q.sym = t.sym AND t.price > 3",
        "SELECT bid FROM {q} WHERE sym IN (SELECT t.sym FROM {t} WHERE t.sym=q.sym AND price > 3)",
        "SELECT bid FROM {q} WHERE bid > (SELECT avg(price) FROM {t} WHERE t.day = q.day)",
        "SELECT a.bid, b.bid FROM quote a JOIN quote b ON a.sym = b.sym WHERE a.bid < b.bid",
)  # fmt: skip


@pytest.mark.parametrize("sql", _JOINS)
def test_results_of_the_parts_stand_for_the_tables(sql: str) -> None:
    typed = sql.format(q="quote q", t="trade t")
    tables = {table: _ROWS[str(table.table)] for table in refusal_of(typed).tables}
    text = suggest_parts(typed, DEFAULTS, {name: rows.schema for name, rows in tables.items()})
    results = SessionContext()
    for label, part in parts_in(text).items():
        whole = SessionContext()
        for table, rows in tables.items():
            whole.register_record_batches(str(table.table), [rows.to_batches()])
        bare = re.sub(r"trading\.stock\.(\w+)@shanghai", r"\1", part)
        results.register_record_batches(label, [whole.sql(bare).to_arrow_table().to_batches()])
    over = SessionContext()
    for table, rows in tables.items():
        over.register_record_batches(str(table.table), [rows.to_batches()])
    again = sql.format(q="q", t="t").replace("quote a", "a").replace("quote b", "b")
    assert sorted_rows(results, as_resolved(again)) == sorted_rows(over, as_resolved(typed))


def as_resolved(sql: str) -> str:
    return sql.replace("Q.Bid", "q.bid")


def sorted_rows(context: SessionContext, sql: str) -> list[str]:
    return sorted(str(row.values()) for row in context.sql(sql).to_arrow_table().to_pylist())


def test_own_conditions_and_used_columns_go_with_their_table() -> None:
    text = suggested(
        "SELECT q.bid, t.size FROM quote@hangzhou q LEFT JOIN stock.trade@hangzhou AS t\n"
        "ON q.sym = t.sym AND t.size > 1 WHERE abs(q.bid) > 1 AND t.\"Carrier\" LIKE '% and %'"
    )
    assert parts_in(text) == {
        "q": "select bid, sym from trading.stock.quote@hangzhou where abs(bid) > 1",
        "t": "select sym, Carrier, size from trading.stock.trade@hangzhou where size > 1",
    }
    assert 'q.join(t, on="sym", how="left")' in text


def test_columns_are_quoted_where_they_must_be() -> None:
    sql = 'SELECT q."order", t.Px, t."px" FROM quote q, trade t'
    schema = pa.schema(
        [("order", pa.int64()), ("px", pa.int64()), ("Px", pa.int64()), ("x", pa.int64())]
    )
    text = suggest_parts(sql, DEFAULTS, dict.fromkeys(refusal_of(sql).tables, schema))
    assert parts_in(text)["q"].startswith('select "order" from ')
    assert parts_in(text)["t"].startswith('select "px" from ')


@pytest.mark.parametrize(
    "sql, expected",
    [
        ("SELECT bid FROM quote WHERE sym IN (SELECT sym FROM trade)", 'on="sym", how="semi"'),
        ("SELECT bid FROM quote@a UNION ALL SELECT bid FROM quote@b", "concat([quote, quote2]),"),
        ("SELECT bid FROM quote@a UNION SELECT bid FROM quote@b", "quote2]).unique()"),
        ("SELECT bid FROM quote EXCEPT SELECT bid FROM trade", 'how="anti", nulls_equal=True'),
        ("SELECT q.bid FROM quote q, trade t", 'q.join(t, how="cross")'),
        ("SELECT q.bid FROM quote q JOIN trade t ON q.sym = t.Carrier",
         'q.join(t, left_on="sym", right_on="Carrier")'),
    ],
)  # fmt: skip
def test_plain_join_is_written_out_for_polars(sql: str, expected: str) -> None:
    assert expected in suggested(sql)


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT bid FROM quote WHERE sym NOT IN (SELECT sym FROM trade)",
        "SELECT q.bid FROM quote q JOIN trade t ON q.bid > t.bid",
        "SELECT bid FROM quote INTERSECT ALL SELECT bid FROM trade",
    ],
)
def test_what_polars_says_otherwise_is_left_to_duckdb(sql: str) -> None:
    text = suggested(sql)
    assert "polars" not in text
    assert "then go on in DuckDB with your own statement" in text


def test_long_statement_is_not_taken_apart() -> None:
    sql = f"SELECT q.bid FROM quote q, trade t WHERE q.size IN ({', '.join(['1'] * 2_000)})"
    assert suggested(sql) == ""


def test_long_condition_gives_way_to_whole_tables() -> None:
    sql = f"SELECT q.bid FROM quote q, trade t WHERE q.sym IN ({', '.join(['1'] * 400)})"
    assert list(parts_in(suggested(sql)).values()) == [
        "select * from trading.stock.quote@shanghai",
        "select * from trading.stock.trade@shanghai",
    ]


def test_refusal_names_no_tables_when_a_name_is_not_complete() -> None:
    with pytest.raises(SplittableError) as refusal:
        parse_statement("SELECT 1 FROM a.b.c, d", Defaults("shanghai"))
    assert refusal.value.tables == ()
    assert isinstance(refusal.value, PlannerError)


def test_advice_that_a_client_would_not_get_whole_is_left_out() -> None:
    names = [f"{letter * 63}.{letter * 63}.{letter * 63}@{letter * 63}" for letter in "abcd"]
    refusal = refusal_of(f"SELECT 1 FROM {', '.join(names)}")
    assert refusal.followed_by("; send\n" + "x" * 1_000) is refusal
    assert str(refusal.followed_by("; ask")).endswith("; ask")
