"""Real federations: one on small tables that most tests share, and the demo itself."""

import json
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from flight_mom.demo.federation import MOM, SHANGHAI, DemoFederation
from flight_sql import Client
from tests.e2e.commands import DemoProcess, run_mom
from tests.e2e.federation import ADMIN, FLIGHTS_AT, READER, make_federation, revoke_everything


@pytest.fixture(scope="session")
def federation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DemoFederation]:
    """The MoM, hangzhou and shanghai as processes, with nothing granted."""
    federation = make_federation(tmp_path_factory.mktemp("federation"))
    with federation.running():
        federation.write_profiles()
        yield federation
        federation.check_alive()


@pytest.fixture
def admin(federation: DemoFederation) -> Iterator[Client]:
    """The federation's administrator at the MoM."""
    with federation.client(ADMIN, MOM, at=MOM) as client:
        revoke_everything(client)
        yield client
        revoke_everything(client)


@pytest.fixture
def granted(admin: Client) -> None:
    """user1@shanghai may read hangzhou's flights."""
    admin.update(f"GRANT TABLE_READ ON {FLIGHTS_AT} TO {READER}")


@pytest.fixture
def at_mom(federation: DemoFederation) -> Iterator[Client]:
    """user1@shanghai at the MoM."""
    with federation.client("user1", SHANGHAI, at=MOM) as client:
        yield client


@pytest.fixture
def at_home(federation: DemoFederation) -> Iterator[Client]:
    """user1@shanghai at shanghai."""
    with federation.client("user1", SHANGHAI, at=SHANGHAI) as client:
        yield client


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
