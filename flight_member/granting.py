"""One GRANT, DENY or REVOKE for one principal and securable, at the MoM and at a member alike."""

from auth import AuditRecord, Effect, Grant, Principal, Privilege
from auth.grantstore import GrantStore
from planner import GrantStatement
from storage.names import ObjectName


def change_grant(
    grants: GrantStore,
    statement: GrantStatement,
    principal: Principal,
    securable: ObjectName,
    record: AuditRecord,
) -> tuple[str, Grant | None]:
    """Carry out a statement for one of its principals and one of its securables.

    Args:
        grants: Of the transaction that makes the change.
        statement: What was asked.
        principal: One of those that it names.
        securable: One of those that it names.
        record: Who makes the change, and when.

    Returns:
        What came of it, and the grant that holds now; None when something was revoked.
    """
    privilege = Privilege(statement.privilege)
    if statement.action == "REVOKE":
        count = grants.remove(principal, privilege, securable)
        return (f"revoked {count}" if count else "nothing to revoke"), None
    grant = grants.add(
        principal=principal,
        effect=Effect(statement.action),
        privilege=privilege,
        securable=securable,
        granted_by=record.actor,
        granted_at=record.at,
        until=statement.until,
    )
    return ("granted" if grant.effect is Effect.ALLOW else "denied"), grant
