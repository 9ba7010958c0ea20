"""A grant, and what is decided by grants: the values that decisions are about, without any set.

Which grants apply, and which of them decides, stands in `grants`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, Protocol

from auth.principals import Identity, Principal
from auth.privileges import Effect, Privilege, check_level
from storage.names import ObjectName


@dataclass(frozen=True, slots=True)
class Grant:
    """A principal, a privilege on a securable, and ALLOW or DENY.

    Raises:
        UnsupportedGrantError: When the privilege does not fit the level of the securable.
    """

    id: int
    principal: Principal
    effect: Effect
    privilege: Privilege
    securable: ObjectName
    granted_by: str
    granted_at: datetime
    until: datetime | None = None

    def __post_init__(self) -> None:
        check_level(self.privilege, self.securable)

    def holds_at(self, now: datetime) -> bool:
        """Whether the grant has not ended yet."""
        return self.until is None or now < self.until

    @property
    def key(self) -> tuple[str, str, str, str]:
        """What makes two grants the same one; a second such grant replaces the first."""
        return (str(self.principal), self.effect, self.privilege, str(self.securable))

    def __str__(self) -> str:
        end = f" UNTIL '{self.until.isoformat()}'" if self.until else ""
        return f"{self.effect} {self.privilege} ON {self.securable} TO {self.principal}{end}"


@dataclass(frozen=True, slots=True)
class Allowed:
    """The caller may: because of `grant`, or for what `reason` says."""

    grant: Grant | None = None
    reason: str = ""
    """Why, where it is no grant that allows it."""
    is_allowed: Literal[True] = True

    @property
    def rule(self) -> str:
        """What made the decision, for the audit log and EXPLAIN ACCESS."""
        return self.reason or str(self.grant)


@dataclass(frozen=True, slots=True)
class Denied:
    """The caller may not read: because of `grant`, or because nothing allows it."""

    reason: str = ""
    """Why, where it is more than what the grant says."""
    grant: Grant | None = None
    is_allowed: Literal[False] = False

    @property
    def rule(self) -> str:
        """What made the decision, for the audit log and EXPLAIN ACCESS."""
        return self.reason or str(self.grant)


Decision = Allowed | Denied

NO_GRANT = Denied("no grant allows it")


class Rules(Protocol):
    """What decides on reading."""

    def decide(self, identity: Identity, table: ObjectName, now: datetime) -> Decision:
        """Decide whether this caller may read this table now."""

    def reader(self, identity: Identity, now: datetime) -> Callable[[ObjectName], bool]:
        """Return the test whether this caller may read a table now."""

    def places(self, identity: Identity, now: datetime) -> list[ObjectName]:
        """Return the widest places in which this caller may read anything now, ordered."""
