"""What views are made of: read when a view is made, and again each time that it is read.

A view runs with its owner's rights, by today's home rules: whoever may read the view reads what its
owner may read of what it names, and nothing once the owner may not. What it names it knows by id,
so that nobody puts another table in the place of one. Whatever is wrong, who reads the view is told
of the view alone.
"""

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

import pyarrow as pa

from auth import Identity
from flight_member.clock import Moment
from flight_member.memberstate import MemberSnapshot
from planner import Defaults, Limits, PlannerError, Query, parse_statement, plan_query
from storage.errors import unusable_view
from storage.metastore import Table, TableKind
from storage.names import ObjectName
from storage.views import Source, View

MAX_DEPTH = 8
"""How many views may stand on each other."""


@dataclass(frozen=True, slots=True)
class Definition:
    """What a view is made of, as it is kept.

    Attributes:
        text: Its query, in which tables are named without their cluster.
        catalog: What completes names without a catalog.
        schema: What completes names without a schema.
        tables: The tables and views that it names, by their ids.
    """

    text: str
    catalog: str | None
    schema: str | None
    tables: tuple[str, ...]

    @classmethod
    def of(cls, query: Query, tables: tuple[Table, ...]) -> "Definition":
        """Return the definition that a query over these tables makes."""
        return cls(query.text, query.catalog, query.schema, tuple(one.id for one in tables))

    def write(self) -> str:
        """Return what is kept."""
        return json.dumps([self.text, self.catalog, self.schema, list(self.tables)])

    @classmethod
    def read(cls, kept: str) -> "Definition":
        """Read what was kept."""
        text, catalog, schema, tables = json.loads(kept)
        return cls(text, catalog, schema, tuple(tables))

    @property
    def snapshot(self) -> str:
        """What changes whenever the definition does."""
        return hashlib.sha256(self.write().encode()).hexdigest()


class _UnusableError(Exception):
    """Something below a view is not as it was when the view was made."""


class Views:
    """Turns views into what the engine runs, by one member's rules."""

    def __init__(
        self,
        cluster: str,
        snapshot: Callable[[], MemberSnapshot],
        limits: Limits,
        now: Moment,
    ) -> None:
        """Keep what it takes; `limits` say how large a definition may be."""
        self._cluster = cluster
        self._snapshot = snapshot
        self._limits = limits
        self._now = now

    def open(self, table: Table) -> Source:
        """Return a table as it is, and of a view what it is made of today.

        Raises:
            UnusableTableError: When the view cannot be read; the text names the view alone.
        """
        if table.kind is not TableKind.VIEW:
            return table
        try:
            return self._open(table, self._snapshot(), 1)
        except (_UnusableError, PlannerError, ValueError):
            pass
        raise unusable_view(table.name)

    def depth(self, tables: tuple[Table, ...]) -> int:
        """Return how many views stand on each other below a view of these tables.

        Raises:
            UnusableTableError: When one of them cannot be read.
        """
        return max((_depth(self.open(table)) for table in tables), default=0)

    def _open(self, view: Table, snapshot: MemberSnapshot, depth: int) -> View:
        owner = _owner(view, snapshot, self._now())
        if depth > MAX_DEPTH or owner is None or view.definition is None:
            raise _UnusableError
        made = Definition.read(view.definition)
        defaults = Defaults(self._cluster, made.catalog, made.schema)
        query = parse_statement(made.text, defaults, home=self._cluster, limits=self._limits)
        if not isinstance(query, Query) or len(query.tables) != len(made.tables):
            raise _UnusableError
        reads = [
            self._read(name, table_id, owner, snapshot)
            for name, table_id in zip(query.tables, made.tables, strict=True)
        ]
        plan = plan_query(query, {one.name: one.arrow_schema for one in reads})
        if not same_columns(plan.arrow_schema, view.arrow_schema):
            raise _UnusableError
        return View(
            view,
            plan.text,
            query.catalog,
            query.schema,
            tuple(
                self._open(one, snapshot, depth + 1) if one.kind is TableKind.VIEW else one
                for one in reads
            ),
        )

    def _read(
        self, name: ObjectName, table_id: str, owner: Identity, snapshot: MemberSnapshot
    ) -> Table:
        """Return a table that the owner of a view may read, if it is still the one that was."""
        table = snapshot.table(name)
        is_readable = snapshot.rules.decide(owner, name, self._now()).is_allowed
        if table is None or table.id != table_id or not is_readable:
            raise _UnusableError
        return table


def same_columns(one: pa.Schema, other: pa.Schema) -> bool:
    """Whether two schemas have the same columns; what may be null does not count."""
    return bool(one.names == other.names and one.types == other.types)


def _owner(view: Table, snapshot: MemberSnapshot, now: datetime) -> Identity | None:
    """Return the owner of a view as rules know them; None when there is none any more."""
    name, _, cluster = (view.owner or "").rpartition("@")
    user = snapshot.users.get(name)
    if user is None or cluster != view.name.cluster:
        return None
    return Identity(
        user=user.name,
        cluster=cluster,
        groups=user.groups,
        is_admin=False,
        token_id="",
        issued_at=now,
        expires_at=now,
    )


def _depth(source: Source) -> int:
    if isinstance(source, View):
        return 1 + max(map(_depth, source.reads), default=0)
    return 0
