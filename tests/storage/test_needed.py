"""What a statement needs of its tables: rows that are left out change no answer."""

import operator
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa
import pytest

from storage.memoryengine import MemoryEngine
from storage.names import ObjectName
from storage.needed import EVERYTHING, Condition, Needed

NAME = ObjectName("headquarters", "system", "federation", "audit")
AUDIT = "system.federation.audit"
START = datetime(2026, 1, 1, tzinfo=UTC)
COUNT = 200
ROWS = pa.table(
    {
        "at": pa.array(
            [START + timedelta(minutes=7 * number % 101) for number in range(COUNT)],
            pa.timestamp("us", "UTC"),
        ),
        "actor": [f"user{number % 7}@shanghai" for number in range(COUNT)],
        "object": [f"t{number % 5}" for number in range(COUNT)],
        "allowed": [number % 3 > 0 for number in range(COUNT)],
        "epoch": pa.array(range(COUNT), pa.int64()),
    }
)
COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "=": operator.eq,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
ENGINE = MemoryEngine(memory_limit_bytes=1 << 26)
LATE = START + timedelta(minutes=60)

# Statements, and what is needed for each.
NARROWED: dict[str, Needed] = {
    f"SELECT count(*) FROM {AUDIT} WHERE at >= '2026-01-01T01:00:00Z'": Needed(
        frozenset({Condition("at", ">=", LATE)})
    ),
    f"SELECT count(*) FROM {AUDIT} WHERE TIMESTAMP '2026-01-01 01:00:00' > at": Needed(
        frozenset({Condition("at", "<", LATE)})
    ),
    f"SELECT epoch FROM {AUDIT} WHERE actor = 'user1@shanghai' AND NOT allowed ORDER BY epoch": (
        Needed(
            frozenset({Condition("actor", "=", "user1@shanghai"), Condition("allowed", "=", False)})
        )
    ),
    f"SELECT max(epoch) FROM {AUDIT} WHERE allowed AND object LIKE 't%'": Needed(
        frozenset({Condition("allowed", "=", True)})
    ),
    f"SELECT at FROM {AUDIT} ORDER BY at DESC LIMIT 10": Needed(row_count=10, newest_by="at"),
    f"SELECT a.at FROM {AUDIT} a WHERE a.allowed ORDER BY a.at DESC LIMIT 10 OFFSET 5": Needed(
        frozenset({Condition("allowed", "=", True)}), row_count=15, newest_by="at"
    ),
    f"SELECT count(*) FROM (SELECT 1 FROM {AUDIT} LIMIT 5)": Needed(row_count=5),
    f"WITH one AS (SELECT * FROM {AUDIT}) SELECT count(*) FROM one WHERE epoch > 100": Needed(
        frozenset({Condition("epoch", ">", 100)})
    ),
}
# Statements for which everything is needed, however much they look like those above.
WHOLE = [
    f"SELECT count(*) FROM {AUDIT} WHERE at >= '2026-01-01T01:00:00Z' OR allowed",
    f"SELECT count(*) FROM {AUDIT} WHERE at <> '2026-01-01T01:00:00Z'",
    f"SELECT at FROM {AUDIT} ORDER BY at LIMIT 10",
    f"SELECT DISTINCT at FROM {AUDIT} ORDER BY at DESC LIMIT 10",
    f"SELECT at FROM (SELECT object AS at FROM {AUDIT}) ORDER BY at DESC LIMIT 3",
    f"WITH b AS (SELECT object AS at FROM {AUDIT}) SELECT b.at FROM b ORDER BY b.at DESC LIMIT 3",
    f"SELECT epoch % 3 AS at FROM {AUDIT} ORDER BY at DESC LIMIT 3",
    f"""SELECT epoch FROM (SELECT epoch, allowed, row_number() OVER (ORDER BY epoch) AS n
        FROM {AUDIT}) WHERE allowed AND n < 9 ORDER BY epoch""",
    f"SELECT count(*) FROM {AUDIT} WHERE allowed AND epoch > (SELECT avg(epoch) FROM {AUDIT})",
    f"""SELECT count(*) FROM {AUDIT} WHERE allowed UNION ALL
        SELECT count(*) FROM {AUDIT} WHERE NOT allowed ORDER BY 1""",
    f"SELECT max(at) FROM {AUDIT}",
    f"SELECT actor, count(*) FROM {AUDIT} GROUP BY actor HAVING count(*) > 3 ORDER BY 1 LIMIT 2",
]


def needed(sql: str) -> Needed:
    found = ENGINE.needed({NAME: ROWS.schema}, sql, catalog=None, schema=None)
    return found[NAME]


def run(sql: str, rows: pa.Table) -> list[dict[str, Any]]:
    execution = ENGINE.execute({NAME: rows}, sql, catalog=None, schema=None)
    rows_of = pa.Table.from_batches(execution.batches(), execution.arrow_schema)
    return list(rows_of.to_pylist())


def narrowed(want: Needed) -> pa.Table:
    rows = [
        row
        for row in ROWS.to_pylist()
        if all(COMPARE[one.operator](row[one.column], one.value) for one in want.conditions)
    ]
    if want.newest_by is not None:
        column = want.newest_by
        rows.sort(key=lambda row: row[column], reverse=True)
    return pa.Table.from_pylist(rows[: want.row_count], ROWS.schema)


@pytest.mark.parametrize("sql", NARROWED)
def test_what_a_statement_needs_is_found(sql: str) -> None:
    assert needed(sql) == NARROWED[sql]


@pytest.mark.parametrize("sql", WHOLE)
def test_what_may_be_needed_is_not_left_out(sql: str) -> None:
    assert needed(sql) == EVERYTHING


@pytest.mark.parametrize("sql", [*NARROWED, *WHOLE])
def test_rows_that_are_not_needed_change_no_answer(sql: str) -> None:
    rows = narrowed(needed(sql))
    assert run(sql, rows) == run(sql, ROWS)
    assert (rows.num_rows < COUNT) == (sql in NARROWED)


def test_bound_values_narrow_like_written_ones() -> None:
    found = ENGINE.needed(
        {NAME: ROWS.schema},
        f"SELECT * FROM {AUDIT} WHERE at >= $1",
        catalog=None,
        schema=None,
        parameters={"1": pa.scalar(LATE, pa.timestamp("us", "UTC"))},
    )
    assert found[NAME] == Needed(frozenset({Condition("at", ">=", LATE)}))


def test_the_present_is_taken_when_it_is_asked_for() -> None:
    (condition,) = needed(f"SELECT 1 FROM {AUDIT} WHERE at > now() - INTERVAL '1 day'").conditions
    assert isinstance(condition.value, datetime)
    age = datetime.now(UTC) - condition.value
    assert timedelta(hours=23) < age < timedelta(hours=25)


def test_a_time_that_no_calendar_has_narrows_nothing() -> None:
    never = "arrow_cast(9000000000000000000, 'Timestamp(Microsecond, Some(\"UTC\"))')"
    sql = f"SELECT 1 FROM {AUDIT} WHERE at > {never}"
    assert needed(sql) == EVERYTHING
