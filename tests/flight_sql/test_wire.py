import decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyarrow import ipc

from flight_sql import RowTooLargeError, WireTypes, batch_rows_for, cast_batch, recut, wire_schema
from flight_sql.wire import MAX_BATCH_BYTES, WHOLE_BATCH_BYTES, wire_batches
from flight_sql.wiretypes import wire_type

MIB = 1024 * 1024
TEXTS = ["x", None, "a longer text than a view keeps inline"]

CASTS: list[tuple[Any, Any, list[Any]]] = [
    (pa.string_view(), pa.string(), TEXTS),
    (pa.large_string(), pa.string(), TEXTS),
    (pa.binary_view(), pa.binary(), [b"x", None]),
    (pa.large_binary(), pa.binary(), [b"x", None]),
    (pa.dictionary(pa.int32(), pa.string()), pa.string(), TEXTS),
    (pa.dictionary(pa.int8(), pa.int64()), pa.int64(), [1, None, 1]),
    (pa.float16(), pa.float32(), [np.float16(1.5), None]),
    (pa.decimal32(5, 2), pa.decimal128(5, 2), [decimal.Decimal("1.25"), None]),
    (pa.decimal64(9, 2), pa.decimal128(9, 2), [decimal.Decimal("-1.25"), None]),
    (pa.large_list(pa.string_view()), pa.list_(pa.string()), [["x", None], None, []]),
    (pa.list_view(pa.int64()), pa.list_(pa.int64()), [[1, 2], None, [], [3]]),
    (pa.list_view(pa.string_view()), pa.list_(pa.string()), [["x"], None, [], TEXTS]),
    (pa.large_list_view(pa.int64()), pa.list_(pa.int64()), [None, [1]]),
    (pa.list_(pa.large_string(), 2), pa.list_(pa.string(), 2), [["x", "y"], None]),
    (
        pa.struct([pa.field("a", pa.string_view(), nullable=False)]),
        pa.struct([pa.field("a", pa.string(), nullable=False)]),
        [{"a": "x"}, {"a": "y"}],
    ),
    (pa.map_(pa.string_view(), pa.int32()), pa.map_(pa.string(), pa.int32()), [[("k", 1)], None]),
]


@pytest.mark.parametrize("source, target, values", CASTS, ids=lambda value: str(value)[:40])
def test_types_outside_the_wire_profile_are_cast(
    source: Any, target: Any, values: list[Any]
) -> None:
    array = pa.array(values, source)
    batch = pa.record_batch({"c": array})
    schema = wire_schema(batch.schema)
    assert schema.field("c").type == target
    cast = cast_batch(batch, schema)
    cast.validate(full=True)
    assert cast.to_pydict() == {"c": array.to_pylist()}
    assert cast_batch(batch.slice(1), schema).to_pydict() == {"c": array.to_pylist()[1:]}


UNSIGNED: list[tuple[Any, Any, list[Any]]] = [
    (pa.uint8(), pa.int16(), [255, None, 0]),
    (pa.uint16(), pa.int32(), [2**16 - 1, None]),
    (pa.uint32(), pa.int64(), [2**32 - 1, None]),
    (pa.uint64(), pa.decimal128(20, 0), [2**64 - 1, None]),
    (pa.dictionary(pa.uint8(), pa.uint8()), pa.int16(), [255, None]),
    (pa.list_view(pa.uint64()), pa.list_(pa.decimal128(20, 0)), [[2**64 - 1], None, []]),
    (pa.list_(pa.uint16(), 2), pa.list_(pa.int32(), 2), [[1, 2**16 - 1], None]),
    (
        pa.map_(pa.uint32(), pa.field("v", pa.uint8(), nullable=False)),
        pa.map_(pa.int64(), pa.field("v", pa.int16(), nullable=False)),
        [[(2**32 - 1, 255)], None],
    ),
    (
        pa.list_(pa.struct([pa.field("a", pa.list_(pa.uint8()), nullable=False)])),
        pa.list_(pa.struct([pa.field("a", pa.list_(pa.int16()), nullable=False)])),
        [[{"a": [255]}], None],
    ),
    (pa.opaque(pa.uint8(), "byte", "someone"), pa.int16(), [255, None]),
    (pa.string_view(), pa.string(), TEXTS),
]


@pytest.mark.parametrize("source, target, values", UNSIGNED, ids=lambda value: str(value)[:40])
def test_unsigned_integers_become_wider_signed_ones_for_who_knows_none(
    source: Any, target: Any, values: list[Any]
) -> None:
    batch = pa.record_batch({"c": pa.array(values, source)})
    schema = wire_schema(batch.schema, WireTypes.SIGNED)
    assert schema.field("c").type == target
    cast = cast_batch(batch, schema)
    cast.validate(full=True)
    assert cast["c"].to_pylist() == batch["c"].to_pylist() == values
    assert cast_batch(batch.slice(1), schema)["c"].to_pylist() == values[1:]
    # What a member made signed already, the MoM relays as it is.
    assert wire_schema(schema, WireTypes.SIGNED).equals(schema)


def test_run_ends_are_decoded() -> None:
    batch = pa.record_batch({"c": pc.run_end_encode(pa.array([1, 1, 2]))})
    assert cast_batch(batch, wire_schema(batch.schema)).to_pydict() == {"c": [1, 1, 2]}


@pytest.mark.parametrize(
    "fitting",
    [
        pa.int8(),
        pa.uint64(),
        pa.float64(),
        pa.bool_(),
        pa.string(),
        pa.binary(),
        pa.decimal128(38, 10),
        pa.date32(),
        pa.timestamp("us", "UTC"),
        pa.timestamp("ns"),
        pa.list_(pa.string()),
        pa.struct([("a", pa.list_(pa.int64()))]),
        pa.null(),
    ],
    ids=str,
)
def test_types_of_the_wire_profile_pass(fitting: Any) -> None:
    assert wire_type(fitting) is fitting
    if not pa.types.is_unsigned_integer(fitting):
        assert wire_type(fitting, is_signed=True) is fitting


def test_fitting_columns_are_not_copied() -> None:
    fitting = pa.array([1, 2, 3])
    batch = pa.record_batch({"same": fitting, "cast": pa.array(TEXTS, pa.string_view())})
    cast = cast_batch(batch, wire_schema(batch.schema))
    assert cast["same"].buffers()[1].address == fitting.buffers()[1].address
    whole = pa.record_batch({"same": fitting})
    assert cast_batch(whole, wire_schema(whole.schema)) is whole


def test_nullability_names_and_metadata_are_kept() -> None:
    schema = pa.schema(
        [pa.field("a", pa.string_view(), nullable=False, metadata={"k": "v"})], {"m": "n"}
    )
    wire = wire_schema(schema)
    assert not wire.field("a").nullable
    assert wire.field("a").metadata == {b"k": b"v"}
    assert wire.metadata == {b"m": b"n"}


def test_small_batch_passes_whole_and_empty_one_vanishes() -> None:
    batch = pa.record_batch({"a": [1, 2, 3]})
    assert list(recut(batch)) == [batch]
    assert next(iter(recut(batch))) is batch
    assert list(recut(batch.slice(0, 0))) == []


def test_large_batch_is_cut_by_bytes_without_losing_rows() -> None:
    batch = pa.record_batch({"a": np.arange(5_000_000), "b": np.arange(5_000_000) * 0.5})
    pieces = list(recut(batch))
    sizes = [ipc.get_record_batch_size(piece) for piece in pieces]
    assert max(sizes) <= WHOLE_BATCH_BYTES
    assert min(sizes) >= 4 * MIB
    assert pa.Table.from_batches(pieces).equals(pa.Table.from_batches([batch]))
    assert pieces[1]["a"].buffers()[1].address == batch["a"].buffers()[1].address


def test_slice_of_a_huge_batch_is_measured_by_its_own_rows() -> None:
    batch = pa.record_batch({"a": ["x" * 1000] * 40_000})
    piece = batch.slice(20_000, 100)
    assert [len(part) for part in recut(piece)] == [100]


def test_rows_of_uneven_size_are_cut_again() -> None:
    texts = ["x"] * 1000 + ["y" * (10 * MIB)] * 3 + ["z"] * 1000
    pieces = list(recut(pa.record_batch({"a": texts})))
    assert all(ipc.get_record_batch_size(piece) <= MAX_BATCH_BYTES for piece in pieces)
    assert [text for piece in pieces for text in piece["a"].to_pylist()] == texts


def test_row_above_the_limit_is_refused_with_its_code() -> None:
    batch = pa.record_batch({"a": ["x", "y" * (16 * MIB)]})
    with pytest.raises(RowTooLargeError, match="row-too-large: one row") as refused:
        list(recut(batch))
    assert refused.value.status == "INVALID_ARGUMENT"


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.one_of(st.none(), st.text(max_size=60)), max_size=80),
    st.integers(600, 3000),
    st.data(),
)
def test_cutting_keeps_every_row_and_the_limit(
    texts: list[str | None], target_bytes: int, data: st.DataObject
) -> None:
    schema = pa.schema([("a", pa.string_view()), ("n", pa.int64())])
    batch = pa.record_batch({"a": texts, "n": list(range(len(texts)))}, schema=schema)
    start = data.draw(st.integers(0, len(texts)))
    batch = batch.slice(start)
    pieces = list(
        wire_batches(batch, wire_schema(schema), target_bytes=target_bytes, max_bytes=4000)
    )
    assert [row for piece in pieces for row in piece.to_pylist()] == batch.to_pylist()
    assert all(ipc.get_record_batch_size(piece) <= 4000 for piece in pieces)


def test_engine_batch_rows_follow_from_the_row_width() -> None:
    narrow = pa.schema([("a", pa.int64())])
    wide = pa.schema([(f"c{index}", pa.float64()) for index in range(100)])
    nested = pa.schema(
        [
            ("l", pa.large_list(pa.struct([("a", pa.int64()), ("b", pa.string_view())]))),
            ("f", pa.list_(pa.int32(), 1000)),
            ("m", pa.map_(pa.string(), pa.int64())),
            ("d", pa.dictionary(pa.int8(), pa.string())),
            ("b", pa.bool_()),
        ]
    )
    assert batch_rows_for(narrow) == 131_072
    assert batch_rows_for(wide) == 4096
    assert batch_rows_for(nested) == 1024
    assert batch_rows_for(pa.schema([])) == 131_072
    assert batch_rows_for(pa.schema([("f", pa.list_(pa.int64(), 10_000))])) == 256
