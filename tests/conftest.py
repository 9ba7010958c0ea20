"""One federation of real processes, shared by every test of a session that drives it."""

from collections.abc import Iterator

import pytest

from flight_mom.demo.federation import MOM, SHANGHAI, DemoFederation
from flight_sql import Client
from tests.databases import start_postgresql, stop_postgresql
from tests.e2e.federation import ADMIN, FLIGHTS_AT, READER, make_federation, revoke_everything
from tests.versions.sides import SIDES, speak_old


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--state-database",
        choices=("sqlite", "postgresql"),
        default="sqlite",
        help="where the servers under test keep their state; PostgreSQL is started for it",
    )

    parser.addoption(
        "--old-side",
        choices=tuple(SIDES),
        help="which servers under test speak the protocol of one minor version before",
    )


def pytest_sessionstart(session: pytest.Session) -> None:
    if side := session.config.getoption("--old-side"):
        speak_old(side)
    if session.config.getoption("--state-database") == "postgresql":
        session.config.add_cleanup(stop_postgresql)
        start_postgresql()


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


@pytest.fixture(params=["at_mom", "at_home"])
def reader(request: pytest.FixtureRequest) -> Client:
    """user1@shanghai, at the MoM and at home."""
    client: Client = request.getfixturevalue(request.param)
    return client
