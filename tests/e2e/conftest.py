"""The demo itself, on its real data; and the servers that most calls are asked of."""

import json
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from flight_mom.demo.federation import MOM, SHANGHAI, DemoFederation
from flight_sql import Client
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


@pytest.fixture(params=(MOM, SHANGHAI))
def at(request: pytest.FixtureRequest) -> str:
    """The MoM, and the home of who asks."""
    return str(request.param)


@pytest.fixture
def asked(federation: DemoFederation, at: str) -> Iterator[Client]:
    """user1@shanghai at either server."""
    with federation.client("user1", SHANGHAI, at=at) as client:
        yield client


@pytest.fixture
def query_id() -> str:
    """An id of a statement that no other test uses."""
    return f"query-{time.monotonic_ns()}"
