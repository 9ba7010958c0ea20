"""The data of the benchmarks that read lineitem, generated once for all of them."""

from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def lineitem(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where they keep what they generate; the first one that runs fills it."""
    return tmp_path_factory.mktemp("lineitem")
