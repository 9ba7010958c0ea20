"""The names of clusters, catalogs, schemas and tables, as one value type.

Everybody who parses, quotes or compares such a name does it here. Names are case-insensitive and
kept in lower case; they start with a letter, then letters, digits and `_`, at most 63 characters
(all ASCII, so that no two of them look alike).

This module is pure and light: it loads nothing but the standard library.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache, total_ordering
from typing import Self

MAX_NAME_LENGTH = 63
# Names that no cluster may give: the catalog of the federation itself, and the schema that every
# catalog has.
SYSTEM_CATALOG = "system"
FEDERATION_SCHEMA = "federation"
INFORMATION_SCHEMA = "information_schema"

_PART = re.compile(rf"[A-Za-z][A-Za-z0-9_]{{0,{MAX_NAME_LENGTH - 1}}}", re.ASCII)
_PIECE = re.compile(r'"(?P<quoted>(?:[^"]|"")*)"|(?P<bare>[^".@\s]+)')
_TABLE_PARTS = 3


class InvalidNameError(ValueError):
    """A text is not the name of a cluster, catalog, schema or table."""


class Level(Enum):
    """What a name names, from the widest to the narrowest."""

    CLUSTER = "cluster"
    CATALOG = "catalog"
    SCHEMA = "schema"
    TABLE = "table"


@lru_cache(maxsize=16_384)
def fold_name(part: str) -> str:
    """Return one part of a name in lower case, the same text for equal parts.

    Raises:
        InvalidNameError: When it does not start with a letter, holds anything but letters,
            digits and `_`, or is longer than 63 characters.
    """
    if not _PART.fullmatch(part):
        raise InvalidNameError(
            f"{_shown(part)} is not a name: it must start with a letter, then letters, digits "
            f"and _, at most {MAX_NAME_LENGTH}"
        )
    return part.lower()


@total_ordering
@dataclass(frozen=True, slots=True)
class ObjectName:
    """The name of a cluster, a catalog, a schema or a table, with its cluster.

    `ObjectName("hangzhou")` stands for every catalog of the cluster and is written `*@hangzhou`.
    Parts are folded when the value is made, so that equal names are equal values. A name sorts
    before all that it covers.
    """

    cluster: str
    catalog: str | None = None
    schema: str | None = None
    table: str | None = None

    def __post_init__(self) -> None:
        if (self.schema and not self.catalog) or (self.table and not self.schema):
            raise InvalidNameError("a schema needs its catalog, and a table its schema")
        for field in ("cluster", "catalog", "schema", "table"):
            part = getattr(self, field)
            if part is not None:
                object.__setattr__(self, field, fold_name(part))

    @classmethod
    def parse(cls, text: str, *, cluster: str | None = None) -> Self:
        """Read a name in any of its written forms.

        These are one table: `trading.stock.quote@hangzhou`, `"trading@hangzhou".stock.quote`,
        `"trading@hangzhou"."stock"."quote"`, `trading.stock."quote@hangzhou"`. One part is a
        catalog, two are a schema, three a table; `*@hangzhou` is every catalog of the cluster.

        Args:
            text: What was written.
            cluster: The cluster of a name that is written without one.

        Raises:
            InvalidNameError: When it is none of these forms, names two clusters, or names none
                and `cluster` is not given.
        """
        parts, named = _split(text)
        if named is None:
            if cluster is None:
                raise InvalidNameError(f"{_shown(text)} needs its cluster, as in name@cluster")
            named = cluster
        if parts == ["*"]:
            return cls(named)
        return cls(named, *parts)

    @property
    def level(self) -> Level:
        """What this names."""
        if self.table is not None:
            return Level.TABLE
        if self.schema is not None:
            return Level.SCHEMA
        return Level.CLUSTER if self.catalog is None else Level.CATALOG

    @property
    def local(self) -> str:
        """The name inside its cluster: `trading.stock.quote`, or `*` for the whole cluster."""
        return ".".join(part for part in (self.catalog, self.schema, self.table) if part) or "*"

    @property
    def quoted(self) -> str:
        """The form that BI tools write: `"trading@hangzhou"."stock"."quote"`."""
        parts = (f"{self.catalog or '*'}@{self.cluster}", self.schema, self.table)
        return ".".join(f'"{part}"' for part in parts if part)

    @property
    def parent(self) -> "ObjectName | None":
        """The name one level wider, or None for a cluster."""
        ancestors = list(self.ancestors())
        return ancestors[1] if len(ancestors) > 1 else None

    def ancestors(self) -> Iterator["ObjectName"]:
        """Yield this name and every wider one, narrowest first (one to four names)."""
        yield self
        if self.table is not None:
            yield ObjectName(self.cluster, self.catalog, self.schema)
        if self.schema is not None:
            yield ObjectName(self.cluster, self.catalog)
        if self.catalog is not None:
            yield ObjectName(self.cluster)

    def covers(self, other: "ObjectName") -> bool:
        """Whether `other` is this object or lies below it."""
        mine = (self.cluster, self.catalog, self.schema, self.table)
        theirs = (other.cluster, other.catalog, other.schema, other.table)
        return all(part is None or part == their for part, their in zip(mine, theirs, strict=True))

    def moved(self, old: "ObjectName", new: "ObjectName") -> "ObjectName":
        """Return this name once the object `old`, which it names or lies below, is called `new`.

        Both are of one level; a cluster keeps its name.
        """
        schema = new.schema if old.schema is not None else self.schema
        table = new.table if old.table is not None else self.table
        return ObjectName(self.cluster, new.catalog, schema, table)

    def __lt__(self, other: object) -> bool:
        if not isinstance(other, ObjectName):
            return NotImplemented
        return self._order < other._order

    @property
    def _order(self) -> tuple[str, str, str, str]:
        return (self.cluster, self.catalog or "", self.schema or "", self.table or "")

    def __str__(self) -> str:
        return f"{self.local}@{self.cluster}"


def split_cluster(part: str) -> tuple[str, str | None]:
    """Split one written part `quote@hangzhou` into its name and its cluster, if it has one.

    Neither is checked or folded. Used where `@cluster` hides in a quoted identifier.
    """
    name, at, cluster = part.rpartition("@")
    return (name, cluster) if at else (part, None)


def _split(text: str) -> tuple[list[str], str | None]:
    """Return the written parts without their clusters, and the one cluster that they name."""
    parts: list[str] = []
    clusters: set[str] = set()
    position = 0
    text = text.strip()
    while True:
        piece = _PIECE.match(text, position)
        if piece is None:
            raise InvalidNameError(
                f"{_shown(text)} is not a name: write catalog.schema.table@cluster"
            )
        quoted = piece["quoted"]
        part, cluster = (piece["bare"], None) if quoted is None else split_cluster(quoted)
        position = piece.end()
        if text.startswith("@", position) and (bare := _PIECE.match(text, position + 1)):
            if cluster is not None:
                raise InvalidNameError(f"{_shown(text)} names a cluster twice")
            cluster = bare["bare"] if bare["quoted"] is None else bare["quoted"]
            position = bare.end()
        parts.append(part)
        if cluster is not None:
            clusters.add(fold_name(cluster))
        if position == len(text):
            break
        if text[position] != ".":
            raise InvalidNameError(
                f"{_shown(text)} is not a name: write catalog.schema.table@cluster"
            )
        position += 1
    if len(parts) > _TABLE_PARTS:
        raise InvalidNameError(f"{_shown(text)} has more parts than catalog.schema.table")
    if len(clusters) > 1:
        raise InvalidNameError(
            f"{_shown(text)} names two clusters: {' and '.join(sorted(clusters))}"
        )
    return parts, clusters.pop() if clusters else None


def _no_name(text: str) -> InvalidNameError:
    return InvalidNameError(f"{_shown(text)} is not a name: write catalog.schema.table@cluster")


def _shown(text: str) -> str:
    """Quote a text for an error, cut where no name would go on."""
    longest = 4 * MAX_NAME_LENGTH
    return repr(text if len(text) <= longest else text[:longest] + "…")
