import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
_START_S = 90


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Serve a demo for the time of the test run; the directory holds its profiles."""
    directory = tmp_path_factory.mktemp("demo")
    command = [sys.executable, "-m", "flight_mom", "demo", "--dir", str(directory), "--port", "0"]
    log = directory.with_suffix(".log")
    with log.open("wb") as out:
        process = subprocess.Popen(  # noqa: S603  our own module
            command, cwd=ROOT, stdout=out, stderr=subprocess.STDOUT
        )
    try:
        deadline = time.monotonic() + _START_S
        while not (directory / "ready").exists():
            assert process.poll() is None, log.read_text("utf-8")
            assert time.monotonic() < deadline, log.read_text("utf-8")
            time.sleep(0.1)
        yield directory
    finally:
        process.terminate()
        process.wait(30)
