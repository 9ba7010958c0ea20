"""Grants at the MoM: who may give them, what they may be on, and how they are shown."""

from collections.abc import Iterable
from dataclasses import replace

import pyarrow as pa

from auth import VISITORS, Grant, Identity, Principal, Privilege
from flight_member.answers import answer
from flight_member.errors import NotSupportedError
from flight_member.granting import change_grant
from flight_member.grantlisting import Authority, grant_filter, show_grants
from flight_mom.directory import require_foreign, require_securable
from flight_mom.office import Office
from flight_mom.revoking import revoke_rights
from planner import GrantStatement, ShowGrants
from storage.names import ObjectName


class GrantDesk:
    """Carries out GRANT, DENY, REVOKE and SHOW GRANTS."""

    def __init__(self, office: Office) -> None:
        self._office = office

    def change(self, statement: GrantStatement, caller: Identity, source: str) -> pa.Table:
        """Apply GRANT, DENY or REVOKE, all of it or nothing; durable when this returns.

        Returns:
            One row per principal and securable: {status: utf8, warning: utf8 or null}.

        Raises:
            PermissionDeniedError: When the caller is no administrator.
            NotFoundError: When a principal or securable does not exist.
            NotSupportedError: When both are of one cluster: home rules apply there. Or when it is
                about writing.
        """
        named = ", ".join(map(str, statement.securables))
        record = self._office.admit(caller, source, statement.action.lower(), named)
        if not Privilege(statement.privilege).is_federated:
            owner = statement.securables[0].cluster
            raise NotSupportedError(
                f"{statement.privilege} is given at home: nothing is written across clusters; type "
                f"it at {owner}, as one of its administrators or the owner"
            )
        principals = [Principal.parse(text) for text in statement.principals]
        if VISITORS in principals:
            raise NotSupportedError(
                "VISITORS are denied by the owner of a table: type it at "
                f"{statement.securables[0].cluster}, as one of its administrators"
            )
        changed = [
            (principal, securable) for principal in principals for securable in statement.securables
        ]
        # What is gone can still be revoked: denials outlive what they name.
        if statement.action != "REVOKE":
            self._require_known(principals, statement.securables)
        with self._office.change() as stores:
            outcomes = [change_grant(stores.grants, statement, *one, record) for one in changed]
            epoch = stores.grants.epoch()
            if statement.action != "ALLOW":
                revoke_rights(stores.revocations, changed, epoch, record.at)
            stores.audit.append_all(
                replace(
                    record,
                    object=str(securable),
                    rule=f"{statement.privilege} {principal}: {status}",
                    epoch=epoch,
                )
                for (principal, securable), (status, _) in zip(changed, outcomes, strict=True)
            )
        self._office.topology.refresh()
        return answer(
            GrantStatement,
            [(status, self._warning(grant)) for status, grant in outcomes],
        )

    def show(self, statement: ShowGrants, caller: Identity) -> pa.Table:
        """Answer SHOW GRANTS: administrators see all, others what is granted to them.

        Administrators of a member also see the grants on their own cluster's objects. Both see
        what the owners deny to visitors.
        """
        federation = self._office.federation
        held = federation.grants
        grants: Iterable[Grant] = held
        vetoes: Iterable[Grant] = (
            veto
            for member in federation.members.values()
            if self._office.administrators.include(caller) or caller.administers(member.name)
            for veto in member.vetoes
        )
        if statement.principal is not None:
            principal = Principal.parse(statement.principal)
            grants = held.for_principal(principal)
            vetoes = [veto for veto in vetoes if veto.principal == principal]
        if not self._office.administrators.include(caller):
            mine = set(caller.principals(held.mom_groups))
            grants = [
                grant
                for grant in grants
                if grant.principal in mine
                or (caller.is_admin and grant.securable.cluster == caller.cluster)
            ]
        fits = grant_filter(statement)
        return show_grants(
            (grant, authority)
            for authority, held in ((Authority.FEDERATION, grants), (Authority.OWNER, vetoes))
            for grant in held
            if fits(grant)
        )

    def _require_known(
        self, principals: Iterable[Principal], securables: Iterable[ObjectName]
    ) -> None:
        federation = self._office.federation
        for principal in principals:
            self._office.directory.require_principal(federation, principal)
        for securable in securables:
            for principal in principals:
                require_foreign(federation, principal, securable)
            require_securable(federation, securable)

    def _warning(self, grant: Grant | None) -> str | None:
        if grant is None:
            return None
        federation = self._office.federation
        groups = [
            Principal("group", name, grant.principal.cluster)
            for name in sorted(self._office.directory.groups_of(federation, grant.principal))
        ]
        owner = federation.members.get(grant.securable.cluster)
        now = self._office.now()
        useless = (
            federation.grants.useless(grant, now, groups)
            if owner is None
            else federation.visitor_rules(owner).useless(grant, now, groups)
        )
        return None if useless is None else f"has no effect while this holds: {useless}"
