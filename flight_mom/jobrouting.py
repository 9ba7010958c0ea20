"""What the MoM remembers of the statements that it sent to members.

A statement runs at its member, which knows what comes of it. The MoM keeps who sent statements
where, so that it knows whom to ask; and of the last ones, in memory, what it takes to tell of them
while their member does not answer.
"""

import threading
from collections import OrderedDict
from dataclasses import replace
from datetime import datetime, timedelta

from auth import Ticket
from auth.auditstore import Viewer
from flight_member.clock import Moment
from flight_member.jobrows import JobKind, JobRow, JobState
from flight_member.jobs import statement_digest
from flight_member.logs import get_logger
from flight_member.statestore import Database
from flight_mom.jobplacestore import JobPlaceStore
from flight_sql import Call

_log = get_logger(__name__)
_MAX_SENT = 20_000
_NOTED_FOR = timedelta(hours=1)
_MAX_NOTED = 200_000


class JobRouting:
    """Where statements were sent. Safe to use from many threads."""

    def __init__(self, database: Database, now: Moment, *, keep_days: int) -> None:
        self._database = database
        self._now = now
        self._keep_days = keep_days
        self._changing = threading.Lock()
        self._sent: OrderedDict[tuple[str, str, str], JobRow] = OrderedDict()
        self._noted: dict[tuple[str, str], datetime] = {}
        self._to_note: set[tuple[str, str]] = set()

    def note(self, call: Call, ticket: Ticket) -> None:
        """Take note of a ticket that is handed out; an append, whatever the state does."""
        place, row = (ticket.caller, ticket.member), _sent(ticket, call.peer)
        _log.info(
            "statement_routed",
            query_id=row.id,
            user=row.user,
            digest=row.digest,
            member=row.cluster,
        )
        with self._changing:
            self._sent[_key(row)] = row
            self._sent.move_to_end(_key(row))
            if len(self._sent) > _MAX_SENT:
                self._sent.popitem(last=False)
            noted_at = self._noted.get(place)
            if noted_at is None or noted_at < ticket.issued_at - _NOTED_FOR:
                self._to_note.add(place)

    def keep(self) -> None:
        """Write down where statements were sent since the last time; called now and then."""
        with self._changing:
            places = sorted(self._to_note)
        if not places:
            return
        now = self._now()
        with self._database.change() as connection:
            store = JobPlaceStore(connection)
            store.note(places, now)
            store.forget(now, self._keep_days)
        with self._changing:
            self._to_note.difference_update(places)
            if len(self._noted) > _MAX_NOTED:
                self._noted.clear()
            self._noted.update(dict.fromkeys(places, now))

    def clusters_of(self, viewer: Viewer) -> set[str]:
        """Return where there may be jobs that a viewer may see; for who sees all, ask everywhere.

        Their own home is always one of them.
        """
        with self._database.read() as connection:
            store = JobPlaceStore(connection)
            found = store.of_user(viewer.name)
            if viewer.administers is not None:
                found |= store.of_home(viewer.administers)
        home = viewer.name.rpartition("@")[2]
        with self._changing:
            waiting = set(self._to_note)
        for user, cluster in waiting:
            if user == viewer.name or viewer.administers == user.rpartition("@")[2]:
                found.add(cluster)
        return found | {home}

    def sent_to(self, cluster: str) -> list[JobRow]:
        """Return the last statements that were sent to a cluster; what came of them is unknown."""
        with self._changing:
            return [row for row in self._sent.values() if row.cluster == cluster]

    def places_of(self, job_id: str) -> set[str]:
        """Return the clusters that a statement of this id was sent to, if it was so lately."""
        with self._changing:
            return {row.cluster for row in self._sent.values() if row.id == job_id}

    def with_client(self, row: JobRow) -> JobRow:
        """Return a job as its member tells it, with the address that it was asked from here."""
        with self._changing:
            sent = self._sent.get(_key(row))
        return row if sent is None else replace(row, client=sent.client)


def _key(row: JobRow) -> tuple[str, str, str]:
    return (row.id, row.user, row.cluster)


def _sent(ticket: Ticket, client: str) -> JobRow:
    return JobRow(
        id=ticket.query_id,
        serial=0,
        user=ticket.caller,
        cluster=ticket.member,
        node=ticket.member,
        kind=JobKind.EXPLAIN if ticket.explain else JobKind.QUERY,
        state=JobState.UNKNOWN,
        digest=statement_digest(ticket.sql),
        client=client,
        received_at=ticket.issued_at,
        started_at=None,
        ended_at=None,
        row_count=0,
        byte_count=0,
        parts=None,
        error_code=None,
    )
