"""Random Arrow columns: every type that an engine may answer with, nested in each other."""

import decimal
from bisect import bisect_right
from itertools import pairwise
from typing import Any

import pyarrow as pa
from hypothesis import strategies as st

_DAY_S = 86_400
_SMALL = st.integers(-100, 100)
_TEXT = st.text(max_size=20)


def _numbers(arrow_type: Any, storage: Any, low: int, high: int, step: int = 1) -> Any:
    """Return a strategy of columns whose values are numbers to Arrow, as times are."""
    values = st.integers(low, high).map(lambda number: number * step)
    return arrow_type, values, lambda made: pa.array(made, storage).view(arrow_type)


def _plain(arrow_type: Any, values: Any) -> Any:
    return arrow_type, values, lambda made: pa.array(made, arrow_type)


def _decimals(arrow_type: Any) -> Any:
    digits = arrow_type.precision
    low = -(10**digits) + 1
    scaled = st.integers(low, -low).map(
        lambda number: decimal.Decimal(number).scaleb(-arrow_type.scale, decimal.Context(prec=80))
    )
    return _plain(arrow_type, scaled)


_INT32, _INT64 = pa.int32(), pa.int64()
_LONG = 2**62
LEAVES = (
    _plain(pa.null(), st.none()),
    _plain(pa.bool_(), st.booleans()),
    *(_plain(kind, _SMALL) for kind in (pa.int8(), pa.int16(), pa.int32(), pa.int64())),
    *(
        _plain(kind, st.integers(0, 2**kind.bit_width - 1))
        for kind in (pa.uint8(), pa.uint16(), pa.uint32(), pa.uint64())
    ),
    _plain(pa.float16(), _SMALL.map(lambda number: number / 4)),
    _plain(pa.float32(), _SMALL.map(lambda number: number / 4)),
    _plain(pa.float64(), st.floats(allow_nan=False)),
    *map(_decimals, (pa.decimal32(5, 2), pa.decimal64(12, 3), pa.decimal128(38, 10))),
    *map(_decimals, (pa.decimal256(38, 2), pa.decimal256(76, 20))),
    *(_plain(kind, _TEXT) for kind in (pa.string(), pa.large_string(), pa.string_view())),
    *(
        _plain(kind, st.binary(max_size=20))
        for kind in (pa.binary(), pa.large_binary(), pa.binary_view())
    ),
    _plain(pa.binary(3), st.binary(min_size=3, max_size=3)),
    _numbers(pa.date32(), _INT32, -50_000, 50_000),
    _numbers(pa.date64(), _INT64, -50_000, 50_000, 1000 * _DAY_S),
    _numbers(pa.time32("s"), _INT32, 0, _DAY_S - 1),
    _numbers(pa.time32("ms"), _INT32, 0, _DAY_S - 1),
    _numbers(pa.time64("us"), _INT64, 0, _DAY_S - 1),
    _numbers(pa.time64("ns"), _INT64, 0, _DAY_S * 10**9 - 1),
    *(_numbers(pa.timestamp(unit), _INT64, -_DAY_S, _DAY_S) for unit in ("s", "ms", "us")),
    _numbers(pa.timestamp("ns"), _INT64, -_LONG, _LONG),
    _numbers(pa.timestamp("ns", "Europe/Berlin"), _INT64, -_LONG, _LONG),
    _numbers(pa.timestamp("us", "UTC"), _INT64, -_DAY_S, _DAY_S),
    *(_numbers(pa.duration(unit), _INT64, -_DAY_S, _DAY_S) for unit in ("s", "ms", "us")),
    _numbers(pa.duration("ns"), _INT64, -_LONG, _LONG),
    _plain(
        pa.month_day_nano_interval(),
        st.tuples(_SMALL, _SMALL, _SMALL).map(lambda three: pa.MonthDayNano(list(three))),
    ),
)

_ENCODED = [leaf for leaf in LEAVES if not pa.types.is_null(leaf[0])]


@st.composite
def columns(draw: st.DrawFn, length: int, depth: int = 3) -> tuple[Any, bool]:
    """Draw a column of so many rows, and whether any of them may be null.

    Nulls are drawn at every level; a level that has none may be declared to have none.
    """
    kind = draw(st.sampled_from(["leaf", *_NESTED] if depth else ["leaf"]))
    nulls = draw(st.lists(st.booleans(), min_size=length, max_size=length))
    if draw(st.booleans()):
        nulls = [False] * length
    if kind == "leaf":
        leaf, values, build = draw(st.sampled_from(LEAVES))
        made = [draw(values) for _ in nulls]
        made = [None if null else value for value, null in zip(made, nulls, strict=True)]
        column = build(made)
        is_nullable = pa.types.is_null(leaf) or any(nulls)
    else:
        column = _NESTED[kind](draw, nulls, depth - 1)
        is_nullable = any(nulls)
    return column, is_nullable or draw(st.booleans())


def _field(draw: st.DrawFn, name: str, length: int, depth: int) -> tuple[Any, Any]:
    column, is_nullable = draw(columns(length, depth))
    return pa.field(name, column.type, is_nullable), column


def _mask(nulls: list[bool]) -> Any:
    return pa.array(nulls, pa.bool_()) if any(nulls) else None


def _offsets(draw: st.DrawFn, length: int) -> list[int]:
    offsets = [0]
    for size in draw(st.lists(st.integers(0, 3), min_size=length, max_size=length)):
        offsets.append(offsets[-1] + size)
    return offsets


def _struct(draw: st.DrawFn, nulls: list[bool], depth: int) -> Any:
    parts = [_field(draw, name, len(nulls), depth) for name in "ab"[: draw(st.integers(1, 2))]]
    fields, children = zip(*parts, strict=True)
    return pa.StructArray.from_arrays(list(children), fields=list(fields), mask=_mask(nulls))


def _list(draw: st.DrawFn, nulls: list[bool], depth: int) -> Any:
    offsets = _offsets(draw, len(nulls))
    field, values = _field(draw, "item", offsets[-1], depth)
    if draw(st.booleans()):
        return pa.ListArray.from_arrays(
            pa.array(offsets, _INT32), values, type=pa.list_(field), mask=_mask(nulls)
        )
    return pa.LargeListArray.from_arrays(
        pa.array(offsets, _INT64), values, type=pa.large_list(field), mask=_mask(nulls)
    )


def _list_view(draw: st.DrawFn, nulls: list[bool], depth: int) -> Any:
    offsets = _offsets(draw, len(nulls))
    field, values = _field(draw, "item", offsets[-1], depth)
    sizes = [end - start for start, end in pairwise(offsets)]
    is_large = draw(st.booleans())
    kind, number = (pa.LargeListViewArray, _INT64) if is_large else (pa.ListViewArray, _INT32)
    return kind.from_arrays(
        pa.array(offsets[:-1], number),
        pa.array(sizes, number),
        values,
        type=pa.large_list_view(field) if is_large else pa.list_view(field),
        mask=_mask(nulls),
    )


def _fixed_size_list(draw: st.DrawFn, nulls: list[bool], depth: int) -> Any:
    field, values = _field(draw, "item", 2 * len(nulls), depth)
    return pa.FixedSizeListArray.from_arrays(values, type=pa.list_(field, 2), mask=_mask(nulls))


def _map(draw: st.DrawFn, nulls: list[bool], depth: int) -> Any:
    offsets = _offsets(draw, len(nulls))
    text = draw(st.sampled_from([pa.string(), pa.string_view()]))
    keys = pa.array([f"k{number}" for number in range(offsets[-1])], text)
    field, items = _field(draw, "value", offsets[-1], depth)
    kind = pa.map_(pa.field("key", text, nullable=False), field)
    return pa.MapArray.from_arrays(
        pa.array(offsets, _INT32), keys, items, type=kind, mask=_mask(nulls)
    )


def _dictionary(draw: st.DrawFn, nulls: list[bool], _depth: int) -> Any:
    _, values, build = draw(st.sampled_from(_ENCODED))
    distinct = draw(st.lists(values, min_size=1, max_size=5))
    places = [None if null else number % len(distinct) for number, null in enumerate(nulls)]
    index = draw(st.sampled_from([pa.int8(), pa.uint16(), pa.int32()]))
    return pa.DictionaryArray.from_arrays(pa.array(places, index), build(distinct))


def _run_ends(draw: st.DrawFn, nulls: list[bool], _depth: int) -> Any:
    _, values, build = draw(st.sampled_from(_ENCODED))
    runs = [None if null else draw(values) for null in nulls]
    ends, rows = [], 0
    for _ in runs:
        rows += draw(st.integers(1, 2))
        ends.append(rows)
    encoded = pa.RunEndEncodedArray.from_arrays(pa.array(ends, _INT32), build(runs))
    return encoded.slice(draw(st.integers(0, rows - len(runs))), len(runs))


_NESTED = {
    "struct": _struct,
    "list": _list,
    "list_view": _list_view,
    "fixed_size_list": _fixed_size_list,
    "map": _map,
    "dictionary": _dictionary,
    "run_ends": _run_ends,
}


@st.composite
def batches(draw: st.DrawFn) -> pa.RecordBatch:
    """Draw a batch of up to three columns, which may be a slice of a longer one."""
    length = draw(st.integers(0, 12))
    parts = [_field(draw, f"c{at}", length, 3) for at in range(draw(st.integers(1, 3)))]
    fields, arrays = zip(*parts, strict=True)
    batch = pa.RecordBatch.from_arrays(list(arrays), schema=pa.schema(list(fields)))
    return batch.slice(draw(st.integers(0, length)))


def exact(column: Any) -> list[Any]:
    """Return a column's values as Python has them, times to their last nanosecond."""
    kind = column.type
    if pa.types.is_dictionary(kind):
        distinct = exact(column.dictionary)
        return [None if at is None else distinct[at] for at in column.indices.to_pylist()]
    if pa.types.is_run_end_encoded(kind):
        runs = exact(column.values)
        ends = column.run_ends.to_pylist()
        rows = range(column.offset, column.offset + len(column))
        return [runs[bisect_right(ends, row)] for row in rows]
    if pa.types.is_time64(kind):
        column = column.view(_INT64)
    values: list[Any] = column.to_pylist()
    return values
