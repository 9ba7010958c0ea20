"""Telling members what was taken back, in the transaction of the change that did it."""

from collections.abc import Iterable
from datetime import datetime

from auth import Principal, Revocation
from auth.revocationstore import RevocationStore
from flight_member.revocationlog import KEPT
from storage.names import ObjectName

# More of one principal would make every heartbeat's reply long: then whole clusters are named.
_MAX_REVOKED = 64


def revoke_rights(
    revocations: RevocationStore,
    rights: Iterable[tuple[Principal, ObjectName]],
    epoch: int,
    now: datetime,
) -> None:
    """Have tickets and streams die, by the next heartbeat, that rest on any of these rights.

    Args:
        revocations: Where they are kept.
        rights: Who lost what.
        epoch: The policy epoch after the change.
        now: The time of the change.
    """
    lost: dict[Principal, set[ObjectName]] = {}
    for principal, securable in rights:
        lost.setdefault(principal, set()).add(securable)
    for principal, securables in sorted(lost.items(), key=lambda one: str(one[0])):
        is_long = len(securables) > _MAX_REVOKED
        wide = {ObjectName(one.cluster) for one in securables} if is_long else securables
        for securable in sorted(wide):
            revocations.append(Revocation(epoch, now, principal, securable))
    revocations.forget_before(now - KEPT)
