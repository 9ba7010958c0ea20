"""What statements say that make, change or take away catalogs, schemas and tables. Values only."""

from dataclasses import dataclass
from enum import Enum
from typing import TypeAlias

import pyarrow as pa

from storage.names import ObjectName


class Kind(Enum):
    """What a definition makes or takes away, in the words of SQL."""

    CATALOG = "CATALOG"
    SCHEMA = "SCHEMA"
    TABLE = "TABLE"
    VIEW = "VIEW"


@dataclass(frozen=True, slots=True)
class CreatePlace:
    """CREATE CATALOG, CREATE SCHEMA.

    Attributes:
        place: The new catalog or schema.
        if_not_exists: Whether one that is there is left as it is.
    """

    place: ObjectName
    if_not_exists: bool = False


@dataclass(frozen=True, slots=True)
class CreateTable:
    """CREATE TABLE with its columns.

    Attributes:
        table: The new table.
        arrow_schema: Its columns, those that partition it last.
        partition_columns: In the order of the directories.
        columns: All of them in the order in which they were written.
        if_not_exists: Whether one that is there is left as it is.
        or_replace: Whether one that is there gives way.
    """

    table: ObjectName
    arrow_schema: pa.Schema
    partition_columns: tuple[str, ...] = ()
    columns: tuple[str, ...] = ()
    if_not_exists: bool = False
    or_replace: bool = False


@dataclass(frozen=True, slots=True)
class CreateExternalTable:
    """CREATE EXTERNAL TABLE: files that stay where they are.

    Attributes:
        table: The new table.
        location: A directory, or an object store's prefix, as it was written.
        partition_columns: What its directories are said to be; None when nothing was said.
        if_not_exists: Whether a table that is there is left as it is.
    """

    table: ObjectName
    location: str
    partition_columns: tuple[str, ...] | None = None
    if_not_exists: bool = False


@dataclass(frozen=True, slots=True)
class Drop:
    """DROP of a table, a view, a schema or a catalog.

    Attributes:
        kind: What it is said to be.
        name: Which.
        if_exists: Whether it is fine when there is none.
        cascade: Whether what lies in it is dropped too.
    """

    kind: Kind
    name: ObjectName
    if_exists: bool = False
    cascade: bool = False


@dataclass(frozen=True, slots=True)
class Rename:
    """ALTER … RENAME TO.

    Attributes:
        kind: What it is said to be.
        name: As it is called.
        new_name: As it will be called; of the same level and cluster.
    """

    kind: Kind
    name: ObjectName
    new_name: ObjectName


@dataclass(frozen=True, slots=True)
class ChangeOwner:
    """ALTER … OWNER TO.

    Attributes:
        kind: What it is said to be.
        name: What gets another owner.
        owner: A user, as in `user1@shanghai`.
    """

    kind: Kind
    name: ObjectName
    owner: str


Definition: TypeAlias = (
    CreatePlace | CreateTable | CreateExternalTable | Drop | Rename | ChangeOwner
)
"""Statements that change what there is at the member where they are typed; they read no rows."""
