"""What is known of a query while the rules look at it."""

from dataclasses import dataclass, field

from sqlglot import exp
from sqlglot.tokenizer_core import Token

from planner.dialect import place_at
from planner.edits import Edit
from planner.limits import Limits
from planner.nodes import Nodes
from planner.references import Reference, cluster_of, full_name, start_of
from planner.statement import Defaults
from storage.names import ObjectName


@dataclass(frozen=True, slots=True)
class Reading:
    """One query as it was read.

    Attributes:
        sql: The text as it was typed.
        tokens: Its tokens, without EXPLAIN and semicolons, `name@cluster` joined.
        joined: Where the joined ones start.
        tree: sqlglot's reading.
        nodes: Its pieces, by kind.
        references: The tables that it names, in the order of the text.
        defaults: What completes names.
        home: The cluster whose own tables may be joined, if any.
        limits: How large it may be.
        edits: What makes a query of a text that is more than one: see `writinggrammar`.
        is_part: Whether the query is a part of what was typed, which may begin before it.
    """

    sql: str
    tokens: tuple[Token, ...]
    joined: frozenset[int]
    tree: exp.Expr
    nodes: Nodes
    references: tuple[Reference, ...]
    defaults: Defaults
    home: str | None
    limits: Limits = field(default_factory=Limits)
    edits: tuple[Edit, ...] = ()
    is_part: bool = False

    @property
    def clusters(self) -> tuple[str, ...]:
        """The clusters of the tables, in the order of the text, each once."""
        named = (cluster_of(reference, self.defaults) for reference in self.references)
        return tuple(dict.fromkeys(named))

    @property
    def tables(self) -> tuple[ObjectName, ...]:
        """The full names of the references; empty when one of them is not complete."""
        names = [full_name(reference, self.defaults) for reference in self.references]
        return tuple(name for name in names if name is not None) if all(names) else ()

    @property
    def is_home(self) -> bool:
        """Whether everything that is read lies in the home cluster."""
        return self.home is not None and (self.clusters or (self.defaults.cluster,)) == (self.home,)

    def place(self, node: exp.Expr) -> str:
        """Say where a piece of the query stands."""
        return place_at(self.sql, start_of(node))
