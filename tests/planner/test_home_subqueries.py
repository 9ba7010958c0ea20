"""At home a subquery is answered as SQL says, or refused: compared with SQLite, with NULLs."""

import re
import sqlite3
from collections.abc import Iterator

import pyarrow as pa
import pytest
from datafusion import SessionConfig, SessionContext

from planner import Defaults, PlannerError, Query, parse_statement, plan_query
from planner.subplans import find_fault
from storage.names import ObjectName

_DEFAULTS = Defaults("shanghai", "trading", "stock")
_HELD: dict[str, tuple[tuple[str, str], list[tuple[int | None, int | None]]]] = {
    "t": (("a", "g"), [(1, 1), (2, 1), (3, 2), (4, None), (None, 2), (2, 3)]),
    "u": (("b", "h"), [(2, 1), (3, 2), (3, 2)]),
    "un": (("b", "h"), [(2, 1), (None, 2), (4, 3)]),
}
_INNER = ("", " WHERE h = 1", " WHERE h = g", " WHERE b <> a")
_SUBQUERIES = (
    "a IN (SELECT b FROM {i})",
    "a NOT IN (SELECT b FROM {i})",
    "a IN (SELECT count(*) FROM {i})",
    "a NOT IN (SELECT h FROM {i} GROUP BY h)",
    "EXISTS (SELECT 1 FROM {i})",
    "NOT EXISTS (SELECT 1 FROM {i})",
    "EXISTS (SELECT max(b) FROM {i})",
    "EXISTS (SELECT 1 FROM {i} LIMIT 1 OFFSET 1)",
    "1 IN (SELECT row_number() OVER (ORDER BY b) FROM {i})",
    "EXISTS (SELECT 1 FROM (SELECT count(*) AS c FROM {i}) AS x WHERE c = 0)",
    "a > (SELECT count(*) FROM {i})",
    "a > (SELECT coalesce(max(b), 0) FROM {i})",
    "a > (SELECT max(c) FROM (SELECT count(*) AS c FROM {i}) AS x)",
    "a > (SELECT max(r) FROM (SELECT row_number() OVER (ORDER BY b) AS r FROM {i}) AS x)",
)
_AROUND = (
    "{p}",
    "NOT ({p})",
    "{p} OR g = 1",
    "NOT ({p} AND g = 1)",
    "NOT ({p} OR g = 1)",
    "({p} OR g = 2) AND a < 4",
    "({p}) IS NULL",
    "({p}) IS NOT TRUE",
    "coalesce({p}, true)",
    "CASE WHEN {p} THEN 0 ELSE 1 END = 1",
    "CASE WHEN g = 1 THEN {p} ELSE true END",
)
_MORE = (
    "SELECT g, count(*) FROM t GROUP BY g HAVING g NOT IN (SELECT h FROM un)",
    "SELECT a, g FROM t WHERE a NOT IN (SELECT a FROM t WHERE a > 2)",
    "SELECT x.a, x.g FROM t x WHERE EXISTS (SELECT 1 FROM t y WHERE y.g = x.g AND y.a > x.a)",
    "SELECT a, (SELECT count(*) FROM un WHERE h = g) AS c FROM t",
    "SELECT a, g FROM t WHERE a IN (SELECT b FROM u WHERE b NOT IN (SELECT a FROM t WHERE g = 1))",
    "SELECT t.a, un.b FROM t JOIN un ON a < b AND a NOT IN (SELECT h FROM u)",
)


def shapes() -> dict[ObjectName, pa.Schema]:
    return {
        ObjectName("shanghai", "trading", "stock", name): pa.schema(
            [(column, pa.int64()) for column in columns]
        )
        for name, (columns, _) in _HELD.items()
    }


@pytest.fixture(scope="module")
def engine() -> SessionContext:
    context = SessionContext(SessionConfig().with_target_partitions(1))
    for name, (columns, rows) in _HELD.items():
        held = [pa.array(values, pa.int64()) for values in zip(*rows, strict=True)]
        batch = pa.RecordBatch.from_arrays(held, list(columns))
        context.register_record_batches(name, [[batch]])
    return context


@pytest.fixture(scope="module")
def reference() -> Iterator[sqlite3.Connection]:
    connection = sqlite3.connect(":memory:")
    for name, (columns, rows) in _HELD.items():
        connection.execute(f"CREATE TABLE {name} ({columns[0]} INTEGER, {columns[1]} INTEGER)")
        connection.executemany(f"INSERT INTO {name} VALUES (?, ?)", rows)
    yield connection
    connection.close()


def statements(subquery: str) -> Iterator[str]:
    """Yield a subquery, alone and correlated, in every place of a filter."""
    for inner in _INNER:
        written = subquery.format(i=f"un{inner}")
        for around in _AROUND:
            yield f"SELECT a, g FROM t WHERE {around.format(p=written)}"


def is_answered(sql: str) -> bool:
    try:
        query = parse_statement(sql, _DEFAULTS, home="shanghai")
        assert isinstance(query, Query)
        plan_query(query, shapes())
    except PlannerError:
        return False
    return True


def rows_of(engine: SessionContext, sql: str) -> list[tuple[object, ...]] | None:
    """Return the engine's rows; None when it says that it cannot."""
    try:
        table = engine.sql(sql).to_arrow_table()
    except Exception as error:  # noqa: BLE001  the engine raises nothing more precise
        said = str(error)
    else:
        said = ""
    if said:
        assert re.search("not implemented|single column join key", said), sql
        return None
    return sorted(zip(*(column.to_pylist() for column in table.columns), strict=True), key=str)


def assert_never_wrong(engine: SessionContext, reference: sqlite3.Connection, sql: str) -> bool:
    """Hold the engine's answer to SQLite's, and return whether there is one."""
    if not is_answered(sql):
        return False
    rows = rows_of(engine, sql)
    assert rows is None or rows == sorted(reference.execute(sql).fetchall(), key=str), sql
    return rows is not None


@pytest.mark.parametrize("subquery", _SUBQUERIES)
def test_subquery_at_home_is_answered_rightly_or_refused(
    engine: SessionContext, reference: sqlite3.Connection, subquery: str
) -> None:
    answered = [assert_never_wrong(engine, reference, sql) for sql in statements(subquery)]
    assert any(answered)


@pytest.mark.parametrize("sql", _MORE)
def test_subquery_elsewhere_in_a_statement_is_answered_rightly(
    engine: SessionContext, reference: sqlite3.Connection, sql: str
) -> None:
    assert assert_never_wrong(engine, reference, sql)


@pytest.mark.parametrize(
    "condition",
    ["a NOT IN (SELECT b FROM u) OR g = 1", "a IN (SELECT b FROM u WHERE h = 1)", "a = 1"],
)
def test_what_the_engine_gets_wrong_is_still_wrong(
    engine: SessionContext, reference: sqlite3.Connection, condition: str
) -> None:
    # Once the engine answers it rightly, the refusal is to go.
    sql = f"SELECT a, g FROM t WHERE {condition}"
    is_right = rows_of(engine, sql) == sorted(reference.execute(sql).fetchall(), key=str)
    assert is_right is is_answered(sql)


@pytest.mark.parametrize("word", ["ANY", "ALL"])
def test_quantified_comparison_is_refused_by_its_plan_too(word: str) -> None:
    plan = f"Filter: t.a = {word} (<subquery>)\n  Subquery:\n    TableScan: u\n  TableScan: t"
    assert "ANY or ALL" in str(find_fault(plan))


def test_text_of_the_statement_hides_no_subquery_from_its_plan() -> None:
    plan = (
        'Filter: t.a = Utf8("x AND IN (<subquery>)") AND NOT t.a IN (<subquery>)\n'
        "  Subquery:\n    Filter: u.h = outer_ref(t.g)\n      TableScan: u\n  TableScan: t"
    )
    assert "NOT EXISTS" in str(find_fault(plan))
