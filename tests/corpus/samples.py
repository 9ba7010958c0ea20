"""The table that the corpus asks most: a column of every type that tables hold, with nulls."""

import datetime as dt
from decimal import Decimal
from typing import Any

import pyarrow as pa

_ROWS = 48
_DAY = dt.date(2024, 2, 27)
_NOON = dt.datetime(2024, 3, 10, 12, 30, 15, 123456)  # noqa: DTZ001  a time without a zone
_WORDS = ("alpha", "Beta", "gamma delta", "éclair", "naïve-42", "", "日本", "snake_case_word")
_REGIONS = ("east", "north", "west")
_POINT = pa.struct([("x", pa.float64()), ("y", pa.int32()), ("Label", pa.utf8())])
_SCHEMA = pa.schema(
    [
        ("id", pa.int64()),
        ("tiny", pa.int8()),
        ("short", pa.int16()),
        ("whole", pa.int32()),
        ("u_tiny", pa.uint8()),
        ("u_short", pa.uint16()),
        ("u_whole", pa.uint32()),
        ("u_long", pa.uint64()),
        ("ratio", pa.float32()),
        ("amount", pa.float64()),
        ("price", pa.decimal128(12, 3)),
        ("vast", pa.decimal256(50, 5)),
        ("flag", pa.bool_()),
        ("word", pa.utf8()),
        ("blob", pa.binary()),
        ("code", pa.binary(4)),
        ("day", pa.date32()),
        ("clock", pa.time64("us")),
        ("seconds", pa.timestamp("ms")),
        ("moment", pa.timestamp("us")),
        ("instant", pa.timestamp("us", "UTC")),
        ("tick", pa.timestamp("ns")),
        ("local_tick", pa.timestamp("ns", "Europe/Berlin")),
        ("numbers", pa.list_(pa.int64())),
        ("words", pa.list_(pa.utf8())),
        ("vector", pa.list_(pa.float64())),
        ("matrix", pa.list_(pa.list_(pa.int64()))),
        ("point", _POINT),
        ("points", pa.list_(_POINT)),
        ("props", pa.map_(pa.utf8(), pa.int64())),
        ("nothing", pa.utf8()),
        ("MixedCase", pa.int64()),
        ("with space", pa.utf8()),
        ("größe", pa.float64()),
        ("region", pa.utf8()),
        ("year", pa.int64()),
    ]
)


def make_samples() -> pa.Table:
    """Return 48 rows, `id` from 0; partition columns `region` and `year` come last."""
    rows = [_row(n) for n in range(_ROWS)]
    return pa.Table.from_pylist(rows, schema=_SCHEMA)


def _row(n: int) -> dict[str, Any]:
    return {"id": n, **_numbers(n), **_texts(n), **_times(n), **_nested(n), **_names(n)}


def _numbers(n: int) -> dict[str, Any]:
    return {
        "tiny": n % 7 - 3,
        "short": None if n % 5 == 0 else n * 11 - 200,
        "whole": n * n - 300,
        "u_tiny": n % 9,
        "u_short": n * 3,
        "u_whole": None if n % 6 == 0 else n * 1000,
        "u_long": n * 10**15,
        "ratio": n / 8,
        "amount": None if n % 11 == 0 else n * 1.25 - 20,
        "price": None if n % 13 == 0 else Decimal(n * 1234 + 5) / 1000,
        "vast": Decimal(n) * 10**30 + Decimal("0.25"),
        "flag": (True, False, None)[n % 3],
    }


def _texts(n: int) -> dict[str, Any]:
    word = _WORDS[n % len(_WORDS)]
    return {
        "word": None if n % 17 == 16 else word,
        "blob": None if n % 10 == 9 else bytes([n, 255 - n]) * (n % 4),
        "code": n.to_bytes(4, "big"),
        "nothing": None,
    }


def _times(n: int) -> dict[str, Any]:
    moment = _NOON + dt.timedelta(hours=7 * n, microseconds=n)
    return {
        "day": None if n % 12 == 11 else _DAY + dt.timedelta(days=n),
        "clock": dt.time(n % 24, n, n % 60, n * 7),
        "seconds": moment.replace(microsecond=0),
        "moment": None if n % 9 == 8 else moment,
        "instant": moment.replace(tzinfo=dt.UTC),
        "tick": 1_700_000_000_123_456_789 + n * 86_399_000_000_007,
        "local_tick": 1_710_000_000_000_000_001 + n * 3_600_000_000_000,
    }


def _nested(n: int) -> dict[str, Any]:
    point = {"x": n / 4, "y": n, "Label": f"p{n % 4}"}
    return {
        "numbers": None if n % 8 == 7 else [n, n % 3, None, n * 2][: n % 5],
        "words": [_WORDS[n % 8], _WORDS[(n + 1) % 8]],
        "vector": [n / 2, 1.0, 2.5],
        "matrix": [[n, 1], [2, n % 4]],
        "point": None if n % 14 == 13 else point,
        "points": [point, {**point, "y": None}][: n % 3],
        "props": [("a", n), ("b", None)] if n % 2 else [("a", n * 2)],
    }


def _names(n: int) -> dict[str, Any]:
    return {
        "MixedCase": n % 4,
        "with space": f"s{n % 3}",
        "größe": n / 10,
        "region": _REGIONS[n % 3],
        "year": 2022 + n % 2,
    }
