"""flightsql-dbapi, in the environment that its requirements need."""

import json
from typing import Any
from urllib.parse import urlsplit

import pytest

from flight_mom.demo.federation import MOM, DemoFederation
from tests.clients.programs import PYTHON, PYTHON_PROGRAMS, run
from tests.e2e.federation import ADMIN, READER, require_clean

pytestmark = pytest.mark.clients


@pytest.fixture(scope="module")
def told(shared: DemoFederation) -> dict[str, Any]:
    where = urlsplit(shared.uri(MOM))
    environment = {
        "PROBE_HOST": str(where.hostname),
        "PROBE_PORT": str(where.port),
        "PROBE_USER": READER,
        "PROBE_PASSWORD": shared.password("user1"),
        "PROBE_ADMIN_PASSWORD": shared.password(ADMIN),
    }
    printed = run([str(PYTHON), str(PYTHON_PROGRAMS / "probe.py")], environment)
    return dict(json.loads(line) for line in printed.splitlines())


def test_queries_are_answered(told: dict[str, Any]) -> None:
    assert told["query"] == told["headers"] == [{"n": 4_000}]
    assert told["cursor"] == [[4_000]]
    assert {"samples", "flights", "quote"} <= set(told["tables"])
    assert "salaries" not in told["tables"]


def test_administrators_grant_and_revoke_by_updates(told: dict[str, Any]) -> None:
    assert (told["grant"], told["revoke"]) == (1, 1)


def test_refusals_are_told_with_their_code(told: dict[str, Any]) -> None:
    refused = told["unknown-column"]["refused"]
    assert refused.startswith("unknown-column: ")
    require_clean(refused)
    assert told["wrong password"]["refused"].startswith("invalid-token: ")


def test_values_that_the_client_forgets_are_missed_not_guessed(told: dict[str, Any]) -> None:
    # Documented: it passes over the handle that holds the values.
    assert told["parameters"]["refused"].startswith("invalid-request: ")
