"""Carries out what defines catalogs, schemas and tables: CREATE, DROP, ALTER.

Each is decided by the home gate, and one transaction with its audit rows. What depends on how it is
then, such as whether a schema is empty, is looked up inside that transaction. Tables are made, with
their files, by `tablemaking`.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import TypeAlias

import pyarrow as pa

from auth import Identity
from flight_member.answers import answer
from flight_member.errors import (
    BadRequestError,
    NotEmptyError,
    NotFoundError,
    PermissionDeniedError,
)
from flight_member.homegate import Act, HomeGate, Permit
from flight_member.managedtables import ManagedTables
from flight_member.memberstate import MemberState
from flight_member.placechanges import ObjectStores, changing_objects
from flight_member.places import require_own_place
from flight_member.statestore import Database
from flight_sql import Call
from planner import ChangeOwner, CreatePlace, Definition, Drop, Kind, Rename
from storage.metastore import Place, Table, TableKind
from storage.names import Level, ObjectName

Permitting: TypeAlias = Callable[[Act, ObjectName], Permit]


class DefiningDesk:
    """Changes what there is at one member, for its own users."""

    def __init__(
        self,
        database: Database,
        state: MemberState,
        gate: HomeGate,
        managed: ManagedTables,
        changed: Callable[[], object],
    ) -> None:
        """Keep what it takes; `changed` is called after each change, when it is durable."""
        self._managed = managed
        self._database = database
        self._state = state
        self._gate = gate
        self._changed = changed

    def define(self, call: Call, caller: Identity, definition: Definition, digest: str) -> pa.Table:
        """Carry out a definition, all of it or nothing; durable when this returns.

        Args:
            call: For the audit: where it came from.
            caller: Who asks.
            definition: What is to be done.
            digest: What stands for the statement in the audit.

        Returns:
            One row: {status: utf8, row_count: int64, warning: utf8}.

        Raises:
            NotFoundError: When there is no such object, or the caller may not know of it.
            PermissionDeniedError: When they may not do this.
            PlaceExistsError: When there is a catalog or schema of the new name.
            TableExistsError: When there is a table of the new name.
            NotEmptyError: When a place is to be dropped in which something lies.
            BadRequestError: When a name is the federation's own, or the owner is no user here.
        """

        def permit(act: Act, name: ObjectName) -> Permit:
            return self._gate.require(call, caller, act, name, digest)

        match definition:
            case CreatePlace():
                status = self._create_place(definition, caller, permit)
            case Drop():
                status = self._drop(definition, permit)
            case Rename():
                status = self._rename(definition, permit)
            case ChangeOwner():
                status = self._change_owner(definition, caller, permit)
            case _:
                raise BadRequestError(f"{type(definition).__name__} is not carried out here")
        self._changed()
        return answer(type(definition), [(status, None, None)])

    def _create_place(self, definition: CreatePlace, caller: Identity, permit: Permitting) -> str:
        place = definition.place
        require_own_place(place)
        record = permit(Act.CREATE, place).record
        with changing_objects(self._database) as stores:
            if definition.if_not_exists and stores.places.find(place) is not None:
                return "exists already"
            stores.places.add(Place(place, caller.name))
            stores.audit.append(record)
        return "created"

    def _drop(self, definition: Drop, permit: Permitting) -> str:
        name = definition.name
        try:
            allowed = permit(Act.DROP, name)
        except NotFoundError:
            # Whether it is hidden or not there: nothing of that name is in their way.
            if not definition.if_exists:
                raise
            return "there is none"
        _require_kind(definition.kind, allowed.table)
        with changing_objects(self._database) as stores:
            if name.level is not Level.TABLE and not definition.cascade:
                self._require_empty(stores, name)
            dropped = stores.drop(name, allowed.record)
        # Statements that read them still have the files.
        self._managed.sweep()
        with_tables = len(dropped) and name.level is not Level.TABLE
        return f"dropped, with {len(dropped)} tables" if with_tables else "dropped"

    def _require_empty(self, stores: ObjectStores, name: ObjectName) -> None:
        tables = stores.below(name)
        inner = [one for one in stores.places.all() if name.covers(one.name) and one.name != name]
        if tables or inner:
            kind = name.level.value
            held = f"{len(tables)} tables" if tables else f"{len(inner)} schemas"
            raise NotEmptyError(
                f"the {kind} {name} holds {held}; drop them first, or write DROP {kind.upper()} "
                f"{name.local} CASCADE to drop all of it"
            )

    def _rename(self, definition: Rename, permit: Permitting) -> str:
        name, new_name = definition.name, definition.new_name
        require_own_place(new_name)
        allowed = permit(Act.RENAME, name)
        _require_kind(definition.kind, allowed.table)
        if new_name.parent != name.parent:
            permit(Act.CREATE, new_name)
        record = replace(allowed.record, rule=f"{allowed.record.rule}: to {new_name}")
        with changing_objects(self._database) as stores:
            stores.rename(name, new_name, record)
        return "renamed"

    def _change_owner(self, definition: ChangeOwner, caller: Identity, permit: Permitting) -> str:
        name = definition.name
        allowed = permit(Act.OWN, name)
        _require_kind(definition.kind, allowed.table)
        if definition.kind is Kind.VIEW:
            _require_administrator(caller, name)
        user, _, cluster = definition.owner.rpartition("@")
        if cluster != name.cluster or user not in self._state.snapshot.users:
            raise NotFoundError(
                f"{definition.owner} is no user of {name.cluster}; an owner is one of its own users"
            )
        record = replace(allowed.record, rule=f"{allowed.record.rule}: to {definition.owner}")
        with changing_objects(self._database) as stores:
            if name.level is Level.TABLE:
                table = next((one for one in stores.below(name)), None)
                if table is None:
                    raise NotFoundError.of(name)
                stores.tables.replace(replace(table, owner=definition.owner))
            else:
                stores.places.replace(Place(name, definition.owner))
            stores.audit.append(record)
        return f"{definition.owner} owns it"


def _require_administrator(caller: Identity, view: ObjectName) -> None:
    """Refuse to lend a view somebody's rights without them; administrators may."""
    if not caller.administers(view.cluster):
        raise PermissionDeniedError(
            f"{view} would run with the rights of its new owner; ask an administrator of "
            f"{view.cluster} to give it away, or have the new owner make it"
        )


def _require_kind(kind: Kind, table: Table | None) -> None:
    """Refuse to take a view for a table, and the other way round."""
    if table is None:
        return
    found = Kind.VIEW if table.kind is TableKind.VIEW else Kind.TABLE
    if kind is not found:
        raise BadRequestError(
            f"{table.name} is a {found.value.lower()}; write {found.value} instead of {kind.value}"
        )
