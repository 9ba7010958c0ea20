"""What a text can be: one query, or one administrative statement. Values only.

Statements that define and write tables are values of `definition` and `writing`.
"""

from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Literal, TypeAlias, Union

from planner.edits import Edit
from planner.limits import Limits
from planner.passwords import Password
from planner.values import Values
from planner.work import Work
from storage.names import INFORMATION_SCHEMA, SYSTEM_CATALOG, ObjectName

if TYPE_CHECKING:
    from planner.definition import Definition
    from planner.writing import Write


@dataclass(frozen=True, slots=True)
class Defaults:
    """What completes a name that is not written out.

    Attributes:
        cluster: The cluster of names without `@cluster`.
        catalog: The catalog of names without one; None when such names are refused.
        schema: The schema of names without one; None when such names are refused.
        mom: The cluster that the catalog `system` belongs to; None outside a federation.
    """

    cluster: str
    catalog: str | None = None
    schema: str | None = None
    mom: str | None = None


@dataclass(frozen=True, slots=True)
class Explain:
    """How a query is to be explained instead of answered.

    Attributes:
        analyze: Whether it is run and measured.
        verbose: Whether nothing is shortened.
        is_tree: Whether its steps are drawn as a tree.
    """

    analyze: bool = False
    verbose: bool = False
    is_tree: bool = False


@dataclass(frozen=True, slots=True)
class Query:
    """A statement that answers rows, over the tables of one cluster.

    Attributes:
        sql: The text as it was typed.
        text: The same without clusters in its names, without EXPLAIN and without a closing
            semicolon: what an engine of that cluster can read.
        cluster: The one cluster that it reads; the default one when it reads no table.
        catalog: The engine session's default catalog.
        schema: The engine session's default schema.
        tables: The tables that it names, sorted, each once; empty for `SELECT 1`.
        explain: How it is to be explained; None when its rows are asked for.
        is_home: Whether the cluster is the reader's own, where joins are allowed.
        work: What planning it costs.
        limits: How much planning may cost.
        parameters: Its parameters, "1", "2", … or names, in the order in which they are bound.
        values: What is bound to them; None when nothing is.
        start: Where the text starts in what was typed.
        edits: What was replaced in what was typed, in order.
    """

    sql: str
    text: str
    cluster: str
    catalog: str | None
    schema: str | None
    tables: tuple[ObjectName, ...]
    explain: Explain | None = None
    is_home: bool = False
    work: Work = field(default_factory=Work)
    limits: Limits = field(default_factory=Limits)
    parameters: tuple[str, ...] = ()
    values: Values | None = None
    start: int = field(default=0, compare=False, repr=False)
    edits: tuple[Edit, ...] = field(default=(), compare=False, repr=False)

    def typed_offset(self, offset: int) -> int:
        """Return where a place of the text stands in what was typed."""
        shift = self.start
        for edit in self.edits:
            start = edit.start - shift
            if offset < start:
                break
            if offset < start + len(edit.replacement):
                return edit.start
            shift += edit.end - edit.start - len(edit.replacement)
        return offset + shift


@dataclass(frozen=True, slots=True)
class LiveQuery:
    """A query over live tables, which servers answer from what they know.

    Attributes:
        query: What an engine runs. Its tables are `tables`, `schemata` and `columns` of the schema
            `information_schema`, in the catalog that was written, else in `system`; or they are
            those of `system.federation`.
        cluster: The cluster that tables of `information_schema` without a catalog were written
            with; None for all.
    """

    query: Query
    cluster: str | None = None

    @property
    def is_federations(self) -> bool:
        """Whether it reads `system.federation`, which the MoM answers wherever it is typed."""
        return self.query.tables[0].schema != INFORMATION_SCHEMA

    def scope(self, table: ObjectName) -> ObjectName | None:
        """Return the catalog or cluster that a table of `information_schema` tells of.

        None stands for everything.
        """
        if table.catalog != SYSTEM_CATALOG:
            return ObjectName(table.cluster, table.catalog)
        return None if self.cluster is None else ObjectName(self.cluster)


@dataclass(frozen=True, slots=True)
class NamePattern:
    """A LIKE pattern that narrows a listing: `%`, `_`, and a backslash before what is meant so.

    Attributes:
        text: The pattern.
        ignores_case: Whether it was given to ILIKE.
    """

    text: str
    ignores_case: bool = False


@dataclass(frozen=True, slots=True)
class GrantStatement:
    """A change of grants: each privilege on each securable for each principal.

    Attributes:
        action: What to do with the grants.
        privilege: `TABLE_READ`, `SCHEMA_READ` or `CATALOG_READ`; at home also `TABLE_WRITE`,
            `SCHEMA_WRITE`, `SCHEMA_USAGE` or `CATALOG_WRITE`.
        securables: What it applies to; their levels fit the privilege.
        principals: `user1@shanghai`, `GROUP analysts@shanghai` or `GROUP traders`.
        until: When the grant ends by itself (aware UTC).
    """

    action: Literal["ALLOW", "DENY", "REVOKE"]
    privilege: str
    securables: tuple[ObjectName, ...]
    principals: tuple[str, ...]
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class GroupStatement:
    """A change of one of the federation's own groups, or of a cluster's.

    Attributes:
        action: What to do with the group.
        group: Its name, without `GROUP` and without its cluster.
        members: Users whom ADD and REMOVE concern, as in `user1@shanghai`.
        cluster: The cluster that keeps it; None for one of the federation.
    """

    action: Literal["CREATE", "DROP", "ADD", "REMOVE"]
    group: str
    members: tuple[str, ...] = ()
    cluster: str | None = None


@dataclass(frozen=True, slots=True)
class UserStatement:
    """A change of one of a cluster's own users.

    Attributes:
        action: What to do with the user; ADMIN makes an administrator or takes that away.
        user: Who it is, as in `user1@shanghai`.
        password: What proves them from now on; None when nothing does, or nothing changes.
        groups: Groups of the cluster, without it.
        is_admin: Whether they administer the cluster.
    """

    action: Literal["CREATE", "PASSWORD", "LOCK", "UNLOCK", "ADMIN", "ADD", "REMOVE", "DROP"]
    user: str
    password: Password | None = None
    groups: tuple[str, ...] = ()
    is_admin: bool = False

    @property
    def cluster(self) -> str:
        """The cluster whose user it is."""
        return self.user.rpartition("@")[2]


@dataclass(frozen=True, slots=True)
class ShowUsers:
    """Which users the cluster has."""


@dataclass(frozen=True, slots=True)
class ShowGroups:
    """Which groups the federation keeps, and who is in them."""


@dataclass(frozen=True, slots=True)
class ShowReaders:
    """Who may read a table."""

    table: ObjectName


@dataclass(frozen=True, slots=True)
class ShowReadable:
    """What a user may read."""

    principal: str


@dataclass(frozen=True, slots=True)
class ShowGrants:
    """Which grants there are, for one principal or on one securable or all."""

    principal: str | None = None
    securable: ObjectName | None = None
    like: NamePattern | None = None


@dataclass(frozen=True, slots=True)
class ExplainAccess:
    """What is decided for a principal and a table, and by which rule."""

    principal: str
    table: ObjectName


@dataclass(frozen=True, slots=True)
class ShowClusters:
    """Which clusters there are."""

    like: NamePattern | None = None


@dataclass(frozen=True, slots=True)
class ShowCatalogs:
    """Which catalogs there are, of one cluster or of all."""

    parent: ObjectName | None = None
    like: NamePattern | None = None


@dataclass(frozen=True, slots=True)
class ShowSchemas:
    """Which schemas there are, of one cluster or catalog or of all."""

    parent: ObjectName | None = None
    like: NamePattern | None = None


@dataclass(frozen=True, slots=True)
class ShowTables:
    """Which tables there are, of one cluster, catalog or schema or of all."""

    parent: ObjectName | None = None
    like: NamePattern | None = None


@dataclass(frozen=True, slots=True)
class ShowJobs:
    """Which statements run and which ran lately: one user's, or all that the caller may see.

    Attributes:
        principal: Whose, as `user1@shanghai`; None for all.
        like: A pattern for their ids.
    """

    principal: str | None = None
    like: NamePattern | None = None


@dataclass(frozen=True, slots=True)
class CancelJob:
    """A running statement is to end.

    Attributes:
        job_id: The id that SHOW JOBS tells of it.
    """

    job_id: str


@dataclass(frozen=True, slots=True)
class Use:
    """What completes names from now on.

    Attributes:
        target: A cluster, catalog or schema; None for what holds without a choice.
        otherwise: What is meant when there is no such catalog: a schema of the one in use.
    """

    target: ObjectName | None
    otherwise: ObjectName | None = None


@dataclass(frozen=True, slots=True)
class Describe:
    """Which columns a table has; one of `information_schema` lies in the catalog `system`."""

    table: ObjectName
    like: NamePattern | None = None


Change: TypeAlias = GrantStatement | GroupStatement | UserStatement | CancelJob
"""Statements that change something: they run exactly once, when they are executed."""

Administrative: TypeAlias = (
    GrantStatement
    | GroupStatement
    | UserStatement
    | ShowGrants
    | ShowGroups
    | ShowUsers
    | ShowReaders
    | ShowReadable
    | ExplainAccess
)
"""Statements on who may read what."""

Statement: TypeAlias = Union[
    Query,
    LiveQuery,
    Administrative,
    ShowClusters,
    ShowCatalogs,
    ShowSchemas,
    ShowTables,
    ShowJobs,
    CancelJob,
    Describe,
    Use,
    "Definition",
    "Write",
]
