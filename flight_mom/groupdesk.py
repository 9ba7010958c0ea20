"""The federation's own groups: made, filled and dropped by administrators of the MoM.

Who leaves a group loses what it allows, and who enters one is bound by what it denies, within one
heartbeat: tickets and streams of theirs that rest on it die. Others' live on.
"""

from collections.abc import Iterable
from dataclasses import replace

import pyarrow as pa

from auth import AuditRecord, Effect, Grant, Identity, Principal
from flight_member.answers import answer
from flight_member.errors import NotSupportedError
from flight_mom.office import Office, Stores
from flight_mom.revoking import revoke_rights
from planner import GroupStatement, ShowGroups


class GroupDesk:
    """Carries out CREATE, ALTER and DROP GROUP and SHOW GROUPS."""

    def __init__(self, office: Office) -> None:
        self._office = office

    def change(self, statement: GroupStatement, caller: Identity, source: str) -> pa.Table:
        """Change a group; durable when this returns.

        Returns:
            One row, or one for each member: {status: utf8, warning: utf8, always null}.

        Raises:
            PermissionDeniedError: When the caller is no administrator.
            NotFoundError: When there is no such group, or no such user to add.
            AlreadyExistsError: When there is a group of that name to create.
            NotSupportedError: When it is a group of a cluster.
        """
        action, named = _ACTIONS[statement.action], f"GROUP {statement.group}"
        record = self._office.admit(caller, source, action, named)
        if statement.cluster is not None:
            raise NotSupportedError(
                f"GROUP {statement.group}@{statement.cluster} is kept by {statement.cluster}; type "
                "it there, as one of its administrators; the federation's own groups have no @"
            )
        members = [Principal.parse(text) for text in statement.members]
        if statement.action == "ADD":
            for member in members:
                self._office.directory.require_principal(self._office.federation, member)
        with self._office.change() as stores:
            outcomes = GroupChange(stores, record).carry_out(statement, members)
        self._office.topology.refresh()
        return answer(GroupStatement, [(outcome, None) for outcome in outcomes])

    def show(self, caller: Identity) -> pa.Table:
        """Answer SHOW GROUPS: all of them to administrators, to others the ones they are in.

        Returns:
            {group_name: utf8, member: utf8, null where there is none}, by group and member;
            others than administrators see no members but themselves.
        """
        groups = self._office.federation.grants.mom_groups
        rows: list[tuple[str, str | None]] = []
        for name, members in sorted(groups.items()):
            if self._office.administrators.include(caller):
                rows += [(name, member) for member in sorted(members)] or [(name, None)]
            elif caller.name in members:
                rows.append((name, caller.name))
        return answer(ShowGroups, rows)


class GroupChange:
    """One change of a group inside a transaction, with its audit rows and revocations."""

    def __init__(self, stores: Stores, record: AuditRecord) -> None:
        self._groups = stores.groups
        self._grants = stores.grants
        self._revocations = stores.revocations
        self._audit = stores.audit
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
