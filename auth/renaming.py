"""What grants do when the objects that they name get other names.

What was allowed follows an object to its new name. A denial stays by name until it is revoked, and
holds at the new name as well: nobody loses what they may read by a renaming, and nobody gains.
"""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime

from auth.decisions import Grant
from auth.grantstore import GrantStore
from auth.privileges import Effect
from storage.names import Level, ObjectName


def follow_renames(grants: GrantStore, renamed: Mapping[ObjectName, ObjectName]) -> list[Grant]:
    """Carry the grants on objects to the objects' new names; all the names change at once.

    Where there is such a grant at the new name already, the later of the two ends counts.

    Args:
        grants: In the transaction that makes the change.
        renamed: The new name of each object; what lies below an object is not meant.

    Returns:
        The grants as they were before, those alone that have something at a new name now.
    """
    found = grants.on(renamed)
    grants.remove_all([one for one in found if one.effect is Effect.ALLOW])
    held = {_sameness(one): one for one in grants.on(renamed.values())}
    fresh, lasting = [], []
    for one in found:
        moved = replace(one, securable=renamed[one.securable])
        there = held.get(_sameness(moved))
        if there is None:
            fresh.append(moved)
        elif _ends_later(moved.until, there.until):
            lasting.append(replace(there, until=moved.until))
    if fresh:
        grants.add_all(fresh)
    if lasting:
        grants.change_all(lasting)
    return found


def places_below(
    grants: GrantStore, old: ObjectName, new: ObjectName
) -> dict[ObjectName, ObjectName]:
    """Return the new names of a renamed catalog or schema, and of the schemas below it.

    Only of those that a grant names. Tables are left out: they are followed by their ids.
    """
    named = {one.securable for one in grants.below(old)}
    return {name: name.moved(old, new) for name in named if name.level is not Level.TABLE}


def _sameness(grant: Grant) -> tuple[object, ...]:
    return (grant.principal, grant.effect, grant.privilege, grant.securable)


def _ends_later(until: datetime | None, than: datetime | None) -> bool:
    """Whether the first end is the later one; None is no end."""
    if than is None:
        return False
    return until is None or until > than
