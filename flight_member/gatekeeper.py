"""The one place where reading is decided and written down, at the MoM and at members alike.

A table that is not there and one that may not be read take the same path: the same look-ups, the
same audit record, the same words.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol, Self

import pyarrow as pa

from auth import AuditRecord, Identity, Rules
from flight_member.audit import AuditTrail
from flight_member.clock import Moment
from flight_member.errors import NotFoundError
from flight_sql import Call
from storage.metastore import Metastore, Table
from storage.names import ObjectName


class Policy(Protocol):
    """One state of what there is and who may read it."""

    @property
    def epoch(self) -> int:
        """The number of the state of the rules."""

    def table(self, name: ObjectName) -> Table | None:
        """Return a table, or None when there is none of that name."""

    def rules_for(self, caller_cluster: str, name: ObjectName) -> Rules:
        """Return the rules that decide for callers of a cluster."""

    def mom_groups_of(self, caller: str) -> frozenset[str]:
        """Return the federation's groups that `user1@shanghai` is in, where they are known."""

    def namesakes(self, name: ObjectName) -> Iterable[ObjectName]:
        """Return the same name on every cluster, whether or not there is such a table."""


@dataclass(frozen=True, slots=True)
class Authorised:
    """Tables that a caller may read, each with the rule that allows it."""

    epoch: int
    tables: tuple[Table, ...]
    rules: tuple[str, ...]
    until: datetime | None
    """When the first of the deciding grants ends; a ticket ends no later."""
    mom_groups: frozenset[str] = frozenset()
    """The federation's groups that the caller is in."""

    @property
    def schemas(self) -> Mapping[ObjectName, pa.Schema]:
        """The tables' columns, as the planner wants them."""
        return {table.name: table.arrow_schema for table in self.tables}


class Gatekeeper:
    """Decides and audits. `policy` returns the newest state; a decision uses one to its end."""

    def __init__(self, policy: Callable[[], Policy], audit: AuditTrail, now: Moment) -> None:
        self._policy = policy
        self._audit = audit
        self._now = now

    def authorise(
        self, call: Call, caller: Identity, names: Iterable[ObjectName], digest: str
    ) -> Authorised:
        """Return tables, all of which the caller may read.

        Args:
            call: For the audit: where it came from.
            caller: Who asks.
            names: What they ask for, in the order of deciding.
            digest: What stands for the statement in the audit.

        Raises:
            NotFoundError: For the first table that is not there or may not be read, alike; one
                of that name on another cluster that the caller may read is suggested.
        """
        policy, now = self._policy(), self._now()
        tables: list[Table] = []
        rules: list[str] = []
        ends: list[datetime] = []
        for name in names:
            table = policy.table(name)
            decision = policy.rules_for(caller.cluster, name).decide(caller, name, now)
            record = AuditRecord(
                at=now,
                actor=caller.name,
                source=call.peer,
                action="read",
                object=str(name),
                allowed=decision.is_allowed and table is not None,
                rule=decision.rule,
                epoch=policy.epoch,
                statement_digest=digest,
            )
            if table is None or not decision.is_allowed:
                self._audit.refuse(record)
                raise NotFoundError.of(name, elsewhere=self._namesakes(policy, caller, name, now))
            self._audit.allow(record)
            tables.append(table)
            rules.append(decision.rule)
            if decision.grant is not None and decision.grant.until is not None:
                ends.append(decision.grant.until)
        return Authorised(
            policy.epoch,
            tuple(tables),
            tuple(rules),
            min(ends, default=None),
            policy.mom_groups_of(caller.name),
        )

    def note(self, call: Call, caller: Identity, names: Iterable[ObjectName], digest: str) -> None:
        """Record the reading of live tables, of which everybody may read their own part.

        Raises:
            AuditUnavailableError: When the audit is required and cannot be written.
        """
        for name in names:
            self._audit.allow(
                AuditRecord(
                    at=self._now(),
                    actor=caller.name,
                    source=call.peer,
                    action="read",
                    object=str(name),
                    allowed=True,
                    rule="everybody reads their own part",
                    epoch=self._policy().epoch,
                    statement_digest=digest,
                )
            )

    def readable_schemas(
        self, caller: Identity, names: Sequence[ObjectName]
    ) -> Mapping[ObjectName, pa.Schema] | None:
        """Return the columns of tables, or None when one is not there or may not be read.

        For advice on a statement that is refused anyway: nothing is read, and nothing audited.
        Every name is looked up, so that the time does not tell which one it was.
        """
        policy, now = self._policy(), self._now()
        found = {name: _readable(policy, caller, name, now) for name in names}
        schemas = {name: one.arrow_schema for name, one in found.items() if one is not None}
        return schemas if names and len(schemas) == len(found) else None

    def _namesakes(
        self, policy: Policy, caller: Identity, name: ObjectName, now: datetime
    ) -> list[ObjectName]:
        """Return the tables of this name on any cluster that the caller may read.

        Each cluster is asked alike, that of the name included.
        """
        return [
            one for one in policy.namesakes(name) if _readable(policy, caller, one, now) is not None
        ]

    def may_read(self, caller: Identity, name: ObjectName) -> bool:
        """Whether a caller may read a table by today's rules; not audited, for listings."""
        policy = self._policy()
        return policy.rules_for(caller.cluster, name).decide(caller, name, self._now()).is_allowed

    def readable(
        self, caller: Identity, metastores: Iterable[Metastore], parent: ObjectName | None = None
    ) -> Iterator[Table]:
        """Yield what a caller may read today of some clusters, each ordered by name.

        The same answers as `may_read`, for listings: it looks only where grants point, so that its
        time does not grow with what the caller may not read. What the caller holds is gathered
        once for all clusters that the same rules decide on.

        Args:
            caller: Who asks.
            metastores: The tables of each cluster.
            parent: The place that is asked for; None for all.
        """
        policy, now = self._policy(), self._now()
        # The rules stay in it, so that no two of them share an id.
        held: dict[int, tuple[Rules, _Held]] = {}
        for metastore in metastores:
            cluster = ObjectName(metastore.cluster)
            rules = policy.rules_for(caller.cluster, cluster)
            if id(rules) not in held:
                held[id(rules)] = (rules, _Held.of(rules, caller, now))
            yield from held[id(rules)][1].below(metastore, parent or cluster)

    def known_places(
        self, caller: Identity, metastores: Iterable[Metastore], parent: ObjectName | None = None
    ) -> Iterator[ObjectName]:
        """Yield the catalogs and schemas in which a caller may read, with tables or without.

        Args:
            caller: Who asks.
            metastores: The places of each cluster.
            parent: The place that is asked for; None for all.
        """
        policy, now = self._policy(), self._now()
        # As in `readable`.
        held: dict[int, tuple[Rules, _Held]] = {}
        for metastore in metastores:
            cluster = ObjectName(metastore.cluster)
            rules = policy.rules_for(caller.cluster, cluster)
            if id(rules) not in held:
                held[id(rules)] = (rules, _Held.of(rules, caller, now))
            yield from held[id(rules)][1].places_below(metastore, parent or cluster)

    def refused(self, caller: Identity, names: Sequence[ObjectName]) -> ObjectName | None:
        """Return the first table that a caller may not read by today's rules, if any."""
        return next((name for name in names if not self.may_read(caller, name)), None)


@dataclass(frozen=True, slots=True)
class _Held:
    """What one caller may read by some rules: the test for a table, and where to look."""

    may_read: Callable[[ObjectName], bool]
    places: Mapping[str, Sequence[ObjectName]]

    @classmethod
    def of(cls, rules: Rules, caller: Identity, now: datetime) -> Self:
        places: dict[str, list[ObjectName]] = {}
        for place in rules.places(caller, now):
            places.setdefault(place.cluster, []).append(place)
        return cls(rules.reader(caller, now), places)

    def below(self, metastore: Metastore, parent: ObjectName) -> Iterator[Table]:
        """Yield what may be read at or below a place of a cluster, ordered by name."""
        for place in self.places.get(metastore.cluster, ()):
            if parent.covers(place) or place.covers(parent):
                narrower = place if parent.covers(place) else parent
                for table in metastore.below(narrower):
                    if self.may_read(table.name):
                        yield table

    def places_below(self, metastore: Metastore, parent: ObjectName) -> Iterator[ObjectName]:
        """Yield the catalogs and schemas in which may be read, at or below a place."""
        for place in self.places.get(metastore.cluster, ()):
            if place.table is None and (parent.covers(place) or place.covers(parent)):
                narrower = place if parent.covers(place) else parent
                for name in metastore.places_below(narrower):
                    if self.may_read(name):
                        yield name


def _readable(policy: Policy, caller: Identity, name: ObjectName, now: datetime) -> Table | None:
    """Return a table that the caller may read; one that is not there takes the same steps."""
    table = policy.table(name)
    decision = policy.rules_for(caller.cluster, name).decide(caller, name, now)
    return table if decision.is_allowed else None
