"""What this server is and can, as CommandGetSqlInfo tells it: the whole table, every id.

JDBC casts by id and fails on a missing one or a wrong child of the union, so that the child of
each id is fixed here (`_CHILDREN`) and a value of the wrong type fails when the table is made.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pyarrow as pa

from flight_sql.sqlwords import (
    DATETIME_FUNCTIONS,
    KEYWORDS,
    NUMERIC_FUNCTIONS,
    STRING_FUNCTIONS,
    SYSTEM_FUNCTIONS,
)
from flight_sql.wire import MAX_BATCH_BYTES

STRING, BOOL, BIGINT, INT32, STRING_LIST, INT32_MAP = range(6)

_VALUE_FIELDS = [
    pa.field("string_value", pa.string(), nullable=False),
    pa.field("bool_value", pa.bool_(), nullable=False),
    pa.field("bigint_value", pa.int64(), nullable=False),
    pa.field("int32_bitmask", pa.int32(), nullable=False),
    pa.field("string_list", pa.list_(pa.string()), nullable=False),
    pa.field("int32_to_int32_list_map", pa.map_(pa.int32(), pa.list_(pa.int32())), nullable=False),
]
_VALUE_TYPE = pa.dense_union(_VALUE_FIELDS, type_codes=list(range(len(_VALUE_FIELDS))))

SQL_INFO_SCHEMA = pa.schema(
    [
        pa.field("info_name", pa.uint32(), nullable=False),
        pa.field("value", _VALUE_TYPE, nullable=False),
    ]
)

_STRINGS = {0, 1, 2, 6, 7, 504, 513, 514, 529, 530, 531}
_BOOLS = {3, 4, 5, 9, 10, 11, 500, 501, 502, 506, 515, 516, 518, 519, 520, 521, 523, 524, 527, 532}
_BOOLS |= {536, 537, 539, 556, 563, 565, 566, 572, 573, 574, 575, 576}
_INT32S = {8, 100, 101, 503, 505, 507, 522, 525, 526, 528, 533, 534, 535, 538, 540, 564}
_INT32S |= {567, 568, 569, 570, 571}
_STRING_LISTS = {508, 509, 510, 511, 512}
# The protocol says int32 of 562, its readers (JDBC, ODBC) take a bigint and fail on another.
_BIGINTS = {*range(541, 556), *range(557, 563)}
_MAPS = {517}

_CHILDREN: dict[int, int] = {
    info: child
    for child, infos in (
        (STRING, _STRINGS),
        (BOOL, _BOOLS),
        (BIGINT, _BIGINTS),
        (INT32, _INT32S),
        (STRING_LIST, _STRING_LISTS),
        (INT32_MAP, _MAPS),
    )
    for info in infos
}


# Ordinals of SqlSupportsConvert: what CAST goes between, as far as a value of the one type can be
# one of the other.
_BIGINT, _BINARY, _BIT, _CHAR, _DATE, _DECIMAL, _FLOAT, _INTEGER, _DAY_TIME, _YEAR_MONTH = range(10)
_LONGVARBINARY, _LONGVARCHAR, _NUMERIC, _REAL, _SMALLINT, _TIME, _TIMESTAMP = range(10, 17)
_TINYINT, _VARBINARY, _VARCHAR = range(17, 20)
_INTEGERS = [_BIGINT, _INTEGER, _SMALLINT, _TINYINT]
_FLOATS = [_FLOAT, _REAL]
_DECIMALS = [_DECIMAL, _NUMERIC]
_NUMBERS = [*_INTEGERS, *_FLOATS, *_DECIMALS]
_TEXTS = [_CHAR, _LONGVARCHAR, _VARCHAR]
_BYTES = [_BINARY, _LONGVARBINARY, _VARBINARY]
_INTERVALS = [_DAY_TIME, _YEAR_MONTH]
_CONVERSIONS = {
    **{kind: [*_NUMBERS, *_TEXTS, *_BYTES, _BIT, _TIMESTAMP] for kind in _INTEGERS},
    _BIGINT: [*_NUMBERS, *_TEXTS, *_BYTES, _BIT, _DATE, _TIME, _TIMESTAMP],
    _INTEGER: [*_NUMBERS, *_TEXTS, *_BYTES, _BIT, _DATE, _TIMESTAMP],
    **{kind: [*_NUMBERS, *_TEXTS, _BIT, _TIMESTAMP] for kind in _FLOATS},
    **{kind: [*_NUMBERS, *_TEXTS, _TIMESTAMP] for kind in _DECIMALS},
    **{kind: list(range(20)) for kind in _TEXTS},
    **{kind: [*_BYTES, *_TEXTS] for kind in _BYTES},
    **{kind: [*_INTERVALS, *_TEXTS] for kind in _INTERVALS},
    _BIT: [_BIT, *_INTEGERS, *_FLOATS, *_TEXTS],
    _DATE: [_BIGINT, _INTEGER, _DATE, _TIMESTAMP, *_TEXTS],
    _TIME: [_BIGINT, _TIME, *_TEXTS],
    _TIMESTAMP: [_BIGINT, *_FLOATS, _DATE, _TIME, _TIMESTAMP, *_TEXTS],
}

_CASE_INSENSITIVE, _CASE_LOWER = 1, 3
_NULLS_HIGH = 0
_NAME_LENGTH = 63


def default_sql_info(name: str, version: str) -> dict[int, Any]:
    """Return every id with what is true of the MoM and of members alike.

    Where nothing else is said, a maximum is 0: there is none, or none is known.

    Source:
        Flight SQL, SqlInfo.
    """
    values: dict[int, Any] = dict.fromkeys(_BIGINTS | _INT32S, 0)
    values |= dict.fromkeys(_BOOLS, False)
    # Read only, SQL, CancelQuery, all tables selectable, aliases, null + null, correlation names,
    # ORDER BY of expressions and of columns not selected, LIKE … ESCAPE (of the one character of
    # 513), columns that are never null, catalog at the start of a name, large values count in a
    # row's size.
    values |= dict.fromkeys((3, 4, 9, 506, 515, 516, 518, 520, 521, 523, 524, 532, 556), True)
    values |= {
        0: name,
        1: version,
        2: pa.__version__,
        6: "",
        7: "",
        503: _CASE_LOWER,
        504: '"',
        505: _CASE_INSENSITIVE,
        507: _NULLS_HIGH,
        508: KEYWORDS,
        509: NUMERIC_FUNCTIONS,
        510: STRING_FUNCTIONS,
        511: SYSTEM_FUNCTIONS,
        512: DATETIME_FUNCTIONS,
        513: "\\",
        # None that is good in every name: an @ is for tables only, and # and $ not at the start.
        514: "",
        517: _CONVERSIONS,
        522: 0b11,  # GROUP BY of columns not selected, and beyond the selected ones
        525: 0b1,  # the minimum grammar, as far as it reads
        526: 0,  # ANSI 92 needs joins
        529: "schema",
        530: "",
        531: "catalog",
        533: 0b100,  # schemas can be named in privilege definitions
        534: 0b100,  # and catalogs too
        538: 0b1,  # subqueries in comparisons
        540: 0b11,  # UNION and UNION ALL
        552: _NAME_LENGTH,
        554: 2 * _NAME_LENGTH + 1,  # catalog@cluster
        555: MAX_BATCH_BYTES,
        559: _NAME_LENGTH,
        561: 2 * _NAME_LENGTH + 1,  # user@cluster
        564: 0b1,  # isolation level "none"
        567: 0b10,  # results are read forward only
        569: 0b10,  # and read only
    }
    return values


def sql_info_table(values: Mapping[int, Any], wanted: Iterable[int] = ()) -> pa.Table:
    """Return the ids asked for, or all; ids that are unknown are left out.

    Returns:
        `SQL_INFO_SCHEMA`, ordered by id.
    """
    asked = set(wanted)
    infos = sorted(info for info in values if not asked or info in asked)
    return _assemble({info: values[info] for info in infos})


def _assemble(values: Mapping[int, Any]) -> pa.Table:
    """Build the dense union by its buffers: `UnionArray.from_dense` makes children nullable."""
    children: list[list[Any]] = [[] for _ in _VALUE_FIELDS]
    type_ids, offsets = [], []
    for info, value in values.items():
        child = _CHILDREN[info]
        type_ids.append(child)
        offsets.append(len(children[child]))
        children[child].append(list(value.items()) if child == INT32_MAP else value)
    arrays = [
        pa.array(items, type=field.type)
        for items, field in zip(children, _VALUE_FIELDS, strict=True)
    ]
    buffers = [
        None,
        pa.py_buffer(np.array(type_ids, dtype=np.int8).tobytes()),
        pa.py_buffer(np.array(offsets, dtype=np.int32).tobytes()),
    ]
    union = pa.Array.from_buffers(_VALUE_TYPE, len(type_ids), buffers, children=arrays)
    names = pa.array(list(values), type=pa.uint32())
    return pa.Table.from_arrays([names, union], schema=SQL_INFO_SCHEMA)
