"""Grants at the MoM: who may give them, what they may be on, and how they are shown.

Every change is one transaction with its audit row, and binds when the statement returns.
"""

from collections.abc import Callable
from datetime import datetime

import pyarrow as pa

from auth import (
    AuditRecord,
    Effect,
    Grant,
    GrantSet,
    Identity,
    Principal,
    Privilege,
)
from auth.auditstore import AuditStore
from auth.grantstore import GrantStore
from flight_member.answers import answer, show_grants
from flight_member.errors import NotFoundError, NotSupportedError, PermissionDeniedError
from flight_member.statestore import Database
from flight_mom.topology import Federation, Topology
from planner import ExplainAccess, GrantStatement, ShowGrants
from storage.names import ObjectName


class Administration:
    """Carries out GRANT, DENY, REVOKE, SHOW GRANTS and EXPLAIN ACCESS."""

    def __init__(
        self, cluster: str, database: Database, topology: Topology, now: Callable[[], datetime]
    ) -> None:
        self._cluster = cluster
        self._database = database
        self._topology = topology
        self._now = now

    def require_administrator(self, caller: Identity) -> None:
        """Refuse anybody but the MoM's own administrators.

        Raises:
            PermissionDeniedError: For everybody else, members' administrators included.
        """
        if not (caller.is_admin and caller.cluster == self._cluster):
            raise PermissionDeniedError(
                f"only administrators of {self._cluster} may do this; ask one of them"
            )

    def change_grants(self, statement: GrantStatement, caller: Identity, source: str) -> pa.Table:
        """Apply GRANT, DENY or REVOKE; durable when this returns.

        Returns:
            One row per principal and securable: {status: utf8, warning: utf8 or null}.

        Raises:
            PermissionDeniedError: When the caller is no administrator.
            NotFoundError: When a principal or securable does not exist.
            NotSupportedError: When both are of one cluster: home rules apply there.
        """
        self.require_administrator(caller)
        federation = self._topology.federation
        principals = [Principal.parse(text) for text in statement.principals]
        for principal in principals:
            _require_principal(federation, principal, self._cluster)
            for securable in statement.securables:
                _require_foreign(principal, securable)
        if statement.action != "REVOKE":
            for securable in statement.securables:
                _require_securable(federation, securable)
        changed = [
            (principal, securable) for principal in principals for securable in statement.securables
        ]
        with self._database.change() as connection:
            grants, audit = GrantStore(connection), AuditStore(connection)
            outcomes = [
                self._change(grants, statement, principal, securable, caller)
                for principal, securable in changed
            ]
            epoch = grants.epoch()
            for (principal, securable), (status, _) in zip(changed, outcomes, strict=True):
                audit.append(
                    AuditRecord(
                        at=self._now(),
                        actor=caller.name,
                        source=source,
                        action=statement.action.lower(),
                        object=str(securable),
                        allowed=True,
                        rule=f"{statement.privilege} {principal}: {status}",
                        epoch=epoch,
                    )
                )
        self._topology.refresh()
        rules = self._topology.federation.grants
        return answer(
            GrantStatement,
            [(status, _warning(rules, grant, self._now())) for status, grant in outcomes],
        )

    def _change(
        self,
        grants: GrantStore,
        statement: GrantStatement,
        principal: Principal,
        securable: ObjectName,
        caller: Identity,
    ) -> tuple[str, Grant | None]:
        privilege = Privilege(statement.privilege)
        if statement.action == "REVOKE":
            count = grants.remove(principal, privilege, securable)
            return (f"revoked {count}" if count else "nothing to revoke"), None
        grant = grants.add(
            principal=principal,
            effect=Effect(statement.action),
            privilege=privilege,
            securable=securable,
            granted_by=caller.name,
            granted_at=self._now(),
            until=statement.until,
        )
        return ("granted" if grant.effect is Effect.ALLOW else "denied"), grant

    def show_grants(self, statement: ShowGrants, caller: Identity) -> pa.Table:
        """Answer SHOW GRANTS: administrators see all, others what is granted to them.

        Administrators of a member also see the grants on their own cluster's objects.
        """
        grants = list(self._topology.federation.grants)
        if not (caller.is_admin and caller.cluster == self._cluster):
            mine = set(caller.principals())
            grants = [
                grant
                for grant in grants
                if grant.principal in mine
                or (caller.is_admin and grant.securable.cluster == caller.cluster)
            ]
        if statement.principal is not None:
            wanted = Principal.parse(statement.principal)
            grants = [grant for grant in grants if grant.principal == wanted]
        if statement.securable is not None:
            securable = statement.securable
            grants = [
                grant
                for grant in grants
                if securable.covers(grant.securable) or grant.securable.covers(securable)
            ]
        return show_grants(grants)

    def explain_access(self, statement: ExplainAccess, caller: Identity) -> pa.Table:
        """Answer EXPLAIN ACCESS: the decision and the rule that made it.

        Raises:
            PermissionDeniedError: When a caller who is no administrator asks of somebody else.
            NotFoundError: When the user or the table does not exist.
        """
        principal = Principal.parse(statement.principal)
        if caller.principal != principal:
            self.require_administrator(caller)
        federation = self._topology.federation
        _require_principal(federation, principal, self._cluster)
        _require_securable(federation, statement.table)
        home = federation.members.get(str(principal.cluster))
        known = home.users.get(principal.name) if home is not None else None
        subject = Identity(
            user=principal.name,
            cluster=str(principal.cluster),
            groups=frozenset(known.groups if known else ()),
            is_admin=False,
            token_id="",
            issued_at=self._now(),
            expires_at=self._now(),
        )
        rules = federation.rules_for(subject.cluster, statement.table)
        decision = rules.decide(subject, statement.table, self._now())
        return answer(
            ExplainAccess,
            [(str(principal), str(statement.table), decision.is_allowed, decision.rule)],
        )


def _warning(rules: GrantSet, grant: Grant | None, now: datetime) -> str | None:
    useless = rules.useless(grant, now) if grant is not None else None
    return None if useless is None else f"has no effect while this holds: {useless}"


def _require_principal(federation: Federation, principal: Principal, own: str) -> None:
    if principal.cluster is None:
        raise NotFoundError(f"{principal} does not exist: the federation keeps no groups yet")
    if principal.cluster == own:
        return
    member = federation.members.get(principal.cluster)
    if member is not None and principal.kind == "user" and principal.name in member.users:
        return
    if member is not None and principal.kind == "group":
        groups = {group for user in member.users.values() for group in user.groups}
        if principal.name in groups:
            return
    raise NotFoundError(f"{principal} does not exist")


def _require_securable(federation: Federation, securable: ObjectName) -> None:
    member = federation.members.get(securable.cluster)
    if member is None or (
        securable.catalog is not None
        and not any(securable.covers(table.name) for table in member.metastore.all_tables())
    ):
        raise NotFoundError(f"{securable} does not exist")


def _require_foreign(principal: Principal, securable: ObjectName) -> None:
    if principal.cluster == securable.cluster:
        raise NotSupportedError(
            f"{principal} and {securable} are of one cluster: home rules apply, set them there"
        )
