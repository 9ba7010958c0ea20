"""The clock of the servers, handed to whoever needs the time."""

from collections.abc import Callable
from datetime import UTC, datetime

Moment = Callable[[], datetime]


def utc_now() -> datetime:
    """Return the time, aware, in UTC."""
    return datetime.now(UTC)
