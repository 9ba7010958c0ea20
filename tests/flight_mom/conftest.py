from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.flight_mom.factories import Mom


@pytest.fixture
def mom(tmp_path: Path) -> Iterator[Mom]:
    """A MoM that nobody has joined."""
    mom = Mom(tmp_path / "mom")
    yield mom
    mom.database.close()


@pytest.fixture
def federation(mom: Mom) -> Mom:
    """A MoM with hangzhou and its flights, and shanghai with user1 of its analysts."""
    mom.join_two()
    return mom
