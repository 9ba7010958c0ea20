"""What is allowed and denied on a member's own objects, by its administrators and the owners.

Two kinds of rules that never mix: *home rules*, for the member's own users, and *vetoes*, which are
denials for visitors: everybody's (`VISITORS`), or one user's or group's of another cluster. A veto
holds here whatever the MoM granted; the MoM learns of it with the next report, and the member asks
nobody to apply it. Home rules are also the owners' to make, for what they own and what lies below;
vetoes are the administrators' alone.
"""

from dataclasses import replace

import pyarrow as pa
import pyarrow.compute as pc

from auth import AuditRecord, Grant, Identity, Principal, Privilege
from auth.auditstore import AuditStore
from auth.grantstore import GrantStore
from flight_member.administrators import Administrators
from flight_member.answers import answer
from flight_member.clock import Moment
from flight_member.errors import NotFoundError, NotSupportedError
from flight_member.granting import change_grant
from flight_member.grantlisting import Authority, grant_filter, show_grants
from flight_member.homegate import Act, HomeGate
from flight_member.memberstate import MemberState
from flight_member.statestore import Database
from flight_sql import Call
from planner import GrantStatement, ShowGrants
from storage.names import ObjectName


class OwnerDesk:
    """Carries out GRANT, DENY and REVOKE on a member's own objects."""

    def __init__(
        self, cluster: str, database: Database, state: MemberState, gate: HomeGate, now: Moment
    ) -> None:
        self._cluster = cluster
        self._database = database
        self._state = state
        self._gate = gate
        self._now = now
        self._administrators = Administrators(cluster, database)

    def is_answered_here(self, statement: GrantStatement) -> bool:
        """Whether a statement is this member's own: what visitors are allowed is the MoM's.

        Nothing but reading is granted there.
        """
        if any(securable.cluster != self._cluster for securable in statement.securables):
            return False
        is_home = Privilege(statement.privilege).is_federated is False
        return is_home or statement.action != "ALLOW" or self._is_of_home(statement)

    def _is_of_home(self, statement: GrantStatement) -> bool:
        """Whether all whom a statement names are this member's own."""
        principals = map(Principal.parse, statement.principals)
        return all(one.cluster == self._cluster for one in principals)

    def is_shown_here(self, statement: ShowGrants) -> bool:
        """Whether SHOW GRANTS asks of this member's own objects, or of none by name."""
        return statement.securable is None or statement.securable.cluster == self._cluster

    def show(
        self, statement: ShowGrants, caller: Identity, federation: pa.Table | None
    ) -> pa.Table:
        """Answer SHOW GRANTS with home rules and vetoes, and what the MoM answered.

        Administrators of this member see all of its own rules, others those on themselves and on
        what they own.

        Args:
            statement: What was asked.
            caller: A user of this member.
            federation: The MoM's answer, if there is one.
        """
        snapshot = self._state.snapshot
        mine = set(caller.principals({}))
        wanted = None if statement.principal is None else Principal.parse(statement.principal)
        fits = grant_filter(statement)
        if federation is not None:
            # What this member denies visitors it knows first.
            is_theirs = pc.not_equal(federation["authority"], Authority.OWNER)
            federation = federation.filter(is_theirs)
        return show_grants(
            (
                (rule, authority)
                for authority, rules in (
                    (Authority.HOME, snapshot.rules),
                    (Authority.OWNER, snapshot.vetoes),
                )
                for rule in rules
                if (
                    self._administrators.include(caller)
                    or rule.principal in mine
                    or snapshot.rules.owned(caller, rule.securable) is not None
                )
                and wanted in {None, rule.principal}
                and fits(rule)
            ),
            federation,
        )

    def change(self, statement: GrantStatement, caller: Identity, call: Call) -> pa.Table:
        """Apply GRANT, DENY or REVOKE, all of it or nothing; durable when this returns.

        Returns:
            One row per principal and securable: {status: utf8, warning: utf8}; the warning names
            a DENY that makes an ALLOW useless.

        Raises:
            PermissionDeniedError: When the caller neither administers this member nor owns it all.
            NotFoundError: When a user, a group or a securable of this member does not exist.
            NotSupportedError: When it names a group of the federation, or lets visitors write.
        """
        record = AuditRecord(
            at=self._now(),
            actor=caller.name,
            source=call.peer,
            action=statement.action.lower(),
            object=", ".join(map(str, statement.securables)),
            allowed=True,
        )
        # What is gone has no owner, and an administrator may still revoke what names it.
        if self._is_of_home(statement) and not self._administrators.include(caller):
            for securable in statement.securables:
                self._gate.require(call, caller, Act.GRANT, securable)
        else:
            self._administrators.admit(caller, record)
        principals = [Principal.parse(text) for text in statement.principals]
        if statement.action != "REVOKE":
            self._require_known(principals, statement.securables)
            self._require_fitting(principals, Privilege(statement.privilege))
        outcomes: list[tuple[str, Grant | None]] = []
        with self._database.change() as connection:
            grants, audit = GrantStore(connection), AuditStore(connection)
            for principal in principals:
                for securable in statement.securables:
                    outcome = change_grant(grants, statement, principal, securable, record)
                    outcomes.append(outcome)
                    audit.append(
                        replace(
                            record,
                            object=str(securable),
                            rule=f"{statement.privilege} {principal}: {outcome[0]}",
                            epoch=grants.epoch(),
                        )
                    )
        self._state.refresh()
        warned = [(status, self._warning(grant)) for status, grant in outcomes]
        return answer(GrantStatement, warned)

    def _warning(self, grant: Grant | None) -> str | None:
        """Say which DENY makes an ALLOW useless."""
        if grant is None or grant.principal.cluster != self._cluster:
            return None
        snapshot = self._state.snapshot
        user = snapshot.users.get(grant.principal.name) if grant.principal.kind == "user" else None
        names = () if user is None else user.groups
        groups = [Principal("group", name, self._cluster) for name in sorted(names)]
        useless = snapshot.rules.grants.useless(grant, self._now(), groups)
        return None if useless is None else f"has no effect while this holds: {useless}"

    def _require_fitting(self, principals: list[Principal], privilege: Privilege) -> None:
        stranger = next((one for one in principals if one.cluster != self._cluster), None)
        if stranger is not None and not privilege.is_federated:
            raise NotSupportedError(
                f"{privilege} is for users and groups of {self._cluster}, and {stranger} is none: "
                "visitors read, and write nothing"
            )

    def _require_known(
        self, principals: list[Principal], securables: tuple[ObjectName, ...]
    ) -> None:
        snapshot = self._state.snapshot
        for principal in principals:
            if principal.kind == "group" and principal.cluster is None:
                raise NotSupportedError(
                    f"{principal} is the federation's; deny it at the MoM, or name a group of "
                    f"{self._cluster} as {principal}@{self._cluster}"
                )
            if principal.cluster == self._cluster and not snapshot.is_principal(principal):
                raise NotFoundError(f"{principal} does not exist")
        metastore = snapshot.metastore
        for securable in securables:
            is_there = securable.catalog is None or (
                metastore.table(securable) or metastore.place(securable)
            )
            if not is_there:
                raise NotFoundError(f"{securable} does not exist")
