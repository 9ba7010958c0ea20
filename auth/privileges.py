"""What can be granted, and on which level of names.

A privilege on a wider object covers everything below it, now and later: `CATALOG_READ` on a
catalog, or on `*@cluster`, covers its schemas and their tables. What a privilege gives is its
`Access`; those of different access have nothing to do with each other.

Across clusters nothing but reading is granted. At home:

- WRITE on a table changes its rows; on a schema, tables are made and dropped there as well; on a
  catalog, schemas too. It does not read;
- USAGE of a schema lets it be named: who may do nothing there is told what is missing, and not that
  there is no such schema.
"""

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType

from auth.errors import UnsupportedGrantError
from storage.names import Level, ObjectName


class Access(StrEnum):
    """What a privilege gives on its object and on all below it."""

    READ = "READ"
    WRITE = "WRITE"
    USAGE = "USAGE"


class Privilege(StrEnum):
    """The privileges of the federation, which read, and those of a cluster at home."""

    TABLE_READ = "TABLE_READ"
    SCHEMA_READ = "SCHEMA_READ"
    CATALOG_READ = "CATALOG_READ"
    TABLE_WRITE = "TABLE_WRITE"
    SCHEMA_WRITE = "SCHEMA_WRITE"
    SCHEMA_USAGE = "SCHEMA_USAGE"
    CATALOG_WRITE = "CATALOG_WRITE"

    @classmethod
    def parse(cls, text: str) -> "Privilege":
        """Read a privilege that is granted across clusters, as it is written, in any case.

        Raises:
            UnsupportedGrantError: When there is no such privilege, or it is given at home only.
        """
        try:
            found = cls(text.upper())
        except ValueError:
            found = None
        if found is not None and found.is_federated:
            return found
        known = ", ".join(privilege for privilege in cls if privilege.is_federated)
        raise UnsupportedGrantError(f"{text!r} cannot be granted here; these can: {known}")

    @classmethod
    def for_level(cls, level: Level, access: Access = Access.READ) -> "Privilege":
        """Return the privilege that gives this access to objects of this level.

        Raises:
            KeyError: When there is none: only schemas know USAGE.
        """
        return _OF_LEVEL[level, access]

    @property
    def access(self) -> Access:
        """What it gives."""
        return _ACCESS[self]

    @property
    def levels(self) -> frozenset[Level]:
        """The levels of names on which this privilege is granted."""
        return _LEVELS[self]

    @property
    def is_federated(self) -> bool:
        """Whether it is granted across clusters, where nothing is written."""
        return self.access is Access.READ


class Effect(StrEnum):
    """What a grant does when it applies. Without one that applies nothing may be read."""

    ALLOW = "ALLOW"
    DENY = "DENY"


_ACCESS: Mapping[Privilege, Access] = MappingProxyType(
    {privilege: Access(privilege.rpartition("_")[2]) for privilege in Privilege}
)
_LEVELS: Mapping[Privilege, frozenset[Level]] = MappingProxyType(
    {
        Privilege.TABLE_READ: frozenset({Level.TABLE}),
        Privilege.SCHEMA_READ: frozenset({Level.SCHEMA}),
        Privilege.CATALOG_READ: frozenset({Level.CATALOG, Level.CLUSTER}),
        Privilege.TABLE_WRITE: frozenset({Level.TABLE}),
        Privilege.SCHEMA_WRITE: frozenset({Level.SCHEMA}),
        Privilege.SCHEMA_USAGE: frozenset({Level.SCHEMA}),
        Privilege.CATALOG_WRITE: frozenset({Level.CATALOG, Level.CLUSTER}),
    }
)
_OF_LEVEL: Mapping[tuple[Level, Access], Privilege] = MappingProxyType(
    {
        (level, _ACCESS[privilege]): privilege
        for privilege, levels in _LEVELS.items()
        for level in levels
    }
)


def check_level(privilege: Privilege, securable: ObjectName) -> None:
    """Refuse a privilege on an object of a level that is not its own.

    Raises:
        UnsupportedGrantError: When they do not fit; the text names the privilege that does.
    """
    if securable.level in privilege.levels:
        return
    fitting = _OF_LEVEL.get((securable.level, privilege.access))
    instead = "name a schema" if fitting is None else f"write {fitting}"
    raise UnsupportedGrantError(
        f"{privilege} does not fit {securable}, which names a {securable.level.value}; {instead}"
    )
