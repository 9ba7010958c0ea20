"""What SHOW GRANTS answers: rules, each with the authority that made it."""

from collections.abc import Callable, Iterable
from datetime import datetime
from enum import StrEnum

import pyarrow as pa

from auth import Grant
from flight_member.answers import answer
from flight_member.listing import name_filter
from planner import ShowGrants

_GrantRow = tuple[str, str, str, str, str, datetime, datetime | None, str]


class Authority(StrEnum):
    """Who made a rule: the MoM across clusters, or a cluster on its own tables."""

    FEDERATION = "federation"
    HOME = "home"
    """For the cluster's own users."""
    OWNER = "owner"
    """For visitors."""


def grant_filter(statement: ShowGrants) -> Callable[[Grant], bool]:
    """Return the test whether a grant is on what SHOW GRANTS asks for, or above or below it."""
    named, fits = statement.securable, name_filter(statement.like)

    def is_shown(grant: Grant) -> bool:
        place = grant.securable
        is_near = named is None or (
            place.cluster == named.cluster and (named.covers(place) or place.covers(named))
        )
        return is_near and fits(str(place))

    return is_shown


def show_grants(
    grants: Iterable[tuple[Grant, Authority]], more: pa.Table | None = None
) -> pa.Table:
    """Answer SHOW GRANTS: ordered by securable, principal, effect and authority.

    Args:
        grants: What is known here, each with who made it.
        more: What another server answered to the same statement.
    """
    rows: list[_GrantRow] = [
        (
            str(grant.principal),
            str(grant.effect),
            str(grant.privilege),
            str(grant.securable),
            grant.granted_by,
            grant.granted_at,
            grant.until,
            str(authority),
        )
        for grant, authority in grants
    ]
    if more is not None:
        rows += zip(*(column.to_pylist() for column in more.columns), strict=True)
    return answer(ShowGrants, sorted(rows, key=lambda row: (row[3], row[0], row[1], row[7])))
