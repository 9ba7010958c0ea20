"""The demo itself, on its real data."""

import json
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.commands import DemoProcess, run_mom


@dataclass(frozen=True)
class RealDemo:
    """The demo on its real data: how its first run went, and the run that serves now."""

    directory: Path
    first_run: "subprocess.CompletedProcess[str]"
    process: DemoProcess

    def profile(self, user: str) -> dict[str, Any]:
        text = (self.directory / "profiles" / f"{user}.json").read_text("utf-8")
        profile: dict[str, Any] = json.loads(text)
        return profile


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealDemo]:
    """`flight-mom demo` on the real data, run once to its end and then served."""
    directory = tmp_path_factory.mktemp("demo")
    first_run = run_mom("demo", "--dir", str(directory), "--port", "0", "--once")
    with DemoProcess.serving(directory) as process:
        yield RealDemo(directory, first_run, process)
