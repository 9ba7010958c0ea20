"""The one place where writing at home is decided and written down: rows, objects, owners.

Decided by the home rules of this member (see `auth.ownership`), for its own users alone:

- its administrators may do everything;
- who owns an object, or a place above it, may do everything with it;
- rows of a table are changed with WRITE on it; UPDATE and DELETE tell of rows, and need READ too;
- what lies in a schema is made, altered and dropped with SCHEMA_WRITE, schemas with CATALOG_WRITE
  on their catalog; catalogs are the administrators' to make, and their owners' to drop.

Who may not do it is told so when they may know of the object, because they may read it or hold
anything on it; to everybody else it does not exist, in the words and by the steps of what is not
there.
"""

from dataclasses import dataclass, replace
from enum import StrEnum

from auth import Access, Allowed, AuditRecord, Decision, Denied, Identity, Privilege
from flight_member.audit import AuditTrail
from flight_member.clock import Moment
from flight_member.errors import NotFoundError, PermissionDeniedError
from flight_member.memberstate import MemberSnapshot, MemberState
from flight_sql import Call
from storage.metastore import Table
from storage.names import Level, ObjectName


class Act(StrEnum):
    """What is done to an object; its value stands in the audit."""

    INSERT = "insert"
    UPDATE = "update"
    DELETE = "delete"
    OVERWRITE = "overwrite"
    OPTIMIZE = "optimize"
    VACUUM = "vacuum"
    CREATE = "create"
    """Of the name of what is to be: the place above it is asked about."""
    ALTER = "alter"
    RENAME = "rename"
    """Of the old name; of the new one CREATE is asked as well."""
    DROP = "drop"
    OWN = "change owner"
    GRANT = "grant"
    """To change the rules for the cluster's own users: GRANT, DENY and REVOKE."""

    @property
    def needed(self) -> tuple[Access, ...]:
        """The access to the object itself."""
        return _NEEDED.get(self, ())

    @property
    def changes_rows(self) -> bool:
        """Whether it changes what a table holds, and nothing of the metastore."""
        return self in _NEEDED


_WRITE = (Access.WRITE,)
_NEEDED = {
    Act.INSERT: _WRITE,
    Act.OVERWRITE: _WRITE,
    Act.OPTIMIZE: _WRITE,
    Act.VACUUM: _WRITE,
    # How many rows fit a condition tells of them.
    Act.UPDATE: (Access.WRITE, Access.READ),
    Act.DELETE: (Access.WRITE, Access.READ),
}
_SAID = {
    Act.INSERT: "insert into",
    Act.DELETE: "delete from",
    Act.OWN: "change the owner of",
    Act.GRANT: "change who may use",
}
_NO_OWNER = Denied("neither owner nor administrator")
_FROM_ABOVE = frozenset({Act.CREATE, Act.ALTER, Act.RENAME, Act.DROP})


@dataclass(frozen=True, slots=True)
class Permit:
    """That a caller may do something, by which rule."""

    record: AuditRecord
    """Of an act on the metastore, to be kept in the transaction of the change; of one on rows it
    is kept already."""
    table: Table | None = None
    """What the act is on, where it is a table that is there."""


class HomeGate:
    """Decides on acts of a member's own users, and writes down what was refused."""

    def __init__(self, cluster: str, state: MemberState, audit: AuditTrail, now: Moment) -> None:
        self._cluster = cluster
        self._state = state
        self._audit = audit
        self._now = now

    def require(
        self, call: Call, caller: Identity, act: Act, name: ObjectName, digest: str = ""
    ) -> Permit:
        """Let a caller do something, or refuse.

        Reading what a statement reads beside is `Gatekeeper.authorise`'s matter.

        Args:
            call: For the audit: where it came from.
            caller: Who wants to do it.
            act: What.
            name: A table, schema or catalog of this member.
            digest: What stands for the statement in the audit.

        Raises:
            NotFoundError: When the object, or for CREATE the place above it, is not there or the
                caller may not know of it.
            PermissionDeniedError: When they may know of it and not do this.
            AuditUnavailableError: When the audit is required and cannot be written.
        """
        snapshot = self._state.snapshot
        # A place to make something in is what CREATE is about; there is none above a catalog.
        object_ = _above(name) if act is Act.CREATE else name
        is_there = _is_there(snapshot, object_)
        decision = self._decide(snapshot, caller, act, name)
        is_known = self._is_known(snapshot, caller, object_)
        record = AuditRecord(
            at=self._now(),
            actor=caller.name,
            source=call.peer,
            action=str(act),
            object=str(name),
            allowed=is_there and decision.is_allowed,
            rule=decision.rule,
            epoch=snapshot.epoch,
            statement_digest=digest,
        )
        if not record.allowed:
            self._audit.refuse(record)
            if not (is_there and is_known):
                raise NotFoundError.of(object_, privilege=Privilege.for_level(object_.level))
            raise PermissionDeniedError(self._refusal(act, name, decision))
        if act.changes_rows:
            self._audit.act(record)
        return Permit(record, snapshot.table(name) if name.level is Level.TABLE else None)

    def _decide(
        self, snapshot: MemberSnapshot, caller: Identity, act: Act, name: ObjectName
    ) -> Decision:
        if caller.administers(self._cluster):
            return Allowed(reason=f"{caller.name} administers {self._cluster}")
        if caller.cluster != self._cluster or name.cluster != self._cluster:
            return Denied(f"only users of {self._cluster} write there")
        if not act.changes_rows:
            return self._decide_on_object(snapshot, caller, act, name)
        rules, now = snapshot.rules, self._now()
        decided = [rules.decide(caller, name, now, access) for access in act.needed]
        return next((one for one in decided if not one.is_allowed), decided[0])

    def _decide_on_object(
        self, snapshot: MemberSnapshot, caller: Identity, act: Act, name: ObjectName
    ) -> Decision:
        rules, now = snapshot.rules, self._now()
        owned = rules.owned(caller, _above(name) if act is Act.CREATE else name)
        if owned is not None:
            return Allowed(reason=f"{caller.name} owns {owned}")
        if act not in _FROM_ABOVE or name.level is Level.CATALOG:
            return _NO_OWNER
        above = rules.decide(caller, _above(name), now, Access.WRITE)
        if not above.is_allowed:
            return above
        # What may not be written is not dropped by who may write its neighbours.
        below = (name, *(table.name for table in snapshot.metastore.below(name)))
        decided = (rules.decide(caller, one, now, Access.WRITE) for one in below)
        return next((one for one in decided if not one.is_allowed), above)

    def _is_known(self, snapshot: MemberSnapshot, caller: Identity, name: ObjectName) -> bool:
        """Whether a caller may know of an object, if it is there."""
        if caller.administers(self._cluster):
            return True
        if name.level is Level.CLUSTER or snapshot.rules.owned(caller, name) is not None:
            return caller.cluster == name.cluster
        now, rules = self._now(), snapshot.rules
        # USAGE tells of the schema, and not of what lies in it.
        is_table = name.level is Level.TABLE
        accesses = (one for one in Access if not (is_table and one is Access.USAGE))
        decided = [rules.decide(caller, name, now, access) for access in accesses]
        is_known = any(one.is_allowed for one in decided) or self._reads_below(
            snapshot, caller, name
        )
        return is_known and caller.cluster == self._cluster

    def _reads_below(self, snapshot: MemberSnapshot, caller: Identity, name: ObjectName) -> bool:
        """Whether a caller may read anything there; it looks only where their rules point."""
        rules, now = snapshot.rules, self._now()
        may_read = rules.reader(caller, now)
        return any(
            may_read(table.name)
            for place in rules.places(caller, now)
            if name.covers(place)
            for table in snapshot.metastore.below(place)
        )

    def _refusal(self, act: Act, name: ObjectName, decision: Decision) -> str:
        above = _above(name)
        if act in _FROM_ABOVE and name.level is not Level.CATALOG:
            ask = f"{Privilege.for_level(above.level, Access.WRITE)} on {above}"
        elif act.changes_rows:
            lacking = " and ".join(Privilege.for_level(name.level, one) for one in act.needed)
            ask = f"{lacking} on {name}"
        else:
            ask = ""
        because = "" if decision.grant is None else f" ({decision.rule})"
        whom = f"its owner or an administrator of {self._cluster}"
        how = f"ask {whom} for {ask}" if ask else f"that is for {whom} to do"
        return f"you may not {_SAID.get(act, act)} {name}{because}; {how}"


def with_rule(permit: Permit, rule: str) -> AuditRecord:
    """Return the record of an act with what came of it beside the rule that allowed it."""
    return replace(permit.record, rule=f"{permit.record.rule}: {rule}")


def _above(name: ObjectName) -> ObjectName:
    """Return the place that an object lies in; of a catalog it is the cluster."""
    if name.level is Level.TABLE:
        return ObjectName(name.cluster, name.catalog, name.schema)
    if name.level is Level.SCHEMA:
        return ObjectName(name.cluster, name.catalog)
    return ObjectName(name.cluster)


def _is_there(snapshot: MemberSnapshot, name: ObjectName) -> bool:
    if name.level is Level.TABLE:
        return snapshot.table(name) is not None
    return name.level is Level.CLUSTER or snapshot.metastore.place(name) is not None
