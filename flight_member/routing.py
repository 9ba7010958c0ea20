"""The way that a result's rows take, as far as the caller may choose it."""

from enum import StrEnum

from flight_member.errors import BadRequestError
from flight_sql import Call

_HEADER = "x-route"
_MAX_SHOWN = 40


class AskedRoute(StrEnum):
    """What a caller may ask for; where a member's own route is stricter, that counts."""

    RELAY = "relay"
    DIRECT = "direct"
    PARALLEL = "parallel"
    """As `direct`, and from several nodes at once where a member has them."""


def asked_route(call: Call) -> AskedRoute | None:
    """Return the route that a call asks for; None when it leaves it to the member's.

    Raises:
        BadRequestError: When it asks for one that there is not.
    """
    value = call.headers.get(_HEADER, "").strip().lower()
    if not value:
        return None
    if value in set(AskedRoute):
        return AskedRoute(value)
    raise BadRequestError(
        f"there is no route {value[:_MAX_SHOWN]!r}; the header {_HEADER} takes relay, direct or "
        "parallel, or is left out"
    )
