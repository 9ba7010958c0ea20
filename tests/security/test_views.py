"""A view is a barrier: who reads it learns nothing of the rows that it hides.

The attacks are expressions that fail, print or take long on hidden rows alone. That nothing of a
reader's statement runs below a view, whatever its plan, is shown in tests/storage/test_views.py.
"""

import re
from collections.abc import Iterator

import pyarrow as pa
import pytest

from flight_mom.demo.federation import HANGZHOU, DemoFederation
from flight_sql import Client
from tests.e2e.factories import MARKER, SALARIES
from tests.e2e.federation import CHIEF, READER, refused_sql, require_clean
from tests.waiting import wait_until

SHARED = "guarded.desk.low"
AT = f"{SHARED}@{HANGZHOU}"
# Of fifty rows, salary 0 to 49, ten are shown: 10 to 19.
BODY = f"SELECT carrier, salary FROM {SALARIES} WHERE salary >= 10 AND salary < 20"

FAILING = [
    "SELECT 1 / (salary - 5) AS y FROM {view}",
    "SELECT salary FROM {view} WHERE 1 / (salary - 5) >= 0",
    "SELECT salary FROM {view} WHERE 1 / (salary - 30) <= 0 AND salary > 9",
    "SELECT sum(1 / (salary - 5)) AS y, count(*) AS n FROM {view}",
    "SELECT salary FROM {view} ORDER BY 1 / (salary - 5) LIMIT 3",
    "SELECT CASE WHEN salary = 5 THEN 1 / (salary - salary) ELSE salary END AS y FROM {view}",
    "SELECT salary, row_number() OVER (ORDER BY 1 / (salary - 5)) AS n FROM {view}",
    "SELECT DISTINCT 1 / (salary - 5) AS y FROM {view}",
    "SELECT arrow_cast(salary - 10, 'UInt8') AS y FROM {view}",
    "SELECT power(10, salary - 10)::bigint AS y FROM {view}",
]
# Each fails on a row that is shown, and could print the value of any.
PRINTING = [
    "SELECT carrier::bigint AS y FROM {view}",
    "SELECT arrow_cast(carrier, 'Date32') AS y FROM {view}",
    "SELECT to_timestamp(carrier) AS y FROM {view}",
    "SELECT carrier FROM {view} WHERE regexp_like('x', carrier || '(')",
]
SLOW = "SELECT count(*) AS n FROM {view} WHERE length(repeat(carrier, {times})) > 0"


@pytest.fixture(scope="module")
def guarded(federation: DemoFederation) -> Iterator[Client]:
    """hangzhou's administrator, with a view of a few rows of a table that nobody else reads."""
    with federation.client(CHIEF, HANGZHOU, at=HANGZHOU) as chief:
        for sql in (
            "CREATE CATALOG guarded",
            "CREATE SCHEMA guarded.desk",
            f"GRANT TABLE_READ ON {SALARIES} TO {CHIEF}",
            f"CREATE VIEW {SHARED} AS {BODY}",
        ):
            chief.update(sql)
        yield chief
        chief.update("DROP CATALOG guarded CASCADE")
        chief.update(f"REVOKE TABLE_READ ON {SALARIES} FROM {CHIEF}")


@pytest.fixture
def view(federation: DemoFederation, guarded: Client, admin: Client, reader: Client) -> Client:
    """A visitor to whom the view is granted, at the MoM and at home."""
    del federation, guarded

    def is_granted() -> bool:
        try:
            admin.update(f"GRANT TABLE_READ ON {AT} TO {READER}")
        except Exception:  # noqa: BLE001  the MoM has not heard of the view yet
            return False
        return True

    wait_until(is_granted)
    return reader


def read(client: Client, sql: str) -> pa.Table:
    return client.query(sql).read_all()


def test_visitor_reads_a_view_and_nothing_that_it_is_made_of(view: Client) -> None:
    rows = read(view, f"SELECT salary FROM {AT} ORDER BY salary")["salary"].to_pylist()
    assert rows == list(range(10, 20))
    assert refused_sql(view, f"SELECT * FROM {SALARIES}@{HANGZHOU}").code == "not-found"
    found = read(view, f"SHOW TABLES FROM *@{HANGZHOU}").to_pylist()
    assert [row["table_name"] for row in found] == ["low"]
    types = "SELECT table_type FROM information_schema.tables WHERE table_name = 'low'"
    assert read(view, types).to_pylist() == [{"table_type": "VIEW"}]


@pytest.mark.parametrize("attack", FAILING)
def test_expression_that_fails_on_hidden_rows_alone_does_not_fail(
    view: Client, attack: str
) -> None:
    assert read(view, attack.format(view=AT)).num_rows > 0


@pytest.mark.parametrize("attack", PRINTING)
def test_expression_that_fails_prints_no_value_of_any_row(view: Client, attack: str) -> None:
    error = refused_sql(view, attack.format(view=AT))
    assert MARKER not in str(error)
    assert SALARIES.rpartition(".")[2] not in str(error)
    require_clean(str(error))


def test_what_takes_long_is_done_for_the_rows_that_are_shown(view: Client) -> None:
    explained = "EXPLAIN ANALYZE " + SLOW.format(view=AT, times=1000)
    rows = read(view, explained).to_pylist()
    steps = [row["value"].strip() for row in rows if row["item"] == "plan"]
    leaf = next(step for step in steps if step.startswith("View: "))
    # The filter has no other rows to look at than those of the step below it.
    assert leaf.startswith(f"View: {AT} (10 rows")
    assert steps[-1] == leaf
    assert read(view, SLOW.format(view=AT, times=1000)).to_pylist() == [{"n": 10}]


@pytest.mark.parametrize("how", ["EXPLAIN", "EXPLAIN VERBOSE", "EXPLAIN ANALYZE VERBOSE"])
def test_explain_tells_nothing_of_what_a_view_is_made_of(view: Client, how: str) -> None:
    sql = f"{how} SELECT salary, count(*) AS n FROM {AT} WHERE salary > 12 GROUP BY salary"
    rows = read(view, sql).to_pylist()
    # How long a step took may be any number.
    told = "\n".join(
        re.sub(r"[\d.]+ (µs|ms|s)\b", "", f"{one['item']}: {one['value']}") for one in rows
    )
    assert f"View: {AT}" in told
    hidden = (SALARIES, "salaries", "Scan", "files", "row groups", "bytes", "20", "50", "view_")
    assert not [word for word in hidden if word in told], told


def test_owner_who_may_not_read_any_more_lends_nobody_anything(
    view: Client, guarded: Client
) -> None:
    assert read(view, f"SELECT count(*) AS n FROM {AT}").to_pylist() == [{"n": 10}]
    guarded.update(f"DENY TABLE_READ ON {SALARIES} TO {CHIEF}")
    try:
        error = refused_sql(view, f"SELECT count(*) AS n FROM {AT}")
        assert error.code == "unusable-table"
        assert AT in str(error)
        assert SALARIES.rpartition(".")[2] not in str(error)
    finally:
        guarded.update(f"REVOKE TABLE_READ ON {SALARIES} FROM {CHIEF}")
        guarded.update(f"GRANT TABLE_READ ON {SALARIES} TO {CHIEF}")
    assert read(view, f"SELECT count(*) AS n FROM {AT}").to_pylist() == [{"n": 10}]


def test_view_is_no_way_around_the_rule_for_joins(view: Client) -> None:
    error = refused_sql(view, f"SELECT a.salary FROM {AT} a, {AT} b")
    assert error.code == "join-not-supported"
