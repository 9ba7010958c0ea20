"""What a member's report changes at the MoM besides itself: tickets and grants of its users."""

from collections.abc import Iterable, Mapping
from datetime import datetime

from auth import AuditRecord, Grant, Principal, Revocation
from auth.renaming import follow_renames, places_below
from flight_member.protocol import ReportedUser
from flight_member.revocationlog import KEPT
from flight_mom.office import Stores
from flight_mom.reports import Departure
from storage.metastore import Metastore
from storage.names import ObjectName


class CarryThrough:
    """Carries one report through, in the transaction that keeps it."""

    def __init__(self, stores: Stores, now: datetime) -> None:
        self._grants = stores.grants
        self._groups = stores.groups
        self._revocations = stores.revocations
        self._audit = stores.audit
        self._table_ids = stores.table_ids
        self._now = now

    def users(
        self,
        cluster: str,
        before: Mapping[str, ReportedUser],
        after: Mapping[str, ReportedUser],
    ) -> None:
        """Revoke the tickets of users that changed, and what was allowed to those that are gone.

        Gone is also who was removed and added again under the name since the last report: that is
        somebody else. Denials stay by name: whoever is called so later is denied too.
        """
        for name, known in before.items():
            user = after.get(name)
            is_gone = user is None or user.id != known.id
            if user is not None and not is_gone and user.changed_at == known.changed_at:
                continue
            principal = Principal("user", name, cluster)
            if is_gone:
                self._remove_allows(principal)
            self._revocations.append(Revocation(self._grants.bump(), self._now, principal))
        self._revocations.forget_before(self._now - KEPT)

    def tables(self, metastore: Metastore, dropped: Iterable[str]) -> None:
        """End what was allowed on dropped or replaced tables; have it follow renamed ones.

        Tickets for either end. A table that is merely not reported may come back: its name keeps
        its id, and its grants. Denials stay by name.
        """
        ids = self._table_ids
        cluster, gone = metastore.cluster, frozenset(dropped)
        known = ids.of(cluster)
        reported = {table.name.local: table.id for table in metastore.all_tables()}
        named = {table.id: table.name for table in metastore.all_tables()}
        ended: dict[ObjectName, str] = {}
        renamed: dict[ObjectName, ObjectName] = {}
        for name, table_id in known.items():
            if reported.get(name) == table_id:
                continue
            securable = ObjectName.parse(name, cluster=cluster)
            if table_id in named:
                renamed[securable] = named[table_id]
            elif table_id in gone:
                ended[securable] = "the table was dropped"
            elif name in reported:
                ended[securable] = "the table was replaced by another"
        for securable, reason in ended.items():
            self._note(cluster, self._grants.remove_allows_on(securable), reason)
        self._follow(cluster, renamed)
        self._end_tickets([*ended, *renamed])
        passed = {name.local for name in (*ended, *renamed)}
        ids.forget(cluster, passed)
        fresh = {
            name: table_id
            for name, table_id in reported.items()
            if name in passed or name not in known
        }
        ids.keep(cluster, fresh)

    def places(
        self, cluster: str, before: Mapping[str, Departure], after: Mapping[str, Departure]
    ) -> None:
        """End what was allowed on dropped schemas and catalogs; have it follow renamed ones.

        Each departure counts once, however often it is reported: what is allowed on a new schema
        of the name lives on. Denials stay by name. Tables that moved along are followed by
        `tables`, which comes after this.

        Args:
            cluster: The reporting member.
            before: The departures that were carried through already, by id.
            after: Those that are reported now.
        """
        for departure, departed in after.items():
            if departure in before:
                continue
            place, new_place = departed.place, departed.new_place
            if new_place is None:
                reason = f"the {place.level.value} was dropped"
                self._note(cluster, self._grants.remove_allows_on(place), reason)
            else:
                self._follow(cluster, places_below(self._grants, place, new_place))
            self._end_tickets([place])

    def _follow(self, cluster: str, renamed: Mapping[ObjectName, ObjectName]) -> None:
        followed = follow_renames(self._grants, renamed)
        acts = [(renamed[one.securable], one) for one in followed]
        self._record(
            cluster, "rename", [(name, f"{one}: holds for {name} now") for name, one in acts]
        )

    def _end_tickets(self, securables: Iterable[ObjectName]) -> None:
        for securable in securables:
            epoch = self._grants.bump()
            self._revocations.append(Revocation(epoch, self._now, securable=securable))

    def _remove_allows(self, principal: Principal) -> None:
        cluster = str(principal.cluster)
        removed = self._grants.remove_allows_to(principal)
        self._note(cluster, removed, "the user was removed at home")
        for group in self._groups.leave_all(principal):
            rule = f"{principal}: the user was removed at home"
            self._record(cluster, "remove from group", [(f"GROUP {group}", rule)])

    def _note(self, cluster: str, removed: Iterable[Grant], reason: str) -> None:
        self._record(cluster, "revoke", [(one.securable, f"{one}: {reason}") for one in removed])

    def _record(self, cluster: str, action: str, acts: Iterable[tuple[object, str]]) -> None:
        """Write down what a report did, each act as what it was done to and why."""
        epoch = self._grants.epoch()
        self._audit.append_all(
            AuditRecord(
                at=self._now,
                actor=cluster,
                source="report",
                action=action,
                object=str(done_to),
                allowed=True,
                rule=rule,
                epoch=epoch,
            )
            for done_to, rule in acts
        )
