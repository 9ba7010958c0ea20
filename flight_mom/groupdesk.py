"""The federation's own groups: made, filled and dropped by administrators of the MoM.

Who leaves a group loses what it allows, and who enters one is bound by what it denies, within one
heartbeat: tickets and streams of theirs that rest on it die. Others' live on.
"""

from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import datetime

import pyarrow as pa

from auth import AuditRecord, Effect, Grant, Identity, Principal
from auth.auditstore import AuditStore
from auth.grantstore import GrantStore
from auth.groupstore import GroupStore
from auth.revocationstore import RevocationStore
from flight_member.answers import answer
from flight_member.statestore import Database
from flight_mom.administrators import Administrators
from flight_mom.directory import Directory
from flight_mom.revoking import revoke_rights
from flight_mom.topology import Topology
from planner import GroupStatement, ShowGroups


class GroupDesk:
    """Carries out CREATE, ALTER and DROP GROUP and SHOW GROUPS."""

    def __init__(
        self,
        database: Database,
        topology: Topology,
        administrators: Administrators,
        directory: Directory,
        now: Callable[[], datetime],
    ) -> None:
        self._database = database
        self._topology = topology
        self._administrators = administrators
        self._directory = directory
        self._now = now

    def change(self, statement: GroupStatement, caller: Identity, source: str) -> pa.Table:
        """Change a group; durable when this returns.

        Returns:
            One row, or one for each member: {status: utf8, warning: utf8, always null}.

        Raises:
            PermissionDeniedError: When the caller is no administrator.
            NotFoundError: When there is no such group, or no such user to add.
            AlreadyExistsError: When there is a group of that name to create.
        """
        record = AuditRecord(
            at=self._now(),
            actor=caller.name,
            source=source,
            action=_ACTIONS[statement.action],
            object=f"GROUP {statement.group}",
            allowed=True,
        )
        self._administrators.admit(caller, record)
        members = [Principal.parse(text) for text in statement.members]
        if statement.action == "ADD":
            for member in members:
                self._directory.require_principal(self._topology.federation, member)
        with self._database.change() as connection:
            stores = (GrantStore(connection), RevocationStore(connection), AuditStore(connection))
            change = GroupChange(GroupStore(connection), *stores, record)
            outcomes = change.carry_out(statement, members)
        self._topology.refresh()
        return answer(GroupStatement, [(outcome, None) for outcome in outcomes])

    def show(self, caller: Identity) -> pa.Table:
        """Answer SHOW GROUPS: all of them to administrators, to others the ones they are in.

        Returns:
            {group_name: utf8, member: utf8, null where there is none}, by group and member;
            others than administrators see no members but themselves.
        """
        groups = self._topology.federation.grants.mom_groups
        rows: list[tuple[str, str | None]] = []
        for name, members in sorted(groups.items()):
            if self._administrators.include(caller):
                rows += [(name, member) for member in sorted(members)] or [(name, None)]
            elif caller.name in members:
                rows.append((name, caller.name))
        return answer(ShowGroups, rows)


class GroupChange:
    """One change of a group inside a transaction, with its audit rows and revocations."""

    def __init__(
        self,
        groups: GroupStore,
        grants: GrantStore,
        revocations: RevocationStore,
        audit: AuditStore,
        record: AuditRecord,
    ) -> None:
        self._groups = groups
        self._grants = grants
        self._revocations = revocations
        self._audit = audit
        self._record = record

    def carry_out(self, statement: GroupStatement, members: Iterable[Principal]) -> list[str]:
        """Make the change and return what came of it: once, or once for each member."""
        match statement.action:
            case "CREATE":
                self._groups.create(statement.group)
                outcomes = ["created"]
                self._note("created")
            case "DROP":
                outcomes = [self._drop(statement.group)]
            case "ADD":
                outcomes = [self._add(statement.group, member) for member in members]
            case "REMOVE":
                outcomes = [self._remove(statement.group, member) for member in members]
        return outcomes

    def _drop(self, group: str) -> str:
        removed = self._groups.drop(group)
        self._revoke(Principal("group", group), removed)
        for grant in removed:
            self._note(f"{grant}: removed", action="revoke", name=str(grant.securable))
        self._note("dropped")
        return f"dropped, with {len(removed)} grants" if removed else "dropped"

    def _add(self, group: str, member: Principal) -> str:
        if not self._groups.add_member(group, member):
            return "is a member already"
        self._end(group, member, Effect.DENY)
        self._note(f"{member}: added")
        return "added"

    def _remove(self, group: str, member: Principal) -> str:
        if not self._groups.remove_member(group, member):
            return "is no member"
        self._end(group, member, Effect.ALLOW)
        self._note(f"{member}: removed")
        return "removed"

    def _end(self, group: str, member: Principal, effect: Effect) -> None:
        held = self._grants.to(Principal("group", group))
        self._revoke(member, [grant for grant in held if grant.effect is effect])

    def _revoke(self, principal: Principal, grants: Iterable[Grant]) -> None:
        rights = [(principal, grant.securable) for grant in grants]
        revoke_rights(self._revocations, rights, self._grants.epoch(), self._record.at)

    def _note(self, rule: str, *, action: str | None = None, name: str | None = None) -> None:
        self._audit.append(
            replace(
                self._record,
                rule=rule,
                epoch=self._grants.epoch(),
                action=action or self._record.action,
                object=name or self._record.object,
            )
        )


_ACTIONS = {
    "CREATE": "create group",
    "DROP": "drop group",
    "ADD": "add to group",
    "REMOVE": "remove from group",
}
