"""What can be granted, and on which level of names.

A privilege on a wider object covers everything below it, now and later: `CATALOG_READ` on a
catalog, or on `*@cluster`, covers its schemas and their tables.
"""

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType

from auth.errors import UnsupportedGrantError
from storage.names import Level, ObjectName


class Privilege(StrEnum):
    """The privileges of the federation; all of them let a principal read."""

    TABLE_READ = "TABLE_READ"
    SCHEMA_READ = "SCHEMA_READ"
    CATALOG_READ = "CATALOG_READ"

    @classmethod
    def parse(cls, text: str) -> "Privilege":
        """Read a privilege as it is written in a statement, in any case.

        Raises:
            UnsupportedGrantError: When there is no such privilege.
        """
        try:
            return cls(text.upper())
        except ValueError:
            known = ", ".join(cls)
        raise UnsupportedGrantError(f"{text!r} cannot be granted here; these can: {known}")

    @classmethod
    def for_level(cls, level: Level) -> "Privilege":
        """Return the privilege that reads objects of this level."""
        return _OF_LEVEL[level]

    @property
    def levels(self) -> frozenset[Level]:
        """The levels of names on which this privilege is granted."""
        return _LEVELS[self]


class Effect(StrEnum):
    """What a grant does when it applies. Without one that applies nothing may be read."""

    ALLOW = "ALLOW"
    DENY = "DENY"


_LEVELS: Mapping[Privilege, frozenset[Level]] = MappingProxyType(
    {
        Privilege.TABLE_READ: frozenset({Level.TABLE}),
        Privilege.SCHEMA_READ: frozenset({Level.SCHEMA}),
        Privilege.CATALOG_READ: frozenset({Level.CATALOG, Level.CLUSTER}),
    }
)
_OF_LEVEL: Mapping[Level, Privilege] = MappingProxyType(
    {level: privilege for privilege, levels in _LEVELS.items() for level in levels}
)


def check_level(privilege: Privilege, securable: ObjectName) -> None:
    """Refuse a privilege on an object of a level that is not its own.

    Raises:
        UnsupportedGrantError: When they do not fit; the text names the privilege that does.
    """
    if securable.level not in privilege.levels:
        raise UnsupportedGrantError(
            f"{privilege} does not fit {securable}, which names a {securable.level.value}; "
            f"write {Privilege.for_level(securable.level)}"
        )
