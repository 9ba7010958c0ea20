"""What tables, schemas and catalogs take along when they are dropped, or get another name.

At home, that is what was allowed on them; denials stay by name, so that nobody lifts one by
renaming. The MoM hears of it with the next report and does the same with the federation's grants.
"""

import getpass
from dataclasses import replace
from datetime import UTC, datetime

from auth import AuditRecord
from auth.auditstore import AuditStore
from auth.grantstore import GrantStore
from storage.names import ObjectName


def record_departure(
    grants: GrantStore, audit: AuditStore, departed: ObjectName, act: AuditRecord
) -> None:
    """Write down what was done at the terminal, and end the home rules that allowed something.

    Args:
        grants: The home rules, in the transaction that makes the change.
        audit: In the same transaction.
        departed: What has no longer this name; what lies below it is meant as well.
        act: What was done.
    """
    audit.append(act)
    ended = grants.remove_allows_on(departed)
    epoch = grants.epoch()
    audit.append_all(
        replace(
            act,
            action="revoke",
            object=str(grant.securable),
            rule=f"{grant}: {act.action} {departed}",
            epoch=epoch,
        )
        for grant in ended
    )


def terminal_record(action: str, name: ObjectName, rule: str = "") -> AuditRecord:
    """Return the audit record of what was done to an object at the member's own terminal."""
    return AuditRecord(
        at=datetime.now(UTC),
        actor=f"{getpass.getuser()} at the terminal",
        source="terminal",
        action=action,
        object=str(name),
        allowed=True,
        rule=rule,
    )
