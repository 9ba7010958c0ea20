"""Parameters: how they are written, which types they take, and what is bound to them."""

import datetime as dt
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest

from planner import Plan, PlannerError, SqlSyntaxError, TypeMismatchError, Values, plan_query
from tests.planner.federation import read_query, run, schemas_of

QUOTE = "trading.stock.quote@hangzhou"
UNKNOWN = None


def plan_of(sql: str, values: Values | None = None) -> Plan:
    query = replace(read_query(sql), values=values)
    return plan_query(query, schemas_of(query.tables))


def row_of(*values: Any, names: tuple[str, ...] = ()) -> Values:
    columns = [
        pa.array([value.as_py()], value.type) if isinstance(value, pa.Scalar) else pa.array([value])
        for value in values
    ]
    numbered = [str(number) for number in range(len(values))]
    return Values.of(pa.RecordBatch.from_arrays(columns, names=list(names) or numbered))


def rows_of(sql: str, *values: Any) -> list[dict[str, Any]]:
    query = replace(read_query(sql), values=row_of(*values))
    planned = plan_query(query, schemas_of(query.tables))
    rows = run(query, planned.text, dict(planned.values))
    assert rows.schema.names == planned.arrow_schema.names
    assert rows.schema.types == planned.arrow_schema.types
    answered: list[dict[str, Any]] = rows.to_pylist()
    return answered


@pytest.mark.parametrize(
    "written, text, parameters",
    [
        ("SELECT ? , ?", "SELECT $1 , $2", ("1", "2")),
        ("SELECT $2, $1, $2", "SELECT $2, $1, $2", ("1", "2")),
        ("SELECT $low, $high, $low", "SELECT $low, $high, $low", ("low", "high")),
        ("SELECT ?::int", "SELECT $1::int", ("1",)),
        ("SELECT 1 WHERE 1=?and 2=?", "SELECT 1 WHERE 1=$1 and 2=$2", ("1", "2")),
        ("SELECT?", "SELECT $1", ("1",)),
        ("SELECT '?', $$?$$, \"?\" -- ?", "SELECT '?', $$?$$, \"?\" -- ?", ()),
        ("EXPLAIN SELECT ?", "SELECT $1", ("1",)),
        ("SELECT /* ? */ ? ;", "SELECT /* ? */ $1", ("1",)),
    ],
)
def test_question_marks_are_numbered_and_nothing_else_is_changed(
    written: str, text: str, parameters: tuple[str, ...]
) -> None:
    query = read_query(written)
    assert query.text == text
    assert query.parameters == parameters
    assert read_query(query.text).text == text


@pytest.mark.parametrize(
    "condition, types",
    [
        ('"Carrier" = ? and size < ?', (pa.utf8(), pa.int64())),
        ("carrier = ? limit ? offset ?", (pa.utf8(), pa.int64(), pa.int64())),
        ("day between ? and ?", (pa.date32(), pa.date32())),
        ("bid in (?, ?)", (pa.float64(), pa.float64())),
        ("sym like ?", (pa.utf8(),)),
        ("day > CAST(? AS date)", (pa.date32(),)),
        ("size > ?::int", (pa.int32(),)),
        ("$1 = bid and size = $2 and $1 < ask", (pa.float64(), pa.int64())),
        ("$1 = bid and $1 = sym", (UNKNOWN,)),
        ("? is null", (UNKNOWN,)),
        (
            f"bid > (select max(bid) from {QUOTE} where sym = ? and size = ?) and day < ?",
            (pa.utf8(), pa.int64(), pa.date32()),
        ),
        (
            f"bid > $b and size > (select count(*) filter (where sym = $w or $x) from {QUOTE})",
            (pa.float64(), pa.utf8(), pa.bool_()),
        ),
        ("bid * 2 > case when size = ? then 1 else 2 end", (pa.int64(),)),
    ],
)
def test_parameter_has_the_type_of_what_it_is_compared_with(
    condition: str, types: tuple[pa.DataType | None, ...]
) -> None:
    assert plan_of(f"select * from {QUOTE} where {condition}").parameters == types


@pytest.mark.parametrize(
    "columns, types",
    [
        ("sum(bid) filter (where day = ? and ? = sym)", (pa.date32(), pa.utf8())),
        ("sum(bid) over (partition by sym = ? order by size + ?)", (pa.utf8(), pa.int64())),
        ("? as x, sum(bid) filter (where size = ?)", (UNKNOWN, pa.int64())),
        (", ".join(["?"] * 8) + ", sum(bid) filter (where size = ?)", (UNKNOWN,) * 9),
    ],
)
def test_parameter_in_an_aggregate_or_window_has_a_type(
    columns: str, types: tuple[pa.DataType | None, ...]
) -> None:
    assert plan_of(f"select {columns} from {QUOTE}").parameters == types


def test_inferring_types_prepares_nothing() -> None:
    """The session is kept and asked again: twice the same text, twice the same answer."""
    for _ in range(2):
        sql = f"select sum(bid) filter (where size = ?) /* {_} */ from {QUOTE}"
        assert plan_of(sql).parameters == (pa.int64(),)


def test_column_that_only_a_value_gives_a_type_is_promised_as_text() -> None:
    assert plan_of("select ? as x, 1 as y").arrow_schema.types == [pa.utf8(), pa.int64()]
    assert plan_of("select ? as x", row_of(5)).arrow_schema.types == [pa.int64()]


@pytest.mark.parametrize(
    "value",
    [
        None,
        True,
        7,
        2.5,
        "it's; drop table quote --",
        "$1 ? :x \x00 \n",
        b"\x00'",
        Decimal("12.30"),
        dt.date(2026, 1, 2),
        dt.time(1, 2, 3),
        dt.datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=dt.UTC),
        dt.datetime(2026, 1, 2, 3, 4, 5),  # noqa: DTZ001  a time without a zone is meant
        dt.timedelta(days=1),
        pa.scalar(1, pa.timestamp("ns")),
        pa.scalar(Decimal(1), pa.decimal256(60, 2)),
        [1, 2, 3],
        ["it's", None],
        {"venue": "x"},
    ],
    ids=repr,
)
def test_value_of_any_type_comes_back_as_it_was_bound(value: Any) -> None:
    expected = value.as_py() if isinstance(value, pa.Scalar) else value
    assert rows_of("select ? as x", value) == [{"x": expected}]


def test_values_select_rows() -> None:
    sql = f"select sym from {QUOTE} where carrier = ? and bid < ? limit ?"
    assert rows_of(sql, "UA", 3, 10) == [{"sym": "b"}]
    assert rows_of(sql, None, 3, 10) == []
    assert rows_of(f"select sym from {QUOTE} where day = ?", "2026-01-03") == [{"sym": "b"}]


def test_one_text_with_other_values_is_another_plan() -> None:
    sql = "select ? as x"
    assert [rows_of(sql, each) for each in (1, "1", 2)] == [[{"x": 1}], [{"x": "1"}], [{"x": 2}]]


def test_names_of_columns_do_not_depend_on_the_values() -> None:
    sql = f"select $1, bid + $2 from {QUOTE}"
    assert plan_of(sql, row_of(1, 2)).arrow_schema.names == plan_of(sql).arrow_schema.names


def test_values_named_as_the_parameters_are_bound_by_name() -> None:
    sql = "select $low as low, $high as high"
    assert plan_of(sql, row_of(9, 1, names=("high", "low"))).values["low"].as_py() == 1
    assert plan_of(sql, row_of(9, 1)).values["low"].as_py() == 9


@pytest.mark.parametrize(
    "condition, value",
    [
        ("bid > ?", "dear"),
        ("size = ?", 2.5),
        ("size = ?", pa.scalar(2**63, pa.uint64())),
        ("day = ?", dt.datetime(2026, 1, 2, 3, tzinfo=dt.UTC)),
        ("day = ?", "yesterday"),
        ("size = ?::int", 2**40),
        ("cast(? as decimal(5, 1)) > bid", Decimal("1.25")),
        ("cast(? as decimal(5, 1)) > bid", 1.25),
        ("sym = ?", [1]),
        ("sym = ?", b"\xff"),
    ],
)
def test_value_that_does_not_fit_is_refused_without_showing_it(condition: str, value: Any) -> None:
    sql = f"select * from {QUOTE} where {condition}"
    with pytest.raises(
        TypeMismatchError, match=r"line 1, column \d+: parameter \$1 takes"
    ) as error:
        plan_of(sql, row_of(value))
    assert str(value) not in str(error.value)


@pytest.mark.parametrize("count", [1, 3])
def test_wrong_number_of_values_is_refused(count: int) -> None:
    with pytest.raises(TypeMismatchError, match="2 parameters and"):
        plan_of("select ?, ?", row_of(*range(count)))


def test_join_behind_a_parameter_is_refused() -> None:
    sql = f"select * from {QUOTE} q where exists (select 1 from {QUOTE} where bid = ?)"
    with pytest.raises(PlannerError) as error:
        plan_of(sql, row_of(1.5))
    assert error.value.code == "join-not-supported"


def test_fault_behind_question_marks_has_its_place() -> None:
    with pytest.raises(SqlSyntaxError, match="line 1, column 16"):
        plan_of("select ?, ?, ? !! 1")


def test_values_show_in_no_representation() -> None:
    assert "secret" not in repr(plan_of("select ?", row_of("secret")))
    assert "secret" not in repr(row_of("secret"))


# Several rows: the query runs once for each.


def several(*rows: dict[str, Any], schema: pa.Schema | None = None) -> Values:
    return Values.of(pa.RecordBatch.from_pylist(list(rows), schema=schema))


def test_plan_for_several_rows_promises_columns_that_can_be_null() -> None:
    sql = f"select ? as x, 1 as y, sym from {QUOTE}"
    one = plan_of(sql, row_of(5)).arrow_schema
    assert not one.field("x").nullable
    planned = plan_of(sql, several({"0": None}, {"0": 5}))
    assert planned.arrow_schema.types == one.types
    assert all(field.nullable for field in planned.arrow_schema)
    assert planned.values == {}


def test_plan_for_no_rows_has_the_columns_of_any() -> None:
    rows = several(schema=pa.schema([("0", pa.date32())]))
    assert plan_of("select ? as x", rows).arrow_schema == pa.schema([("x", pa.date32())])


def test_row_that_does_not_fit_is_named() -> None:
    sql = f"select * from {QUOTE} where size = ?"
    with pytest.raises(TypeMismatchError, match=r"the bound value of row 2, a double"):
        plan_of(sql, several({"0": 1.0}, {"0": 2.5}))


def test_wrong_number_of_values_in_several_rows_is_refused() -> None:
    with pytest.raises(TypeMismatchError, match="2 parameters and 1 value is bound"):
        plan_of("select ?, ?", several({"0": 1}, {"0": 2}))


def test_rows_are_taken_one_by_one() -> None:
    values = several({"a": 1, "b": "x"}, {"a": 2, "b": None})
    assert [row.batch().to_pylist() for row in values.each()] == [
        [{"a": 1, "b": "x"}],
        [{"a": 2, "b": None}],
    ]
    assert list(several(schema=pa.schema([("a", pa.int64())])).each()) == []
