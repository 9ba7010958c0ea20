"""What a member's own administrators allow and deny on its own objects.

Two kinds of rules that never mix: *home rules*, for the member's own users, and *vetoes*, which are
denials for visitors: everybody's (`VISITORS`), or one user's or group's of another cluster. A veto
holds here whatever the MoM granted; the MoM learns of it with the next report, and the member asks
nobody to apply it.
"""

from collections.abc import Mapping
from dataclasses import replace

import pyarrow as pa
import pyarrow.compute as pc

from auth import AuditRecord, Identity, Principal
from auth.auditstore import AuditStore
from auth.grantstore import GrantStore
from auth.userstore import User
from flight_member.administrators import Administrators
from flight_member.answers import answer
from flight_member.clock import Moment
from flight_member.errors import NotFoundError, NotSupportedError
from flight_member.granting import change_grant
from flight_member.grantlisting import Authority, grant_filter, show_grants
from flight_member.memberstate import MemberState
from flight_member.statestore import Database
from planner import GrantStatement, ShowGrants
from storage.names import ObjectName


class OwnerDesk:
    """Carries out GRANT, DENY and REVOKE on a member's own objects."""

    def __init__(self, cluster: str, database: Database, state: MemberState, now: Moment) -> None:
        self._cluster = cluster
        self._database = database
        self._state = state
        self._now = now
        self._administrators = Administrators(cluster, database)

    def is_answered_here(self, statement: GrantStatement) -> bool:
        """Whether a statement is this member's own: what visitors are allowed is the MoM's."""
        if any(securable.cluster != self._cluster for securable in statement.securables):
            return False
        principals = map(Principal.parse, statement.principals)
        return statement.action != "ALLOW" or all(
            one.cluster == self._cluster for one in principals
        )

    def is_shown_here(self, statement: ShowGrants) -> bool:
        """Whether SHOW GRANTS asks of this member's own objects, or of none by name."""
        return statement.securable is None or statement.securable.cluster == self._cluster

    def show(
        self, statement: ShowGrants, caller: Identity, federation: pa.Table | None
    ) -> pa.Table:
        """Answer SHOW GRANTS with home rules and vetoes, and what the MoM answered.

        Administrators of this member see all of its own rules, others those on themselves.

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
                if (self._administrators.include(caller) or rule.principal in mine)
                and wanted in {None, rule.principal}
                and fits(rule)
            ),
            federation,
        )

    def change(self, statement: GrantStatement, caller: Identity, source: str) -> pa.Table:
        """Apply GRANT, DENY or REVOKE, all of it or nothing; durable when this returns.

        Returns:
            One row per principal and securable: {status: utf8, warning: utf8, always null}.

        Raises:
            PermissionDeniedError: When the caller does not administer this member.
            NotFoundError: When a user, a group or a securable of this member does not exist.
            NotSupportedError: When it names a group of the federation.
        """
        record = AuditRecord(
            at=self._now(),
            actor=caller.name,
            source=source,
            action=statement.action.lower(),
            object=", ".join(map(str, statement.securables)),
            allowed=True,
        )
        self._administrators.admit(caller, record)
        principals = [Principal.parse(text) for text in statement.principals]
        if statement.action != "REVOKE":
            self._require_known(principals, statement.securables)
        outcomes: list[str] = []
        with self._database.change() as connection:
            grants, audit = GrantStore(connection), AuditStore(connection)
            for principal in principals:
                for securable in statement.securables:
                    status, _ = change_grant(grants, statement, principal, securable, record)
                    outcomes.append(status)
                    audit.append(
                        replace(
                            record,
                            object=str(securable),
                            rule=f"{statement.privilege} {principal}: {status}",
                            epoch=grants.epoch(),
                        )
                    )
        self._state.refresh()
        return answer(GrantStatement, [(status, None) for status in outcomes])

    def _require_known(
        self, principals: list[Principal], securables: tuple[ObjectName, ...]
    ) -> None:
        snapshot = self._state.snapshot
        for principal in principals:
            if principal.kind == "group" and principal.cluster is None:
                raise NotSupportedError(
                    f"{principal} is the federation's; deny it at the MoM, or deny VISITORS, "
                    "users or groups of other clusters here"
                )
            if principal.cluster == self._cluster and not _is_known(principal, snapshot.users):
                raise NotFoundError(f"{principal} does not exist")
        names = snapshot.metastore.tables
        for securable in securables:
            is_there = securable.catalog is None or any(map(securable.covers, names))
            if not is_there:
                raise NotFoundError(f"{securable} does not exist")


def _is_known(principal: Principal, users: Mapping[str, User]) -> bool:
    if principal.kind == "user":
        return principal.name in users
    return any(principal.name in user.groups for user in users.values())
