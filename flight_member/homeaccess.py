"""Who may read what of a member's own, and why, by its home rules: with or without a MoM.

Of home users on home tables alone. What visitors may is the MoM's to say, and stands beside it in
the answers where the MoM answers.
"""

from collections.abc import Iterable

import pyarrow as pa

from auth import AuditRecord, Identity, Principal
from flight_member.administrators import Administrators
from flight_member.answers import answer
from flight_member.clock import Moment
from flight_member.errors import NotFoundError, NotSupportedError
from flight_member.memberstate import MemberSnapshot, MemberState
from flight_member.statestore import Database
from planner import ExplainAccess, ShowReadable, ShowReaders


class HomeAccessDesk:
    """Answers EXPLAIN ACCESS, SHOW READERS and SHOW TABLES FOR of home users on home tables."""

    def __init__(self, cluster: str, database: Database, state: MemberState, now: Moment) -> None:
        self._cluster = cluster
        self._state = state
        self._now = now
        self._administrators = Administrators(cluster, database)

    def is_explained_here(self, statement: ExplainAccess) -> bool:
        """Whether EXPLAIN ACCESS is about a home user and a home table."""
        user = Principal.parse(statement.principal)
        return user.cluster == statement.table.cluster == self._cluster

    def explain(self, statement: ExplainAccess, caller: Identity, source: str) -> pa.Table:
        """Answer EXPLAIN ACCESS: the decision and the rule that made it.

        Raises:
            PermissionDeniedError: When a caller who is no administrator asks of somebody else.
            NotFoundError: When the user or the table does not exist; to those who are no
                administrators a table that they may not read does not exist.
            NotSupportedError: When it is asked of a group.
        """
        principal = Principal.parse(statement.principal)
        if caller.principal != principal:
            self._admit(caller, source, "explain access", f"{principal} to {statement.table}")
        if principal.kind != "user":
            raise NotSupportedError(
                f"EXPLAIN ACCESS is asked of a user, as in user1@{self._cluster}"
            )
        snapshot = self._state.snapshot
        subject = self._subject(snapshot, principal)
        decision = snapshot.rules.decide(subject, statement.table, self._now())
        is_there = snapshot.table(statement.table) is not None
        sees_all = self._administrators.include(caller)
        if not (is_there and (sees_all or decision.is_allowed)):
            raise NotFoundError.of(statement.table)
        return answer(
            ExplainAccess,
            [(str(principal), str(statement.table), decision.is_allowed, decision.rule)],
        )

    def readers(
        self, statement: ShowReaders, caller: Identity, source: str, federation: pa.Table | None
    ) -> pa.Table:
        """Answer SHOW READERS: the home users who may read a table now, and visitors.

        Administrators may ask, and who owns the table or a place above it.

        Args:
            statement: What was asked.
            caller: A user of this member.
            source: Where they ask from.
            federation: The MoM's answer, if there is one.

        Returns:
            {user_name: utf8, rule: utf8}, by cluster and name; it may be empty.

        Raises:
            PermissionDeniedError: When the caller is neither.
            NotFoundError: When there is no such table.
        """
        snapshot, now, table = self._state.snapshot, self._now(), statement.table
        if snapshot.rules.owned(caller, table) is None:
            self._admit(caller, source, "show readers", str(table))
        if snapshot.table(table) is None:
            raise NotFoundError.of(table)
        rows: list[tuple[str, str]] = []
        for name in sorted(snapshot.users):
            subject = self._subject(snapshot, Principal("user", name, self._cluster))
            decision = snapshot.rules.decide(subject, table, now)
            if decision.is_allowed:
                rows.append((subject.name, decision.rule))
        visitors = (row for row in _rows(federation) if not row[0].endswith(f"@{self._cluster}"))
        return answer(ShowReaders, _by_cluster([*rows, *visitors]))

    def readable(
        self, statement: ShowReadable, caller: Identity, source: str, federation: pa.Table | None
    ) -> pa.Table:
        """Answer SHOW TABLES FOR a home user: home tables, and other clusters'.

        Args:
            statement: What was asked, of a user of this member.
            caller: A user of this member.
            source: Where they ask from.
            federation: The MoM's answer, if there is one.

        Returns:
            {securable: utf8, rule: utf8}, by cluster and name; it may be empty.

        Raises:
            PermissionDeniedError: When a caller who is no administrator asks of somebody else.
            NotFoundError: When there is no such user.
        """
        principal = Principal.parse(statement.principal)
        if caller.principal != principal:
            self._admit(caller, source, "show tables for", str(principal))
        snapshot, now = self._state.snapshot, self._now()
        subject = self._subject(snapshot, principal)
        decided = (
            (str(name), snapshot.rules.decide(subject, name, now))
            for name in snapshot.metastore.tables
        )
        rows = [(name, decision.rule) for name, decision in decided if decision.is_allowed]
        others = (row for row in _rows(federation) if not row[0].endswith(f"@{self._cluster}"))
        return answer(ShowReadable, _by_cluster([*rows, *others]))

    def _subject(self, snapshot: MemberSnapshot, principal: Principal) -> Identity:
        """Return somebody who is not calling, as decisions about them take them."""
        user = snapshot.users.get(principal.name)
        if user is None or principal.kind != "user" or principal.cluster != self._cluster:
            raise NotFoundError(f"{principal} does not exist")
        now = self._now()
        return Identity(
            user=user.name,
            cluster=self._cluster,
            groups=user.groups,
            is_admin=False,
            token_id="",
            issued_at=now,
            expires_at=now,
        )

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


def _rows(table: pa.Table | None) -> Iterable[tuple[str, str]]:
    if table is None:
        return ()
    return zip(*(column.to_pylist() for column in table.columns), strict=True)


def _by_cluster(rows: list[tuple[str, str]]) -> list[tuple[str, str]]:
    return sorted(rows, key=lambda row: row[0].rpartition("@")[::-1])


def is_home_user(principal: str, cluster: str) -> bool:
    """Whether a principal of a statement is a user of this cluster."""
    found = Principal.parse(principal)
    return found.kind == "user" and found.cluster == cluster
