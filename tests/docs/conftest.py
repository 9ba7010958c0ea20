from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.commands import DemoProcess


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Serve a demo for the time of the test run; the directory holds its profiles."""
    with DemoProcess.serving(tmp_path_factory.mktemp("demo")) as process:
        yield process.directory
