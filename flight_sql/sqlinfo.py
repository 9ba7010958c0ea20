"""What this server is and can, as CommandGetSqlInfo tells it: the whole table, every id.

JDBC casts by id and fails on a missing one or a wrong child of the union, so that the child of
each id is fixed here (`_CHILDREN`) and a value of the wrong type fails when the table is made.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pyarrow as pa

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
_INT32S = {8, 100, 101, 503, 505, 507, 522, 525, 526, 528, 533, 534, 535, 538, 540, 562, 564}
_INT32S |= {567, 568, 569, 570, 571}
_STRING_LISTS = {508, 509, 510, 511, 512}
_BIGINTS = {*range(541, 556), *range(557, 562)}
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


def _words(text: str) -> list[str]:
    return text.split()


_KEYWORDS = _words(
    "ANALYZE ANTI ARRAY BYTEA CUBE DESCRIBE EXPLAIN EXTERNAL FILTER GROUPING ILIKE LATERAL LIMIT "
    "OFFSET QUALIFY RECURSIVE ROLLUP SEMI SHOW STRUCT UNNEST USE WINDOW"
)
_NUMERIC_FUNCTIONS = _words(
    "ABS ACOS ASIN ATAN ATAN2 CEIL COS COT DEGREES EXP FLOOR LOG LOG10 PI POWER RADIANS RANDOM "
    "ROUND SIGN SIN SQRT TAN TRUNC"
)
_STRING_FUNCTIONS = _words(
    "ASCII BIT_LENGTH CHAR_LENGTH CHARACTER_LENGTH CHR CONCAT LEFT LENGTH LOWER LPAD LTRIM "
    "OCTET_LENGTH POSITION REPEAT REPLACE REVERSE RIGHT RPAD RTRIM SPLIT_PART STRPOS SUBSTR "
    "SUBSTRING TRANSLATE TRIM UPPER"
)
_SYSTEM_FUNCTIONS = ["COALESCE", "NULLIF"]
_DATETIME_FUNCTIONS = _words(
    "CURRENT_DATE CURRENT_TIME CURRENT_TIMESTAMP DATE_BIN DATE_PART DATE_TRUNC EXTRACT "
    "FROM_UNIXTIME MAKE_DATE NOW TO_CHAR TO_DATE TO_TIMESTAMP"
)

# Ordinals of SqlSupportsConvert: what CAST goes between.
_BIGINT, _BIT, _CHAR, _DATE, _DECIMAL, _FLOAT, _INTEGER = 0, 2, 3, 4, 5, 6, 7
_NUMERIC, _REAL, _SMALLINT, _TIME, _TIMESTAMP, _TINYINT, _VARCHAR = 12, 13, 14, 15, 16, 17, 19
_NUMBERS = [_BIGINT, _DECIMAL, _FLOAT, _INTEGER, _NUMERIC, _REAL, _SMALLINT, _TINYINT]
_TEXTS = [_CHAR, _VARCHAR]
_CONVERSIONS = {
    **{number: [*_NUMBERS, *_TEXTS] for number in _NUMBERS},
    **{text: [*_NUMBERS, *_TEXTS, _BIT, _DATE, _TIME, _TIMESTAMP] for text in _TEXTS},
    _BIT: [_BIT, *_NUMBERS, *_TEXTS],
    _DATE: [_DATE, _TIMESTAMP, *_TEXTS],
    _TIMESTAMP: [_DATE, _TIME, _TIMESTAMP, *_TEXTS],
    _TIME: [_TIME, *_TEXTS],
}

_CASE_INSENSITIVE, _CASE_LOWER = 1, 3
_NULLS_HIGH = 0
_NAME_LENGTH = 63


def default_sql_info(name: str, version: str) -> dict[int, Any]:
    """Return every id with what is true of a server of the federation.

    Source:
        Flight SQL, SqlInfo.
    """
    values: dict[int, Any] = dict.fromkeys(_BIGINTS | _INT32S, 0)
    values |= dict.fromkeys(_BOOLS, False)
    # Read only, SQL, all tables selectable, aliases, null + null, correlation names, ORDER BY of
    # expressions and of columns not selected, LIKE … ESCAPE, catalog at the start of a name.
    values |= dict.fromkeys((3, 4, 506, 515, 516, 518, 520, 521, 523, 532), True)
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
        508: _KEYWORDS,
        509: _NUMERIC_FUNCTIONS,
        510: _STRING_FUNCTIONS,
        511: _SYSTEM_FUNCTIONS,
        512: _DATETIME_FUNCTIONS,
        513: "\\",
        514: "@",
        517: _CONVERSIONS,
        522: 0b11,  # GROUP BY of columns not selected, and beyond the selected ones
        525: 0b11,  # minimum and core grammar
        526: 0b1,  # ANSI 92 entry level
        529: "schema",
        530: "",
        531: "catalog",
        533: 0b100,  # schemas can be named in privilege definitions
        534: 0b100,  # and catalogs too
        538: 0b1,  # subqueries in comparisons
        540: 0b11,  # UNION and UNION ALL
        552: _NAME_LENGTH,
        554: 2 * _NAME_LENGTH + 1,  # catalog@cluster
        559: _NAME_LENGTH,
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
