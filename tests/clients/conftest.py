"""What the clients of other languages ask: the federation of all tests, with two grants."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from flight_mom.demo.federation import MOM, DemoFederation
from tests.e2e.commands import DemoProcess
from tests.e2e.federation import ADMIN, FLIGHTS_AT, READER, SAMPLES_AT, revoke_everything


@pytest.fixture(scope="module")
def shared(federation: DemoFederation) -> Iterator[DemoFederation]:
    """The federation; user1@shanghai may read hangzhou's flights and its table of all types."""
    with federation.client(ADMIN, MOM, at=MOM) as admin:
        revoke_everything(admin)
        for table in (FLIGHTS_AT, SAMPLES_AT):
            admin.update(f"GRANT TABLE_READ ON {table} TO {READER}")
        yield federation
        revoke_everything(admin)


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Serve the demo on its real data; the directory holds its profiles."""
    with DemoProcess.serving(tmp_path_factory.mktemp("demo")) as process:
        yield process.directory
