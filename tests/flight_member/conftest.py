from collections.abc import Iterator
from pathlib import Path

import pytest

from flight_member.audit import AuditTrail
from flight_member.clock import utc_now
from flight_member.memberhome import MemberHome
from flight_member.settings import AuditSection
from flight_member.statestore import Database
from tests.flight_member.factories import make_home


@pytest.fixture
def home(tmp_path: Path) -> MemberHome:
    """shanghai's state directory, with nothing in it yet."""
    return make_home(tmp_path / "shanghai")


@pytest.fixture
def database(home: MemberHome) -> Iterator[Database]:
    database = home.open_database()
    yield database
    database.close()


@pytest.fixture
def audit(database: Database) -> Iterator[AuditTrail]:
    trail = AuditTrail("hangzhou", database, AuditSection(), utc_now)
    yield trail
    trail.close()
