"""Times as stores keep them: whole microseconds since the epoch, UTC.

Integers compare, sort and travel alike in SQLite and PostgreSQL; SQLite has no time zones.
"""

from datetime import UTC, datetime, timedelta

_EPOCH = datetime.fromtimestamp(0, UTC)
_MICROSECOND = timedelta(microseconds=1)


def to_micros(moment: datetime) -> int:
    """Return an aware time as microseconds since the epoch.

    Raises:
        TypeError: When the time is not aware.
    """
    return (moment - _EPOCH) // _MICROSECOND


def from_micros(micros: int) -> datetime:
    """Return the aware time, in UTC, that `to_micros` counted."""
    return _EPOCH + micros * _MICROSECOND
