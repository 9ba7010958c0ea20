"""Binding: what clients put as values, and what a backend gets."""

import datetime as dt
from typing import Any

import pyarrow as pa
import pytest

from flight_sql import Client, InvalidRequestError
from flight_sql.messages import read_sql_message
from flight_sql.parameters import MAX_VALUE_BYTES, read_values
from tests.flight_sql.memory_backend import MemoryBackend
from tests.flight_sql.test_statements import OPTIONS, _for, _prepare, _put


class Chunk:
    def __init__(self, data: pa.RecordBatch | None) -> None:
        self.data = data


class Sent(list[Chunk]):
    """A stream of batches; one that begins with a schema also tells it."""

    def __init__(self, *batches: pa.RecordBatch | None, schema: pa.Schema | None = None) -> None:
        super().__init__(map(Chunk, batches))
        self._schema = schema

    @property
    def schema(self) -> pa.Schema:
        if self._schema is None:
            raise pa.ArrowInvalid("there is no schema")
        return self._schema


def read(*batches: pa.RecordBatch | None) -> list[dict[str, Any]]:
    rows = read_values(Sent(*batches))
    assert rows is not None
    return list(rows.to_pylist())


def batch_of(*columns: Any) -> pa.RecordBatch:
    return pa.RecordBatch.from_arrays(
        [column if isinstance(column, pa.Array) else pa.array(column) for column in columns],
        names=[str(number) for number in range(len(columns))],
    )


def union_of(*values: Any) -> pa.Array:
    """Return values as flightsql-dbapi and JDBC send them: each row in a union of all types."""
    kinds = [pa.int64(), pa.float64(), pa.utf8(), pa.binary(), pa.bool_()]
    kind_of = {int: 0, float: 1, str: 2, bytes: 3, bool: 4}
    codes = [kind_of[type(value)] for value in values]
    offsets = [codes[:at].count(code) for at, code in enumerate(codes)]
    children = [
        pa.array([value for value in values if kind_of[type(value)] == code], kind)
        for code, kind in enumerate(kinds)
    ]
    return pa.UnionArray.from_dense(
        pa.array(codes, pa.int8()), pa.array(offsets, pa.int32()), children
    )


def test_nothing_is_read_from_nothing() -> None:
    assert read_values(Sent()) is None
    assert read_values(Sent(None, batch_of())) is None
    assert read_values(Sent(schema=pa.schema([]))) is None


def test_columns_without_rows_are_no_rows() -> None:
    """Not the same as nothing: a statement then runs not at all."""
    no_rows = batch_of(pa.array([], pa.int64()))
    union = batch_of(union_of(1)).schema
    for sent in (
        Sent(no_rows),
        Sent(schema=no_rows.schema),
        Sent(schema=union),
        Sent(batch_of(union_of(1)).slice(0, 0)),
    ):
        rows = read_values(sent)
        assert rows is not None
        assert rows.num_rows == 0
        assert rows.schema.names == ["0"]


def test_rows_of_all_batches_become_one() -> None:
    assert read(batch_of([1, 2], ["a", None]), batch_of([3], ["c"])) == [
        {"0": 1, "1": "a"},
        {"0": 2, "1": None},
        {"0": 3, "1": "c"},
    ]


@pytest.mark.parametrize("value", [1, "it's", 2.5, b"x", True])
def test_values_leave_their_unions(value: Any) -> None:
    rows = read_values(Sent(batch_of(union_of(value))))
    assert rows is not None
    assert rows.schema.types == [pa.scalar(value).type]
    assert read(batch_of(union_of(value, value))) == [{"0": value}] * 2


def test_rows_of_different_types_are_refused() -> None:
    with pytest.raises(InvalidRequestError, match="bind each parameter in one type"):
        read(batch_of(union_of(1, "x")))
    with pytest.raises(InvalidRequestError, match="bind each parameter in one type"):
        read(batch_of([1]), batch_of(["x"]))


def test_nulls_take_the_type_of_other_rows() -> None:
    rows = read_values(Sent(batch_of(pa.nulls(1)), batch_of(["x"])))
    assert rows is not None
    assert rows.schema.types == [pa.utf8()]
    assert rows.to_pylist() == [{"0": None}, {"0": "x"}]


def test_values_have_the_types_of_the_wire() -> None:
    columns = [
        pa.array(["x"], pa.large_utf8()),
        pa.array(["x"], pa.string_view()),
        pa.array(["x"]).dictionary_encode(),
        pa.array([["x"]], pa.large_list(pa.large_utf8())),
        pa.array([dt.date(2026, 1, 2)]),
    ]
    rows = read_values(Sent(batch_of(*columns)))
    assert rows is not None
    assert rows.schema.types == [pa.utf8()] * 3 + [pa.list_(pa.utf8()), pa.date32()]


def test_too_many_bytes_are_refused() -> None:
    with pytest.raises(InvalidRequestError, match="take more than"):
        read(batch_of(["x" * MAX_VALUE_BYTES]))


def test_damaged_values_are_refused() -> None:
    offsets = pa.py_buffer(b"\x00\x00\x00\x00\x01\x00\x00\x00")
    damaged = pa.Array.from_buffers(pa.utf8(), 1, [None, offsets, pa.py_buffer(b"\xff")])
    with pytest.raises(InvalidRequestError, match="damaged"):
        read(batch_of(damaged))


def test_prepare_tells_the_parameters(client: Client) -> None:
    assert client.prepare("SELECT quote").parameter_schema is None


def test_binding_answers_another_handle_that_holds_the_row(
    raw: Any, backend: MemoryBackend
) -> None:
    handle = _prepare(raw, "SELECT quote").prepared_statement_handle
    answer = _put(
        raw,
        _for("CommandPreparedStatementQuery", prepared_statement_handle=handle),
        pa.table({"0": [1]}),
    )
    assert answer is not None
    bound = read_sql_message("DoPutPreparedStatementResult", answer).prepared_statement_handle
    assert bound not in {b"", handle}
    raw.get_flight_info(
        _for("CommandPreparedStatementQuery", prepared_statement_handle=bound), OPTIONS
    )
    assert [row.to_pylist() for row in backend.executed if row is not None] == [[{"0": 1}]]


@pytest.mark.parametrize("count", [0, 2])
def test_rows_are_bound_together(raw: Any, backend: MemoryBackend, count: int) -> None:
    handle = _prepare(raw, "SELECT quote").prepared_statement_handle
    rows = pa.table({"0": pa.array(range(count), pa.int64())})
    _put(raw, _for("CommandPreparedStatementQuery", prepared_statement_handle=handle), rows)
    (bound,) = backend.bound
    assert bound.to_pydict() == {"0": list(range(count))}


def test_prepared_update_runs_not_at_all_for_no_rows(raw: Any, backend: MemoryBackend) -> None:
    handle = _prepare(raw, "UPDATE 7").prepared_statement_handle
    answer = _put(
        raw,
        _for("CommandPreparedStatementUpdate", prepared_statement_handle=handle),
        pa.table({"0": pa.array([], pa.int64())}),
    )
    assert answer is not None
    assert read_sql_message("DoPutUpdateResult", answer).record_count == 0
    assert backend.updates == []


def test_client_binds_by_position_by_name_and_by_row(
    client: Client, backend: MemoryBackend
) -> None:
    rows = ([1, "x"], {"a": 1, "b": "x"}, pa.RecordBatch.from_pylist([{"a": 1, "b": "x"}]))
    for parameters in rows:
        client.query("SELECT quote", parameters=parameters).read_all()
    assert [list(row.to_pylist()[0].items()) for row in backend.bound] == [
        [("1", 1), ("2", "x")],
        [("a", 1), ("b", "x")],
        [("a", 1), ("b", "x")],
    ]
