"""Statements on a member's own users and groups, by its administrators, whether or not it joined.

What this member's users are is its own: another cluster's are changed there, and the federation's
groups at the MoM. A password reaches this desk as its hash.
"""

from collections.abc import Callable

import pyarrow as pa

from auth import NO_PASSWORD, AuditRecord, Identity, Principal, check_hash
from flight_member.administrators import Administrators
from flight_member.answers import answer
from flight_member.changing import Change, changing_by
from flight_member.clock import Moment
from flight_member.errors import BadRequestError, NotSupportedError
from flight_member.memberstate import MemberState
from flight_member.statestore import Database
from flight_member.userchanges import (
    disown_user,
    drop_group,
    forget_user,
    make_group,
    regroup,
)
from planner import GroupStatement, ShowGroups, ShowUsers, UserStatement, count_fault


class HomeUserDesk:
    """Carries out CREATE, ALTER and DROP of users and groups, and shows them."""

    def __init__(self, cluster: str, database: Database, state: MemberState, now: Moment) -> None:
        self._cluster = cluster
        self._database = database
        self._state = state
        self._now = now
        self._administrators = Administrators(cluster, database)

    def change_user(self, statement: UserStatement, caller: Identity, source: str) -> pa.Table:
        """Change a user; durable when this returns.

        Returns:
            One row, or one for each group: {status: utf8, warning: utf8, always null}.

        Raises:
            PermissionDeniedError: When the caller does not administer this member.
            NotFoundError: When there is no such user or group.
            AlreadyExistsError: When there is a user of that name to create.
            NotSupportedError: When it is a user of another cluster.
            BadRequestError: When a password is to be bound and none is.
        """
        user = Principal.parse(statement.user)
        self._admit(caller, source, _USER_ACTS[statement.action], str(user))
        if user.cluster != self._cluster:
            raise NotSupportedError(
                f"{user} is a user of {user.cluster}, which keeps its own; type it there, as one "
                f"of its administrators"
            )
        outcomes = self._apply(caller, source, lambda change: self._carry_out(statement, change))
        return answer(UserStatement, [(outcome, None) for outcome in outcomes])

    def change_group(self, statement: GroupStatement, caller: Identity, source: str) -> pa.Table:
        """Change a group of this member; durable when this returns.

        Returns:
            One row, or one for each user: {status: utf8, warning: utf8, always null}.

        Raises:
            PermissionDeniedError: When the caller does not administer this member.
            NotFoundError: When there is no such group or user.
            AlreadyExistsError: When there is a group of that name to create.
            NotSupportedError: When a user is another cluster's.
        """
        group = Principal("group", statement.group, self._cluster)
        self._admit(caller, source, f"{statement.action.lower()} group", str(group))
        users = [Principal.parse(text) for text in statement.members]
        stranger = next((user for user in users if user.cluster != self._cluster), None)
        if stranger is not None:
            raise NotSupportedError(
                f"{group} is for users of {self._cluster}, and {stranger} is none; a group of the "
                "federation, made at the MoM, takes users of any cluster"
            )

        def carry_out(change: Change) -> list[str]:
            if statement.action == "CREATE":
                make_group(change, group)
                return ["created"]
            if statement.action == "DROP":
                drop_group(change, group)
                return ["dropped"]
            is_added = statement.action == "ADD"
            # Of each user one outcome: they are put into one group here.
            return [one for u in users for one in regroup(change, u, [group], is_added=is_added)]

        outcomes = self._apply(caller, source, carry_out)
        return answer(GroupStatement, [(outcome, None) for outcome in outcomes])

    def users(self, caller: Identity) -> pa.Table:
        """Answer SHOW USERS: all of them to administrators, to others themselves.

        Returns:
            {user_name: utf8, group_names: utf8, is_admin: bool, is_locked: bool, changed_at}.
        """
        sees_all = self._administrators.include(caller)
        return answer(
            ShowUsers,
            [
                (
                    f"{user.name}@{self._cluster}",
                    " ".join(sorted(user.groups)),
                    user.is_admin,
                    user.is_locked,
                    user.changed_at,
                )
                for name, user in sorted(self._state.snapshot.users.items())
                if sees_all or name == caller.user
            ],
        )

    def groups(self, caller: Identity, federation: pa.Table | None) -> pa.Table:
        """Answer SHOW GROUPS with this member's and the federation's.

        Administrators see all members, others the groups that they are in and themselves.

        Args:
            caller: A user of this member.
            federation: The MoM's answer, if there is one.
        """
        snapshot = self._state.snapshot
        sees_all = self._administrators.include(caller)
        rows: list[tuple[str, str | None]] = [
            (f"{group}@{self._cluster}", f"{name}@{self._cluster}")
            for name, user in snapshot.users.items()
            for group in user.groups
            if sees_all or name == caller.user
        ]
        if sees_all:
            taken = {group for group, _ in rows}
            made = {f"{group}@{self._cluster}" for group in snapshot.groups}
            rows += [(group, None) for group in made - taken]
        if federation is not None:
            rows += zip(*(column.to_pylist() for column in federation.columns), strict=True)
        return answer(ShowGroups, sorted(rows, key=lambda row: (row[0], row[1] or "")))

    def _carry_out(self, statement: UserStatement, change: Change) -> list[str]:
        user = Principal.parse(statement.user)
        groups = [Principal("group", group, self._cluster) for group in statement.groups]
        match statement.action:
            case "CREATE":
                self._create(statement, user, groups, change)
                return ["created"]
            case "ADD" | "REMOVE":
                return regroup(change, user, groups, is_added=statement.action == "ADD")
            case "DROP":
                forget_user(change, user)
                disown_user(change, user)
                return ["dropped"]
            case "PASSWORD":
                change.users.set_password(user.name, _hash_of(statement), now=change.at)
                change.record("set password", user)
            case "LOCK" | "UNLOCK":
                is_locked = statement.action == "LOCK"
                change.users.set_locked(user.name, is_locked, now=change.at)
                change.record(f"{statement.action.lower()} user", user)
            case "ADMIN":
                change.users.set_admin(user.name, statement.is_admin, now=change.at)
                rule = "an administrator" if statement.is_admin else "no administrator"
                change.record("change administrator", user, rule=rule)
        return ["changed"]

    @staticmethod
    def _create(
        statement: UserStatement, user: Principal, groups: list[Principal], change: Change
    ) -> None:
        hashed = NO_PASSWORD if statement.password is None else _hash_of(statement)
        change.users.add(user.name, hashed, is_admin=statement.is_admin, now=change.at)
        change.record("add user", user, rule="an administrator" if statement.is_admin else "")
        regroup(change, user, groups, is_added=True)

    def _apply(
        self, caller: Identity, source: str, carry_out: Callable[[Change], list[str]]
    ) -> list[str]:
        with changing_by(self._database, caller.name, self._now, source) as change:
            outcomes = carry_out(change)
        self._state.refresh()
        return outcomes

    def _admit(self, caller: Identity, source: str, action: str, named: str) -> None:
        record = AuditRecord(
            at=self._now(),
            actor=caller.name,
            source=source,
            action=action,
            object=named,
            allowed=True,
        )
        self._administrators.admit(caller, record)


def _hash_of(statement: UserStatement) -> str:
    """Return the hash of a statement's password.

    Raises:
        BadRequestError: When it is a parameter to which nothing was bound.
        UnusablePasswordError: When it is no hash as they are kept here.
    """
    password = statement.password
    if password is None or password.kind == "parameter":
        raise BadRequestError(count_fault(("1",), 0))
    check_hash(password.text)
    return password.text


_USER_ACTS = {
    "CREATE": "add user",
    "PASSWORD": "set password",
    "LOCK": "lock user",
    "UNLOCK": "unlock user",
    "ADMIN": "change administrator",
    "ADD": "add to group",
    "REMOVE": "remove from group",
    "DROP": "remove user",
}
