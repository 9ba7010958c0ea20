"""What a member that is removed or suspended takes with it: the tickets that are about."""

from collections.abc import Iterable
from datetime import datetime

from auth import Principal, Revocation
from auth.grantstore import GrantStore
from auth.revocationstore import RevocationStore
from storage.names import ObjectName


def end_tickets(
    grants: GrantStore,
    revocations: RevocationStore,
    cluster: str,
    now: datetime,
    users: Iterable[str] = (),
) -> None:
    """Have every ticket for a cluster's data end with the next heartbeat, and its streams.

    Args:
        grants: For the policy epoch, which every revocation raises.
        revocations: Of the transaction that makes the change.
        cluster: Whose data is served no more.
        now: When it was changed.
        users: Those of the cluster whose tickets for others' data end too.
    """
    epoch = grants.bump()
    revocations.append(Revocation(epoch, now, securable=ObjectName(cluster)))
    for user in users:
        revocations.append(Revocation(epoch, now, Principal("user", user, cluster)))
