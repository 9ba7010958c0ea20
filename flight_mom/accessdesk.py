"""Who may read what, and why: explained to administrators, and to everybody of themselves."""

import pyarrow as pa

from auth import Identity, Principal
from flight_member.answers import answer
from flight_member.errors import NotFoundError, NotSupportedError
from flight_mom.directory import require_securable
from flight_mom.office import Office
from planner import ExplainAccess, ShowReadable, ShowReaders
from storage.names import ObjectName


class AccessDesk:
    """Answers EXPLAIN ACCESS, SHOW READERS and SHOW TABLES FOR."""

    def __init__(self, office: Office) -> None:
        self._office = office

    def explain(self, statement: ExplainAccess, caller: Identity, source: str) -> pa.Table:
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
            named = f"{principal} to {statement.table}"
            self._office.admit(caller, source, "explain access", named)
        if principal.kind != "user":
            raise NotSupportedError("EXPLAIN ACCESS is asked of a user, as in user1@shanghai")
        federation = self._office.federation
        self._office.directory.require_principal(federation, principal)
        if self._office.administrators.include(caller):
            require_securable(federation, statement.table)
        now = self._office.now()
        subject = self._office.directory.subject(federation, principal, now)
        rules = federation.rules_for(subject.cluster, statement.table)
        decision = rules.decide(subject, statement.table, now)
        if not self._office.administrators.include(caller):
            is_there = federation.table(statement.table) is not None
            if not (is_there and decision.is_allowed):
                raise NotFoundError.of(statement.table)
        return answer(
            ExplainAccess,
            [(str(principal), str(statement.table), decision.is_allowed, decision.rule)],
        )

    def readers(self, statement: ShowReaders, caller: Identity, source: str) -> pa.Table:
        """Answer SHOW READERS: every user who may read a table now, with the rule that lets them.

        Administrators of the table's own cluster may ask as well: it is theirs.

        Returns:
            {user_name: utf8, rule: utf8}, by cluster and name; it may be empty.

        Raises:
            PermissionDeniedError: When the caller is neither kind of administrator.
            NotFoundError: When there is no such table.
        """
        if not caller.administers(statement.table.cluster):
            self._office.admit(caller, source, "show readers", str(statement.table))
        federation, now = self._office.federation, self._office.now()
        require_securable(federation, statement.table)
        rows: list[tuple[str, str]] = []
        for subject in self._office.directory.everybody(federation, now):
            rules = federation.rules_for(subject.cluster, statement.table)
            decision = rules.decide(subject, statement.table, now)
            if decision.is_allowed:
                rows.append((subject.name, decision.rule))
        return answer(ShowReaders, rows)

    def readable(self, statement: ShowReadable, caller: Identity, source: str) -> pa.Table:
        """Answer SHOW TABLES FOR: every table that a user may read now, with the rule.

        Returns:
            {securable: utf8, rule: utf8}, by cluster and name; it may be empty.

        Raises:
            PermissionDeniedError: When a caller who is no administrator asks of somebody else.
            NotFoundError: When there is no such user.
        """
        principal = Principal.parse(statement.principal)
        if caller.principal != principal:
            self._office.admit(caller, source, "show tables for", str(principal))
        federation, now = self._office.federation, self._office.now()
        self._office.directory.require_principal(federation, principal)
        subject = self._office.directory.subject(federation, principal, now)
        rows: list[tuple[str, str]] = []
        for metastore in federation.metastores():
            rules = federation.rules_for(subject.cluster, ObjectName(metastore.cluster))
            for name in metastore.tables:
                decision = rules.decide(subject, name, now)
                if decision.is_allowed:
                    rows.append((str(name), decision.rule))
        return answer(ShowReadable, rows)
