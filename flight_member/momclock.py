"""The MoM's time, as a member knows it: what the member signs for the MoM is dated by it.

A cluster whose clock is wrong goes on reporting, so that its state says how it is and not what time
it believes it is. Nothing else is dated so: its users' tokens and tickets are judged by its clock.
"""

from datetime import datetime, timedelta

from flight_member.clock import Moment
from flight_member.logs import get_logger

_log = get_logger(__name__)
# What the tokens between servers forgive anyway.
_WORTH_S = 5.0


class MomClock:
    """This member's clock until the MoM has told of its own."""

    def __init__(self, now: Moment) -> None:
        self._now = now
        self._ahead = timedelta()

    def __call__(self) -> datetime:
        """Return the time at the MoM."""
        return self._now() + self._ahead

    def learn(self, mom_now_s: float) -> bool:
        """Take over what the MoM says the time is; returns whether it differs from before.

        Args:
            mom_now_s: Seconds since the epoch.
        """
        known, own = self._ahead, self._now()
        try:
            ahead = datetime.fromtimestamp(mom_now_s, own.tzinfo) - own
        except (OverflowError, OSError, ValueError):
            return False  # no time at all
        if abs((ahead - known).total_seconds()) < _WORTH_S:
            return False
        self._ahead = ahead
        _log.warning("clock_differs", mom_ahead_s=round(ahead.total_seconds(), 1))
        return True
