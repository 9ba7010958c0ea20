"""A query that runs once for each row of its values, to its reader one statement."""

from collections.abc import Iterator
from dataclasses import replace

import pyarrow as pa
import pytest

from flight_member.rowbyrow import RowByRow, one_after_another
from planner import Plan, Query, TypeMismatchError, Values
from storage.errors import CancelledError

NUMBERS = pa.schema([("x", pa.int64())])


class Started:
    """Batches of one number, and whether they were closed."""

    def __init__(self, plan: Plan) -> None:
        self.number = plan.values["1"].as_py()
        self.is_closed = False

    def batches(self) -> Iterator[pa.RecordBatch]:
        for _ in range(2):
            if self.is_closed:
                raise CancelledError("stopped")
            yield pa.record_batch({"x": [self.number]}, schema=NUMBERS)

    def close(self) -> None:
        self.is_closed = True


class Engine:
    """Plans and starts, and remembers what."""

    def __init__(self, schema: pa.Schema = NUMBERS) -> None:
        self.schema = schema
        self.started: list[Started] = []

    def plan(self, query: Query) -> Plan:
        assert query.values is not None
        row = query.values.batch()
        return Plan(query.text, self.schema, values={"1": row.column(0)[0]})

    def start(self, plan: Plan) -> Started:
        self.started.append(Started(plan))
        return self.started[-1]


def query_of(*numbers: int) -> Query:
    values = Values.of(pa.record_batch({"0": pa.array(numbers, pa.int64())}))
    return Query("select ?", "select $1", "hangzhou", None, None, (), None, parameters=("1",),
                 values=values)  # fmt: skip


def running(engine: Engine, *numbers: int) -> RowByRow:
    return RowByRow(query_of(*numbers), NUMBERS, engine.plan, engine.start)


def test_each_row_runs_after_the_one_before_and_is_closed() -> None:
    engine = Engine()
    seen = [
        (batch["x"][0].as_py(), [one.is_closed for one in engine.started])
        for batch in running(engine, 1, 2).batches()
    ]
    assert seen == [(1, [False]), (1, [False]), (2, [True, False]), (2, [True, False])]
    assert [one.is_closed for one in engine.started] == [True, True]


def test_closing_stops_the_row_that_runs_and_starts_no_other() -> None:
    engine = Engine()
    rows = running(engine, 1, 2)
    batches = rows.batches()
    next(batches)
    rows.close()
    rows.close()
    with pytest.raises(CancelledError):
        next(batches)
    assert [one.number for one in engine.started] == [1]


def test_closing_between_rows_starts_nothing_more() -> None:
    """A part of the rows never passes for all of them."""
    engine = Engine()
    rows = running(engine, 1)
    rows.close()
    with pytest.raises(CancelledError):
        list(rows.batches())
    assert engine.started == []


def test_row_that_makes_other_columns_is_refused_by_its_number() -> None:
    engine = Engine(pa.schema([("x", pa.utf8())]))
    with pytest.raises(TypeMismatchError, match="row 1 of the bound values makes x string"):
        list(running(engine, 7, 8).batches())
    assert engine.started == []


def test_null_takes_the_type_of_the_others() -> None:
    engine = Engine(pa.schema([("x", pa.null())]))
    assert len(list(running(engine, 7).batches())) == 2


def test_one_row_and_none_start_at_once() -> None:
    engine = Engine()
    plan = Plan("select $1", NUMBERS, values={"1": pa.scalar(5)})
    for query in (query_of(5), replace(query_of(), values=None)):
        source = one_after_another(query, plan, engine.plan, engine.start)
        assert source is engine.started[-1]
    assert isinstance(one_after_another(query_of(), plan, engine.plan, engine.start), RowByRow)
    assert len(engine.started) == 2
