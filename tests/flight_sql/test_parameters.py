"""Binding: what clients put as values, and what a backend gets."""

import datetime as dt
from typing import Any

import pyarrow as pa
import pytest
from pyarrow import flight

from flight_sql import Client, InvalidRequestError
from flight_sql.messages import pack, read_sql_message, sql_message
from flight_sql.parameters import MAX_VALUE_BYTES, read_values
from tests.flight_sql.memory_backend import MemoryBackend
from tests.flight_sql.test_statements import OPTIONS, _for, _prepare, _put


class Chunk:
    def __init__(self, data: pa.RecordBatch | None) -> None:
        self.data = data


def read(*batches: pa.RecordBatch | None) -> list[dict[str, Any]]:
    rows = read_values(Chunk(batch) for batch in batches)
    assert all(row.num_rows == 1 for row in rows)
    return [row.to_pylist()[0] for row in rows]


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
    assert read() == []
    assert read(None, batch_of(), batch_of(pa.array([], pa.int64()))) == []


def test_each_row_becomes_a_batch() -> None:
    assert read(batch_of([1, 2], ["a", None]), batch_of([3], ["c"])) == [
        {"0": 1, "1": "a"},
        {"0": 2, "1": None},
        {"0": 3, "1": "c"},
    ]


def test_values_leave_their_unions() -> None:
    column = union_of(1, "it's", 2.5, b"x", True)
    (first, second, *rest) = read_values([Chunk(batch_of(column))])
    assert first.schema.types == [pa.int64()]
    assert second.schema.types == [pa.utf8()]
    assert [row.to_pylist()[0]["0"] for row in rest] == [2.5, b"x", True]


def test_values_have_the_types_of_the_wire() -> None:
    columns = [
        pa.array(["x"], pa.large_utf8()),
        pa.array(["x"], pa.string_view()),
        pa.array(["x"]).dictionary_encode(),
        pa.array([["x"]], pa.large_list(pa.large_utf8())),
        pa.array([dt.date(2026, 1, 2)]),
    ]
    (row,) = read_values([Chunk(batch_of(*columns))])
    assert row.schema.types == [pa.utf8()] * 3 + [pa.list_(pa.utf8()), pa.date32()]


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


def test_several_rows_cannot_be_bound_to_a_query(raw: Any, backend: MemoryBackend) -> None:
    handle = _prepare(raw, "SELECT quote").prepared_statement_handle
    with pytest.raises(pa.ArrowInvalid, match="one row of values and 2 were bound"):
        _put(
            raw,
            _for("CommandPreparedStatementQuery", prepared_statement_handle=handle),
            pa.table({"0": [1, 2]}),
        )
    assert backend.bound == []


def test_prepared_update_runs_once_for_each_row(raw: Any, backend: MemoryBackend) -> None:
    handle = _prepare(raw, "UPDATE 7").prepared_statement_handle
    descriptor = flight.FlightDescriptor.for_command(
        pack(sql_message("CommandPreparedStatementUpdate", prepared_statement_handle=handle))
    )
    answer = _put(raw, descriptor, pa.table({"0": [1, 2, 3]}))
    assert answer is not None
    assert read_sql_message("DoPutUpdateResult", answer).record_count == 21
    assert [row.to_pylist()[0]["0"] for row in backend.executed if row is not None] == [1, 2, 3]


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
