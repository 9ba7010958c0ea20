"""How new the state of the federation is, in one tiny question to the database.

Whatever a decision depends on raises one of these numbers in the transaction that changes it: the
policy epoch, the number of changes of the membership, the newest revocation.
"""

from sqlalchemy import func, select

from auth.grantstore import metadata as grant_tables
from auth.revocationstore import metadata as revocation_tables
from flight_member.statestore import Database
from flight_mom.memberstore import metadata as member_tables

Mark = tuple[int, ...]

_MARK = select(
    select(grant_tables.tables["policy"].c.epoch).scalar_subquery(),
    select(member_tables.tables["membership"].c.version).scalar_subquery(),
    select(func.max(revocation_tables.tables["revocations"].c.id)).scalar_subquery(),
)


def read_mark(database: Database) -> Mark:
    """Return how new the state is now.

    Raises:
        StateUnavailableError: When the database does not answer.
    """
    return tuple(number or 0 for number in database.glance(_MARK))
