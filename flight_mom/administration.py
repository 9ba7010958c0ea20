"""Grants at the MoM: who may give them, what they may be on, and how they are shown.

Every change is one transaction with its audit row, and binds when the statement returns.
"""

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime

import pyarrow as pa

from auth import (
    AuditRecord,
    Effect,
    Grant,
    Identity,
    Principal,
    Privilege,
    Revocation,
)
from auth.auditstore import AuditStore
from auth.grantstore import GrantStore
from auth.revocationstore import RevocationStore
from auth.userstore import User, UserStore
from flight_member.answers import answer, show_grants
from flight_member.errors import NotFoundError, NotSupportedError, PermissionDeniedError
from flight_member.listing import name_filter
from flight_member.revocationlog import KEPT
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
        try:
            self.require_administrator(caller)
        except PermissionDeniedError as error:
            refusal = error
        else:
            return self._apply(statement, caller, source)
        with self._database.change() as connection:
            AuditStore(connection).append(
                AuditRecord(
                    at=self._now(),
                    actor=caller.name,
                    source=source,
                    action=statement.action.lower(),
                    object=", ".join(map(str, statement.securables)),
                    allowed=False,
                    rule=refusal.text,
                )
            )
        raise refusal

    def _apply(self, statement: GrantStatement, caller: Identity, source: str) -> pa.Table:
        federation = self._topology.federation
        principals = [Principal.parse(text) for text in statement.principals]
        changed = [
            (principal, securable) for principal in principals for securable in statement.securables
        ]
        # What is gone can still be revoked: denials outlive what they name.
        if statement.action != "REVOKE":
            for principal, securable in changed:
                self._require_principal(federation, principal)
                _require_foreign(principal, securable)
                _require_securable(federation, securable)
        with self._database.change() as connection:
            grants, audit = GrantStore(connection), AuditStore(connection)
            outcomes = [
                self._change(grants, statement, principal, securable, caller)
                for principal, securable in changed
            ]
            epoch = grants.epoch()
            if statement.action != "ALLOW":
                self._revoke(RevocationStore(connection), changed, epoch)
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
        return answer(
            GrantStatement,
            [(status, self._warning(grant, self._now())) for status, grant in outcomes],
        )

    def _revoke(
        self,
        revocations: RevocationStore,
        changed: Iterable[tuple[Principal, ObjectName]],
        epoch: int,
    ) -> None:
        """Tell members, by their next heartbeat, which tickets to honour no more."""
        now = self._now()
        for principal, securable in changed:
            revocations.append(Revocation(epoch, now, principal, securable))
        revocations.forget_before(now - KEPT)

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
        fits = name_filter(statement.like)
        return show_grants(grant for grant in grants if fits(str(grant.securable)))

    def explain_access(self, statement: ExplainAccess, caller: Identity) -> pa.Table:
        """Answer EXPLAIN ACCESS: the decision and the rule that made it.

        Raises:
            PermissionDeniedError: When a caller who is no administrator asks of somebody else.
            NotFoundError: When the user or the table does not exist; to those who are no
                administrators a table that they may not read does not exist.
            NotSupportedError: When it is asked of a group.
        """
        principal = Principal.parse(statement.principal)
        is_own = caller.principal == principal
        if not is_own:
            self.require_administrator(caller)
        if principal.kind != "user":
            raise NotSupportedError("EXPLAIN ACCESS is asked of a user, as in user1@shanghai")
        federation = self._topology.federation
        self._require_principal(federation, principal)
        if not is_own:
            _require_securable(federation, statement.table)
        subject = Identity(
            user=principal.name,
            cluster=str(principal.cluster),
            groups=self._groups_of(federation, principal),
            is_admin=False,
            token_id="",
            issued_at=self._now(),
            expires_at=self._now(),
        )
        rules = federation.rules_for(subject.cluster, statement.table)
        decision = rules.decide(subject, statement.table, self._now())
        if is_own and not caller.administers(self._cluster):
            is_there = federation.table(statement.table) is not None
            if not (is_there and decision.is_allowed):
                raise NotFoundError.of(statement.table)
        elif is_own:
            _require_securable(federation, statement.table)
        return answer(
            ExplainAccess,
            [(str(principal), str(statement.table), decision.is_allowed, decision.rule)],
        )

    def _warning(self, grant: Grant | None, now: datetime) -> str | None:
        if grant is None:
            return None
        federation = self._topology.federation
        groups = [
            Principal("group", name, grant.principal.cluster)
            for name in sorted(self._groups_of(federation, grant.principal))
        ]
        useless = federation.grants.useless(grant, now, groups)
        return None if useless is None else f"has no effect while this holds: {useless}"

    def _groups_of(self, federation: Federation, principal: Principal) -> frozenset[str]:
        """Return the groups at home of a user; none of anybody who is not known."""
        groups: Iterable[str] = ()
        if principal.kind != "user":
            return frozenset()
        if principal.cluster == self._cluster:
            found = {user.name: user for user in self._own_users()}.get(principal.name)
            groups = found.groups if found is not None else ()
        elif (home := federation.members.get(str(principal.cluster))) is not None:
            known = home.users.get(principal.name)
            groups = known.groups if known is not None else ()
        return frozenset(groups)

    def _require_principal(self, federation: Federation, principal: Principal) -> None:
        if principal.cluster is None:
            raise NotFoundError(f"{principal} does not exist: the federation keeps no groups yet")
        users: Mapping[str, Iterable[str]] = {}
        if principal.cluster == self._cluster:
            users = {user.name: user.groups for user in self._own_users()}
        elif (member := federation.members.get(principal.cluster)) is not None:
            users = {user.name: user.groups for user in member.users.values()}
        if principal.kind == "user":
            is_there = principal.name in users
        else:
            is_there = any(principal.name in groups for groups in users.values())
        if not is_there:
            raise NotFoundError(f"{principal} does not exist")

    def _own_users(self) -> list[User]:
        with self._database.read() as connection:
            return UserStore(connection).all()


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
