"""The Hive layout: directories named `column=value` stand for partition columns.

    quote/trading_day=2024-01-02/part-0.parquet

Pure text in and values out. How a directory's value is written matters as much as what it means:
the engine finds a partition by the text that it would write itself, so that a column is taken for
a number or a date only when every value is written in the one canonical way.
"""

import re
from collections.abc import Collection
from datetime import date
from functools import lru_cache
from urllib.parse import quote, unquote

import pyarrow as pa

# What Hive writes for NULL. The engine cannot tell it from text.
NULL_VALUE = "__HIVE_DEFAULT_PARTITION__"

_CANONICAL_INTEGER = re.compile(r"0|-?[1-9][0-9]{0,18}", re.ASCII)
_CANONICAL_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", re.ASCII)
_INT64 = range(-(2**63), 2**63)


@lru_cache(maxsize=65_536)
def split_segment(segment: str) -> tuple[str, str] | None:
    """Return column and value of a directory's name, or None when it is not of that form.

    Values are percent-decoded; a column that would have to be is none.
    """
    column, equals, value = segment.partition("=")
    if not equals or not column or not value or unquote(column) != column:
        return None
    return column, unquote(value)


def join_segment(column: str, value: object) -> str:
    """Return the name of the directory that holds the rows of one value: text, int or date."""
    text = str(value)
    return f"{column}={quote(text, safe=' :,+@')}"


def partition_type(values: Collection[str]) -> pa.DataType:
    """Return int64 or date32 when every value is written canonically as one, else utf8."""
    if all(_CANONICAL_INTEGER.fullmatch(value) and int(value) in _INT64 for value in values):
        return pa.int64()
    if all(_is_date(value) for value in values):
        return pa.date32()
    return pa.utf8()


def _is_date(value: str) -> bool:
    if not _CANONICAL_DATE.fullmatch(value):
        return False
    try:
        date.fromisoformat(value)
    except ValueError:
        return False
    return True
