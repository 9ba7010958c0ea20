"""The pieces of a reading by their kind, from one walk over its tree.

Every rule asks for some kind of piece. A walk for each of them would take longer than parsing.
"""

from collections.abc import Iterator
from typing import TypeVar

from sqlglot import exp

_E = TypeVar("_E", bound=exp.Expr)


class Nodes:
    """All nodes of one tree, in the order of a walk from the root, level by level."""

    def __init__(self, tree: exp.Expr) -> None:
        """Walk the tree; it must not change afterwards."""
        self._all = tuple(tree.walk())
        self._by_kind: dict[type[exp.Expr], list[int]] = {}
        for at, node in enumerate(self._all):
            self._by_kind.setdefault(type(node), []).append(at)

    def __iter__(self) -> Iterator[exp.Expr]:
        return iter(self._all)

    def of(self, *kinds: type[_E]) -> list[_E]:
        """Return the nodes of these kinds and of those derived from them, in order.

        Example:
            >>> from sqlglot import parse_one
            >>> [column.sql() for column in Nodes(parse_one("SELECT a + b")).of(exp.Column)]
            ['a', 'b']
        """
        found = [places for kind, places in self._by_kind.items() if issubclass(kind, kinds)]
        places = found[0] if len(found) == 1 else sorted(at for one in found for at in one)
        return [self._all[at] for at in places]  # type: ignore[misc]  # by kind
