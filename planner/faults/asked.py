"""What was asked when the engine found a fault, and where its pieces stand as they were typed."""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

import pyarrow as pa
from sqlglot import exp
from sqlglot.tokenizer_core import Token, TokenType

from planner.dialect import is_word, place_at, read_tokens
from planner.errors import PlannerError
from planner.parse import read_again
from planner.reading import Reading
from planner.references import start_of
from planner.sources import Usage
from planner.statement import Defaults, Query
from storage.names import ObjectName

_MOST_TOKENS = 4_000  # reading more once again would make the refusal slow


@dataclass(frozen=True, slots=True)
class Function:
    """A function that there is.

    Attributes:
        written: How it is written, as in `substr(str, start_pos[, length])`.
        kind: `SCALAR`, `AGGREGATE`, `WINDOW` or `TABLE`.
    """

    written: str
    kind: str


class Asked:
    """A query that the engine refused."""

    def __init__(
        self,
        query: Query,
        text: str,
        schemas: Mapping[ObjectName, pa.Schema],
        functions: Mapping[str, Function],
    ) -> None:
        """Keep what was asked.

        Args:
            query: As it was read.
            text: What the engine was given.
            schemas: The schemas of the query's tables.
            functions: Those that there are, by name.
        """
        self.query = query
        self.text = text
        self.schemas = schemas
        self.functions = functions

    @cached_property
    def reading(self) -> Reading | None:
        """The query as it was typed; None when it cannot be read again, or is too long for it."""
        if len(self.tokens) > _MOST_TOKENS:
            return None
        try:
            return read_again(
                self.query.sql,
                Defaults(self.query.cluster, self.query.catalog, self.query.schema),
            )
        except PlannerError:
            return None

    @cached_property
    def usage(self) -> Usage | None:
        """Which columns it uses of which table."""
        return None if self.reading is None else Usage(self.reading, self.schemas)

    @cached_property
    def tokens(self) -> list[Token]:
        """The tokens as they were typed."""
        return read_tokens(self.query.sql)

    def at(self, start: int) -> str:
        """Say where an offset of the typed text is, as the beginning of a message."""
        return f"{place_at(self.query.sql, start)}: "

    def end(self) -> str:
        """Say where the statement ends."""
        last = [token for token in self.tokens if token.token_type is not TokenType.SEMICOLON]
        return self.at(last[-1].end + 1) if last else ""

    def of_node(self, node: exp.Expr | None) -> str:
        """Say where a piece of the query stands; nothing when it does not know."""
        start = 0 if node is None else start_of(node)
        return self.at(start) if start else ""

    def of_word(self, *words: str) -> str:
        """Say where the first of these words stands, bare; nothing when there is none."""
        wanted = {word.lower() for word in words}
        for token in self.tokens:
            if is_word(token) and token.text.lower().split(" ")[0] in wanted:
                return self.at(token.start)
        return ""

    def of_text(self, text: str) -> str:
        """Say where a name or a quoted text stands; nothing when it is not there."""
        for token in self.tokens:
            if token.text.lower() == text.lower():
                return self.at(token.start)
        return ""

    def of_call(self, name: str, before: exp.Expr | None = None) -> str:
        """Say where a function is called; nothing when it is not.

        Args:
            name: The function.
            before: A piece of the call; without it the first call counts.
        """
        end = len(self.query.sql) if before is None else start_of(before)
        starts = [
            token.start
            for token, following in zip(self.tokens, self.tokens[1:], strict=False)
            if token.text.lower() == name.lower() and following.token_type is TokenType.L_PAREN
            if token.start <= end
        ]
        return self.at(starts[0 if before is None else -1]) if starts else ""

    def is_aggregate(self, node: exp.Expr | None) -> bool:
        """Whether a piece of the query is the call of an aggregate."""
        if not isinstance(node, exp.Func):
            return False
        known = self.functions.get(called(node))
        return isinstance(node, exp.AggFunc) or (known is not None and known.kind == "AGGREGATE")

    def around(self, node: exp.Expr) -> Iterator[exp.Expr]:
        """Yield what a piece of the query stands in, up to its SELECT."""
        parent = node.parent
        while parent is not None and not isinstance(parent, exp.Select):
            yield parent
            parent = parent.parent

    def select_with(self, holds: Callable[[exp.Select], bool]) -> exp.Select | None:
        """Return the first select of which something holds."""
        if self.reading is None:
            return None
        return next((one for one in self.reading.nodes.of(exp.Select) if holds(one)), None)

    @cached_property
    def columns(self) -> list[exp.Column]:
        """The references to columns, in the order of the text."""
        found = [] if self.reading is None else self.reading.nodes.of(exp.Column)
        return sorted(found, key=start_of)

    def columns_named(self, name: str) -> Iterator[exp.Column]:
        """Yield the references to a column of this name, in the order of the text."""
        for column in self.columns:
            if any(part.name.lower() == name.lower() for part in column.parts):
                yield column


def parts_of_name(name: str) -> list[str]:
    """Return the parts of a name that the engine wrote, without quotes."""
    parts = re.findall(r'"((?:[^"]|"")*)"|([^".]+)', name)
    return [(quoted or bare).replace('""', '"') for quoted, bare in parts]


def called(node: exp.Expr) -> str:
    """Return the name of a function as it was written, as far as it is known."""
    name = node.name if isinstance(node, (exp.Anonymous, exp.AnonymousAggFunc)) else node.sql_name()  # type: ignore[attr-defined]  # every function has one
    return str(name).lower()
