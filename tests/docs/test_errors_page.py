"""Every code that a client can meet is on the page of errors, with its status; and no other."""

import importlib
from collections.abc import Iterator
from typing import Any

import pytest

from tests.docs.pages import ROOT, table_rows

_PAGE = ROOT / "docs" / "errors.md"
_MODULES = (
    "planner.errors",
    "auth.errors",
    "storage.errors",
    "flight_sql.errors",
    "flight_member.errors",
)
# What pyarrow cannot send travels as the nearest status that it can (flight_sql/errors.py).
_SENT_AS = {"ALREADY_EXISTS": "INVALID_ARGUMENT"}


def coded_classes() -> Iterator[Any]:
    for module in map(importlib.import_module, _MODULES):
        for value in vars(module).values():
            is_own = isinstance(value, type) and value.__module__ == module.__name__
            if is_own and isinstance(getattr(value, "code", None), str):
                yield value


def documented() -> dict[str, tuple[str, bool]]:
    """Return status and retryability of every code on the page."""
    return {
        code.strip("`"): (status, retry == "yes")
        for code, status, retry, *_ in table_rows(_PAGE)
        if code.startswith("`")
    }


@pytest.mark.parametrize(
    "error", [pytest.param(one, id=f"{one.__module__}.{one.__name__}") for one in coded_classes()]
)
def test_code_is_documented_with_its_status(error: Any) -> None:
    status, may_retry = documented().get(error.code, ("missing", False))
    assert status == _SENT_AS.get(error.status, error.status)
    if error.retryable:
        assert may_retry


def test_page_has_no_code_that_nothing_raises() -> None:
    assert set(documented()) == {error.code for error in coded_classes()}


def test_every_code_says_what_to_do() -> None:
    rows = [row for row in table_rows(_PAGE) if row[0].startswith("`")]
    assert rows
    assert all(len(row) == 5 and all(row) for row in rows)
