"""The oracle finds what must not be; an oracle that finds nothing would pass everything."""

import pytest

from flight_sql import RemoteError
from tests.faults.oracle import PARTS, PARTS_SUM, Oracle

WHOLE = {"n": 2 * PARTS, "batches": 2, "parts": 2 * PARTS_SUM}


@pytest.fixture
def oracle() -> Oracle:
    """Three batches sent, two of them confirmed."""
    oracle = Oracle()
    for confirmed in (True, True, False):
        batch = oracle.issue()
        if confirmed:
            oracle.acknowledge(batch)
    return oracle


def test_what_was_confirmed_and_more_is_right(oracle: Oracle) -> None:
    oracle.check_counted("somebody", WHOLE, 2)
    for last in (2, 3):
        rows = [{"batch": number, "n": PARTS} for number in range(1, last + 1)]
        oracle.check_ledger(rows, oracle.confirmed())
    assert oracle.findings == []


@pytest.mark.parametrize(
    "counted",
    [
        WHOLE | {"batches": 1},
        WHOLE | {"n": 2 * PARTS - 1},
        WHOLE | {"n": 2 * PARTS + 1, "parts": 2 * PARTS_SUM + 3},
        {"n": 4 * PARTS, "batches": 4, "parts": 4 * PARTS_SUM},
        {"n": PARTS, "batches": 1, "parts": PARTS_SUM},
        {"n": 0, "batches": 0, "parts": None},
    ],
    ids=["double", "short", "row too many", "more than sent", "lost", "all lost"],
)
def test_wrong_count_is_found(oracle: Oracle, counted: dict[str, int]) -> None:
    oracle.check_counted("somebody", counted, 2)
    assert oracle.findings


@pytest.mark.parametrize(
    "found",
    [{1: PARTS}, {1: PARTS, 2: PARTS - 1}, {1: PARTS, 2: 2 * PARTS}, {1: 7, 2: 7, 4: 7}],
    ids=["lost", "in part", "twice", "made up"],
)
def test_wrong_ledger_is_found(oracle: Oracle, found: dict[int, int]) -> None:
    rows = [{"batch": batch, "n": n} for batch, n in found.items()]
    oracle.check_ledger(rows, oracle.confirmed())
    assert len(oracle.findings) == 1


@pytest.mark.parametrize(
    "code, text",
    [
        ("not-found", "bank.books.big@hangzhou does not exist"),
        ("permission-denied", "you may not"),
        ("cluster-unavailable", "no space left on /var/lib/state.db"),
        ("cluster-unavailable", "OperationalError"),
    ],
)
def test_refusal_that_no_fault_explains_is_found(oracle: Oracle, code: str, text: str) -> None:
    oracle.refused("direct", RemoteError(code, "UNAVAILABLE", text))
    assert len(oracle.findings) == 1


def test_refusals_that_a_fault_explains_are_counted(oracle: Oracle) -> None:
    oracle.refused("direct", RemoteError("cluster-unavailable", "UNAVAILABLE", "hangzhou is away"))
    oracle.refused("held ticket", RemoteError("revoked-ticket", "UNAUTHENTICATED", "taken back"))
    assert oracle.findings == []
    assert sum(oracle.refusals.values()) == 2


def test_clocks_that_differ_explain_more(oracle: Oracle) -> None:
    error = RemoteError("invalid-ticket", "UNAUTHENTICATED", "it is not valid yet")
    oracle.has_clocks_apart = True
    oracle.refused("direct", error)
    assert oracle.findings == []
    oracle.has_clocks_apart = False
    oracle.refused("direct", error)
    assert len(oracle.findings) == 1
