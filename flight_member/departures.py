"""What tables, schemas and catalogs take along when they are dropped, or get another name.

At home, that is what was allowed on them: it ends, or follows to the new name. Denials stay by
name, and hold at a new name too. The MoM hears of it with the next report and does the same with
the federation's grants.
"""

import getpass
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime

from auth import AuditRecord
from auth.auditstore import AuditStore
from auth.grantstore import GrantStore
from auth.renaming import follow_renames
from storage.names import ObjectName


def record_departure(
    grants: GrantStore, audit: AuditStore, departed: ObjectName, act: AuditRecord
) -> None:
    """Write down what was dropped at the terminal, and end the home rules that allowed something.

    Args:
        grants: The home rules, in the transaction that makes the change.
        audit: In the same transaction.
        departed: What was dropped; what lies below it is meant as well.
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


def record_renaming(
    grants: GrantStore,
    audit: AuditStore,
    renamed: Mapping[ObjectName, ObjectName],
    act: AuditRecord,
) -> None:
    """Write down what was renamed at the terminal, and have home rules follow.

    Args:
        grants: The home rules, in the transaction that makes the change.
        audit: In the same transaction.
        renamed: The new name of each table, schema and catalog that has one.
        act: What was done.
    """
    audit.append(act)
    followed = follow_renames(grants, renamed)
    epoch = grants.epoch()
    audit.append_all(
        replace(
            act,
            action="rename",
            object=str(renamed[grant.securable]),
            rule=f"{grant}: holds for {renamed[grant.securable]} now",
            epoch=epoch,
        )
        for grant in followed
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
