"""Makes grants and groups what a file declares, in one transaction, or says what that would do."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from typing import Any

from auth import AuditRecord, Effect, Grant, Principal, Privilege
from flight_member.administrators import signed_in
from flight_member.errors import FlightMemberError, NotFoundError
from flight_mom.declaration import (
    APPLY,
    EXPORT,
    ApplyReply,
    ApplyRequest,
    Declaration,
    DeclaredGrant,
    Difference,
    grants_of,
)
from flight_mom.directory import require_foreign, require_securable
from flight_mom.groupdesk import GroupChange
from flight_mom.office import Office, Stores
from flight_mom.revoking import revoke_rights
from flight_sql import Call
from planner import GroupStatement
from storage.names import ObjectName

_MAX_FAULTS = 20


class _OnlyTriedError(Exception):
    """Undoes a dry run."""


def _keep(request: ApplyRequest) -> None:
    if request.is_dry_run:
        raise _OnlyTriedError


class DeclarationDesk:
    """Answers the actions that apply and export a declared state."""

    def __init__(self, office: Office) -> None:
        self._office = office

    def actions(self) -> Mapping[str, Callable[[Call, bytes], bytes]]:
        """Return the actions by name."""
        return {APPLY: self._apply, EXPORT: self._export}

    def _export(self, call: Call, _body: bytes) -> bytes:
        self._admit(call, "export grants")
        grants = self._office.federation.grants
        groups = {name: tuple(sorted(held)) for name, held in grants.mom_groups.items()}
        return Declaration(groups=groups, grants=grants_of(grants)).write()

    def _apply(self, call: Call, body: bytes) -> bytes:
        request = ApplyRequest.read(body)
        record = self._admit(call, "apply grants")
        declared = self._read(request.declaration)
        differences: list[Difference] = []
        try:
            with self._office.change() as stores:
                change = _Application(stores, record)
                differences += change.groups(request.declaration.groups, prune=request.prune)
                differences += change.grants(declared, prune=request.prune)
                _keep(request)
        except _OnlyTriedError:
            pass
        else:
            self._office.topology.refresh()
        return ApplyReply(differences=tuple(differences)).write()

    def _admit(self, call: Call, action: str) -> AuditRecord:
        return self._office.admit(signed_in(call), call.peer, action)

    def _read(self, declaration: Declaration) -> list[Grant]:
        """Read what was declared; all of it must exist.

        Raises:
            NotFoundError: Naming what is not there, or cannot be granted.
        """
        federation = self._office.federation
        members = {user for users in declaration.groups.values() for user in users}
        grants = [_read(one) for one in declaration.grants]
        principals = {*map(Principal.parse, members), *(grant.principal for grant in grants)}
        looks: list[Callable[[], None]] = [
            partial(self._require, principal, declaration)
            for principal in sorted(principals, key=str)
        ]
        looks += [
            partial(require_securable, federation, securable)
            for securable in sorted({grant.securable for grant in grants})
        ]
        looks += [
            partial(require_foreign, federation, one.principal, one.securable) for one in grants
        ]
        faults = [fault for fault in map(_fault_of, looks) if fault is not None]
        if faults:
            more = f"; and {len(faults) - _MAX_FAULTS} more" if len(faults) > _MAX_FAULTS else ""
            raise NotFoundError("; ".join(faults[:_MAX_FAULTS]) + more + "; nothing was changed")
        return grants

    def _require(self, principal: Principal, declaration: Declaration) -> None:
        is_new = principal.cluster is None and principal.name in declaration.groups
        if not is_new:
            self._office.directory.require_principal(self._office.federation, principal)


def _fault_of(look: Callable[[], None]) -> str | None:
    try:
        look()
    except FlightMemberError as error:
        return error.text
    return None


class _Application:
    """One application inside a transaction, with its audit rows and revocations."""

    def __init__(self, stores: Stores, record: AuditRecord) -> None:
        self._stores = stores
        self._record = record

    def groups(
        self, declared: Mapping[str, tuple[str, ...]], *, prune: bool
    ) -> Iterable[Difference]:
        """Make groups and members that are declared, and drop the others when asked."""
        known = self._stores.groups.all()
        steps: list[tuple[GroupStatement, list[str]]] = []
        for name, members in sorted(declared.items()):
            held = known.get(name, frozenset())
            if name not in known:
                steps.append((GroupStatement("CREATE", name), [f"GROUP {name}"]))
            fresh, stale = sorted(set(members) - held), sorted(held - set(members))
            if fresh:
                shown = [f"{user} in GROUP {name}" for user in fresh]
                steps.append((GroupStatement("ADD", name, tuple(fresh)), shown))
            if stale and prune:
                shown = [f"{user} in GROUP {name}" for user in stale]
                steps.append((GroupStatement("REMOVE", name, tuple(stale)), shown))
        if prune:
            steps += [
                (GroupStatement("DROP", name), [f"GROUP {name}"])
                for name in sorted(known.keys() - declared.keys())
            ]
        differences: list[Difference] = []
        for statement, shown in steps:
            record = replace(self._record, action="apply grants", object=f"GROUP {statement.group}")
            change = GroupChange(self._stores, record)
            change.carry_out(statement, [Principal.parse(user) for user in statement.members])
            word = "removed" if statement.action in {"DROP", "REMOVE"} else "added"
            differences += [Difference(change=word, what=text) for text in shown]
        return differences

    def grants(self, declared: Iterable[Grant], *, prune: bool) -> Iterable[Difference]:
        """Make grants that are declared, and remove the others when asked."""
        known = {grant.key: grant for grant in self._stores.grants.all()}
        wanted = {grant.key: grant for grant in declared}
        fresh = [grant for key, grant in wanted.items() if key not in known]
        changed = [
            grant
            for key, grant in wanted.items()
            if key in known and known[key].until != grant.until
        ]
        stale = [grant for key, grant in known.items() if key not in wanted] if prune else []
        given: dict[str, Any] = {"granted_by": self._record.actor, "granted_at": self._record.at}
        if fresh:
            self._stores.grants.add_all(replace(grant, **given) for grant in fresh)
        if changed:
            self._stores.grants.change_all(
                replace(grant, id=known[grant.key].id, **given) for grant in changed
            )
        self._stores.grants.remove_all(stale)
        touched = {"added": fresh, "changed": changed, "removed": stale}
        self._note(touched)
        taken = [grant for grant in fresh if grant.effect is Effect.DENY] + changed + stale
        rights = [(grant.principal, grant.securable) for grant in taken]
        epoch = self._stores.grants.epoch()
        revoke_rights(self._stores.revocations, rights, epoch, self._record.at)
        return [
            Difference(change=word, what=str(grant))
            for word, grants in touched.items()
            for grant in grants
        ]

    def _note(self, touched: Mapping[str, list[Grant]]) -> None:
        epoch = self._stores.grants.epoch()
        self._stores.audit.append_all(
            replace(
                self._record,
                action="revoke" if word == "removed" else grant.effect.lower(),
                object=str(grant.securable),
                rule=f"{grant}: {word}",
                epoch=epoch,
            )
            for word, grants in touched.items()
            for grant in grants
        )


def _read(declared: DeclaredGrant) -> Grant:
    return Grant(
        id=0,
        principal=Principal.parse(declared.principal),
        effect=Effect(declared.effect),
        privilege=Privilege(declared.privilege),
        securable=ObjectName.parse(declared.securable),
        granted_by="",
        granted_at=datetime.fromtimestamp(0, UTC),
        until=None if declared.until is None else datetime.fromtimestamp(declared.until, UTC),
    )
